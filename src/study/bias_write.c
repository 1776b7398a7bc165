#include "base/alloc.h"
#include "base/err.h"
#include "base/file.h"
#include "study/bias_impl.h"
#include "study/bias_report.h"
#include "study/json.h"

#include <math.h>

static const char *const *classes_of(const ark__bias *b) {
    return (const char *const *)b->in.data->classes;
}

/* --- JSON --- */

static json_t *rate_json(ark_metric m, const ark_interval *ci) {
    json_t *o = json_object();
    ark_json_metric(o, "value", m);
    json_object_set_new(o, "ci", ark_json_interval(ci));
    return o;
}

static json_t *group_json(const ark__bias *b, const ark_subgroup *g) {
    json_t *o = json_object(), *classes = json_array();
    json_object_set_new(o, "attribute", json_string(g->attribute));
    json_object_set_new(o, "group", json_string(g->name));
    json_object_set_new(o, "n", json_integer((json_int_t)g->n));
    json_object_set_new(o, "patients", json_integer((json_int_t)g->patients));
    for (size_t k = 0; k < b->K; k++) {
        ark_interval fnr_ci, fpr_ci;
        ark_metric fnr = ark_fnr(&g->r[k].at, &fnr_ci), fpr = ark_fpr(&g->r[k].at, &fpr_ci);
        json_t *c = ark_json_class(classes_of(b)[k], &g->r[k], &b->points[k]);
        json_object_set_new(c, "fnr", rate_json(fnr, &fnr_ci));
        json_object_set_new(c, "fpr", rate_json(fpr, &fpr_ci));
        json_array_append_new(classes, c);
    }
    json_object_set_new(o, "classes", classes);
    return o;
}

static json_t *test_json(const ark__bias *b, size_t measure, size_t sex, size_t k) {
    const ark__sex_test *t = ark__bias_test(b, measure, sex, k);
    json_t *o = json_object();
    json_object_set_new(o, "finding", ark_json_text(classes_of(b)[k]));
    json_object_set_new(o, "measure", json_string(ark__measure_names[measure]));
    json_object_set_new(o, "test_sex", json_string(ark__sex_names[sex]));
    json_object_set_new(o, "mean_least_men", ark_json_number(t->welch.mean[0]));
    json_object_set_new(o, "mean_most_men", ark_json_number(t->welch.mean[1]));
    json_object_set_new(o, "difference", ark_json_number(t->welch.difference));
    json_object_set_new(o, "ci", ark_json_interval(&t->welch.ci));
    json_object_set_new(o, "p", ark_json_number(t->welch.p));
    json_object_set_new(o, "p_holm", ark_json_number(t->holm));
    json_object_set_new(o, "biased", json_boolean(ark__bias_found(b, measure, sex, k)));
    if (t->welch.why) {
        json_object_set_new(o, "p_undefined", json_string(t->welch.why));
    }
    return o;
}

static json_t *design_json(const ark__bias *b) {
    json_t *o = json_object();
    if (b->why_not) {
        json_object_set_new(o, "left_out", json_string(b->why_not));
        return o;
    }
    json_t *shares = json_array(), *tests = json_array();
    for (size_t i = 0; i < b->shares; i++) {
        json_array_append_new(shares, json_real(b->share[i]));
    }
    for (size_t m = 0; m < ARK__MEASURES; m++) {
        for (size_t s = 0; s < ARK__SEXES; s++) {
            for (size_t k = 0; k < b->K; k++) {
                json_array_append_new(tests, test_json(b, m, s, k));
            }
        }
    }
    json_object_set_new(o, "male_percent", shares);
    json_object_set_new(o, "train_rows", json_integer((json_int_t)b->rows));
    json_object_set_new(o, "repeats", json_integer((json_int_t)b->repeats));
    for (size_t s = 0; s < ARK__SEXES; s++) {
        json_object_set_new(o, s ? "men" : "women",
            json_pack("{s:I,s:I}", "train", (json_int_t)b->available[s], "test", (json_int_t)b->tested[s]));
    }
    json_object_set_new(o, "tests", tests);
    return o;
}

