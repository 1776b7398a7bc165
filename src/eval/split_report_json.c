/* A report on a split as JSON: what result files and `eval --json` hold. */
#include "eval/split_report.h"

#include <math.h>

static json_t *number(double v) {
    return isfinite(v) ? json_real(v) : json_null();
}

static json_t *interval(ark_interval ci) {
    return ci.why ? json_null() : json_pack("[f,f]", ci.low, ci.high);
}

static void put(json_t *o, const char *key, ark_metric m) {
    json_object_set_new(o, key, number(m.value));
}

static json_t *rule_json(const ark_decision_rule *r) {
    json_t *o = json_pack("{s:s}", "rule", ark_op_rule_name(r->rule));
    if (r->target > 0) {
        json_object_set_new(o, "target", json_real(r->target));
    }
    return o;
}

static json_t *point_json(
    const ark_decision_rule *rule, const ark_operating_point *p, const ark_at_point *a) {
    json_t *o = rule_json(rule);
    json_object_set_new(o, "threshold", number(p->threshold));
    if (a->accuracy.why) {
        json_object_set_new(o, "undefined", json_string(a->accuracy.why));
        return o;
    }
    json_object_set_new(o, "tp", json_integer((json_int_t)a->table.tp));
    json_object_set_new(o, "fp", json_integer((json_int_t)a->table.fp));
    json_object_set_new(o, "tn", json_integer((json_int_t)a->table.tn));
    json_object_set_new(o, "fn", json_integer((json_int_t)a->table.fn));
    put(o, "sensitivity", a->sensitivity);
    json_object_set_new(o, "sensitivity_ci", interval(a->sensitivity_ci));
    put(o, "specificity", a->specificity);
    json_object_set_new(o, "specificity_ci", interval(a->specificity_ci));
    put(o, "ppv", a->ppv);
    json_object_set_new(o, "ppv_ci", interval(a->ppv_ci));
    put(o, "npv", a->npv);
    json_object_set_new(o, "npv_ci", interval(a->npv_ci));
    put(o, "accuracy", a->accuracy);
    put(o, "f1", a->f1);
    put(o, "mcc", a->mcc);
    json_object_set_new(o, "prevalence", number(a->prevalence));
    return o;
}

void ark_class_report_add(const ark_split_report *r, int k, json_t *o) {
    const ark_class_report *c = &r->classes[k];
    put(o, "brier", c->brier);
    put(o, "ece", c->ece);
    put(o, "brier_calibrated", c->brier_calibrated);
    put(o, "ece_calibrated", c->ece_calibrated);
    json_t *points = json_array();
    for (int i = 0; i < r->n_rules; i++) {
        json_array_append_new(points, point_json(&r->rules[i], &r->points[k * r->n_rules + i], &c->at[i]));
    }
    json_object_set_new(o, "points", points);
}

void ark_macro_report_add(const ark_split_report *r, json_t *o) {
    put(o, "brier", r->brier);
    put(o, "ece", r->ece);
    put(o, "brier_calibrated", r->brier_calibrated);
    put(o, "ece_calibrated", r->ece_calibrated);
    json_t *points = json_array();
    for (int i = 0; i < r->n_rules; i++) {
        const ark_macro_point *m = &r->macro[i];
        json_t *p = rule_json(&r->rules[i]);
        json_object_set_new(p, "sensitivity", number(m->sensitivity));
        json_object_set_new(p, "specificity", number(m->specificity));
        json_object_set_new(p, "ppv", number(m->ppv));
        json_object_set_new(p, "npv", number(m->npv));
        json_object_set_new(p, "accuracy", number(m->accuracy));
        json_object_set_new(p, "f1", number(m->f1));
        json_object_set_new(p, "mcc", number(m->mcc));
        json_object_set_new(p, "classes", json_integer(m->classes));
        json_array_append_new(points, p);
    }
    json_object_set_new(o, "points", points);
}

static json_t *class_json(const ark_split_report *r, int k) {
    const ark_class_report *c = &r->classes[k];
    json_t *o = json_pack(
        "{s:s,s:I,s:I}", "name", c->name, "n", (json_int_t)c->n, "positives", (json_int_t)c->positives);
    put(o, "auroc", c->auroc);
    json_object_set_new(o, "auroc_ci", interval(c->auroc_ci));
    put(o, "ap", c->ap);
    json_object_set_new(o, "ap_ci", interval(c->ap_ci));
    if (c->auroc.why) {
        json_object_set_new(o, "undefined", json_string(c->auroc.why));
    }
    ark_class_report_add(r, k, o);
    return o;
}

json_t *ark_split_report_json(const ark_split_report *r) {
    json_t *classes = json_array(), *macro = json_object();
    for (int k = 0; k < r->k; k++) {
        json_array_append_new(classes, class_json(r, k));
    }
    put(macro, "auroc", r->auroc);
    json_object_set_new(macro, "auroc_ci", interval(r->auroc_ci));
    put(macro, "ap", r->ap);
    json_object_set_new(macro, "ap_ci", interval(r->ap_ci));
    json_object_set_new(macro, "classes", json_integer((json_int_t)r->defined));
    json_object_set_new(macro, "accuracy", number(r->accuracy));
    ark_macro_report_add(r, macro);
    return json_pack("{s:I,s:I,s:o,s:o,s:o,s:o}", "n", (json_int_t)r->n, "patients", (json_int_t)r->patients,
        "loss", number(r->loss), "temperature", number(r->temperature), "macro", macro, "classes", classes);
}
