/* Inner kernels of the CPU backend at every level this processor has, against libm in double and plain loops.
 * The bounds are those that simd/math.h states. */
#include "backend/cpu/rows.h"
#include "backend/cpu/simd.h"

#include "base/alloc.h"
#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const levels[] = {"v2", "v3", "v4"};

/* Run body once per level; levels that this processor lacks are left out. */
static void at_each_level(void (*body)(const ark_simd *k)) {
    for (int i = 0; i < 3; i++) {
        const ark_simd *k = NULL;
        assert_int_equal(setenv("ARK_CPU_ISA", levels[i], 1), 0);
        if (ark_simd_pick(&k) == ARK_OK) {
            assert_string_equal(k->level, levels[i]);
            body(k);
        }
    }
    unsetenv("ARK_CPU_ISA");
}

enum { N = 100003 };

/* N values from lo to hi, and results of a kernel on them. */
static float x[N], y[N], ones[N];

static void sweep(double lo, double hi) {
    for (int i = 0; i < N; i++) {
        x[i] = (float)(lo + (hi - lo) * i / (N - 1));
        ones[i] = 1.0f;
    }
}

static double phi(double t) {
    return 0.5 * erfc(-t * M_SQRT1_2);
}

/* z Phi(z): the relative error of Phi shows through. */
static void gelu_bound(const ark_simd *k) {
    const double from[3] = {-5.0, -13.0, 0.0}, to[3] = {0.0, -5.0, 30.0}, bound[3] = {1e-6, 1e-5, 6e-7};
    for (int part = 0; part < 3; part++) {
        sweep(from[part], to[part]);
        k->gelu(y, x, N);
        for (int i = 0; i < N; i++) {
            double want = (double)x[i] * phi((double)x[i]);
            assert_true(fabs((double)y[i] - want) <= bound[part] * fabs(want));
        }
    }
    float edges[4] = {0.0f, INFINITY, NAN, -1e30f}, e[4];
    k->gelu(e, edges, 4);
    assert_true(e[0] == 0.0f && isinf(e[1]) && isnan(e[2]) && fabsf(e[3]) < 1e-6f);
}

/* A value has one result, wherever it stands: products and remaking cut arrays differently. */
static void gelu_place(const ark_simd *k) {
    sweep(-14.0, 14.0);
    k->gelu(y, x, N);
    for (int i = 0; i < N; i++) {
        float alone;
        k->gelu(&alone, &x[i], 1);
        assert_memory_equal(&alone, &y[i], sizeof alone);
    }
}

static void test_gelu_place(void **state) {
    (void)state;
    at_each_level(gelu_place);
}

static void test_gelu(void **state) {
    (void)state;
    at_each_level(gelu_bound);
}

static void gelu_grad_bound(const ark_simd *k) {
    sweep(-12.0, 12.0);
    k->gelu_grad(y, ones, x, N);
    for (int i = 0; i < N; i++) {
        double t = (double)x[i];
        double want = phi(t) + t * exp(-0.5 * t * t) / sqrt(2.0 * M_PI);
        assert_true(fabs((double)y[i] - want) < 3e-7);
    }
}

static void test_gelu_grad(void **state) {
    (void)state;
    at_each_level(gelu_grad_bound);
}

/* All 65536 bf16 values, and values halfway between them. */
static void bf16_exact(const ark_simd *k) {
    static uint16_t all[65536], back[65536];
    static float wide[65536];
    for (int i = 0; i < 65536; i++) {
        all[i] = (uint16_t)i;
    }
    k->widen(wide, all, 65536);
    k->narrow(back, wide, 65536);
    for (int i = 0; i < 65536; i++) {
        float want = ark_bf16_to_f32((uint16_t)i);
        assert_memory_equal(&wide[i], &want, sizeof want);
        assert_int_equal(back[i], ark_f32_to_bf16(want));
    }
    for (int i = 0; i < 65536; i++) {
        uint32_t bits = (uint32_t)i << 16 | 0x8000u;
        memcpy(&wide[i], &bits, sizeof bits);
    }
    k->narrow(back, wide, 65536);
    for (int i = 0; i < 65536; i++) {
        assert_int_equal(back[i], ark_f32_to_bf16(wide[i]));
    }
}

static void test_bf16(void **state) {
    (void)state;
    at_each_level(bf16_exact);
}

