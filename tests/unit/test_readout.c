/* The readout against scikit-learn's LogisticRegression (golden/make_readout.py). */
#include "base/alloc.h"
#include "base/rng.h"
#include "eval/adam.h"
#include "eval/logreg.h"
#include "eval/readout.h"
#include "golden/probe.h"
#include "golden/readout.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <string.h>

enum { N = GOLDEN_TRAIN, M = GOLDEN_VAL, D = GOLDEN_D, K = GOLDEN_K, NC = GOLDEN_C };

#define CLOSE(got, want, tol) assert_true(fabs((got) - (want)) <= (tol))

static ark_labelled train(const double *label) {
    return (ark_labelled){.f32 = golden_train, .label = label, .n = N, .d = D, .K = K};
}

static ark_labelled val(const double *label) {
    return (ark_labelled){.f32 = golden_val, .label = label, .n = M, .d = D, .K = K};
}

static ark_readout_opts opts(ark_readout_task task, ark_readout_select select) {
    ark_readout_opts o = ark_readout_default_opts();
    o.task = task;
    o.select = select;
    o.C = golden_grid;
    o.nC = NC;
    o.tolerance = 1e-9;
    return o;
}

static size_t argmax(const double *v, double sign) {
    size_t best = 0;
    for (size_t c = 1; c < NC; c++) {
        best = sign * v[c] > sign * v[best] ? c : best;
    }
    return best;
}

/* Every value of C alone: the coefficients are sklearn's. */
static void coefficients_equal_sklearn(void **state) {
    (void)state;
    static const struct {
        ark_readout_task task;
        const double *label, *w;
    } cases[] = {
        {ARK_READOUT_MULTILABEL, golden_train_label, golden_w},
        {ARK_READOUT_MULTICLASS, golden_train_class, golden_softmax_w},
    };
    for (size_t i = 0; i < 2; i++) {
        ark_labelled t = train(cases[i].label);
        for (size_t c = 0; c < NC; c++) {
            ark_readout_opts o = opts(cases[i].task, ARK_SELECT_AUROC);
            o.C = &golden_grid[c];
            o.nC = 1;
            ark_readout r;
            assert_int_equal(ark_readout_fit(&t, NULL, &o, &r), ARK_OK);
            assert_int_equal(r.unconverged, 0);
            for (size_t j = 0; j < K * (D + 1); j++) {
                CLOSE(r.w[j], cases[i].w[c * K * (D + 1) + j], 1e-5);
            }
            ark_readout_free(&r);
        }
    }
}

static void check_choice(ark_readout_task task, ark_readout_select select, const double *golden) {
    bool soft = task == ARK_READOUT_MULTICLASS;
    ark_labelled t = train(soft ? golden_train_class : golden_train_label);
    ark_labelled v = val(soft ? golden_val_class : golden_val_label);
    ark_readout_opts o = opts(task, select);
    ark_readout r;
    assert_int_equal(ark_readout_fit(&t, &v, &o, &r), ARK_OK);
    for (size_t c = 0; c < NC; c++) {
        CLOSE(r.val[c], golden[c], 1e-6);
    }
    assert_int_equal(r.best, argmax(golden, select == ARK_SELECT_AUROC ? 1 : -1));
    const double *w = (soft ? golden_softmax_w : golden_w) + r.best * K * (D + 1);
    for (size_t j = 0; j < K * (D + 1); j++) {
        CLOSE(r.w[j], w[j], 1e-5);
    }
    ark_readout_free(&r);
}

static void choice_of_C_equals_sklearn(void **state) {
    (void)state;
    check_choice(ARK_READOUT_MULTILABEL, ARK_SELECT_AUROC, golden_auroc);
    check_choice(ARK_READOUT_MULTILABEL, ARK_SELECT_LOG_LOSS, golden_loss);
    check_choice(ARK_READOUT_MULTICLASS, ARK_SELECT_AUROC, golden_softmax_auroc);
    check_choice(ARK_READOUT_MULTICLASS, ARK_SELECT_LOG_LOSS, golden_softmax_loss);
}

static void predictions_equal_sklearn(void **state) {
    (void)state;
    static const double one = 1;
    ark_labelled t = train(golden_train_class), v = val(NULL);
    ark_readout_opts o = opts(ARK_READOUT_MULTICLASS, ARK_SELECT_AUROC);
    o.C = &one;
    o.nC = 1;
    ark_readout r;
    double p[M * K];
    assert_int_equal(ark_readout_fit(&t, NULL, &o, &r), ARK_OK);
    assert_int_equal(ark_readout_predict(&r, &v, 2, p), ARK_OK);
    for (size_t i = 0; i < M * K; i++) {
        CLOSE(p[i], golden_softmax_probability[i], 1e-6);
    }
    v.d = D - 1;
    assert_int_equal(ark_readout_predict(&r, &v, 1, p), ARK_ESHAPE);
    ark_readout_free(&r);
}

