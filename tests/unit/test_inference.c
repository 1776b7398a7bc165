/* Tests of means, corrections, intervals, calibration and operating points against scipy, statsmodels and
 * scikit-learn (golden/make_inference.py); undefined cases; refused input. */
#include "ark/status.h"
#include "eval/calibration.h"
#include "eval/operating_point.h"
#include "eval/significance.h"
#include "golden/inference.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])
#define CLOSE(got, want, tol) assert_true(fabs((double)(got) - (double)(want)) <= (tol))
#define RELATIVE(got, want, tol) CLOSE(got, want, (tol) * (fabs((double)(want)) + 1e-300))

static void student(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(student_t); i++) {
        RELATIVE(ark_student_two_sided(student_t[i], student_df[i]), student_p[i], 1e-9);
        RELATIVE(ark_student_two_sided(-student_t[i], student_df[i]), student_p[i], 1e-9);
    }
    for (size_t i = 0; i < COUNT(student_level); i++) {
        RELATIVE(ark_student_quantile(student_level[i], student_level_df[i]), student_quantile[i], 1e-10);
    }
}

static void welch(void **state) {
    (void)state;
    ark_welch w;
    assert_int_equal(ark_welch_test(welch_a, COUNT(welch_a), welch_b, COUNT(welch_b), 0.95, &w), ARK_OK);
    assert_null(w.why);
    const double got[] = {w.t, w.df, w.p, w.ci.low, w.ci.high};
    for (size_t i = 0; i < COUNT(got); i++) {
        RELATIVE(got[i], welch_result[i], 1e-10);
    }
    assert_int_equal(ark_welch_test(welch_a, 1, welch_b, 3, 0.95, &w), ARK_OK);
    assert_true(isnan(w.p) && isnan(w.ci.low));
    assert_string_equal(w.why, "fewer than two values");
    const double flat[] = {1, 1, 1}, other[] = {2, 2};
    assert_int_equal(ark_welch_test(flat, 3, other, 2, 0.95, &w), ARK_OK);
    assert_string_equal(w.why, "no spread in either sample");
    assert_true(isnan(w.t) && w.difference == -1);
    const double bad[] = {1, NAN};
    assert_int_equal(ark_welch_test(flat, 3, bad, 2, 0.95, &w), ARK_EINVAL);
    assert_non_null(strstr(ark_err_msg(), "value 1 of the second sample"));
    assert_int_equal(ark_welch_test(flat, 3, other, 2, 1, &w), ARK_EINVAL);
}

static void holm(void **state) {
    (void)state;
    double got[COUNT(holm_p) + 1];
    assert_int_equal(ark_holm(holm_p, COUNT(holm_p), got), ARK_OK);
    for (size_t i = 0; i < COUNT(holm_p); i++) {
        CLOSE(got[i], holm_adjusted[i], 1e-12);
    }
    /* A test that was not possible does not count, and keeps its place; in and out may be one array. */
    double with_gap[] = {0.02, NAN, 0.04};
    assert_int_equal(ark_holm(with_gap, 3, with_gap), ARK_OK);
    CLOSE(with_gap[0], 0.04, 1e-15);
    assert_true(isnan(with_gap[1]));
    CLOSE(with_gap[2], 0.04, 1e-15);
    const double bad[] = {0.1, 1.5};
    assert_int_equal(ark_holm(bad, 2, got), ARK_EINVAL);
    assert_int_equal(ark_holm(bad, 0, got), ARK_OK);
}

static void wilson(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(wilson_n); i++) {
        ark_interval ci = ark_wilson((size_t)wilson_hits[i], (size_t)wilson_n[i], 0.95);
        CLOSE(ci.low, wilson_low[i], 1e-12);
        CLOSE(ci.high, wilson_high[i], 1e-12);
    }
    assert_string_equal(ark_wilson(0, 0, 0.95).why, "no row");
}

