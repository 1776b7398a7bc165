/* Every op of core/ops.def on every built backend: values against PyTorch (tests/golden),
 * gradients against finite differences, the fast backends against ref, and the promises
 * of core/ops.h: same bytes for any number of threads, nothing written outside a tensor,
 * smaller batches, sums of gradients, NaN in gives NaN out.
 *
 *     test_ops [--backend ref,cpu,cuda] [--op NAME]        also: ARK_TEST_BACKENDS=ref,cpu */
#include "ops/run.h"

#include "base/alloc.h"
#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The tolerances of this program; loosening one needs a reason in the commit. */
static const tolerance tol_golden = {1e-6, 1e-6, 1e-12}; /* ref, f32 storage, against float64 */
static const tolerance tol_ref_half = {2e-2, 1.0, 0}; /* ref, bf16 storage, against f32 on rounded inputs */
static const tolerance tol_f32 = {1e-5, 1e-1, 1e-12}; /* a fast backend against ref */
static const tolerance tol_half = {2e-2, 1.0, 1e-12}; /* the same with bf16 */
static const tolerance tol_differences = {2e-3, 1.0, 1e-9}; /* f32 noise over a step of 1/32 */

/* For a fast backend. Where an extreme case has the exact result zero (a layer norm over one channel),
 * rounding is measured against one. */
static tolerance tol_of(const op_case *c, const op_setup *s) {
    tolerance t = s->types.half_in != 0 || s->types.out == ARK_BF16 ? tol_half : tol_f32;
    if (strstr(c->name, "extreme") != NULL) {
        t.tiny = t.rel;
    }
    return t;
}

static const char *backends_wanted = "ref,cpu";
static const char *op_wanted;

static bool listed(const char *list, const char *name) {
    size_t len = strlen(name);
    for (const char *p = list; p != NULL && *p != '\0'; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL) {
        if (strncmp(p, name, len) == 0 && (p[len] == ',' || p[len] == '\0')) {
            return true;
        }
    }
    return false;
}

/* --- all cases of an op ----------------------------------------------------------------------- */

static double worst_seen; /* over the cases of the running test, for the report line */

typedef void case_body(const op_case *c, const op_setup *s);

static bool built(const char *backend) {
    ark_dev *dev = NULL;
    ark_status st = ark_dev_open(backend, 1, &dev);
    ark_dev_close(dev);
    if (st != ARK_ENOTBUILT) {
        must(st);
    }
    return st == ARK_OK;
}

/* Body for each case, backend and variant of types. all_types false: f32 only; fast_only: not for ref. */
static void for_each(ark_op op, bool shapes, bool all_types, bool fast_only, case_body *body) {
    static const char *const names[] = {"ref", "cpu", "cuda"};
    if (op_wanted != NULL && strcmp(op_wanted, ark_op_name(op)) != 0) {
        skip();
    }
    op_case *cases;
    int n, ran = 0;
    worst_seen = 0.0;
    op_load_cases(op, shapes, &cases, &n);
    for (int b = 0; b < 3; b++) {
        if (!listed(backends_wanted, names[b]) || !built(names[b]) || (fast_only && b == 0)) {
            continue;
        }
        for (int i = 0; i < n; i++) {
            for (int t = 0; t < (all_types ? op_specs[op].n_types : 1); t++) {
                op_setup s = {.backend = names[b], .threads = 1, .types = op_specs[op].types[t]};
                body(&cases[i], &s);
                ran++;
            }
        }
    }
    op_cases_free(cases, n);
    if (ran == 0) {
        skip();
    }
}

static ark_op op_of(void **state) {
    return (ark_op)(uintptr_t)*state;
}

static void report(const char *what, ark_op op) {
    print_message("           %s %s: largest error %.2g\n", ark_op_name(op), what, worst_seen);
}

/* (a) values and gradients equal PyTorch's */
static void golden(const op_case *c, const op_setup *s) {
    op_result got;
    if (!op_run(c, s, &got)) {
        return;
    }
    tolerance tol = strcmp(s->backend, "ref") == 0 ? tol_golden : tol_of(c, s);
    char label[256];
    snprintf(label, sizeof label, "%s %s %s: output", s->backend, ark_op_name(c->op), c->name);
    worst_seen = fmax(worst_seen, check_close(got.out, c->out, got.out_n, got.out_row, tol, label));
    for (int k = 0; k < ARK_MAX_IN; k++) {
        require(
            (c->grad[k] != NULL) == (got.grad[k] != NULL), "%s: gradient %d is in one list only", c->name, k);
        if (got.grad[k] != NULL) {
            snprintf(label, sizeof label, "%s %s %s: gradient of input %d", s->backend, ark_op_name(c->op),
                c->name, k);
            int64_t row = c->dims[k][c->ndim[k] - 1];
            worst_seen = fmax(worst_seen, check_close(got.grad[k], c->grad[k], got.n[k], row, tol, label));
        }
    }
    op_result_free(&got);
}