static void fill(float *v, int64_t n, uint64_t stream) {
    ark_rng rng = ark_rng_at(1, ARK_RNG_TEST, stream, 0, 0);
    for (int64_t i = 0; i < n; i++) {
        v[i] = 2.0f * ark_rng_f32(&rng) - 1.0f;
    }
}

static void transpose_exact(const ark_simd *k) {
    enum { ROWS = 53, COLS = 37, LDS = 40, LDD = 64 };
    static float src[ROWS * LDS], dst[COLS * LDD];
    fill(src, ROWS * LDS, 4);
    for (int rows = 1; rows <= ROWS; rows += 4) {
        for (int cols = 1; cols <= COLS; cols += 3) {
            memset(dst, 0, sizeof dst);
            k->transpose(dst, LDD, src, LDS, rows, cols);
            for (int i = 0; i < COLS; i++) {
                for (int j = 0; j < LDD; j++) {
                    assert_true(dst[i * LDD + j] == (i < cols && j < rows ? src[j * LDS + i] : 0.0f));
                }
            }
        }
    }
}

static void test_transpose(void **state) {
    (void)state;
    at_each_level(transpose_exact);
}

/* One window of attention in plain loops of double, to compare with. */
enum { TOKENS = 64, FEATURES = 40 };
static float qkv[TOKENS * 3 * FEATURES], out[TOKENS * FEATURES], dout[TOKENS * FEATURES],
    dqkv[TOKENS * 3 * FEATURES], bias[TOKENS * TOKENS], dbias[TOKENS * TOKENS], work[1 << 17];
static double want_p[TOKENS][TOKENS], want_ds[TOKENS][TOKENS];

static double dot(const float *a, const float *b, int n) {
    double sum = 0.0;
    for (int i = 0; i < n; i++) {
        sum += (double)a[i] * (double)b[i];
    }
    return sum;
}

static void plain_attn(const ark_attn_tile *t) {
    const int T = t->tokens, D = t->dim;
    for (int i = 0; i < T; i++) {
        double top = -INFINITY, sum = 0.0, mean = 0.0;
        for (int j = 0; j < T; j++) {
            double mask = t->region && t->region[i] != t->region[j] ? -100.0 : 0.0;
            want_p[i][j] = (double)t->scale * dot(qkv + i * 3 * D, qkv + j * 3 * D + D, D) + mask +
                           (double)bias[i * t->ld_score + j];
            top = fmax(top, want_p[i][j]);
        }
        for (int j = 0; j < T; j++) {
            sum += want_p[i][j] = exp(want_p[i][j] - top);
        }
        for (int j = 0; j < T; j++) {
            want_p[i][j] /= sum;
            mean += want_p[i][j] * dot(dout + i * D, qkv + j * 3 * D + 2 * D, D);
        }
        for (int j = 0; j < T; j++) {
            want_ds[i][j] = want_p[i][j] * (dot(dout + i * D, qkv + j * 3 * D + 2 * D, D) - mean);
        }
    }
}

static void assert_attn(const ark_attn_tile *t) {
    const int T = t->tokens, D = t->dim;
    for (int i = 0; i < T; i++) {
        for (int d = 0; d < D; d++) {
            double o = 0.0, dq = 0.0, dk = 0.0, dv = 0.0;
            for (int j = 0; j < T; j++) {
                o += want_p[i][j] * (double)qkv[(j * 3 + 2) * D + d];
                dq += (double)t->scale * want_ds[i][j] * (double)qkv[(j * 3 + 1) * D + d];
                dk += (double)t->scale * want_ds[j][i] * (double)qkv[j * 3 * D + d];
                dv += want_p[j][i] * (double)dout[j * D + d];
            }
            assert_true(fabs(o - (double)out[i * D + d]) < 2e-5);
            assert_true(fabs(dq - (double)dqkv[i * 3 * D + d]) < 2e-4);
            assert_true(fabs(dk - (double)dqkv[(i * 3 + 1) * D + d]) < 2e-4);
            assert_true(fabs(dv - (double)dqkv[(i * 3 + 2) * D + d]) < 2e-4);
        }
        for (int j = 0; j < T; j++) {
            assert_true(fabs(want_ds[i][j] - (double)dbias[i * t->ld_score + j]) < 2e-4);
        }
    }
}

