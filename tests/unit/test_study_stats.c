/* What studies stand on: ROC bands, results per class, intervals, samples, names of findings. Expected
 * values are scikit-learn's, numpy's and scipy's (golden/make_study.py). */
#include "base/alloc.h"
#include "eval/class_result.h"
#include "eval/finding_names.h"
#include "eval/roc_band.h"
#include "eval/shots.h"
#include "eval/significance.h"
#include "golden/study.h"
#include "report/svg.h"
#include "study/subgroups.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <string.h>

#define CLOSE(got, want, tol) assert_true(fabs((got) - (want)) <= (tol))

static ark_eval_table table(void) {
    return (ark_eval_table){.score = study_score, .label = study_label, .n = STUDY_N, .K = 1};
}

/* --- ROC bands --- */

static void curve_equals_sklearn(void **state) {
    (void)state;
    ark_eval_table t = table();
    ark_bootstrap_opts o = {.replicates = 300, .seed = 4, .level = 0.9, .threads = 1};
    static ark_roc_band one, many;
    assert_int_equal(ark_bootstrap_roc(&t, 0, &o, &one), ARK_OK);
    for (size_t i = 0; i < ARK_ROC_BAND_POINTS; i++) {
        CLOSE(one.y[i], study_roc[i], 1e-12);
        assert_true(one.low[i] <= one.high[i] && one.low[i] >= 0 && one.high[i] <= 1);
        assert_true(i == 0 || one.y[i] >= one.y[i - 1]);
    }
    assert_true(one.why == NULL && one.used == 300 && one.high[10] > one.low[10]);
    CLOSE(one.y[100], 1, 0);
    o.threads = 3;
    assert_int_equal(ark_bootstrap_roc(&t, 0, &o, &many), ARK_OK);
    assert_memory_equal(one.low, many.low, sizeof one.low);
    assert_memory_equal(one.high, many.high, sizeof one.high);
}

/* A band of one group per row is that of rows; whole groups drawn together widen it. */
static void bands_draw_groups(void **state) {
    (void)state;
    ark_eval_table t = table();
    uint32_t group[STUDY_N];
    static ark_roc_band rows, singles, pairs;
    for (uint32_t i = 0; i < STUDY_N; i++) {
        group[i] = i;
    }
    ark_bootstrap_opts o = {.replicates = 200, .seed = 4, .level = 0.95, .threads = 2};
    assert_int_equal(ark_bootstrap_roc(&t, 0, &o, &rows), ARK_OK);
    o.group = group;
    o.groups = STUDY_N;
    assert_int_equal(ark_bootstrap_roc(&t, 0, &o, &singles), ARK_OK);
    assert_memory_equal(rows.low, singles.low, sizeof rows.low);
    for (uint32_t i = 0; i < STUDY_N; i++) {
        group[i] = i / 15;
    }
    o.groups = 6;
    assert_int_equal(ark_bootstrap_roc(&t, 0, &o, &pairs), ARK_OK);
    assert_true(memcmp(rows.low, pairs.low, sizeof rows.low) != 0);
    o.groups = 5;
    assert_int_equal(ark_bootstrap_roc(&t, 0, &o, &pairs), ARK_EINVAL);
}

static void one_class_has_no_band(void **state) {
    (void)state;
    double label[STUDY_N] = {0};
    ark_eval_table t = table();
    t.label = label;
    ark_bootstrap_opts o = {.replicates = 10, .seed = 1, .level = 0.95, .threads = 1};
    static ark_roc_band b;
    assert_int_equal(ark_bootstrap_roc(&t, 0, &o, &b), ARK_OK);
    assert_non_null(b.why);
    assert_true(isnan(b.y[0]) && isnan(b.low[50]));
}

/* --- results per class --- */