static void test_golden(void **state) {
    for_each(op_of(state), false, false, false, golden);
    report("against PyTorch", op_of(state));
}

/* The bf16 variants of ref equal f32 arithmetic on inputs rounded to bf16, up to the rounding of outputs. */
static void ref_half(const op_case *c, const op_setup *s) {
    if (strcmp(s->backend, "ref") != 0) {
        return;
    }
    op_case rounded = *c;
    bool has_weights = c->op == ARK_OP_LINEAR || c->op == ARK_OP_CONV2D;
    unsigned half = s->types.half_in | (has_weights && s->types.half_in ? 2u : 0u); /* and its weights */
    for (int k = 0; k < ARK_MAX_IN; k++) {
        if (c->ndim[k] > 0 && half >> k & 1u) {
            rounded.in[k] = op_floats(op_case_numel(c, k));
            memcpy(rounded.in[k], c->in[k], (size_t)op_case_numel(c, k) * sizeof *c->in[k]);
            round_to_bf16(rounded.in[k], op_case_numel(c, k));
        }
    }
    op_setup f32 = *s;
    f32.types = op_specs[c->op].types[0];
    op_result got, want;
    require(op_run(c, s, &got) && op_run(&rounded, &f32, &want), "ref is not built");
    worst_seen = fmax(worst_seen, op_expect_close("against f32", c, s, &got, &want, tol_ref_half));
    op_result_free(&got);
    op_result_free(&want);
    for (int k = 0; k < ARK_MAX_IN; k++) {
        if (rounded.in[k] != c->in[k]) {
            ark_free(rounded.in[k]);
        }
    }
}

static void test_ref_half(void **state) {
    for_each(op_of(state), false, true, false, ref_half);
    report("bf16 storage against f32", op_of(state));
}

/* (b) gradients equal four-point finite differences of sum(out * r) */
static double weighted_sum(op_session *s, const float *r, float *out) {
    double sum = 0.0;
    op_session_forward(s, out);
    for (int64_t i = 0; i < op_session_out_numel(s); i++) {
        sum += (double)out[i] * r[i];
    }
    return sum;
}

static double difference_quotient(op_session *s, int k, float *x, int64_t i, const float *r, float *out) {
    static const double weight[] = {1, -8, 8, -1}, step[] = {-2, -1, 1, 2};
    const float h = 0x1p-5f, x0 = x[i];
    double sum = 0.0;
    for (int p = 0; p < 4; p++) {
        x[i] = x0 + (float)step[p] * h;
        op_session_set(s, k, x);
        sum += weight[p] * weighted_sum(s, r, out);
    }
    x[i] = x0;
    op_session_set(s, k, x);
    return sum / (12.0 * (double)h);
}

enum { DIFFERENCES_PER_INPUT = 24 };

static void differences(const op_case *c, const op_setup *setup) {
    if (strcmp(setup->backend, "ref") != 0 || strstr(c->name, "extreme") != NULL) {
        return;
    }
    op_result analytic;
    require(op_run(c, setup, &analytic), "ref is not built");
    op_setup quiet = *setup;
    quiet.no_canary = true;
    op_session *s = op_session_open(c, &quiet);
    float *r = op_floats(analytic.out_n), *out = op_floats(analytic.out_n);
    op_case_seed(c, r, analytic.out_n);
    for (int k = 0; k < ARK_MAX_IN; k++) {
        int64_t n = analytic.n[k], count = n < DIFFERENCES_PER_INPUT ? n : DIFFERENCES_PER_INPUT;
        float *x = op_floats(n), *picked = op_floats(count);
        double *numeric = widen(x, count);
        ark_rng rng = ark_rng_at(11, ARK_RNG_TEST, (uint64_t)c->op, (uint32_t)k, 0);
        for (int64_t i = 0; i < n; i++) {
            x[i] = c->in[k][i];
        }
        for (int64_t j = 0; j < count; j++) {
            int64_t i = n <= count ? j : ark_rng_below(&rng, (uint32_t)n);
            numeric[j] = difference_quotient(s, k, x, i, r, out);
            picked[j] = analytic.grad[k][i];
        }
        char label[256];
        snprintf(
            label, sizeof label, "%s %s: finite differences of input %d", ark_op_name(c->op), c->name, k);
        if (count > 0) {
            worst_seen = fmax(worst_seen, check_close(picked, numeric, count, count, tol_differences, label));
        }
        if (n > 0) {
            op_session_set(s, k, c->in[k]);
        }
        ark_free(x);
        ark_free(picked);
        ark_free(numeric);
    }
    ark_free(r);
    ark_free(out);
    op_session_close(s);
    op_result_free(&analytic);
}