/* T tokens of D features, q up to `size`; with `masked`, every third token sees only its like. */
static void attn_case(const ark_simd *k, int T, int D, float size, bool masked) {
    int32_t token[TOKENS], region[TOKENS] = {0};
    ark_rng rng = ark_rng_at(1, ARK_RNG_TEST, 11, 0, 0);
    const int side = (T + k->lanes - 1) / k->lanes * k->lanes;
    for (int i = 0; i < T; i++) {
        token[i] = i;
        region[i] = i % 3 == 0;
        for (int j = 0; j < side; j++) {
            bias[i * side + j] = j < T ? ark_rng_f32(&rng) : -1e30f;
            dbias[i * side + j] = 0.0f;
        }
    }
    for (int i = 0; i < T * 3 * D; i++) {
        qkv[i] = (2.0f * ark_rng_f32(&rng) - 1.0f) * (i % (3 * D) < D ? size : 1.0f);
        dout[i / 3] = ark_rng_f32(&rng) - 0.5f;
    }
    ark_attn_tile t = {.tokens = T,
        .dim = D,
        .ld_score = side,
        .scale = 0.25f,
        .dtype = ARK_F32,
        .row = D,
        .ld_dim = (D + k->lanes - 1) / k->lanes * k->lanes,
        .token = token,
        .region = masked ? region : NULL,
        .bias = bias,
        .qkv = qkv,
        .out = out,
        .work = work};
    k->attn_forward(&t);
    t.dout = dout;
    t.dqkv = dqkv;
    t.dbias = dbias;
    k->attn_backward(&t);
    plain_attn(&t);
    assert_attn(&t);
    /* A query that is not a number spoils its own row and no other. */
    qkv[(T - 1) * 3 * D] = NAN;
    k->attn_forward(&t);
    for (int i = 0; i < T * D; i++) {
        assert_true(isnan(out[i]) == (i / D == T - 1));
    }
}

static void attn_right(const ark_simd *k) {
    const int sides[] = {1, 2, 3, 4, 5, 7, 8}, dims[] = {3, 8, 32, 37};
    for (int i = 0; i < 28; i++) {
        attn_case(k, sides[i % 7] * sides[i % 7], dims[i / 7], 1.0f, i % 2 == 0);
    }
    attn_case(k, 49, 32, 60.0f, true); /* scores of hundreds: a masked token may win, weights vanish */
}

static void test_attn(void **state) {
    (void)state;
    at_each_level(attn_right);
}

static void test_unknown_level(void **state) {
    (void)state;
    const ark_simd *k = NULL;
    assert_int_equal(setenv("ARK_CPU_ISA", "v9", 1), 0);
    assert_int_equal(ark_simd_pick(&k), ARK_EINVAL);
    assert_null(k);
    unsetenv("ARK_CPU_ISA");
    assert_int_equal(ark_simd_pick(&k), ARK_OK);
}

/* Pieces follow each other, cover the batch, and have only sizes that were announced. */
static void test_rows(void **state) {
    (void)state;
    const int64_t samples[] = {1, 3, 49, 100, 196, 317, 320, 321, 331, 784, 3136, 3137, 9216};
    for (size_t s = 0; s < sizeof samples / sizeof *samples; s++) {
        for (int64_t planned = 1; planned <= 70; planned += 23) {
            ark_row_cut cut = ark_row_cut_new(samples[s], planned);
            assert_in_range(cut.sizes, 1, ARK_ROW_SIZES);
            for (int64_t batch = 1; batch <= planned; batch++) {
                int64_t at = 0;
                for (int64_t i = 0; i < ark_row_pieces(&cut, batch); i++) {
                    ark_row_piece p = ark_row_piece_at(&cut, batch, i);
                    assert_int_equal(p.first, at);
                    assert_in_range(p.size, 0, cut.sizes - 1);
                    assert_int_equal(p.rows, cut.rows[p.size]);
                    assert_in_range(p.rows, 1, ARK_ROW_TARGET);
                    at += p.rows;
                }
                assert_int_equal(at, batch * samples[s]);
            }
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gelu),
        cmocka_unit_test(test_gelu_place),
        cmocka_unit_test(test_gelu_grad),
        cmocka_unit_test(test_bf16),
        cmocka_unit_test(test_transpose),
        cmocka_unit_test(test_attn),
        cmocka_unit_test(test_unknown_level),
        cmocka_unit_test(test_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
