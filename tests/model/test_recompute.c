/* What backward makes again is what forward made: a plan that keeps every activation (a backend without
 * `remake`), one that remakes the cheap ones, and one that replays segments have equal outputs and gradients,
 * byte for byte, on a small Swin and ViT and on random graphs. Guard bytes are checked in all of them. */
#include "backend/backend.h"
#include "base/alloc.h"
#include "base/rng.h"
#include "common/check.h"
#include "core/ops.h"
#include "nn/encoder.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <stdio.h>
#include <string.h>

enum { PLANNED = 3, BATCH = 2, RANDOM_PLANS = 150, MAX_POOL = 24, TOKENS = 6, CHANNELS = 10 };

typedef enum memory { KEEP_ALL, REMAKE, RECOMPUTE, N_MEMORY } memory;
static const char *const memory_names[] = {"all kept", "remade", "recomputed"};

/* Records a network: the input's tensor, and the output whose gradient is seeded. */
typedef struct graph {
    void (*record)(ark_plan *p, uint64_t key, ark_tensor **in, ark_tensor **out);
    uint64_t key;
    ark_dtype cdt;
} graph;

typedef struct result {
    float *out, *grads, *grad_in;
    int64_t n_out, n_grads, n_in;
    size_t act_bytes;
} result;

static float *normals(int64_t n, uint32_t key) {
    float *v = ark_calloc((size_t)n, sizeof *v);
    require(v != NULL, "out of memory");
    ark_rng r = ark_rng_at(1, ARK_RNG_TEST, 0, key, 0);
    for (int64_t i = 0; i < n; i++) {
        v[i] = (float)ark_rng_normal(&r);
    }
    return v;
}

static int64_t elements(const ark_tensor *t) {
    return BATCH * ark_numel_per_sample(t);
}

/* The device's own table, without the kernels that make outputs again. */
static const ark_backend *without_remake(const ark_backend *be) {
    static ark_kernel kernels[ARK_OP_COUNT];
    static ark_backend copy;
    memcpy(kernels, be->kernels, sizeof kernels);
    for (int i = 0; i < ARK_OP_COUNT; i++) {
        kernels[i].remake = NULL;
    }
    copy = *be;
    copy.kernels = kernels;
    return &copy;
}

/* Forward and backward on fewer samples than planned, the second of two runs in the same memory. */
static result run_graph(const graph *g, const char *backend, memory m) {
    ark_dev *dev;
    ark_params *params;
    ark_plan *plan;
    ark_space *space;
    ark_tensor *in, *out;
    result r;
    must(ark_dev_open(backend, 2, &dev));
    if (m == KEEP_ALL) {
        dev->backend = without_remake(dev->backend);
    }
    must(ark_params_new(&params));
    must(ark_plan_new(params, PLANNED, g->cdt, &plan));
    g->record(plan, g->key, &in, &out);
    if (m == RECOMPUTE) {
        ark_plan_recompute(plan);
    }
    must(ark_plan_finish(plan, dev, ARK_PLAN_TRAIN));
    must(ark_params_alloc(params, dev, 1u << ARK_COL_STUDENT | 1u << ARK_COL_GRAD, g->cdt == ARK_BF16));
    must(ark_params_init(params, ARK_COL_STUDENT, 2));
    must(ark_params_refresh(params, ARK_COL_STUDENT));
    must(ark_space_new(dev, &plan, 1, true, &space));
    r.act_bytes = ark_plan_act_bytes(plan);
    r.n_out = elements(out);
    r.n_in = elements(in);
    r.n_grads = ark_params_elems(params);
    float *x = normals(r.n_in, 0), *seed = normals(r.n_out, 1);
    r.out = normals(r.n_out, 2);
    r.grad_in = normals(r.n_in, 2);
    r.grads = normals(r.n_grads, 2);
    for (uint64_t step = 0; step < 2; step++) {
        ark_run run = {.space = space,
            .params = params,
            .weights = ARK_COL_STUDENT,
            .batch = BATCH,
            .stochastic = true,
            .seed = 4,
            .step = step};
        float *column = ark_params_column(params, ARK_COL_GRAD);
        must(dev->backend->fill(dev, column, 0.0f, r.n_grads));
        must(ark_run_write(&run, plan, in, x));
        must(ark_run_forward(&run, plan));
        must(ark_run_read(&run, plan, out, r.out));
        must(ark_run_backward(&run, plan, &(ark_seed){.t = out, .data = seed}, 1));
        must(ark_run_read_grad(&run, plan, in, r.grad_in));
        must(dev->backend->to_host(dev, r.grads, column, (size_t)r.n_grads * sizeof *r.grads));
        must(ark_space_check(space, plan));
    }
    ark_free(x);
    ark_free(seed);
    ark_space_free(space);
    ark_plan_free(plan);
    ark_params_free(params);
    ark_dev_close(dev);
    return r;
}