typedef struct losses {
    double v[K][200];
    int n[K];
} losses;

static void keep_loss(void *ctx, size_t problem, size_t c, int iteration, double loss) {
    losses *l = ctx;
    assert_int_equal(c, 0);
    assert_int_equal(iteration, l->n[problem] + 1);
    l->v[problem][l->n[problem]++] = loss;
}

/* Three binary problems in one walk, and one softmax. */
static void loss_falls_monotonically(void **state) {
    (void)state;
    static const size_t out[K] = {0, 1, 2};
    static const double one = 1;
    double mean[D] = {0}, inverse[D];
    for (size_t j = 0; j < D; j++) {
        inverse[j] = 0.1;
    }
    for (int softmax = 0; softmax < 2; softmax++) {
        ark_labelled t = train(softmax ? golden_train_class : golden_train_label);
        losses l = {.n = {0}};
        double w[K * (D + 1)] = {0};
        ark_logreg p = {.data = &t,
            .mean = mean,
            .inverse = inverse,
            .out = out,
            .m = K,
            .softmax = softmax,
            .C = &one,
            .nC = 1,
            .tolerance = 1e-8,
            .max_iterations = 200,
            .threads = 1,
            .on_iteration = keep_loss,
            .ctx = &l};
        ark_logreg_fit fit[K];
        assert_int_equal(ark_logreg_minimise(&p, w, fit), ARK_OK);
        for (size_t k = 0; k < (softmax ? 1 : K); k++) {
            assert_true(fit[k].converged && fit[k].iterations == l.n[k] && l.n[k] > 5);
            CLOSE(l.v[k][l.n[k] - 1], fit[k].loss, 0);
            assert_true(l.v[k][0] < log(softmax ? K : 2)); /* the loss of zero weights */
            for (int i = 1; i < l.n[k]; i++) {
                assert_true(l.v[k][i] <= l.v[k][i - 1] * (1 + 1e-15));
            }
        }
        /* stopping early is reported, and leaves a better point than the start */
        memset(w, 0, sizeof w);
        l = (losses){.n = {0}};
        p.max_iterations = 3;
        assert_int_equal(ark_logreg_minimise(&p, w, fit), ARK_OK);
        assert_true(!fit[0].converged && fit[0].loss < log(softmax ? K : 2));
    }
}

static void threads_do_not_matter(void **state) {
    (void)state;
    for (int task = 0; task < 2; task++) {
        ark_labelled t = train(task ? golden_train_class : golden_train_label);
        ark_labelled v = val(task ? golden_val_class : golden_val_label);
        ark_readout_opts o = opts(task ? ARK_READOUT_MULTICLASS : ARK_READOUT_MULTILABEL, ARK_SELECT_AUROC);
        ark_readout one, many;
        double p1[M * K], p3[M * K];
        o.threads = 1;
        assert_int_equal(ark_readout_fit(&t, &v, &o, &one), ARK_OK);
        o.threads = 3;
        assert_int_equal(ark_readout_fit(&t, &v, &o, &many), ARK_OK);
        assert_memory_equal(one.w, many.w, K * (D + 1) * sizeof *one.w);
        assert_memory_equal(one.val, many.val, NC * sizeof *one.val);
        assert_int_equal(ark_readout_predict(&one, &v, 1, p1), ARK_OK);
        assert_int_equal(ark_readout_predict(&many, &v, 3, p3), ARK_OK);
        assert_memory_equal(p1, p3, sizeof p1);
        ark_readout_free(&one);
        ark_readout_free(&many);
    }
}

static void float64_input_is_the_same(void **state) {
    (void)state;
    double wide[N * D];
    for (size_t i = 0; i < N * D; i++) {
        wide[i] = golden_train[i];
    }
    ark_labelled t = train(golden_train_label), u = t;
    u.f32 = NULL;
    u.f64 = wide;
    ark_readout_opts o = opts(ARK_READOUT_MULTILABEL, ARK_SELECT_AUROC);
    o.nC = 1;
    ark_readout a, b;
    assert_int_equal(ark_readout_fit(&t, NULL, &o, &a), ARK_OK);
    assert_int_equal(ark_readout_fit(&u, NULL, &o, &b), ARK_OK);
    assert_memory_equal(a.w, b.w, K * (D + 1) * sizeof *a.w);
    ark_readout_free(&a);
    ark_readout_free(&b);
}

