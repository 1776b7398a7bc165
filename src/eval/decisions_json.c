/* Decisions as the JSON text of a weight file's metadata:
 *
 *   {"heads": [{"head": "nih", "chosen_on": "val", "rules": [{"rule": "youden"}, {"rule": "sensitivity",
 *    "target": 0.9}], "views": [{"view": "centre", "temperature": 1.2, "classes": [{"class": "Mass", "n": 80,
 *    "positives": 9, "points": [{"threshold": 0.1, "tp": 8, "fp": 20, "tn": 51, "fn": 1}, ...]}]}]}]}
 */
#include "base/alloc.h"
#include "base/err.h"
#include "eval/decisions.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

/* --- writing --- */

static json_t *number(double v) {
    return isfinite(v) ? json_real(v) : json_null();
}

static json_t *point_json(const ark_operating_point *p) {
    if (isnan(p->threshold)) {
        return json_pack("{s:n,s:s}", "threshold", "why", p->why ? p->why : "undefined");
    }
    const ark_confusion *c = &p->chosen_on;
    return json_pack("{s:f,s:I,s:I,s:I,s:I}", "threshold", p->threshold, "tp", (json_int_t)c->tp, "fp",
        (json_int_t)c->fp, "tn", (json_int_t)c->tn, "fn", (json_int_t)c->fn);
}

static json_t *set_json(const ark_decisions *d, const ark_decision_set *s, const ark_head *head) {
    json_t *classes = json_array();
    for (int k = 0; k < d->k; k++) {
        json_t *points = json_array();
        for (int i = 0; i < d->n_rules; i++) {
            json_array_append_new(points, point_json(&s->classes[k].at[i]));
        }
        json_array_append_new(classes,
            json_pack("{s:s,s:I,s:I,s:o}", "class", head->classes[k], "n", (json_int_t)s->classes[k].n,
                "positives", (json_int_t)s->classes[k].positives, "points", points));
    }
    json_t *o = json_pack("{s:s,s:o}", "view", ark_seen_name(s->seen), "temperature", number(s->temperature));
    if (s->temperature_why) {
        json_object_set_new(o, "temperature_why", json_string(s->temperature_why));
    }
    json_object_set_new(o, "classes", classes);
    return o;
}

ark_status ark_decisions_text(const ark_decisions *d, const ark_head *head, char **text) {
    json_t *rules = json_array(), *views = json_array();
    for (int i = 0; i < d->n_rules; i++) {
        json_t *r = json_pack("{s:s}", "rule", ark_op_rule_name(d->rules[i].rule));
        if (d->rules[i].target > 0) {
            json_object_set_new(r, "target", json_real(d->rules[i].target));
        }
        json_array_append_new(rules, r);
    }
    for (int i = 0; i < d->n_sets; i++) {
        json_array_append_new(views, set_json(d, &d->sets[i], head));
    }
    json_t *o = json_pack("{s:[{s:s,s:s,s:o,s:o}]}", "heads", "head", head->dataset, "chosen_on", "val",
        "rules", rules, "views", views);
    size_t flags = JSON_COMPACT | JSON_REAL_PRECISION(17), n = o ? json_dumpb(o, NULL, 0, flags) : 0;
    ark_status st = n ? ARK_NEW(text, n + 1, "operating points")
                      : ARK_ERR(ARK_EINVAL, "operating points of %s: names must be UTF-8", head->dataset);
    if (st == ARK_OK) {
        json_dumpb(o, *text, n, flags);
    }
    json_decref(o);
    return st;
}

/* --- reading --- */

static ark_status wrong(const char *path, const char *what) {
    return ARK_ERR(ARK_EFORMAT, "%s: metadata operating_points: %s", path, what);
}

static ark_status read_rules(const char *path, const json_t *list, ark_decisions *d) {
    if (json_array_size(list) < 1 || json_array_size(list) > ARK_DECISION_RULES_MAX) {
        return wrong(path, "rules: expected a list of 1 to 4");
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *r = json_array_get(list, i), *target = json_object_get(r, "target");
        const char *name = json_string_value(json_object_get(r, "rule"));
        int rule = ARK_OP_YOUDEN;
        while (name && rule <= ARK_OP_F1 && strcmp(name, ark_op_rule_name((ark_op_rule)rule)) != 0) {
            rule++;
        }
        double value = json_number_value(target);
        if (!name || rule > ARK_OP_F1 || (target && !(value >= 0 && value <= 1))) {
            return wrong(path, "rules: unknown rule, or a target outside [0,1]");
        }
        d->rules[d->n_rules++] = (ark_decision_rule){.rule = (ark_op_rule)rule, .target = value};
    }
    return ARK_OK;
}

static bool count_at(const json_t *o, const char *name, size_t *out) {
    const json_t *v = json_object_get(o, name);
    if (!json_is_integer(v) || json_integer_value(v) < 0) {
        return false;
    }
    *out = (size_t)json_integer_value(v);
    return true;
}