static void free_result(result *r) {
    ark_free(r->out);
    ark_free(r->grads);
    ark_free(r->grad_in);
}

static void expect_equal(const char *what, const float *got, const float *want, int64_t n, const graph *g,
    const char *backend, memory m) {
    for (int64_t i = 0; i < n; i++) {
        require(memcmp(got + i, want + i, sizeof *got) == 0,
            "%s %s, graph %llu, %s: %s %lld is %.9g, not %.9g", backend, ark_dtype_name(g->cdt),
            (unsigned long long)g->key, memory_names[m], what, (long long)i, (double)got[i], (double)want[i]);
    }
}

/* Bytes of activations with each kind of memory. */
static void compare(const graph *g, const char *backend, size_t bytes[N_MEMORY]) {
    result want = run_graph(g, backend, KEEP_ALL);
    bytes[KEEP_ALL] = want.act_bytes;
    for (memory m = REMAKE; m < N_MEMORY; m++) {
        result got = run_graph(g, backend, m);
        expect_equal("output", got.out, want.out, want.n_out, g, backend, m);
        expect_equal("parameter gradient", got.grads, want.grads, want.n_grads, g, backend, m);
        expect_equal("input gradient", got.grad_in, want.grad_in, want.n_in, g, backend, m);
        bytes[m] = got.act_bytes;
        free_result(&got);
    }
    free_result(&want);
}

/* --- small encoders --------------------------------------------------------------------------- */

/* Drop-path in all blocks but the first. */
static void record_encoder(ark_plan *p, const char *text, ark_tensor **in, ark_tensor **out) {
    ark_arch arch;
    must(ark_arch_parse(text, &arch));
    *in = ark_plan_input(p, "image", 4, (int64_t[]){PLANNED, 3, arch.size_px, arch.size_px}, true);
    *out = ark_plan_output(p, ark_encode(p, *in, &arch, 0.5f, NULL));
}

/* Padded and shifted windows, an odd merge. */
static void record_swin(ark_plan *p, uint64_t key, ark_tensor **in, ark_tensor **out) {
    (void)key;
    record_encoder(p, "swin:embed=8,depths=2-3-1,heads=1-2-4,window=4,size=56", in, out);
}

static void record_vit(ark_plan *p, uint64_t key, ark_tensor **in, ark_tensor **out) {
    (void)key;
    record_encoder(p, "vit:embed=24,depth=6,heads=3,patch=8,size=56", in, out);
}

static void test_encoder(void (*record)(ark_plan *, uint64_t, ark_tensor **, ark_tensor **)) {
    static const char *const backends[] = {"ref", "cpu"};
    for (int b = 0; b < 2; b++) {
        for (ark_dtype dt = ARK_F32; dt <= ARK_BF16; dt++) {
            size_t bytes[N_MEMORY];
            compare(&(graph){.record = record, .cdt = dt}, backends[b], bytes);
            print_message("           %s %s: %zu bytes kept, %zu remade, %zu recomputed\n", backends[b],
                ark_dtype_name(dt), bytes[KEEP_ALL], bytes[REMAKE], bytes[RECOMPUTE]);
            /* A block keeps 16 values per channel; the outputs of two norms (1 each) and of the GELU (4) are
             * remade. Recomputed, it keeps 2; what is there while one half is replayed comes on top. */
            assert_true(bytes[REMAKE] < bytes[KEEP_ALL] * 3 / 4);
            assert_true(bytes[RECOMPUTE] < bytes[REMAKE] * 3 / 4);
        }
    }
}

static void test_swin(void **state) {
    (void)state;
    test_encoder(record_swin);
}

static void test_vit(void **state) {
    (void)state;
    test_encoder(record_vit);
}

/* --- random graphs ---------------------------------------------------------------------------- */

static int pick(ark_rng *r, int n) {
    int i = (int)(ark_rng_f32(r) * (float)n);
    return i < n ? i : n - 1;
}

