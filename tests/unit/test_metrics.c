/* Metrics against scikit-learn (golden/make_stats.py), undefined cases, refused input. */
#include "eval/metrics.h"
#include "golden/stats.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])
#define NEAR(got, want) assert_true(fabs((got) - (want)) <= 1e-12)

static void equals_sklearn_with_ties(void **state) {
    (void)state;
    ark_ranked r;
    assert_int_equal(ark_rank(ties_score, ties_label, COUNT(ties_score), &r), ARK_OK);
    assert_int_equal(r.groups, 5);
    NEAR(ark_auroc(&r).value, ties_auroc);
    NEAR(ark_average_precision(&r).value, ties_ap);
    ark_metric auroc, ap;
    ark_weighted_auc(&r, ties_weight, &auroc, &ap);
    NEAR(auroc.value, ties_weighted_auroc);
    NEAR(ap.value, ties_weighted_ap);
    ark_ranked_free(&r);

    assert_int_equal(ark_rank(pair_a, pair_label, COUNT(pair_a), &r), ARK_OK);
    NEAR(ark_auroc(&r).value, pair_auroc_a);
    NEAR(ark_average_precision(&r).value, pair_ap_a);
    ark_ranked_free(&r);
}

static void decisions_equal_sklearn(void **state) {
    (void)state;
    ark_ranked r;
    assert_int_equal(ark_rank(ties_score, ties_label, COUNT(ties_score), &r), ARK_OK);
    ark_confusion c = ark_confusion_at(&r, 0.5); /* 0.5 is one of the scores: it counts as positive */
    NEAR(ark_accuracy(c).value, ties_accuracy);
    NEAR(ark_f1(c).value, ties_f1);
    NEAR(ark_mcc(c).value, ties_mcc);
    NEAR(ark_precision(c).value, ties_precision);
    NEAR(ark_sensitivity(c).value, ties_sensitivity);
    NEAR(ark_specificity(c).value, ties_specificity);
    c = ark_confusion_at(&r, -1);
    assert_int_equal(c.tp + c.fp, r.n);
    c = ark_confusion_at(&r, 1.5);
    assert_int_equal(c.tn + c.fn, r.n);
    assert_false(ark_metric_defined(ark_precision(c)));
    assert_false(ark_metric_defined(ark_mcc(c)));
    assert_true(isnan(ark_mcc(c).value));
    ark_ranked_free(&r);
}

static double trapezoid(const ark_curve *c) {
    double area = 0;
    for (size_t i = 1; i < c->n; i++) {
        area += (c->x[i] - c->x[i - 1]) * (c->y[i] + c->y[i - 1]) / 2;
    }
    return area;
}

static void curves_equal_sklearn(void **state) {
    (void)state;
    ark_ranked r;
    ark_curve c;
    assert_int_equal(ark_rank(ties_score, ties_label, COUNT(ties_score), &r), ARK_OK);
    assert_int_equal(ark_roc_curve(&r, &c), ARK_OK);
    size_t at = 0; /* every point is one of sklearn's, in order; points on a straight line are left out */
    for (size_t i = 0; i < c.n; i++, at++) {
        while (at < COUNT(ties_fpr) &&
               !(fabs(c.x[i] - ties_fpr[at]) < 1e-12 && fabs(c.y[i] - ties_tpr[at]) < 1e-12)) {
            at++;
        }
        assert_true(at < COUNT(ties_fpr));
    }
    NEAR(trapezoid(&c), ties_auroc);
    ark_curve_free(&c);
    assert_int_equal(ark_pr_curve(&r, &c), ARK_OK);
    assert_int_equal(c.n, COUNT(ties_recall));
    for (size_t i = 0; i < c.n; i++) {
        NEAR(c.x[i], ties_recall[i]);
        NEAR(c.y[i], ties_pr_precision[i]);
    }
    ark_curve_free(&c);
    ark_ranked_free(&r);

    /* Here points do fall on lines; the area must not change. */
    assert_int_equal(ark_rank(pair_a, pair_label, COUNT(pair_a), &r), ARK_OK);
    assert_int_equal(ark_roc_curve(&r, &c), ARK_OK);
    assert_true(c.n < r.groups + 1);
    assert_true(c.x[0] == 0 && c.y[0] == 0 && c.x[c.n - 1] == 1 && c.y[c.n - 1] == 1);
    NEAR(trapezoid(&c), pair_auroc_a);
    ark_curve_free(&c);
    ark_ranked_free(&r);
}