static void absent_classes_are_left_out(void **state) {
    (void)state;
    double label[N * K], v_label[M * K], p[M * K];
    memcpy(label, golden_train_label, sizeof label);
    memcpy(v_label, golden_val_label, sizeof v_label);
    for (size_t i = 0; i < N; i++) {
        label[i * K + 2] = 0;
    }
    ark_labelled t = train(label), v = val(v_label);
    ark_readout_opts o = opts(ARK_READOUT_MULTILABEL, ARK_SELECT_AUROC);
    ark_readout r;
    assert_int_equal(ark_readout_fit(&t, &v, &o, &r), ARK_OK);
    assert_null(r.left_out[0]);
    assert_string_equal(r.left_out[2], "no positive row in train");
    assert_int_equal(ark_readout_predict(&r, &v, 1, p), ARK_OK);
    assert_true(isnan(p[2]) && isfinite(p[0]));
    ark_readout_mask_labels(&r, v_label, M);
    ark_eval_table table = {.score = p, .label = v_label, .n = M, .K = K};
    ark_class_auc m[K];
    ark_macro macro;
    assert_int_equal(ark_table_metrics(&table, m, &macro), ARK_OK);
    assert_int_equal(macro.left_out, 1);
    CLOSE(macro.auroc.value, r.val[r.best], 1e-12);
    ark_readout_free(&r);

    /* softmax over the two classes that occur: their probabilities add up to one */
    memcpy(label, golden_train_class, sizeof label);
    for (size_t i = 0; i < N; i++) {
        if (label[i * K + 1] == 1) {
            label[i * K] = label[i * K + 1] = label[i * K + 2] = NAN;
        }
    }
    o.task = ARK_READOUT_MULTICLASS;
    v.label = golden_val_class;
    assert_int_equal(ark_readout_fit(&t, &v, &o, &r), ARK_OK);
    assert_string_equal(r.left_out[1], "no positive row in train");
    assert_int_equal(ark_readout_predict(&r, &v, 1, p), ARK_OK);
    assert_true(isnan(p[1]));
    CLOSE(p[0] + p[2], 1, 1e-12);
    ark_readout_free(&r);

    for (size_t i = 0; i < N * K; i++) {
        label[i] = 0;
    }
    o.task = ARK_READOUT_MULTILABEL;
    assert_int_equal(ark_readout_fit(&t, NULL, &o, &r), ARK_EINVAL); /* several C, nothing to choose on */
    o.nC = 1;
    assert_int_equal(ark_readout_fit(&t, NULL, &o, &r), ARK_EINVAL);
    assert_non_null(strstr(ark_err_msg(), "no class has both labels in train"));
}

static void constant_feature_is_harmless(void **state) {
    (void)state;
    float x[N * D];
    memcpy(x, golden_train, sizeof x);
    for (size_t i = 0; i < N; i++) {
        x[i * D + 1] = 0.1f;
    }
    ark_labelled t = train(golden_train_label);
    t.f32 = x;
    ark_readout_opts o = opts(ARK_READOUT_MULTILABEL, ARK_SELECT_AUROC);
    o.nC = 1;
    ark_readout r;
    assert_int_equal(ark_readout_fit(&t, NULL, &o, &r), ARK_OK);
    assert_true(r.scale[1] == 1);
    CLOSE(r.w[1], 0, 1e-9);
    ark_readout_free(&r);
}

static void bad_input_is_named(void **state) {
    (void)state;
    float x[N * D];
    double label[N * K];
    memcpy(x, golden_train, sizeof x);
    memcpy(label, golden_train_label, sizeof label);
    ark_labelled t = train(label);
    t.f32 = x;
    ark_readout_opts o = opts(ARK_READOUT_MULTILABEL, ARK_SELECT_AUROC);
    o.nC = 1;
    ark_readout r;
    x[7 * D + 2] = NAN;
    assert_int_equal(ark_readout_fit(&t, NULL, &o, &r), ARK_EINVAL);
    assert_non_null(strstr(ark_err_msg(), "train row 7, feature 2"));
    x[7 * D + 2] = 0;
    label[5 * K + 1] = 2;
    assert_int_equal(ark_readout_fit(&t, NULL, &o, &r), ARK_EINVAL);
    assert_non_null(strstr(ark_err_msg(), "train row 5, class 1"));
    t.label = golden_train_label; /* multi-label rows are not one-hot */
    o.task = ARK_READOUT_MULTICLASS;
    assert_int_equal(ark_readout_fit(&t, NULL, &o, &r), ARK_EINVAL);
    assert_non_null(strstr(ark_err_msg(), "exactly one"));
    static const double falling[] = {1, 0.1};
    o.C = falling;
    o.nC = 2;
    assert_int_equal(ark_readout_fit(&t, &t, &o, &r), ARK_EINVAL);
}

