/* Operating points and temperature that travel with a model: choosing, text and back, what is refused,
 * tempering; and the report on a split beside the functions it is made of. */
#include "base/alloc.h"
#include "common/check.h"
#include "eval/decisions.h"
#include "eval/split_report.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N = 8, K = 2 };

static char *names[] = {"mass", "edema, \"mild\""};
static ark_head head = {.dataset = "ward", .task = ARK_MULTILABEL, .n_classes = K, .classes = names};

/* mass: perfectly ordered but for one; edema: no positive row. */
static float prob[N * K] = {.9f, .1f, .8f, .2f, .7f, .3f, .6f, .1f, .4f, .2f, .3f, .1f, .2f, .2f, .1f, .4f};
static float label[N * K] = {1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0};
static float mask[N * K] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0};
static uint32_t sample[N] = {0, 1, 2, 3, 4, 5, 6, 7};

static ark_scores scores(void) {
    return (ark_scores){
        .n = N, .k = K, .prob = prob, .label = label, .mask = mask, .sample = sample, .loss = 0.5};
}

static ark_decisions chosen(void) {
    ark_decisions d = {
        .n_rules = 2, .rules = {{.rule = ARK_OP_YOUDEN}, {.rule = ARK_OP_SENSITIVITY, .target = 0.6}}};
    ark_scores s = scores();
    must(ark_decisions_choose(&d, &head, ARK_SEEN_CENTRE, &s));
    return d;
}

static void points_by_hand(void **state) {
    (void)state;
    ark_decisions d = chosen();
    const ark_decision_set *s = ark_decisions_for(&d, ARK_SEEN_CENTRE);
    assert_null(ark_decisions_for(&d, ARK_SEEN_PLAIN));
    assert_non_null(s);
    /* >= 0.6 finds all 3 positives with one of 5 negatives; two of three (0.67 >= 0.6) are reached at 0.8. */
    assert_true(fabs(s->classes[0].at[0].threshold - 0.5) < 1e-6);
    assert_true(fabs(s->classes[0].at[1].threshold - 0.75) < 1e-6);
    assert_int_equal(s->classes[0].at[0].chosen_on.fp, 1);
    assert_int_equal(s->classes[0].positives, 3);
    assert_int_equal(s->classes[1].n, N - 1);
    assert_true(isnan(s->classes[1].at[0].threshold));
    assert_non_null(s->classes[1].at[0].why);
    ark_decisions_free(&d);
}

static void text_and_back(void **state) {
    (void)state;
    ark_decisions d = chosen(), back;
    char *text, *again;
    must(ark_decisions_text(&d, &head, &text));
    must(ark_decisions_parse(text, "f", &head, &back));
    must(ark_decisions_text(&back, &head, &again));
    assert_int_equal(back.n_sets, 1);
    assert_true(back.sets[0].temperature == d.sets[0].temperature);
    assert_true(back.sets[0].classes[0].at[1].threshold == d.sets[0].classes[0].at[1].threshold);
    assert_true(back.rules[1].target == 0.6);
    assert_true(isnan(back.sets[0].classes[1].at[0].threshold));
    ark_decisions_free(&back);
    head.dataset = "clinic"; /* the text speaks of another head */
    must(ark_decisions_parse(text, "f", &head, &back));
    assert_int_equal(back.n_sets, 0);
    must(ark_decisions_parse(NULL, "f", &head, &back));
    assert_int_equal(back.n_sets, 0);
    head.dataset = "ward";
    ark_decisions_free(&d);
    ark_free(text);
    ark_free(again);
}

