/* Batch norm in training: two passes of PyTorch (tests/golden/make_conv.py) on every backend, by batch statistics;
 * the running ones afterwards; what a replayed segment leaves alone; equal bytes for 1, 2 and 3 threads. */
#include "backend/backend.h"
#include "base/alloc.h"
#include "common/check.h"
#include "core/ops.h"
#include "io/safetensors.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const tolerance tol_ref = {1e-6, 1e-6, 1e-12}; /* f32 storage */
static const tolerance tol_cpu = {1e-5, 1e-1, 1e-12};

enum { GAMMA, BETA, MEAN, VAR, PARAMS };
static const char *const names[PARAMS] = {"gamma", "beta", "mean", "var"};

typedef struct {
    const char *backend;
    int threads;
    bool recompute;
} setup;

typedef struct {
    int64_t dims[4], n, C; /* of one pass */
    float *attr, *x, *r, *param[PARAMS];
    double *out, *dx, *dgamma, *dbeta, *new_mean, *new_var;
} golden;

typedef struct {
    float *out, *dx, *dgamma, *dbeta, *mean, *var; /* out and dx of the second pass */
} result;

static ark_st_file *file;

static const ark_st_tensor *part(const char *name, const char *key) {
    char full[64];
    snprintf(full, sizeof full, "%s/%s", name, key);
    const ark_st_tensor *t = ark_st_find(file, full);
    require(t != NULL, "%s is missing", full);
    return t;
}

static float *floats(int64_t n) {
    float *v = ark_calloc((size_t)n, sizeof *v);
    require(v != NULL, "out of memory");
    return v;
}

static float *read_f32(const char *name, const char *key) {
    const ark_st_tensor *t = part(name, key);
    float *v = floats(t->numel);
    must(ark_st_read_f32(t, v));
    return v;
}

static double *read_f64(const char *name, const char *key) {
    const ark_st_tensor *t = part(name, key);
    require(t->dtype == ARK_ST_F64, "%s is not F64", t->name);
    double *v = ark_calloc((size_t)t->numel, sizeof *v);
    require(v != NULL, "out of memory");
    memcpy(v, t->data, t->bytes);
    return v;
}

static golden load(const char *name) {
    golden g = {.attr = read_f32(name, "attr"), .x = read_f32(name, "x"), .r = read_f32(name, "r")};
    const ark_st_tensor *x = part(name, "x");
    g.n = 1;
    for (int i = 0; i < 4; i++) { /* the first dimension counts the passes; rows (n,C) become (n,1,1,C) */
        g.dims[i] = x->ndim == 5 ? x->shape[i + 1] : i == 0 ? x->shape[1] : i == 3 ? x->shape[2] : 1;
        g.n *= g.dims[i];
    }
    g.C = g.dims[3];
    for (int i = 0; i < PARAMS; i++) {
        g.param[i] = read_f32(name, names[i]);
    }
    g.out = read_f64(name, "out");
    g.dx = read_f64(name, "dx");
    g.dgamma = read_f64(name, "dgamma");
    g.dbeta = read_f64(name, "dbeta");
    g.new_mean = read_f64(name, "new_mean");
    g.new_var = read_f64(name, "new_var");
    return g;
}

static void unload(golden *g) {
    void *all[] = {g->attr, g->x, g->r, g->out, g->dx, g->dgamma, g->dbeta, g->new_mean, g->new_var,
        g->param[GAMMA], g->param[BETA], g->param[MEAN], g->param[VAR]};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        ark_free(all[i]);
    }
}

static void free_result(result *r) {
    void *all[] = {r->out, r->dx, r->dgamma, r->dbeta, r->mean, r->var};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        ark_free(all[i]);
    }
}

/* Only what no other segment reads is replayed, so 0 + norm(x) ends the segment. */
static ark_tensor *record(ark_plan *p, const golden *g, const setup *s, ark_tensor **x, ark_tensor **zero) {
    ark_tensor *in[PARAMS];
    *x = ark_plan_input(p, "x", 4, g->dims, true);
    *zero = ark_plan_input(p, "zero", 4, g->dims, false);
    for (int i = 0; i < PARAMS; i++) {
        in[i] = i < MEAN ? ark_plan_param(p, names[i], 1, &g->C, ARK_INIT_ONES)
                         : ark_plan_buffer(p, names[i], g->C, ARK_INIT_ZEROS);
    }
    if (s->recompute) {
        ark_plan_recompute(p);
        ark_plan_segment(p);
    }
    ark_tensor *y = ark_batchnorm(
        p, *x, in[GAMMA], in[BETA], in[MEAN], in[VAR], g->attr[0], g->attr[1], g->attr[2] != 0.0f, ARK_F32);
    y = ark_residual(p, *zero, y, 0.0f);
    ark_plan_segment_end(p);
    return ark_plan_output(p, y);
}

static float *read_param(const ark_params *store, ark_column column, int i, int64_t n) {
    float *v = floats(n);
    must(ark_params_read(store, column, ark_params_find(store, names[i]), v));
    return v;
}