static void out_of_memory_leaks_nothing(void **state) {
    (void)state;
    ark_labelled t = train(golden_train_label), v = val(golden_val_label);
    ark_readout_opts o = opts(ARK_READOUT_MULTILABEL, ARK_SELECT_AUROC);
    o.threads = 1;
    o.nC = 2;
    uint64_t live = ark_alloc_get_stats().live_bytes;
    ark_status st = ARK_ENOMEM;
    for (uint64_t nth = 1; st != ARK_OK; nth++) {
        assert_true(nth < 300);
        ark_readout r = {0};
        ark_alloc_fail_after(nth);
        st = ark_readout_fit(&t, &v, &o, &r);
        ark_alloc_fail_after(0);
        assert_true(st == ARK_OK || st == ARK_ENOMEM);
        ark_readout_free(&r);
        assert_int_equal(ark_alloc_get_stats().live_bytes, live);
    }
}

/* Enough rows for the Gram matrix: from it and without it, the same optimum, which is unique. */
static void gram_matrix_changes_only_the_way(void **state) {
    (void)state;
    enum { ROWS = 2600, WIDE = 13, OUT = 2 };
    static const size_t out[OUT] = {0, 1};
    static const double C[] = {1e-4, 1e-2, 1, 100};
    double *x = ark_malloc(ROWS * WIDE * sizeof *x), *y = ark_malloc(ROWS * OUT * sizeof *y);
    double w[2][4 * OUT * (WIDE + 1)] = {{0}};
    ark_logreg_fit fit[4 * OUT];
    int iterations[2] = {0};
    ark_rng rng = ark_rng_at(3, ARK_RNG_TEST, 0, 0, 0);
    for (size_t i = 0; i < ROWS; i++) {
        double common = ark_rng_normal(&rng), z = 0;
        for (size_t j = 0; j < WIDE; j++) {
            x[i * WIDE + j] = 3 * common + ark_rng_normal(&rng) / (double)(j + 1);
            z += (j % 2 ? 1 : -1) * x[i * WIDE + j];
        }
        y[i * OUT] = ark_rng_f64(&rng) < 1 / (1 + exp(-z));
        y[i * OUT + 1] = i % 7 ? ark_rng_f64(&rng) < 0.02 : NAN;
    }
    ark_labelled t = {.f64 = x, .label = y, .n = ROWS, .d = WIDE, .K = OUT};
    for (int plain = 0; plain < 2; plain++) {
        ark_logreg p = {.data = &t,
            .out = out,
            .m = OUT,
            .C = C,
            .nC = 4,
            .tolerance = 1e-10,
            .max_iterations = 10000,
            .threads = 2,
            .plain = plain};
        assert_int_equal(ark_logreg_minimise(&p, w[plain], fit), ARK_OK);
        for (size_t i = 0; i < 4 * OUT; i++) {
            assert_true(fit[i].converged);
            iterations[plain] += fit[i].iterations;
        }
    }
    for (size_t i = 0; i < 4 * OUT * (WIDE + 1); i++) {
        CLOSE(w[0][i], w[1][i], 1e-6 * (1 + fabs(w[1][i])));
    }
    assert_true(iterations[0] < iterations[1]);
    ark_free(x);
    ark_free(y);
}