static void class_results_equal_sklearn(void **state) {
    (void)state;
    ark_eval_table t = table();
    ark_operating_point point = {.threshold = study_threshold};
    ark_class_result r;
    ark_interval ci;
    assert_int_equal(ark_class_results(&t, &point, 0.95, &r), ARK_OK);
    CLOSE(r.delong.auroc.value, study_auroc, 1e-12);
    CLOSE(r.brier.value, study_brier, 1e-12);
    CLOSE(r.at.f1.value, study_f1, 1e-12);
    CLOSE(r.at.mcc.value, study_mcc, 1e-12);
    CLOSE(ark_fnr(&r.at, &ci).value, study_fnr, 1e-12);
    assert_true(ci.low < study_fnr && study_fnr < ci.high);
    CLOSE(ark_fpr(&r.at, &ci).value, study_fpr, 1e-12);
    assert_true(ci.low < study_fpr && study_fpr < ci.high);
    assert_int_equal(ark_class_results(&t, NULL, 0.95, &r), ARK_OK);
    assert_true(isnan(r.at.f1.value) && r.at.f1.why != NULL);
    ark_class_means m = ark_class_results_mean(&r, 1);
    assert_int_equal(m.classes, 1);
    assert_true(isnan(m.f1.value) && m.f1.why != NULL);
}

static void t_interval_equals_scipy(void **state) {
    (void)state;
    ark_interval ci = ark_t_interval(study_values, sizeof study_values / sizeof *study_values, 0.95);
    CLOSE(ci.low, study_t_interval[0], 1e-9);
    CLOSE(ci.high, study_t_interval[1], 1e-9);
    assert_non_null(ark_t_interval(study_values, 1, 0.95).why);
    assert_null(ark_t_interval(study_values, 2, 0.95).why);
}

/* --- samples --- */

enum { ROWS = 200, CLASSES = 3 };

/* Class 0 in half of the rows, class 1 in a tenth, class 2 in three rows; some labels missing. */
static void make_labels(double *y) {
    for (size_t i = 0; i < ROWS; i++) {
        y[i * CLASSES] = i % 2;
        y[i * CLASSES + 1] = i % 10 == 3 ? 1 : i % 13 == 0 ? NAN : 0;
        y[i * CLASSES + 2] = i == 17 || i == 80 || i == 150;
    }
}

static size_t positives(const double *y, const uint32_t *rows, size_t n, size_t k) {
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        count += y[rows[i] * CLASSES + k] == 1;
    }
    return count;
}

static void orders_are_stratified(void **state) {
    (void)state;
    double y[ROWS * CLASSES];
    uint32_t order[ROWS], again[ROWS], other[ROWS];
    bool seen[ROWS] = {0};
    make_labels(y);
    ark_labelled t = {.label = y, .n = ROWS, .K = CLASSES};
    for (uint32_t repeat = 0; repeat < 5; repeat++) {
        assert_int_equal(ark_shots_order(&t, ARK_READOUT_MULTILABEL, 9, repeat, order), ARK_OK);
        for (size_t k = 0; k < CLASSES; k++) { /* six strata: all of them within the first six rows */
            assert_true(positives(y, order, 6, k) >= 1);
            assert_true(positives(y, order, 6, k) < 6);
        }
        for (size_t n = 20; n < ROWS; n += 20) { /* shares follow the split's */
            assert_true(fabs((double)positives(y, order, n, 0) - 0.5 * (double)n) <= 3);
            assert_true(fabs((double)positives(y, order, n, 1) - 0.1 * (double)n) <= 3);
        }
    }
    for (size_t i = 0; i < ROWS; i++) {
        assert_false(seen[order[i]]);
        seen[order[i]] = true;
    }
    assert_int_equal(ark_shots_order(&t, ARK_READOUT_MULTILABEL, 9, 4, again), ARK_OK);
    assert_memory_equal(order, again, sizeof order);
    assert_int_equal(ark_shots_order(&t, ARK_READOUT_MULTILABEL, 9, 5, other), ARK_OK);
    assert_true(memcmp(order, other, sizeof order) != 0);
}

