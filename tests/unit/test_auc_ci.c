/* DeLong against its O(mn) definition and the bootstrap against numpy's (golden/make_stats.py). */
#include "base/alloc.h"
#include "eval/auc_ci.h"
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
#define CLOSE(got, want, tol) assert_true(fabs((got) - (want)) <= (tol))

enum { ROWS = COUNT(pair_a) };

static const ark_eval_table table_a = {.score = pair_a, .label = pair_label, .n = ROWS, .K = 1};
static const ark_eval_table table_b = {.score = pair_b, .label = pair_label, .n = ROWS, .K = 1};

static void normal_quantile(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(quantile_p); i++) {
        CLOSE(ark_normal_quantile(quantile_p[i]), quantile_z[i], 1e-12 * (1 + fabs(quantile_z[i])));
    }
    for (size_t i = 0; i < COUNT(sample_q); i++) {
        NEAR(ark_quantile_sorted(sample_sorted, COUNT(sample_sorted), sample_q[i]), sample_quantile[i]);
    }
}

static void delong_interval(void **state) {
    (void)state;
    ark_ranked r;
    ark_delong d;
    assert_int_equal(ark_rank(pair_a, pair_label, ROWS, &r), ARK_OK);
    assert_int_equal(ark_delong_ci(&r, 0.95, &d), ARK_OK);
    NEAR(d.auroc.value, pair_auroc_a);
    NEAR(d.variance, pair_variance_a);
    NEAR(d.ci.low, pair_low95_a);
    NEAR(d.ci.high, pair_high95_a);
    assert_null(d.ci.why);
    assert_int_equal(ark_delong_ci(&r, 1.0, &d), ARK_EINVAL);
    ark_ranked_free(&r);
    assert_int_equal(ark_rank(pair_b, pair_label, ROWS, &r), ARK_OK);
    assert_int_equal(ark_delong_ci(&r, 0.90, &d), ARK_OK);
    NEAR(d.ci.low, pair_low90_b);
    NEAR(d.ci.high, pair_high90_b);
    ark_ranked_free(&r);
}

static void delong_test(void **state) {
    (void)state;
    ark_delong_pair p;
    assert_int_equal(ark_delong_paired(pair_a, pair_b, pair_label, ROWS, 0.95, &p), ARK_OK);
    NEAR(p.auroc[0].value, pair_auroc_a);
    NEAR(p.auroc[1].value, pair_auroc_b);
    NEAR(p.se, pair_se);
    CLOSE(p.z, pair_z, 1e-10);
    NEAR(p.p, pair_p);
    assert_true(p.ci.low < p.difference && p.difference < p.ci.high);
    assert_int_equal(ark_delong_paired(pair_a, pair_a, pair_label, ROWS, 0.95, &p), ARK_OK);
    assert_true(p.difference == 0 && p.z == 0 && p.p == 1);
}

static void too_few_rows_and_clipping(void **state) {
    (void)state;
    static const double score[] = {0.1, 0.9, 0.8, 0.85, 0.7}, one[] = {0, 1, 0, 0, 0},
                        two[] = {0, 1, 0, 1, 1};
    ark_ranked r;
    ark_delong d;
    assert_int_equal(ark_rank(score, one, 5, &r), ARK_OK);
    assert_int_equal(ark_delong_ci(&r, 0.95, &d), ARK_OK);
    assert_true(d.auroc.value == 1);
    assert_string_equal(d.ci.why, "a single positive row");
    assert_true(isnan(d.ci.low) && isnan(d.variance));
    ark_ranked_free(&r);
    assert_int_equal(ark_rank(score, two, 5, &r), ARK_OK);
    assert_int_equal(ark_delong_ci(&r, 0.95, &d), ARK_OK);
    assert_true(d.ci.high == 1 && d.ci.low >= 0);
    ark_ranked_free(&r);
    ark_delong_pair p;
    assert_int_equal(ark_delong_paired(score, score, one, 5, 0.95, &p), ARK_OK);
    assert_true(p.ci.why && isnan(p.p));
}