/* A table of chosen rows is the table that has only them. */
static void rows_of_a_table(void **state) {
    (void)state;
    uint32_t rows[N];
    float x[N * D];
    double label[N * K];
    for (size_t i = 0; i < N; i++) {
        rows[i] = (uint32_t)(i * 7 % N);
        memcpy(x + i * D, golden_train + (size_t)rows[i] * D, D * sizeof *x);
        memcpy(label + i * K, golden_train_label + (size_t)rows[i] * K, K * sizeof *label);
    }
    ark_labelled a = train(golden_train_label), b = a, v = val(golden_val_label);
    a.rows = rows;
    b.f32 = x;
    b.label = label;
    a.n = b.n = 50;
    ark_readout_opts o = opts(ARK_READOUT_MULTILABEL, ARK_SELECT_AUROC);
    ark_readout ra, rb;
    double pa[M * K], pb[M * K];
    assert_int_equal(ark_readout_fit(&a, &v, &o, &ra), ARK_OK);
    assert_int_equal(ark_readout_fit(&b, &v, &o, &rb), ARK_OK);
    assert_memory_equal(ra.w, rb.w, K * (D + 1) * sizeof *ra.w);
    for (size_t i = 0; i < 30; i++) {
        rows[i] = (uint32_t)(2 * i);
    }
    assert_int_equal(ark_readout_predict(&ra, &v, 2, pa), ARK_OK);
    v.rows = rows;
    v.n = 30;
    assert_int_equal(ark_readout_predict(&rb, &v, 1, pb), ARK_OK);
    for (size_t i = 0; i < 30 * K; i++) {
        CLOSE(pb[i], pa[2 * (i / K) * K + i % K], 1e-15);
    }
    ark_readout_free(&ra);
    ark_readout_free(&rb);
}

static void adam_equals_pytorch(void **state) {
    (void)state;
    static const size_t out[ADAM_K] = {0, 1, 2};
    ark_readout_adam o = {.lr = adam_lr, .batch = ADAM_BATCH, .epochs = ADAM_EPOCHS, .in_order = true};
    for (int softmax = 0; softmax < 2; softmax++) {
        ark_labelled t = {
            .f32 = adam_x, .label = softmax ? adam_class : adam_label, .n = ADAM_N, .d = ADAM_D, .K = ADAM_K};
        ark__adam_job job = {
            .data = &t, .out = out, .m = ADAM_K, .softmax = softmax, .opts = &o, .threads = 2};
        double w[ADAM_EPOCHS * ADAM_K * (ADAM_D + 1)];
        const double *want = softmax ? adam_softmax_w : adam_w;
        assert_int_equal(ark__adam_fit(&job, w), ARK_OK);
        for (size_t i = 0; i < sizeof w / sizeof *w; i++) {
            CLOSE(w[i], want[i], 1e-10);
        }
    }
}

/* The best epoch is chosen on validation; shuffled rows give the same result for any number of threads. */
static void adam_chooses_the_epoch(void **state) {
    (void)state;
    ark_labelled t = train(golden_train_label), v = val(golden_val_label);
    ark_readout_opts o = opts(ARK_READOUT_MULTILABEL, ARK_SELECT_LOG_LOSS);
    o.optimizer = ARK_READOUT_ADAM;
    o.adam = (ark_readout_adam){.lr = 0.1, .batch = 16, .epochs = 60, .seed = 5};
    ark_readout one, many;
    o.threads = 1;
    assert_int_equal(ark_readout_fit(&t, &v, &o, &one), ARK_OK);
    o.threads = 3;
    assert_int_equal(ark_readout_fit(&t, &v, &o, &many), ARK_OK);
    assert_int_equal(one.nC, 60);
    assert_true(one.C[one.best] == (double)one.best + 1);
    for (size_t e = 0; e < 60; e++) {
        assert_true(one.val[e] >= one.val[one.best]);
    }
    assert_memory_equal(one.w, many.w, K * (D + 1) * sizeof *one.w);
    CLOSE(one.val[one.best], golden_loss[argmax(golden_loss, -1)], 0.03); /* no worse a model than L-BFGS's */
    ark_readout_free(&one);
    ark_readout_free(&many);
    o.adam.epochs = 0;
    assert_int_equal(ark_readout_fit(&t, &v, &o, &one), ARK_EINVAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gram_matrix_changes_only_the_way),
        cmocka_unit_test(rows_of_a_table),
        cmocka_unit_test(adam_equals_pytorch),
        cmocka_unit_test(adam_chooses_the_epoch),
        cmocka_unit_test(coefficients_equal_sklearn),
        cmocka_unit_test(choice_of_C_equals_sklearn),
        cmocka_unit_test(predictions_equal_sklearn),
        cmocka_unit_test(loss_falls_monotonically),
        cmocka_unit_test(threads_do_not_matter),
        cmocka_unit_test(float64_input_is_the_same),
        cmocka_unit_test(absent_classes_are_left_out),
        cmocka_unit_test(constant_feature_is_harmless),
        cmocka_unit_test(bad_input_is_named),
        cmocka_unit_test(out_of_memory_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
