/* Matrix products of the CPU backend at every level this processor has, against sums in double: sizes
 * around the blocks (256 rows, 384 of the sum, 64 columns) and tiles, both orientations, packed and not,
 * float32 and bfloat16, with bias, activation and accumulation. Where bfloat16 goes to oneDNN the same
 * holds. */
#include "backend/cpu/gemm.h"

#include "base/alloc.h"
#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { GAP = 3 }; /* elements between stored rows that a product must leave alone */

typedef struct {
    ark_dtype dtype;
    int64_t rows, cols, ld;
    void *data;
} matrix;

static double get(const matrix *m, int64_t i, int64_t j) {
    int64_t e = i * m->ld + j;
    return m->dtype == ARK_F32 ? (double)((const float *)m->data)[e]
                               : (double)ark_bf16_to_f32(((const uint16_t *)m->data)[e]);
}

static matrix new_matrix(ark_dtype dtype, int64_t rows, int64_t cols, uint64_t stream) {
    matrix m = {.dtype = dtype, .rows = rows, .cols = cols, .ld = cols + GAP};
    size_t n = (size_t)(rows * m.ld);
    m.data = ark_malloc(n * ark_dtype_bytes(dtype));
    assert_non_null(m.data);
    ark_rng r = ark_rng_at(3, ARK_RNG_TEST, stream, 0, 0);
    for (size_t i = 0; i < n; i++) {
        float v = 2.0f * ark_rng_f32(&r) - 1.0f;
        if (dtype == ARK_F32) {
            ((float *)m.data)[i] = v;
        } else {
            ((uint16_t *)m.data)[i] = ark_f32_to_bf16(v);
        }
    }
    return m;
}

static matrix copy_of(const matrix *m) {
    matrix c = *m;
    size_t bytes = (size_t)(m->rows * m->ld) * ark_dtype_bytes(m->dtype);
    c.data = ark_malloc(bytes);
    assert_non_null(c.data);
    memcpy(c.data, m->data, bytes);
    return c;
}

static double gelu(double x) {
    return 0.5 * x * erfc(-x * M_SQRT1_2);
}

/* c and y against the sums, and the gaps between rows against what they held. */
static void check(const ark_gemm_desc *d, const matrix *a, const matrix *b, const float *bias,
    const matrix *before, const matrix *c, const matrix *y) {
    const double unit = d->out == ARK_BF16 ? 0x1p-8 : 0x1p-23;
    for (int64_t i = 0; i < d->m; i++) {
        for (int64_t j = 0; j < d->n; j++) {
            double sum = d->accumulate ? get(before, i, j)
                         : d->bias     ? (double)bias[j]
                                       : 0.0,
                   size = fabs(sum);
            for (int64_t l = 0; l < d->k; l++) {
                double term = (d->ta ? get(a, l, i) : get(a, i, l)) * (d->tb ? get(b, j, l) : get(b, l, j));
                sum += term;
                size += fabs(term);
            }
            assert_true(fabs(get(c, i, j) - sum) <= unit * fabs(sum) + 4e-7 * size);
            if (d->act == ARK_ACT_GELU) {
                double z = get(c, i, j);
                assert_true(fabs(get(y, i, j) - gelu(z)) <= (unit + 1e-5) * fabs(gelu(z)) + 1e-30);
            }
        }
        for (int64_t j = d->n; j < c->ld; j++) {
            assert_true(get(c, i, j) == get(before, i, j) && get(y, i, j) == get(before, i, j));
        }
    }
}

/* Pack b (k,n) as ark_gemm_packs wants it; what b is replaced with is the caller's. */
static float *packed(const ark_gemm_pool *p, const ark_gemm_desc *d, const matrix *b) {
    ark_packing w = {.b = b->data, .in = d->in, .turned = d->tb, .ld = b->ld, .n = d->n, .k = d->k};
    float *panels = ark_malloc((size_t)ark_gemm_packed_floats(p, d->k, d->n) * sizeof *panels);
    void *scratch = ark_malloc_aligned(ark_gemm_pack_scratch(p, &w));
    assert_true(panels && scratch);
    for (int64_t task = 0; task < ark_gemm_pack_tasks(d->n); task++) {
        ark_gemm_pack(p, panels, task, &w, scratch);
    }
    ark_free(scratch);
    return panels;
}