static void one_class_is_undefined(void **state) {
    (void)state;
    static const double score[] = {0.1, 0.5, 0.9}, ones[] = {1, 1, 1}, zeros[] = {0, 0, 0};
    ark_ranked r;
    ark_curve c;
    assert_int_equal(ark_rank(score, zeros, 3, &r), ARK_OK);
    assert_true(isnan(ark_auroc(&r).value));
    assert_string_equal(ark_auroc(&r).why, "no positive row");
    assert_string_equal(ark_average_precision(&r).why, "no positive row");
    assert_false(ark_metric_defined(ark_sensitivity(ark_confusion_at(&r, 0.5))));
    assert_int_equal(ark_roc_curve(&r, &c), ARK_EINVAL);
    ark_ranked_free(&r);
    assert_int_equal(ark_rank(score, ones, 3, &r), ARK_OK);
    assert_string_equal(ark_auroc(&r).why, "no negative row");
    ark_ranked_free(&r);
    assert_int_equal(ark_rank(score, ones, 0, &r), ARK_OK); /* an empty table is undefined, not an error */
    assert_string_equal(ark_auroc(&r).why, "no positive row");
    ark_ranked_free(&r);
}

static void bad_rows_are_named(void **state) {
    (void)state;
    ark_ranked r;
    double score[] = {0.1, 0.5, 0.9}, label[] = {0, 1, 1};
    score[1] = NAN;
    assert_int_equal(ark_rank(score, label, 3, &r), ARK_EINVAL);
    assert_non_null(strstr(ark_err_msg(), "row 1: score"));
    score[1] = INFINITY;
    assert_int_equal(ark_rank(score, label, 3, &r), ARK_EINVAL);
    score[1] = 0.5;
    label[2] = 0.5;
    assert_int_equal(ark_rank(score, label, 3, &r), ARK_EINVAL);
    assert_non_null(strstr(ark_err_msg(), "row 2: label"));
    label[2] = NAN; /* missing labels exist only in tables */
    assert_int_equal(ark_rank(score, label, 3, &r), ARK_EINVAL);

    static const char *const names[] = {"Edema"};
    ark_eval_table t = {.score = score, .label = label, .n = 3, .K = 1, .names = names};
    assert_int_equal(ark_rank_class(&t, 0, &r), ARK_OK);
    assert_int_equal(r.n, 2);
    ark_ranked_free(&r);
    label[0] = 3;
    assert_int_equal(ark_rank_class(&t, 0, &r), ARK_EINVAL);
    assert_non_null(strstr(ark_err_msg(), "row 0, class Edema: label"));
}

static void macro_mean_leaves_out_undefined(void **state) {
    (void)state;
    ark_eval_table t = {.score = table_score, .label = table_label, .n = 60, .K = 4};
    ark_class_auc m[4];
    ark_macro macro;
    assert_int_equal(ark_table_metrics(&t, m, &macro), ARK_OK);
    static const size_t used[3] = {0, 1, 3};
    double auroc = 0, ap = 0;
    for (size_t i = 0; i < 3; i++) {
        NEAR(m[used[i]].auroc.value, table_auroc[i]);
        NEAR(m[used[i]].ap.value, table_ap[i]);
        auroc += table_auroc[i] / 3;
        ap += table_ap[i] / 3;
    }
    assert_string_equal(m[2].auroc.why, "no positive row");
    assert_int_equal(m[2].positives, 0);
    assert_true(m[1].n < 60 && m[0].n == 60);
    assert_int_equal(macro.classes, 3);
    assert_int_equal(macro.left_out, 1);
    NEAR(macro.auroc.value, auroc);
    NEAR(macro.ap.value, ap);
}

static void multiclass_accuracy(void **state) {
    (void)state;
    /* numpy.argmax takes the first of equal scores: rows are called 0, 2, 1. */
    double score[] = {0.4, 0.4, 0.2, 0.1, 0.2, 0.7, -3, -1, -2};
    int32_t label[] = {0, 2, 2};
    ark_metric m;
    assert_int_equal(ark_multiclass_accuracy(score, label, 3, 3, &m), ARK_OK);
    NEAR(m.value, 2.0 / 3);
    label[1] = 3;
    assert_int_equal(ark_multiclass_accuracy(score, label, 3, 3, &m), ARK_EINVAL);
    assert_non_null(strstr(ark_err_msg(), "row 1"));
    label[1] = 2;
    score[7] = NAN;
    assert_int_equal(ark_multiclass_accuracy(score, label, 3, 3, &m), ARK_EINVAL);
    assert_non_null(strstr(ark_err_msg(), "row 2, class 1"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_sklearn_with_ties),
        cmocka_unit_test(decisions_equal_sklearn),
        cmocka_unit_test(curves_equal_sklearn),
        cmocka_unit_test(one_class_is_undefined),
        cmocka_unit_test(bad_rows_are_named),
        cmocka_unit_test(macro_mean_leaves_out_undefined),
        cmocka_unit_test(multiclass_accuracy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