static json_t *all_json(const ark__bias *b) {
    json_t *o = ark_study_json(b->job, &b->in), *groups = json_array();
    for (size_t i = 0; i < b->groups.n; i++) {
        json_array_append_new(groups, group_json(b, &b->groups.items[i]));
    }
    json_object_set_new(o, "C", ark_json_number(b->r.C[b->r.best]));
    json_object_set_new(o, "subgroups", groups);
    json_object_set_new(o, "design", design_json(b));
    return o;
}

/* --- CSV --- */

static ark_status write_subgroups(const ark__bias *b, const char *path) {
    ark_writer w;
    ARK_TRY(ark_writer_open(&w, path));
    ark_writer_printf(&w,
        "attribute,group,class,n,positives,auroc,auroc_low,auroc_high,fnr,fnr_low,fnr_high,fpr,"
        "fpr_low,fpr_high,threshold,undefined\n");
    for (size_t i = 0; i < b->groups.n * b->K; i++) {
        const ark_subgroup *g = &b->groups.items[i / b->K];
        size_t k = i % b->K;
        const ark_class_result *r = &g->r[k];
        ark_interval fnr_ci, fpr_ci;
        ark_metric fnr = ark_fnr(&r->at, &fnr_ci), fpr = ark_fpr(&r->at, &fpr_ci);
        double v[] = {r->delong.auroc.value, r->delong.ci.low, r->delong.ci.high, fnr.value, fnr_ci.low,
            fnr_ci.high, fpr.value, fpr_ci.low, fpr_ci.high, b->points[k].threshold};
        ark_writer_printf(&w, "%s,%s,", g->attribute, g->name);
        ark_csv_put(&w, classes_of(b)[k]);
        ark_writer_printf(&w, ",%zu,%zu", r->n, r->positives);
        for (size_t j = 0; j < sizeof v / sizeof *v; j++) {
            ark_writer_put(&w, ",", 1);
            ark_csv_put_number(&w, v[j]);
        }
        ark_writer_put(&w, ",", 1);
        ark_csv_put(&w, r->delong.auroc.why ? r->delong.auroc.why : "");
        ark_writer_put(&w, "\n", 1);
    }
    return ark_writer_commit(&w);
}

static ark_status write_design(const ark__bias *b, const char *path) {
    ark_writer w;
    ARK_TRY(ark_writer_open(&w, path));
    ark_writer_printf(&w, "male_percent,repeat,test_sex,class,auroc,fnr\n");
    for (size_t i = 0; i < b->shares * b->repeats * ARK__SEXES * b->K && !b->why_not; i++) {
        size_t k = i % b->K, sex = i / b->K % ARK__SEXES, repeat = i / b->K / ARK__SEXES % b->repeats;
        size_t share = i / b->K / ARK__SEXES / b->repeats;
        ark_writer_printf(&w, "%g,%zu,%s,", b->share[share], repeat, ark__sex_names[sex]);
        ark_csv_put(&w, classes_of(b)[k]);
        for (size_t m = 0; m < ARK__MEASURES; m++) {
            ark_writer_put(&w, ",", 1);
            ark_csv_put_number(&w, b->value[ark__bias_at(b, share, repeat, sex, k, m)]);
        }
        ark_writer_put(&w, "\n", 1);
    }
    return ark_writer_commit(&w);
}

ark_status ark__bias_write(const ark__bias *b, json_t **result) {
    char path[4400];
    json_t *o = all_json(b);
    ark_status st = ark_study_results(b->job, o);
    st = st ? st : write_subgroups(b, ark_study_path(b->job, "subgroups.csv", path));
    st = st ? st : write_design(b, ark_study_path(b->job, "design.csv", path));
    st = st ? st : ark__bias_report(b, ark_study_path(b->job, "report.html", path));
    if (st != ARK_OK) {
        json_decref(o);
        return st;
    }
    *result = o;
    return ARK_OK;
}