static void test_differences(void **state) {
    for_each(op_of(state), false, false, false, differences);
    report("against finite differences", op_of(state));
}

/* (c) every backend equals ref, in every combination of types and on larger and odd shapes */
static void against_ref(const op_case *c, const op_setup *s) {
    op_result got, want;
    op_setup ref = *s;
    ref.backend = "ref";
    if (!op_run(c, s, &got)) {
        return;
    }
    require(op_run(c, &ref, &want), "ref is not built");
    worst_seen = fmax(worst_seen, op_expect_close("against ref", c, s, &got, &want, tol_of(c, s)));
    op_result_free(&got);
    op_result_free(&want);
}

static void test_against_ref(void **state) {
    for_each(op_of(state), true, true, true, against_ref);
    report("against ref", op_of(state));
}

/* (d) the same bytes when repeated and with 1, 2, 3 threads; (e) guard bytes intact, as in every op_run */
static void same_twice(const op_case *c, const op_setup *s) {
    op_result first, again;
    if (!op_run(c, s, &first)) {
        return;
    }
    for (int threads = 1; threads <= 3; threads++) {
        op_setup t = *s;
        t.threads = threads;
        require(op_run(c, &t, &again), "%s disappeared", s->backend);
        char what[32];
        snprintf(what, sizeof what, "1 and %d threads", threads);
        op_expect_same(what, c, s, &first, &again);
        op_result_free(&again);
    }
    op_setup infer = *s, params_only = *s;
    infer.infer = true;
    params_only.params_only = true;
    require(op_run(c, &infer, &again), "%s disappeared", s->backend);
    op_expect_same("TRAIN and INFER plans", c, s, &first, &again);
    op_result_free(&again);
    if (op_specs[c->op].params != 0) {
        require(op_run(c, &params_only, &again), "%s disappeared", s->backend);
        op_expect_same("with and without gradients of the inputs", c, s, &first, &again);
        op_result_free(&again);
    }
    op_result_free(&first);
}

static void test_same_twice(void **state) {
    for_each(op_of(state), true, true, false, same_twice);
}

/* (f) a run of fewer samples than planned equals a plan of that size */
static void smaller_batch(const op_case *c, const op_setup *s) {
    op_result exact, within;
    op_setup larger = *s;
    larger.planned = (int)c->dims[0][0] + 3;
    if (!op_run(c, s, &exact)) {
        return;
    }
    require(op_run(c, &larger, &within), "%s disappeared", s->backend);
    op_expect_close("in a larger plan", c, s, &within, &exact, tol_of(c, s));
    op_result_free(&exact);
    op_result_free(&within);
}

static void test_smaller_batch(void **state) {
    for_each(op_of(state), true, true, false, smaller_batch);
}

/* The write rule: parameter gradients add up over backward runs, and both kinds when an op is used twice. */
static void expect_multiple(const char *what, const op_case *c, const op_setup *s, const op_result *got,
    const op_result *once, int k, double factor) {
    double *want = widen(once->grad[k], once->n[k]);
    char label[256];
    snprintf(label, sizeof label, "%s %s %s (%s) %s: gradient of input %d", s->backend, ark_op_name(c->op),
        c->name, s->types.name, what, k);
    for (int64_t i = 0; i < once->n[k]; i++) {
        want[i] *= factor;
    }
    check_close(got->grad[k], want, once->n[k], c->dims[k][c->ndim[k] - 1], tol_of(c, s), label);
    ark_free(want);
}