static result train(const golden *g, const setup *s) {
    ark_dev *dev = NULL;
    ark_params *store = NULL;
    ark_plan *plan = NULL;
    ark_space *space = NULL;
    ark_tensor *x, *zero;
    must(ark_dev_open(s->backend, s->threads, &dev));
    must(ark_params_new(&store));
    must(ark_plan_new(store, (int)g->dims[0], ARK_F32, &plan));
    ark_tensor *y = record(plan, g, s, &x, &zero);
    must(ark_plan_finish(plan, dev, ARK_PLAN_TRAIN));
    must(ark_params_alloc(store, dev, 1u << ARK_COL_STUDENT | 1u << ARK_COL_GRAD, false));
    must(ark_space_new(dev, &plan, 1, true, &space));
    for (int i = 0; i < PARAMS; i++) {
        must(ark_params_write(store, ARK_COL_STUDENT, ark_params_find(store, names[i]), g->param[i]));
    }
    ark_run run = {.space = space,
        .params = store,
        .weights = ARK_COL_STUDENT,
        .batch = (int)g->dims[0],
        .stochastic = true};
    result out = {.out = floats(g->n), .dx = floats(g->n)};
    float *zeros = floats(g->n);
    for (int pass = 0; pass < 2; pass++) {
        must(ark_run_write(&run, plan, x, g->x + pass * g->n));
        must(ark_run_write(&run, plan, zero, zeros));
        must(ark_run_forward(&run, plan));
        must(ark_run_read(&run, plan, y, out.out));
        must(ark_run_backward(&run, plan, &(ark_seed){.t = y, .data = g->r + pass * g->n}, 1));
        must(ark_run_read_grad(&run, plan, x, out.dx));
    }
    must(ark_space_check(space, plan));
    out.dgamma = read_param(store, ARK_COL_GRAD, GAMMA, g->C);
    out.dbeta = read_param(store, ARK_COL_GRAD, BETA, g->C);
    out.mean = read_param(store, ARK_COL_STUDENT, MEAN, g->C);
    out.var = read_param(store, ARK_COL_STUDENT, VAR, g->C);
    ark_free(zeros);
    ark_space_free(space);
    ark_plan_free(plan);
    ark_params_free(store);
    ark_dev_close(dev);
    return out;
}

static void same(const golden *g, const result *a, const result *b) {
    const size_t all = (size_t)g->n * sizeof(float), line = (size_t)g->C * sizeof(float);
    assert_memory_equal(a->out, b->out, all);
    assert_memory_equal(a->dx, b->dx, all);
    assert_memory_equal(a->dgamma, b->dgamma, line);
    assert_memory_equal(a->dbeta, b->dbeta, line);
    assert_memory_equal(a->mean, b->mean, line);
    assert_memory_equal(a->var, b->var, line);
}

static const char *const cases[] = {"plain", "relu", "rows", "few"};
enum { CASES = sizeof cases / sizeof *cases };

static void test_training(void **state) {
    (void)state;
    static const char *const backends[] = {"ref", "cpu"};
    for (int i = 0; i < CASES * 2; i++) {
        const setup s = {.backend = backends[i % 2], .threads = 1};
        const tolerance tol = i % 2 ? tol_cpu : tol_ref;
        golden g = load(cases[i / 2]);
        result got = train(&g, &s);
        char label[64];
        snprintf(label, sizeof label, "%s %s", s.backend, cases[i / 2]);
        check_close(got.out, g.out + g.n, g.n, g.C, tol, label);
        check_close(got.dx, g.dx + g.n, g.n, g.C, tol, label);
        check_close(got.dgamma, g.dgamma, g.C, g.C, tol, label);
        check_close(got.dbeta, g.dbeta, g.C, g.C, tol, label);
        check_close(got.mean, g.new_mean, g.C, g.C, tol, label);
        check_close(got.var, g.new_var, g.C, g.C, tol, label);
        free_result(&got);
        unload(&g);
    }
}

/* A replayed segment gives the same bits and updates the running statistics once. */
static void test_replay(void **state) {
    (void)state;
    static const char *const backends[] = {"ref", "cpu"};
    for (int i = 0; i < CASES * 2; i++) {
        setup s = {.backend = backends[i % 2], .threads = 2};
        golden g = load(cases[i / 2]);
        result kept = train(&g, &s);
        s.recompute = true;
        result replayed = train(&g, &s);
        same(&g, &kept, &replayed);
        free_result(&kept);
        free_result(&replayed);
        unload(&g);
    }
}

static void test_threads(void **state) {
    (void)state;
    for (int i = 0; i < CASES; i++) {
        golden g = load(cases[i]);
        result one = train(&g, &(setup){.backend = "cpu", .threads = 1});
        for (int threads = 2; threads <= 3; threads++) {
            result more = train(&g, &(setup){.backend = "cpu", .threads = threads});
            same(&g, &one, &more);
            free_result(&more);
        }
        free_result(&one);
        unload(&g);
    }
}

static int open_golden(void **state) {
    (void)state;
    return ark_st_open(ARK_TEST_DIR "/golden/batchnorm_train.safetensors", &file);
}

static int close_golden(void **state) {
    (void)state;
    ark_st_close(file);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_training),
        cmocka_unit_test(test_replay),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests_name("batch norm", tests, open_golden, close_golden);
}