static void exclusive_classes_take_turns(void **state) {
    (void)state;
    double y[ROWS * CLASSES] = {0};
    uint32_t order[ROWS];
    for (size_t i = 0; i < ROWS; i++) { /* 100, 60 and 40 rows; the last ten have no class */
        size_t k = i < 100 ? 0 : i < 160 ? 1 : 2;
        y[i * CLASSES + k] = 1;
        for (size_t c = 0; c < CLASSES && i >= 190; c++) {
            y[i * CLASSES + c] = NAN;
        }
    }
    ark_labelled t = {.label = y, .n = ROWS, .K = CLASSES};
    assert_int_equal(ark_shots_order(&t, ARK_READOUT_MULTICLASS, 1, 0, order), ARK_OK);
    for (size_t k = 0; k < CLASSES; k++) {
        assert_int_equal(positives(y, order, 3, k), 1);
    }
    assert_true(positives(y, order, 19, 0) >= 9 && positives(y, order, 19, 2) >= 2);
    for (size_t i = 190; i < ROWS; i++) { /* rows without a class come last */
        assert_true(order[i] >= 190);
    }
}

static void shots_per_class(void **state) {
    (void)state;
    double y[ROWS * CLASSES];
    uint32_t five[ROWS], ten[ROWS];
    size_t n5, n10, lacking[CLASSES];
    make_labels(y);
    ark_labelled t = {.label = y, .n = ROWS, .K = CLASSES};
    assert_int_equal(ark_shots_per_class(&t, 5, 2, 1, five, &n5, lacking), ARK_OK);
    assert_true(positives(y, five, n5, 0) >= 5 && positives(y, five, n5, 1) >= 5);
    assert_int_equal(positives(y, five, n5, 2), 3);
    assert_true(lacking[0] == 0 && lacking[1] == 0 && lacking[2] == 2);
    assert_int_equal(ark_shots_per_class(&t, 10, 2, 1, ten, &n10, NULL), ARK_OK);
    for (size_t i = 0, j = 0; i < n5; i++) { /* both ascending: five is within ten */
        while (j < n10 && ten[j] < five[i]) {
            j++;
        }
        assert_true(j < n10 && ten[j] == five[i]);
    }
    assert_true(n10 > n5);
}

static void samples_leak_nothing(void **state) {
    (void)state;
    double y[ROWS * CLASSES];
    uint32_t order[ROWS];
    make_labels(y);
    ark_labelled t = {.label = y, .n = ROWS, .K = CLASSES};
    uint64_t live = ark_alloc_get_stats().live_bytes;
    ark_status st = ARK_ENOMEM;
    for (uint64_t nth = 1; st != ARK_OK; nth++) {
        size_t n;
        assert_true(nth < 50);
        ark_alloc_fail_after(nth);
        st = ark_shots_order(&t, ARK_READOUT_MULTILABEL, 9, 0, order);
        st = st ? st : ark_shots_per_class(&t, 5, 2, 1, order, &n, NULL);
        ark_alloc_fail_after(0);
        assert_true(st == ARK_OK || st == ARK_ENOMEM);
        assert_int_equal(ark_alloc_get_stats().live_bytes, live);
    }
}

/* --- names --- */

static void names_of_findings(void **state) {
    (void)state;
    static const char *const same[][2] = {{"Pleural_Thickening", "pleural thickening"},
        {"Effusion", "Pleural Effusion"}, {"PE", "Effusion"}, {"TB", "Tuberculosis"},
        {"No Finding", "No_Finding"}, {"Normal", "No finding"}, {"Edema", "pulmonary_edema"},
        {"COVID-19", "covid"}, {"thickened_pleura", "Pleural_Thickening"},
        {"Kardio-Megalie", "kardio megalie"}};
    static const char *const other[][2] = {{"Mass", "Nodule"}, {"Lung Opacity", "Pneumonia"},
        {"No Lung Opacity/Not Normal", "Normal"}, {"Cardiomegaly", "Enlarged Cardiomediastinum"}, {"", "-"},
        {"Pneumonia", "Pneumothorax"}};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        assert_true(ark_same_finding(same[i][0], same[i][1]) && ark_same_finding(same[i][1], same[i][0]));
    }
    for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
        assert_false(ark_same_finding(other[i][0], other[i][1]));
    }
    static const char *const names[] = {"Edema", "Pleural Effusion", "Pneumothorax", "Pneumonia"};
    assert_int_equal(ark_nearest_finding("pneumotorax", names, 4), 2);
    assert_int_equal(ark_nearest_finding("Pleural_fusion", names, 4), 1);
    assert_int_equal(ark_nearest_finding("oedemas", names, 4), 0);
    assert_int_equal(ark_nearest_finding("gallstone", names, 4), 4);
    assert_int_equal(ark_nearest_finding("anything", names, 0), 0);
}