static ark_status read_point(
    const char *path, const json_t *o, const ark_decision_rule *rule, ark_operating_point *p) {
    const json_t *t = json_object_get(o, "threshold");
    *p = (ark_operating_point){.rule = rule->rule, .target = rule->target, .threshold = NAN};
    if (json_is_null(t)) {
        p->why = "not defined on the validation data";
        return ARK_OK;
    }
    p->threshold = json_number_value(t);
    bool counts = count_at(o, "tp", &p->chosen_on.tp) && count_at(o, "fp", &p->chosen_on.fp) &&
                  count_at(o, "tn", &p->chosen_on.tn) && count_at(o, "fn", &p->chosen_on.fn);
    return json_is_number(t) && counts ? ARK_OK : wrong(path, "points: a threshold or count is missing");
}

static ark_status read_class(
    const char *path, const json_t *o, const ark_decisions *d, const char *name, ark_class_decision *c) {
    const char *found = json_string_value(json_object_get(o, "class"));
    const json_t *points = json_object_get(o, "points");
    if (!found || strcmp(found, name) != 0) {
        return ARK_ERR(ARK_EFORMAT, "%s: metadata operating_points: class %s where the head has %s", path,
            found ? found : "(none)", name);
    }
    if (!count_at(o, "n", &c->n) || !count_at(o, "positives", &c->positives) ||
        json_array_size(points) != (size_t)d->n_rules) {
        return wrong(path, "classes: n, positives or points do not fit");
    }
    for (int i = 0; i < d->n_rules; i++) {
        ARK_TRY(read_point(path, json_array_get(points, (size_t)i), &d->rules[i], &c->at[i]));
    }
    return ARK_OK;
}

static ark_status read_set(const char *path, const json_t *o, const ark_head *head, ark_decisions *d) {
    const char *view = json_string_value(json_object_get(o, "view"));
    const json_t *T = json_object_get(o, "temperature"), *classes = json_object_get(o, "classes");
    int seen = 0;
    while (view && seen < ARK_SEEN_COUNT && strcmp(view, ark_seen_name((ark_seen)seen)) != 0) {
        seen++;
    }
    if (!view || seen == ARK_SEEN_COUNT || ark_decisions_for(d, (ark_seen)seen)) {
        return wrong(path, "views: unknown, or twice the same");
    }
    if (!json_is_null(T) && !(json_number_value(T) > 0 && json_number_value(T) <= 1000)) {
        return wrong(path, "temperature: expected a number above 0");
    }
    if (json_array_size(classes) != (size_t)head->n_classes) {
        return ARK_ERR(ARK_EFORMAT, "%s: metadata operating_points: %zu classes, head %s has %d", path,
            json_array_size(classes), head->dataset, head->n_classes);
    }
    ark_decision_set *s = &d->sets[d->n_sets];
    *s = (ark_decision_set){.seen = (ark_seen)seen,
        .temperature = json_is_null(T) ? NAN : json_number_value(T),
        .temperature_why = json_is_null(T) ? "not defined on the validation data" : NULL};
    ARK_TRY(ARK_NEW(&s->classes, (size_t)head->n_classes, "operating points"));
    d->n_sets++;
    for (int k = 0; k < head->n_classes; k++) {
        ARK_TRY(read_class(path, json_array_get(classes, (size_t)k), d, head->classes[k], &s->classes[k]));
    }
    return ARK_OK;
}

static ark_status read_head(const char *path, const json_t *o, const ark_head *head, ark_decisions *d) {
    const json_t *views = json_object_get(o, "views");
    d->k = head->n_classes;
    ARK_TRY(read_rules(path, json_object_get(o, "rules"), d));
    if (json_array_size(views) < 1 || json_array_size(views) > ARK_SEEN_COUNT) {
        return wrong(path, "views: expected a list of 1 to 3");
    }
    for (size_t i = 0; i < json_array_size(views); i++) {
        ARK_TRY(read_set(path, json_array_get(views, i), head, d));
    }
    return ARK_OK;
}

ark_status ark_decisions_parse(const char *text, const char *path, const ark_head *head, ark_decisions *out) {
    ark_decisions d = {0};
    json_error_t e;
    if (!text) {
        *out = d;
        return ARK_OK;
    }
    json_t *o = json_loads(text, JSON_REJECT_DUPLICATES, &e);
    const json_t *heads = json_object_get(o, "heads");
    ark_status st = !o                     ? wrong(path, e.text)
                    : json_is_array(heads) ? ARK_OK
                                           : wrong(path, "no list of heads");
    for (size_t i = 0; st == ARK_OK && i < json_array_size(heads); i++) {
        const json_t *h = json_array_get(heads, i);
        const char *name = json_string_value(json_object_get(h, "head"));
        if (name && !strcmp(name, head->dataset)) {
            st = read_head(path, h, head, &d);
            break;
        }
    }
    json_decref(o);
    if (st != ARK_OK) {
        ark_decisions_free(&d);
        return st;
    }
    *out = d;
    return ARK_OK;
}