static void calibration_binary(void **state) {
    (void)state;
    ark_reliability_bin bin[10];
    ark_calibration c;
    size_t n = COUNT(binary_prob);
    assert_int_equal(ark_calibrate_binary(binary_prob, binary_label, n, 1, 10, 0.95, bin, &c), ARK_OK);
    for (int b = 0; b < 10; b++) {
        assert_int_equal(bin[b].n, (size_t)binary_bin_n[b]);
        CLOSE(bin[b].mean_prob, binary_bin_mean[b], 1e-12);
        CLOSE(bin[b].observed, binary_bin_observed[b], 1e-12);
        assert_true(bin[b].ci.low <= bin[b].observed && bin[b].observed <= bin[b].ci.high);
    }
    CLOSE(c.brier.value, binary_brier, 1e-12);
    CLOSE(c.ece.value, binary_ece, 1e-12);
    CLOSE(c.mce.value, binary_mce, 1e-12);
    n = COUNT(inside_prob);
    assert_int_equal(ark_calibrate_binary(inside_prob, inside_label, n, 1, 10, 0.95, NULL, &c), ARK_OK);
    CLOSE(c.log_loss.value, inside_log_loss, 1e-12);

    /* A column of a table with missing labels; nothing labelled; what is refused. */
    const double p[] = {0.2, 9, 0.6, 9, 0.9, 9}, y[] = {0, 9, NAN, 9, 1, 9};
    assert_int_equal(ark_calibrate_binary(p, y, 3, 2, 15, 0.95, NULL, &c), ARK_OK);
    assert_int_equal(c.n, 2);
    CLOSE(c.brier.value, (0.04 + 0.01) / 2, 1e-15);
    const double none[] = {NAN};
    assert_int_equal(ark_calibrate_binary(p, none, 1, 1, 10, 0.95, bin, &c), ARK_OK);
    assert_string_equal(c.ece.why, "no labelled row");
    assert_true(isnan(c.brier.value) && isnan(bin[0].observed));
    assert_int_equal(ark_calibrate_binary(p + 1, y + 4, 1, 1, 15, 0.95, NULL, &c), ARK_EINVAL);
    assert_non_null(strstr(ark_err_msg(), "probability 9"));
    assert_int_equal(ark_calibrate_binary(p, y + 1, 1, 1, 15, 0.95, NULL, &c), ARK_EINVAL);
    assert_int_equal(ark_calibrate_binary(p, y, 1, 1, 101, 0.95, NULL, &c), ARK_EINVAL);
    /* Certain and wrong is bad, not infinite. */
    const double sure[] = {0}, wrong[] = {1};
    assert_int_equal(ark_calibrate_binary(sure, wrong, 1, 1, 1, 0.95, NULL, &c), ARK_OK);
    assert_true(c.log_loss.value > 700 && isfinite(c.log_loss.value));
}

static void calibration_multiclass(void **state) {
    (void)state;
    ark_calibration c;
    size_t n = COUNT(softmax_prob) / 4;
    assert_int_equal(ark_calibrate_multiclass(softmax_prob, softmax_label, n, 4, 15, 0.95, NULL, &c), ARK_OK);
    CLOSE(c.brier.value, softmax_calibration[0], 1e-12);
    CLOSE(c.ece.value, softmax_calibration[1], 1e-12);
    CLOSE(c.log_loss.value, softmax_calibration[2], 1e-12);
    const double p[] = {0.5, 0.5}, two[] = {1, 1}, half[] = {1, NAN};
    assert_int_equal(ark_calibrate_multiclass(p, two, 1, 2, 15, 0.95, NULL, &c), ARK_EINVAL);
    assert_int_equal(ark_calibrate_multiclass(p, half, 1, 2, 15, 0.95, NULL, &c), ARK_EINVAL);
    assert_non_null(strstr(ark_err_msg(), "not one-hot"));
}

static void check_temperature(const ark_temperature *t, const double want[3]) {
    assert_null(t->why);
    RELATIVE(t->T, want[0], 1e-6); /* as near as the reference's line search comes */
    CLOSE(t->nll_before, want[1], 1e-12);
    CLOSE(t->nll_after, want[2], 1e-12);
}