/* --- box plots --- */

static void boxes_are_drawn(void **state) {
    (void)state;
    static const char *const category[] = {"it's one", "two"};
    static const double far[] = {0.1, 0.11, 0.12, 0.13, 0.9};
    ark_box box[] = {{study_values, 11}, {far, 5}, {NULL, 0}, {study_values, 1}};
    ark_box_series series[] = {{"women", box}, {"men", box + 2}};
    ark_axes axes = {.title = "t", .y_label = "AUROC"};
    ark_svg svg = {0};
    assert_int_equal(ark_svg_boxes(&axes, category, 2, series, 2, &svg), ARK_OK);
    if (svg.why && strstr(svg.why, "not installed")) {
        ark_svg_free(&svg);
        skip();
    }
    assert_null(svg.why);
    assert_non_null(strstr(svg.text, "women"));
    assert_non_null(strstr(svg.text, "it's one"));
    ark_svg_free(&svg);
    static const double bad[] = {0.5, NAN};
    box[0] = (ark_box){bad, 2};
    assert_int_equal(ark_svg_boxes(&axes, category, 2, series, 2, &svg), ARK_EINVAL);
    assert_non_null(strstr(ark_err_msg(), "'women', category 0, value 1"));
    box[0].n = box[1].n = box[3].n = 0;
    assert_int_equal(ark_svg_boxes(&axes, category, 2, series, 2, &svg), ARK_OK);
    assert_non_null(svg.why);
    ark_svg_free(&svg);
}

/* A band is drawn with its curve; one that does not exist is left out. */
static void bands_are_drawn(void **state) {
    (void)state;
    ark_eval_table t = table();
    ark_bootstrap_opts o = {.replicates = 50, .seed = 4, .level = 0.95, .threads = 1};
    static ark_roc_band band;
    double x[] = {0, 1}, y[] = {0, 1};
    assert_int_equal(ark_bootstrap_roc(&t, 0, &o, &band), ARK_OK);
    ark_roc_series s = {.name = "model", .curve = {2, x, y}, .ci = {.why = "none"}};
    ark_axes axes = {.title = "t"};
    ark_svg without = {0}, with = {0}, none = {0};
    assert_int_equal(ark_svg_roc(&axes, &s, 1, &without), ARK_OK);
    s.band = &band;
    assert_int_equal(ark_svg_roc(&axes, &s, 1, &with), ARK_OK);
    band.why = "no";
    assert_int_equal(ark_svg_roc(&axes, &s, 1, &none), ARK_OK);
    bool drawn = without.text != NULL;
    if (drawn) {
        assert_true(with.text && with.len > without.len + 500);
        assert_int_equal(none.len, without.len);
    }
    ark_svg_free(&without);
    ark_svg_free(&with);
    ark_svg_free(&none);
    if (!drawn) {
        skip();
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(curve_equals_sklearn),
        cmocka_unit_test(bands_draw_groups),
        cmocka_unit_test(one_class_has_no_band),
        cmocka_unit_test(class_results_equal_sklearn),
        cmocka_unit_test(t_interval_equals_scipy),
        cmocka_unit_test(orders_are_stratified),
        cmocka_unit_test(exclusive_classes_take_turns),
        cmocka_unit_test(shots_per_class),
        cmocka_unit_test(samples_leak_nothing),
        cmocka_unit_test(names_of_findings),
        cmocka_unit_test(boxes_are_drawn),
        cmocka_unit_test(bands_are_drawn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