static void gradient_sums(const op_case *c, const op_setup *s) {
    op_result once, twice, more = {.out = NULL};
    op_setup two = *s;
    two.uses = 2;
    if (!op_run(c, s, &once)) {
        return;
    }
    require(op_run(c, &two, &twice), "%s disappeared", s->backend);
    op_session *again = op_session_open(c, s);
    float *r = op_floats(once.out_n), *out = op_floats(once.out_n);
    op_case_seed(c, r, once.out_n);
    op_session_forward(again, out);
    op_session_backward(again, r);
    op_session_forward(again, out);
    op_session_backward_more(again, r);
    op_read_grads(again, c, s, &more);
    for (int k = 0; k < ARK_MAX_IN; k++) {
        if (once.grad[k] != NULL) {
            bool param = op_specs[c->op].params >> k & 1u;
            expect_multiple("used twice", c, s, &twice, &once, k, 2.0);
            expect_multiple("after a second backward", c, s, &more, &once, k, param ? 2.0 : 1.0);
        }
    }
    op_session_close(again);
    ark_free(r);
    ark_free(out);
    op_result_free(&once);
    op_result_free(&twice);
    op_result_free(&more);
}

static void test_gradient_sums(void **state) {
    for_each(op_of(state), false, true, false, gradient_sums);
}

/* Whether the op does not read element `at` of its first input: masked, or outside the slice. */
static bool unread(const op_case *c, int64_t at) {
    const int64_t *d = c->dims[0];
    int64_t token = c->op == ARK_OP_TOKEN_SLICE ? at / d[2] % d[1] - (int64_t)c->attr[0] : 0;
    switch (c->op) {
    case ARK_OP_BCE_LOGITS:
    case ARK_OP_DICE_LOGITS:
        return c->in[2][at] == 0.0f;
    case ARK_OP_SOFTMAX_CE:
        return c->in[2][at / d[1] * d[1]] == 0.0f;
    case ARK_OP_TOKEN_SLICE:
        return token < 0 || token >= (c->attr[1] > 0 ? (int64_t)(c->attr[1] * c->attr[2]) : 1);
    default:
        return false;
    }
}

/* (g) one NaN in the first input comes out at the same places as in ref, at least one, and nothing hangs */
static void nan_passes(const op_case *c, const op_setup *s) {
    int64_t n = op_case_numel(c, 0), nans = 0;
    op_case bad = *c;
    bad.in[0] = op_floats(n);
    memcpy(bad.in[0], c->in[0], (size_t)n * sizeof *bad.in[0]);
    bad.in[0][n / 2] = NAN;
    bool masked = unread(c, n / 2);
    op_result got, want;
    op_setup ref = *s;
    ref.backend = "ref";
    if (op_run(&bad, s, &got)) {
        require(op_run(&bad, &ref, &want), "ref is not built");
        for (int64_t i = 0; i < got.out_n; i++) {
            nans += isnan(got.out[i]);
            require(!isnan(got.out[i]) == !isnan(want.out[i]),
                "%s %s %s (%s): NaN in, element %lld is %g, ref has %g", s->backend, ark_op_name(c->op),
                c->name, s->types.name, (long long)i, (double)got.out[i], (double)want.out[i]);
        }
        require((nans > 0) != masked, "%s %s %s: NaN in, %lld NaN out", s->backend, ark_op_name(c->op),
            c->name, (long long)nans);
        op_result_free(&got);
        op_result_free(&want);
    }
    ark_free(bad.in[0]);
}

static void test_nan(void **state) {
    for_each(op_of(state), false, true, false, nan_passes);
}

/* (h) no holes in a table: every op forward, and backward where ops.def says GRAD */
static void test_tables(void **state) {
    (void)state;
    static const char *const names[] = {"ref", "cpu", "cuda"};
    enum { NOGRAD, GRAD };
    static const int grad_of[] = {
#define ARK_OP(NAME, name, grad) [ARK_OP_##NAME] = grad,
#include "core/ops.def"
#undef ARK_OP
    };
    for (int b = 0; b < 3; b++) {
        ark_dev *dev = NULL;
        if (!listed(backends_wanted, names[b]) || ark_dev_open(names[b], 1, &dev) != ARK_OK) {
            continue;
        }
        for (int op = 0; op < ARK_OP_COUNT; op++) {
            const ark_kernel *k = &dev->backend->kernels[op];
            require(k->impl != NULL && k->fwd != NULL, "%s has no %s", names[b], ark_op_name((ark_op)op));
            require(k->bwd != NULL || grad_of[op] == NOGRAD, "%s has no %s backward", names[b],
                ark_op_name((ark_op)op));
            require(op_specs[op].build != NULL, "op_case.c has no row for %s", ark_op_name((ark_op)op));
        }
        ark_dev_close(dev);
    }
}