static void product(ark_gemm_pool *p, ark_gemm_desc d) {
    matrix a = new_matrix(d.in, d.ta ? d.k : d.m, d.ta ? d.m : d.k, 1);
    matrix b = new_matrix(d.in, d.tb ? d.n : d.k, d.tb ? d.k : d.n, 2);
    matrix before = new_matrix(d.out, d.m, d.n, 3), bias = new_matrix(ARK_F32, 1, d.n, 4);
    matrix c = copy_of(&before), y = copy_of(&before);
    d.lda = a.ld;
    d.ldb = b.ld;
    d.ldc = c.ld;
    float *panels = d.packed ? packed(p, &d, &b) : NULL;
    const ark_gemm *g = NULL;
    assert_int_equal(ark_gemm_get(p, &d, &g), ARK_OK);
    void *scratch = ark_malloc_aligned(ark_gemm_scratch(g) + 1);
    assert_non_null(scratch);
    ark_gemm_args args = {
        .a = a.data, .b = panels ? (void *)panels : b.data, .bias = bias.data, .c = c.data, .y = y.data};
    assert_int_equal(ark_gemm_run(g, 0, &args, scratch), ARK_OK);
    check(&d, &a, &b, bias.data, &before, &c, &y);
    void *blocks[] = {a.data, b.data, before.data, bias.data, c.data, y.data, panels, scratch};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
        ark_free(blocks[i]);
    }
}

static void at_each_level(void (*body)(ark_gemm_pool *p)) {
    static const char *const levels[] = {"v2", "v3", "v4"};
    for (int i = 0; i < 3; i++) {
        const ark_simd *k = NULL;
        ark_gemm_pool *p = NULL;
        assert_int_equal(setenv("ARK_CPU_ISA", levels[i], 1), 0);
        if (ark_simd_pick(&k) == ARK_OK) {
            assert_int_equal(ark_gemm_pool_new(1, k, &p), ARK_OK);
            body(p);
            ark_gemm_pool_free(p);
        }
    }
    unsetenv("ARK_CPU_ISA");
}

/* (m,n,k): single elements, tiles and panels with remainders, more than one block in each direction. */
static const int64_t sizes[][3] = {
    {1, 1, 1}, {7, 17, 5}, {13, 64, 33}, {25, 96, 385}, {259, 48, 40}, {11, 130, 777}, {514, 31, 12}};
enum { SIZES = sizeof sizes / sizeof *sizes };

static void orientations(ark_gemm_pool *p) {
    for (int s = 0; s < SIZES; s++) {
        for (int how = 0; how < 16; how++) {
            ark_dtype in = how & 8 ? ARK_BF16 : ARK_F32;
            product(p, (ark_gemm_desc){.m = sizes[s][0],
                           .n = sizes[s][1],
                           .k = sizes[s][2],
                           .ta = how & 1,
                           .tb = how & 2,
                           .accumulate = how & 4,
                           .in = in,
                           .out = s % 2 ? in : ARK_F32});
        }
    }
}

static void test_orientations(void **state) {
    (void)state;
    at_each_level(orientations);
}

static void finishings(ark_gemm_pool *p) {
    for (int s = 0; s < SIZES; s++) {
        for (int how = 0; how < 8; how++) {
            ark_dtype in = how & 4 ? ARK_BF16 : ARK_F32;
            product(p, (ark_gemm_desc){.m = sizes[s][0],
                           .n = sizes[s][1],
                           .k = sizes[s][2],
                           .tb = true,
                           .packed = (how & 1) && ark_gemm_packs(p, in),
                           .bias = true,
                           .act = how & 2 ? ARK_ACT_GELU : ARK_ACT_NONE,
                           .in = in,
                           .out = in});
        }
    }
}

static void test_finishings(void **state) {
    (void)state;
    at_each_level(finishings);
}

/* A shorter sum than described, as dW of a smaller batch has it. */
static void shorter_sum(ark_gemm_pool *p) {
    enum { M = 19, N = 32, K = 700 };
    matrix a = new_matrix(ARK_F32, K, M, 1), b = new_matrix(ARK_F32, K, N, 2),
           c = new_matrix(ARK_F32, M, N, 3);
    matrix before = copy_of(&c);
    ark_gemm_desc d = {
        .m = M, .n = N, .k = K + 400, .ta = true, .lda = a.ld, .ldb = b.ld, .ldc = c.ld, .accumulate = true};
    const ark_gemm *g = NULL;
    assert_int_equal(ark_gemm_get(p, &d, &g), ARK_OK);
    void *scratch = ark_malloc_aligned(ark_gemm_scratch(g));
    assert_non_null(scratch);
    ark_gemm_args args = {.a = a.data, .b = b.data, .c = c.data, .k = K};
    assert_int_equal(ark_gemm_run(g, 0, &args, scratch), ARK_OK);
    d.k = K;
    check(&d, &a, &b, NULL, &before, &c, &before);
    void *blocks[] = {a.data, b.data, c.data, before.data, scratch};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
        ark_free(blocks[i]);
    }
}

static void test_shorter_sum(void **state) {
    (void)state;
    at_each_level(shorter_sum);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_orientations),
        cmocka_unit_test(test_finishings),
        cmocka_unit_test(test_shorter_sum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