static ark_tensor *random_op(ark_plan *p, ark_rng *r, ark_tensor **pool, int n, int index) {
    static const int64_t square[] = {CHANNELS, CHANNELS}, vector[] = {CHANNELS};
    char name[32];
    /* mostly the newest tensor, so that chains grow long */
    ark_tensor *x = ark_rng_f32(r) < 0.6f ? pool[n - 1] : pool[pick(r, n)];
    ark_dtype out = x->dtype == ARK_BF16 || ark_plan_cdt(p) == ARK_F32 ? ark_plan_cdt(p) : ARK_F32;
    snprintf(name, sizeof name, "w%d", index);
    switch (pick(r, 6)) {
    case 0:
    case 1: {
        snprintf(name, sizeof name, "g%d", index);
        ark_tensor *gamma = ark_plan_param(p, name, 1, vector, ARK_INIT_ONES);
        snprintf(name, sizeof name, "b%d", index);
        ark_tensor *beta = ark_plan_param(p, name, 1, vector, ARK_INIT_ZEROS);
        return ark_layernorm(p, x, gamma, beta, 1e-5f, ark_rng_f32(r) < 0.5f ? ark_plan_cdt(p) : ARK_F32);
    }
    case 2:
    case 3:
    case 4: {
        ark_tensor *w = ark_plan_param(p, name, 2, square, ARK_INIT_UNIFORM_FAN_IN);
        return ark_linear(p, x, w, NULL, (ark_act)pick(r, 3), out);
    }
    default: {
        ark_tensor *y = pool[pick(r, n)];
        return x->dtype == ARK_F32 ? ark_residual(p, x, y, ark_rng_f32(r) < 0.5f ? 0.4f : 0.0f) : x;
    }
    }
}

/* A graph in which any tensor may be read again later, with segments and outputs anywhere. */
static void record_random(ark_plan *p, uint64_t key, ark_tensor **in, ark_tensor **out) {
    static const int64_t dims[] = {PLANNED, TOKENS, CHANNELS};
    ark_rng r = ark_rng_at(key, ARK_RNG_TEST, 1, 0, 0);
    ark_tensor *pool[MAX_POOL + 1] = {ark_plan_input(p, "x", 3, dims, true)};
    int n = 1, ops = 4 + pick(&r, MAX_POOL - 4);
    *in = pool[0];
    for (int i = 0; i < ops; i++) {
        float mark = ark_rng_f32(&r);
        if (mark < 0.25f) {
            ark_plan_segment(p);
        } else if (mark < 0.35f) {
            ark_plan_segment_end(p);
        }
        ark_tensor *t = random_op(p, &r, pool, n, i);
        if (t != pool[n - 1]) {
            pool[n++] = t;
        }
        if (t->dtype == ARK_F32 && ark_rng_f32(&r) < 0.1f) {
            ark_plan_output(p, t);
        }
    }
    ark_plan_segment_end(p);
    static const int64_t square[] = {CHANNELS, CHANNELS};
    ark_tensor *last = ark_linear(p, pool[n - 1],
        ark_plan_param(p, "last", 2, square, ARK_INIT_UNIFORM_FAN_IN), NULL, ARK_ACT_NONE, ARK_F32);
    *out = ark_plan_output(
        p, ark_residual(p,
               ark_linear(p, pool[0], ark_plan_param(p, "first", 2, square, ARK_INIT_UNIFORM_FAN_IN), NULL,
                   ARK_ACT_NONE, ARK_F32),
               last, 0.0f));
}

static void test_random(void **state) {
    (void)state;
    int smaller[N_MEMORY] = {0};
    for (uint64_t key = 0; key < RANDOM_PLANS; key++) {
        size_t bytes[N_MEMORY];
        graph g = {.record = record_random, .key = key, .cdt = key % 3 == 2 ? ARK_BF16 : ARK_F32};
        compare(&g, key % 2 ? "cpu" : "ref", bytes);
        for (memory m = REMAKE; m < N_MEMORY; m++) {
            smaller[m] += bytes[m] < bytes[m - 1];
        }
    }
    print_message("           %d of %d remade in less, %d recomputed in less\n", smaller[REMAKE],
        RANDOM_PLANS, smaller[RECOMPUTE]);
    assert_true(smaller[REMAKE] > RANDOM_PLANS / 5 && smaller[RECOMPUTE] > RANDOM_PLANS / 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_swin),
        cmocka_unit_test(test_vit),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests_name("recompute", tests, NULL, NULL);
}