/* Replaces the first `from` by `to` in good text; parsing must name the file and say `why`. */
static void refuse(const char *from, const char *to, const char *why) {
    ark_decisions d = chosen(), out = {.k = 77};
    char *text, bad[4096];
    must(ark_decisions_text(&d, &head, &text));
    const char *at = strstr(text, from);
    require(at != NULL, "no %s in %s", from, text);
    snprintf(bad, sizeof bad, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    assert_int_equal(ark_decisions_parse(bad, "w.safetensors", &head, &out), ARK_EFORMAT);
    require(strstr(ark_err_msg(), "w.safetensors") && strstr(ark_err_msg(), why), "%s", ark_err_msg());
    assert_int_equal(out.k, 77);
    ark_decisions_free(&d);
    ark_free(text);
}

static void bad_text_is_refused(void **state) {
    (void)state;
    refuse("{\"heads\"", "{\"heads", "operating_points");
    refuse("{\"heads\"", "{\"head\"", "list of heads");
    refuse("\"youden\"", "\"younden\"", "unknown rule");
    refuse("\"target\":0.", "\"target\":6.", "target");
    refuse("\"centre\"", "\"side\"", "views");
    refuse("\"temperature\":", "\"temperature\":-1,\"t\":", "temperature");
    refuse("\"mass\"", "\"masses\"", "class masses where the head has mass");
    refuse("\"threshold\":", "\"threshold\":\"x\",\"t\":", "threshold");
    refuse("\"tp\":", "\"tp\":-", "threshold or count");
    refuse("\"positives\":3", "\"positives\":\"3\"", "positives");
    ark_decisions out, d = chosen();
    char *text;
    must(ark_decisions_text(&d, &head, &text));
    head.n_classes = 1;
    assert_int_equal(ark_decisions_parse(text, "f", &head, &out), ARK_EFORMAT);
    head.n_classes = K;
    ark_decisions_free(&d);
    ark_free(text);
}

/* sigmoid(logit(p) / T): 0.8 has logit ln 4; half of it is ln 2, probability 2/3. Softmax: p^(1/T),
 * normalised. */
static void tempering(void **state) {
    (void)state;
    const float p[4] = {0.8f, 0.5f, 0, 1};
    float out[4];
    ark_temper(ARK_MULTILABEL, 2, p, 2, 2, out);
    assert_true(fabsf(out[0] - 2 / 3.0f) < 1e-6f && out[1] == 0.5f);
    assert_true(isfinite(out[2]) && out[2] > 0 && out[2] < 1e-15f && out[3] > 0.999f && out[3] < 1);
    ark_temper(ARK_MULTILABEL, 1, p, 2, 2, out);
    assert_true(fabsf(out[0] - p[0]) < 1e-6f);
    const float q[3] = {0.64f, 0.32f, 0.04f}; /* roots 0.8, 0.565685, 0.2 */
    ark_temper(ARK_MULTICLASS, 2, q, 1, 3, out);
    assert_true(fabsf(out[0] - 0.8f / 1.5656854f) < 1e-6f && fabsf(out[2] - 0.2f / 1.5656854f) < 1e-6f);
    ark_temper(ARK_MULTICLASS, NAN, q, 1, 3, out);
    assert_true(isnan(out[0]));
}

static void nan_scores_are_named(void **state) {
    (void)state;
    ark_decisions d = {.n_rules = 1, .rules = {{.rule = ARK_OP_YOUDEN}}};
    ark_scores s = scores();
    ark_split_report r;
    ark_report_opts o = {.level = 0.95};
    uint32_t patient[N] = {0};
    ark_dataset data = {.n = N, .patient = patient};
    float keep = prob[4];
    prob[4] = NAN; /* row 2 of mass */
    assert_int_equal(ark_decisions_choose(&d, &head, ARK_SEEN_CENTRE, &s), ARK_EINVAL);
    assert_int_equal(ark_split_report_make(&s, &head, &data, &d, NULL, &o, &r), ARK_EINVAL);
    require(strstr(ark_err_msg(), "mass") && strstr(ark_err_msg(), "2"), "%s", ark_err_msg());
    prob[4] = keep;
    ark_decisions_free(&d);
}

static void report_by_parts(void **state) {
    (void)state;
    ark_decisions d = chosen();
    ark_scores s = scores();
    uint32_t patient[N] = {5, 5, 1, 1, 2, 2, 9, 9};
    ark_dataset data = {.n = N, .patient = patient};
    ark_report_opts o = {.replicates = 200, .level = 0.95, .threads = 1};
    ark_split_report r, plain;
    must(ark_split_report_make(&s, &head, &data, &d, &d.sets[0], &o, &r));
    assert_int_equal(r.patients, 4);
    assert_int_equal(r.defined, 1);
    assert_true(fabs(r.classes[0].auroc.value - 14 / 15.0) < 1e-12); /* one of 15 pairs the wrong way round */
    assert_non_null(r.classes[1].auroc.why);
    assert_true(r.classes[0].at[0].sensitivity.value == 1 && r.classes[0].at[0].specificity.value == 0.8);
    assert_true(r.macro[0].classes == 1 && r.macro[0].f1 == r.classes[0].at[0].f1.value);
    assert_true(fabs(r.classes[0].at[0].f1.value - 6 / 7.0) < 1e-12);
    assert_non_null(r.classes[1].at[0].accuracy.why);
    double brier = 0; /* of mass, in double from the same floats */
    for (int i = 0; i < N; i++) {
        double e = (double)prob[i * K] - (double)label[i * K];
        brier += e * e / N;
    }
    assert_true(fabs(r.classes[0].brier.value - brier) < 1e-12);
    assert_true(!r.classes[0].auroc_ci.why && r.classes[0].auroc_ci.low <= r.classes[0].auroc.value);
    must(ark_split_report_make(&s, &head, &data, &d, NULL, &o, &plain));
    assert_int_equal(plain.n_rules, 0);
    assert_non_null(plain.ece_calibrated.why);
    json_t *j = ark_split_report_json(&r);
    assert_non_null(j);
    assert_true(json_is_null(json_object_get(json_array_get(json_object_get(j, "classes"), 1), "auroc")));
    json_decref(j);
    ark_split_report_free(&r);
    ark_split_report_free(&plain);
    ark_decisions_free(&d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(points_by_hand),
        cmocka_unit_test(text_and_back),
        cmocka_unit_test(bad_text_is_refused),
        cmocka_unit_test(tempering),
        cmocka_unit_test(nan_scores_are_named),
        cmocka_unit_test(report_by_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