/* 5000 of our resamples against 40000 of numpy's: the Monte-Carlo error of a limit is about 0.0006. */
static void bootstrap_agrees_with_numpy(void **state) {
    (void)state;
    ark_bootstrap_opts o = {.replicates = 5000, .seed = 1, .level = 0.95, .threads = 2};
    ark_boot_macro m;
    ark_boot_stat auroc, ap;
    assert_int_equal(ark_bootstrap_table(&table_a, &o, &auroc, &ap, &m), ARK_OK);
    NEAR(auroc.estimate.value, pair_auroc_a);
    NEAR(ap.estimate.value, pair_ap_a);
    CLOSE(auroc.ci.low, pair_boot95_a[0], 0.003);
    CLOSE(auroc.ci.high, pair_boot95_a[1], 0.003);
    assert_int_equal(auroc.used, 5000);
    assert_true(m.classes == 1 && m.auroc.ci.low == auroc.ci.low && m.ap.ci.high == ap.ci.high);

    ark_boot_pair p;
    assert_int_equal(ark_bootstrap_paired(&table_a, &table_b, &o, &p), ARK_OK);
    NEAR(p.difference.estimate.value, pair_auroc_a - pair_auroc_b);
    CLOSE(p.difference.ci.low, pair_boot95_diff[0], 0.003);
    CLOSE(p.difference.ci.high, pair_boot95_diff[1], 0.003);
    CLOSE(p.p, pair_p, 0.02);
    assert_int_equal(ark_bootstrap_paired(&table_a, &table_a, &o, &p), ARK_OK);
    assert_true(p.difference.ci.low == 0 && p.difference.ci.high == 0 && p.p == 1);

    uint32_t group[ROWS];
    for (uint32_t i = 0; i < ROWS; i++) {
        group[i] = i / 3;
    }
    o.group = group;
    o.groups = ROWS / 3;
    assert_int_equal(ark_bootstrap_table(&table_a, &o, &auroc, NULL, &m), ARK_OK);
    CLOSE(auroc.ci.low, pair_boot95_grouped[0], 0.003);
    CLOSE(auroc.ci.high, pair_boot95_grouped[1], 0.003);
    group[5] = ROWS;
    assert_int_equal(ark_bootstrap_table(&table_a, &o, NULL, NULL, &m), ARK_EINVAL);
    assert_non_null(strstr(ark_err_msg(), "row 5"));
}

static void bootstrap_ignores_thread_count(void **state) {
    (void)state;
    ark_eval_table t = {.score = table_score, .label = table_label, .n = 60, .K = 4};
    ark_bootstrap_opts o = {.replicates = 500, .seed = 7, .level = 0.9, .threads = 1};
    ark_boot_stat one[8], many[8];
    ark_boot_macro m1, m3;
    assert_int_equal(ark_bootstrap_table(&t, &o, one, one + 4, &m1), ARK_OK);
    o.threads = 3;
    assert_int_equal(ark_bootstrap_table(&t, &o, many, many + 4, &m3), ARK_OK);
    for (size_t i = 0; i < 8; i++) {
        assert_memory_equal(&one[i].ci, &many[i].ci, sizeof one[i].ci);
        assert_int_equal(one[i].used, many[i].used);
    }
    assert_memory_equal(&m1.auroc.ci, &m3.auroc.ci, sizeof m1.auroc.ci);
    o.seed = 8;
    assert_int_equal(ark_bootstrap_table(&t, &o, many, many + 4, &m3), ARK_OK);
    assert_true(m1.auroc.ci.low != m3.auroc.ci.low);
}

/* Class 2 has no positive; class 3 has two of 60, so a resample loses them with probability
 * (58/60)^60 = 0.131, and such resamples leave the mean. */
static void lost_classes_are_counted(void **state) {
    (void)state;
    ark_eval_table t = {.score = table_score, .label = table_label, .n = 60, .K = 4};
    ark_bootstrap_opts o = {.replicates = 4000, .seed = 3, .level = 0.95};
    ark_boot_stat auroc[4];
    ark_boot_macro m;
    assert_int_equal(ark_bootstrap_table(&t, &o, auroc, NULL, &m), ARK_OK);
    assert_string_equal(auroc[2].ci.why, "no positive row");
    assert_int_equal(auroc[2].used, 0);
    assert_int_equal(auroc[0].used, 4000);
    CLOSE((double)auroc[3].used / 4000, 1 - 0.131, 0.02);
    assert_int_equal(m.classes, 3);
    assert_int_equal(m.auroc.used, auroc[3].used);
    NEAR(m.auroc.estimate.value, (table_auroc[0] + table_auroc[1] + table_auroc[2]) / 3);
    assert_true(m.auroc.ci.low < m.auroc.estimate.value && m.auroc.estimate.value < m.auroc.ci.high);
}

static void out_of_memory_leaks_nothing(void **state) {
    (void)state;
    ark_bootstrap_opts o = {.replicates = 10, .seed = 1, .level = 0.95, .threads = 1};
    ark_boot_pair p;
    uint64_t live = ark_alloc_get_stats().live_bytes;
    ark_status st = ARK_ENOMEM;
    for (uint64_t nth = 1; st != ARK_OK; nth++) {
        assert_true(nth < 100);
        ark_alloc_fail_after(nth);
        st = ark_bootstrap_paired(&table_a, &table_b, &o, &p);
        ark_alloc_fail_after(0);
        assert_true(st == ARK_OK || st == ARK_ENOMEM);
        assert_int_equal(ark_alloc_get_stats().live_bytes, live);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(normal_quantile),
        cmocka_unit_test(delong_interval),
        cmocka_unit_test(delong_test),
        cmocka_unit_test(too_few_rows_and_clipping),
        cmocka_unit_test(bootstrap_agrees_with_numpy),
        cmocka_unit_test(bootstrap_ignores_thread_count),
        cmocka_unit_test(lost_classes_are_counted),
        cmocka_unit_test(out_of_memory_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