static void temperature(void **state) {
    (void)state;
    ark_temperature t;
    size_t n = COUNT(sigmoid_logit) / 2;
    assert_int_equal(ark_fit_temperature(ARK_MULTILABEL, sigmoid_logit, sigmoid_label, n, 2, &t), ARK_OK);
    check_temperature(&t, sigmoid_result);
    n = COUNT(softmax_logit) / 4;
    assert_int_equal(ark_fit_temperature(ARK_MULTICLASS, softmax_logit, softmax_label, n, 4, &t), ARK_OK);
    check_temperature(&t, softmax_result);

    const double z[] = {2, -1, 3, -4}, separated[] = {1, 0, 1, 0}, reversed[] = {0, 1, 0, 1};
    const double missing[] = {NAN, NAN, NAN, NAN};
    assert_int_equal(ark_fit_temperature(ARK_BINARY, z, separated, 4, 1, &t), ARK_OK);
    CLOSE(t.T, 0.01, 1e-6);
    assert_non_null(strstr(t.why, "separated"));
    assert_int_equal(ark_fit_temperature(ARK_BINARY, z, reversed, 4, 1, &t), ARK_OK);
    RELATIVE(t.T, 100, 1e-3);
    assert_non_null(strstr(t.why, "say nothing"));
    assert_int_equal(ark_fit_temperature(ARK_BINARY, z, missing, 4, 1, &t), ARK_OK);
    assert_true(isnan(t.T));
    const double bad[] = {INFINITY};
    assert_int_equal(ark_fit_temperature(ARK_BINARY, bad, separated, 1, 1, &t), ARK_EINVAL);
    /* Large logits neither overflow nor stop the search. */
    const double big[] = {800, -700, 900, -900}, one_wrong[] = {1, 0, 1, 1};
    assert_int_equal(ark_fit_temperature(ARK_BINARY, big, one_wrong, 4, 1, &t), ARK_OK);
    assert_true(isfinite(t.T) && isfinite(t.nll_after) && t.nll_after <= t.nll_before);
}

static void operating_points(void **state) {
    (void)state;
    static const struct {
        ark_op_rule rule;
        double target;
    } rules[] = {{ARK_OP_YOUDEN, 0}, {ARK_OP_SENSITIVITY, 0.9}, {ARK_OP_SPECIFICITY, 0.8},
        {ARK_OP_PRECISION, 0.75}, {ARK_OP_F1, 0}};
    ark_ranked r;
    ark_operating_point p;
    assert_int_equal(ark_rank(point_score, point_label, COUNT(point_score), &r), ARK_OK);
    for (size_t i = 0; i < COUNT(rules); i++) {
        assert_int_equal(ark_choose_operating_point(&r, rules[i].rule, rules[i].target, &p), ARK_OK);
        assert_null(p.why);
        CLOSE(p.threshold, point_threshold[i], 1e-12);
        ark_at_point at = ark_apply_operating_point(&p, &r, 0.95);
        assert_memory_equal(&at.table, &p.chosen_on, sizeof at.table);
        CLOSE(at.sensitivity.value, (double)at.table.tp / (double)r.positives, 1e-15);
        assert_true(at.sensitivity_ci.low < at.sensitivity.value);
    }
    assert_int_equal(ark_choose_operating_point(&r, ARK_OP_SENSITIVITY, 1.01, &p), ARK_EINVAL);
    ark_ranked_free(&r);
}

static void undefined_points(void **state) {
    (void)state;
    ark_ranked r;
    ark_operating_point p;
    const double s[] = {0.9, 0.4, 0.4}, y[] = {0, 1, 0}, all[] = {1, 1, 1};
    assert_int_equal(ark_rank(s, all, 3, &r), ARK_OK);
    assert_int_equal(ark_choose_operating_point(&r, ARK_OP_YOUDEN, 0, &p), ARK_OK);
    assert_true(isnan(p.threshold));
    assert_string_equal(p.why, "no negative row");
    ark_at_point at = ark_apply_operating_point(&p, &r, 0.95);
    assert_true(isnan(at.sensitivity.value));
    assert_string_equal(at.sensitivity_ci.why, "no negative row");
    ark_ranked_free(&r);

    assert_int_equal(ark_rank(s, y, 3, &r), ARK_OK);
    assert_int_equal(ark_choose_operating_point(&r, ARK_OP_PRECISION, 0.9, &p), ARK_OK);
    assert_string_equal(p.why, "no threshold reaches the target");
    /* Only calling everything positive finds the positive: the threshold is the lowest score itself, and
     * nothing is then called negative. */
    assert_int_equal(ark_choose_operating_point(&r, ARK_OP_SENSITIVITY, 1, &p), ARK_OK);
    assert_true(p.threshold == 0.4);
    at = ark_apply_operating_point(&p, &r, 0.95);
    assert_string_equal(at.npv.why, "no row called negative");
    assert_true(at.specificity.value == 0);
    ark_ranked_free(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(student),
        cmocka_unit_test(welch),
        cmocka_unit_test(holm),
        cmocka_unit_test(wilson),
        cmocka_unit_test(calibration_binary),
        cmocka_unit_test(calibration_multiclass),
        cmocka_unit_test(temperature),
        cmocka_unit_test(operating_points),
        cmocka_unit_test(undefined_points),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