/* Stochastic depth: the draws that core/ops.h documents, in every backend, by step and sample. */
static void test_drop_path(void **state) {
    (void)state;
    enum { B = 64, N = 5 };
    const float rate = 0.25f;
    op_case c = {
        .op = ARK_OP_RESIDUAL, .name = "drop_path", .attr = {rate}, .ndim = {2, 2}, .dims = {{B, N}, {B, N}}};
    op_case_fill(&c, 5);
    static const char *const names[] = {"ref", "cpu", "cuda"};
    for (int b = 0; b < 3; b++) {
        int kept = 0;
        for (uint64_t step = 0; step < 50 && listed(backends_wanted, names[b]); step++) {
            op_setup s = {.backend = names[b],
                .threads = 2,
                .types = op_specs[c.op].types[0],
                .stochastic = true,
                .seed = 3};
            s.step = step;
            op_result got;
            if (!op_run(&c, &s, &got)) {
                break;
            }
            float r[B * N];
            op_case_seed(&c, r, B * N);
            for (int i = 0; i < B * N; i++) {
                ark_rng rng = ark_rng_at(
                    3, ARK_RNG_DROP_PATH, step, 0, (uint32_t)(i / N)); /* the only node is number 0 */
                float scale = ark_rng_f32(&rng) >= rate ? 1.0f / (1.0f - rate) : 0.0f;
                kept += i % N == 0 && scale > 0.0f;
                assert_float_equal(got.out[i], c.in[0][i] + scale * c.in[1][i], 1e-6f);
                assert_float_equal(got.grad[0][i], r[i], 0.0f);
                assert_float_equal(got.grad[1][i], scale * r[i], 1e-6f);
            }
            op_result_free(&got);
        }
        /* 3200 draws: mean 2400, standard deviation 24.5 */
        require(
            kept == 0 || abs(kept - 2400) < 120, "%s kept %d of 3200 samples at rate 0.25", names[b], kept);
    }
    op_case_free(&c);
}

#define ARK_OP(NAME, op, grad)                                                                               \
    {#op " equals PyTorch", test_golden, NULL, NULL, (void *)(uintptr_t)ARK_OP_##NAME},                      \
        {#op " in bf16 equals f32 up to rounding", test_ref_half, NULL, NULL,                                \
            (void *)(uintptr_t)ARK_OP_##NAME},                                                               \
        {#op " gradient equals finite differences", test_differences, NULL, NULL,                            \
            (void *)(uintptr_t)ARK_OP_##NAME},                                                               \
        {#op " of every backend equals ref", test_against_ref, NULL, NULL,                                   \
            (void *)(uintptr_t)ARK_OP_##NAME},                                                               \
        {#op " gives the same bytes again", test_same_twice, NULL, NULL, (void *)(uintptr_t)ARK_OP_##NAME},  \
        {#op " with fewer samples than planned", test_smaller_batch, NULL, NULL,                             \
            (void *)(uintptr_t)ARK_OP_##NAME},                                                               \
        {#op " sums gradients", test_gradient_sums, NULL, NULL, (void *)(uintptr_t)ARK_OP_##NAME},           \
        {#op " passes NaN on", test_nan, NULL, NULL, (void *)(uintptr_t)ARK_OP_##NAME},

static const struct CMUnitTest tests[] = {
#include "core/ops.def"
    cmocka_unit_test(test_tables),
    cmocka_unit_test(test_drop_path),
};
#undef ARK_OP

/* An instruction set that ARK_CPU_ISA names may be missing on this machine. */
static bool runs_here(const char *backend) {
    ark_dev *dev = NULL;
    ark_status st = ark_dev_open(backend, 1, &dev);
    ark_dev_close(dev);
    return st == ARK_OK;
}

int main(int argc, char **argv) {
    const char *env = getenv("ARK_TEST_BACKENDS");
    backends_wanted = env != NULL ? env : backends_wanted;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--backend") == 0) {
            backends_wanted = argv[i + 1];
        } else if (strcmp(argv[i], "--op") == 0) {
            op_wanted = argv[i + 1];
        }
    }
    if (getenv("ARK_CPU_ISA") != NULL && !runs_here("cpu")) {
        print_message("SKIP: %s\n", ark_err_msg());
        return 77;
    }
    return cmocka_run_group_tests_name("ops", tests, NULL, NULL);
}
