#include "study/json.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/file.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

json_t *ark_json_number(double v) {
    return isfinite(v) ? json_real(v) : json_null();
}

json_t *ark_json_interval(const ark_interval *ci) {
    return ci->why ? json_null() : json_pack("[f,f]", ci->low, ci->high);
}

json_t *ark_json_text(const char *s) {
    json_t *text = json_string(s);
    char *ascii = text ? NULL : ark_strdup(s);
    for (char *p = ascii; p && *p; p++) {
        *p = *p & 0x80 ? '?' : *p;
    }
    text = text ? text : ascii ? json_string(ascii) : json_null();
    ark_free(ascii);
    return text;
}

void ark_json_metric(json_t *o, const char *name, ark_metric m) {
    json_object_set_new(o, name, ark_json_number(m.value));
    if (m.why) {
        char key[64];
        snprintf(key, sizeof key, "%s_undefined", name);
        json_object_set_new(o, key, json_string(m.why));
    }
}

static void with_interval(json_t *o, const char *name, ark_metric m, const ark_interval *ci) {
    char key[64];
    ark_json_metric(o, name, m);
    snprintf(key, sizeof key, "%s_ci", name);
    json_object_set_new(o, key, ark_json_interval(ci));
}

json_t *ark_json_class(const char *name, const ark_class_result *r, const ark_operating_point *point) {
    json_t *o = json_object();
    json_object_set_new(o, "name", ark_json_text(name));
    json_object_set_new(o, "n", json_integer((json_int_t)r->n));
    json_object_set_new(o, "positives", json_integer((json_int_t)r->positives));
    ark_json_metric(o, "auroc", r->delong.auroc);
    json_object_set_new(o, "ci", ark_json_interval(&r->delong.ci));
    ark_json_metric(o, "ap", r->ap);
    ark_json_metric(o, "brier", r->brier);
    ark_json_metric(o, "ece", r->ece);
    if (point) {
        json_object_set_new(o, "threshold", ark_json_number(point->threshold));
        ark_json_metric(o, "f1", r->at.f1);
        ark_json_metric(o, "mcc", r->at.mcc);
        ark_json_metric(o, "accuracy", r->at.accuracy);
        with_interval(o, "sensitivity", r->at.sensitivity, &r->at.sensitivity_ci);
        with_interval(o, "specificity", r->at.specificity, &r->at.specificity_ci);
        with_interval(o, "ppv", r->at.ppv, &r->at.ppv_ci);
        with_interval(o, "npv", r->at.npv, &r->at.npv_ci);
    }
    return o;
}

ark_status ark_json_write(const char *path, json_t *o) {
    char *text = o ? json_dumps(o, JSON_INDENT(1) | JSON_REAL_PRECISION(17)) : NULL;
    json_decref(o);
    if (!text) {
        return ARK_ERR(ARK_ENOMEM, "%s: out of memory for the results", path);
    }
    ark_writer w;
    ark_status st = ark_writer_open(&w, path);
    if (st == ARK_OK) {
        ark_writer_put(&w, text, strlen(text));
        ark_writer_put(&w, "\n", 1);
        st = ark_writer_commit(&w);
    }
    json_free_t release;
    json_get_alloc_funcs(NULL, &release);
    release(text);
    return st;
}
