#include "study/probe_file.h"

#include "base/alloc.h"
#include "base/err.h"
#include "io/safetensors.h"
#include "study/json.h"

#include <math.h>
#include <string.h>

enum { MAX_CLASSES = 65536, MAX_FEATURES = 1 << 20 };

/* What a class that was not fitted says; a file names one of them by its number's text. */
static const char *const reasons[] = {"no positive row in train", "no negative row in train", "left out"};
static const char no_threshold[] = "no threshold was defined on validation";

/* --- writing --- */

static json_t *describe(const ark_readout *r, const char *const *classes, const ark_operating_point *points,
    const char *source, const char *layer) {
    json_t *list = json_array();
    for (size_t k = 0; k < r->K; k++) {
        json_t *c = json_object();
        json_object_set_new(c, "name", ark_json_text(classes[k]));
        json_object_set_new(c, "left_out", r->left_out[k] ? json_string(r->left_out[k]) : json_null());
        if (points) {
            json_object_set_new(c, "rule", json_string(ark_op_rule_name(points[k].rule)));
            json_object_set_new(c, "target", ark_json_number(points[k].target));
            json_object_set_new(c, "threshold", ark_json_number(points[k].threshold));
        }
        json_array_append_new(list, c);
    }
    return json_pack("{s:s,s:o,s:o,s:s,s:o}", "task",
        r->task == ARK_READOUT_MULTICLASS ? "multi-class" : "multi-label", "C",
        ark_json_number(r->C[r->best]), "source", ark_json_text(source), "layer", layer, "classes", list);
}

static ark_status put_meta(ark_st_writer *w, json_t *o) {
    char *text = o ? json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(17)) : NULL;
    json_decref(o);
    if (!text) {
        return ARK_ERR(ARK_ENOMEM, "out of memory for a probe");
    }
    ark_status st = ark_st_writer_meta(w, "probe", text);
    json_free_t release;
    json_get_alloc_funcs(NULL, &release);
    release(text);
    return st;
}

static ark_status fill(ark_st_writer *w, const ark_readout *r, double *weight, double *bias, json_t *about) {
    int64_t d = (int64_t)r->d, K = (int64_t)r->K, matrix[2] = {K, d};
    for (size_t k = 0; k < r->K; k++) {
        memcpy(weight + k * r->d, r->w + k * (r->d + 1), r->d * sizeof *weight);
        bias[k] = r->w[k * (r->d + 1) + r->d];
    }
    ark_status st = put_meta(w, about);
    st = st ? st : ark_st_writer_meta(w, "format", "arkfm-probe");
    st = st ? st : ark_st_writer_meta(w, "version", "1");
    st = st ? st : ark_st_writer_add(w, "mean", ARK_ST_F64, 1, &d, r->mean);
    st = st ? st : ark_st_writer_add(w, "scale", ARK_ST_F64, 1, &d, r->scale);
    st = st ? st : ark_st_writer_add(w, "weight", ARK_ST_F64, 2, matrix, weight);
    return st ? st : ark_st_writer_add(w, "bias", ARK_ST_F64, 1, &K, bias);
}

ark_status ark_probe_save(const char *path, const ark_readout *r, const char *const *classes,
    const ark_operating_point *points, const char *source, const char *layer) {
    ark_st_writer *w = NULL;
    double *weight = NULL, *bias = NULL;
    ark_status st = ark_st_writer_new(&w);
    st = st ? st : ARK_NEW(&weight, r->K * r->d, "weights");
    st = st ? st : ARK_NEW(&bias, r->K, "weights");
    st = st ? st : fill(w, r, weight, bias, describe(r, classes, points, source, layer));
    st = st ? st : ark_st_writer_save(w, path);
    ark_st_writer_free(w);
    ark_free(weight);
    ark_free(bias);
    return st;
}

/* --- reading --- */

static ark_status read_f64(const ark_st_file *f, const char *path, const char *name, int ndim, size_t rows,
    size_t cols, double *out) {
    const ark_st_tensor *t = ark_st_find(f, name);
    if (!t || t->dtype != ARK_ST_F64 || t->ndim != ndim || t->shape[0] != (int64_t)rows ||
        (ndim == 2 && t->shape[1] != (int64_t)cols)) {
        return ARK_ERR(ARK_EFORMAT, "%s: tensor %s is not F64 of %zu x %zu", path, name, rows, cols);
    }
    memcpy(out, t->data, t->bytes);
    for (int64_t i = 0; i < t->numel; i++) {
        if (!isfinite(out[i])) {
            return ARK_ERR(
                ARK_EFORMAT, "%s: tensor %s, element %lld is not finite", path, name, (long long)i);
        }
    }
    return ARK_OK;
}

static ark_status read_class(const char *path, const json_t *c, size_t k, ark_probe *p) {
    static const ark_op_rule rules[] = {
        ARK_OP_YOUDEN, ARK_OP_SENSITIVITY, ARK_OP_SPECIFICITY, ARK_OP_PRECISION, ARK_OP_F1};
    const char *name = json_string_value(json_object_get(c, "name"));
    const char *left = json_string_value(json_object_get(c, "left_out"));
    const char *rule = json_string_value(json_object_get(c, "rule"));
    const json_t *threshold = json_object_get(c, "threshold"), *target = json_object_get(c, "target");
    if (!name) {
        return ARK_ERR(ARK_EFORMAT, "%s: class %zu has no name", path, k);
    }
    p->classes[k] = ark_strdup(name);
    if (!p->classes[k]) {
        return ARK_ERR(ARK_ENOMEM, "out of memory for a probe");
    }
    for (size_t i = 0; left && i < sizeof reasons / sizeof *reasons && !p->readout.left_out[k]; i++) {
        bool last = i + 1 == sizeof reasons / sizeof *reasons;
        p->readout.left_out[k] = last || !strcmp(left, reasons[i]) ? reasons[i] : NULL;
    }
    ark_operating_point *o = &p->points[k];
    *o = (ark_operating_point){.threshold = NAN, .target = NAN, .why = no_threshold};
    if (json_is_number(threshold)) {
        o->threshold = json_number_value(threshold);
        o->why = NULL;
    }
    o->target = json_is_number(target) ? json_number_value(target) : NAN;
    for (size_t i = 0; rule && i < sizeof rules / sizeof *rules; i++) {
        o->rule = strcmp(rule, ark_op_rule_name(rules[i])) ? o->rule : rules[i];
    }
    return ARK_OK;
}

static ark_status read_about(const char *path, const json_t *about, const ark_st_file *f, ark_probe *p) {
    const json_t *classes = json_object_get(about, "classes");
    const char *task = json_string_value(json_object_get(about, "task"));
    const char *source = json_string_value(json_object_get(about, "source"));
    const char *layer = json_string_value(json_object_get(about, "layer"));
    const ark_st_tensor *mean = ark_st_find(f, "mean");
    size_t K = json_array_size(classes);
    if (!task || !source || !layer || K < 1 || K > MAX_CLASSES || !mean || mean->ndim != 1 ||
        mean->shape[0] < 1 || mean->shape[0] > MAX_FEATURES) {
        return ARK_ERR(
            ARK_EFORMAT, "%s: its description lacks task, source, layer, classes or features", path);
    }
    ark_readout *r = &p->readout;
    r->task = strcmp(task, "multi-class") ? ARK_READOUT_MULTILABEL : ARK_READOUT_MULTICLASS;
    r->K = K;
    r->d = (size_t)mean->shape[0];
    p->C = json_number_value(json_object_get(about, "C"));
    p->source = ark_strdup(source);
    p->layer = ark_strdup(layer);
    ARK_TRY(ARK_NEW(&r->mean, r->d, "a probe"));
    ARK_TRY(ARK_NEW(&r->scale, r->d, "a probe"));
    ARK_TRY(ARK_NEW(&r->w, K * (r->d + 1), "a probe"));
    ARK_TRY(ARK_NEW(&r->left_out, K, "a probe"));
    ARK_TRY(ARK_NEW(&p->classes, K, "a probe"));
    ARK_TRY(ARK_NEW(&p->points, K, "a probe"));
    for (size_t k = 0; k < K; k++) {
        ARK_TRY(read_class(path, json_array_get(classes, k), k, p));
    }
    return p->source && p->layer ? ARK_OK : ARK_ERR(ARK_ENOMEM, "out of memory for a probe");
}

static ark_status read_tensors(const char *path, const ark_st_file *f, ark_readout *r) {
    double *weight = NULL, *bias = NULL;
    ark_status st = ARK_NEW(&weight, r->K * r->d, "a probe");
    st = st ? st : ARK_NEW(&bias, r->K, "a probe");
    st = st ? st : read_f64(f, path, "mean", 1, r->d, 1, r->mean);
    st = st ? st : read_f64(f, path, "scale", 1, r->d, 1, r->scale);
    st = st ? st : read_f64(f, path, "weight", 2, r->K, r->d, weight);
    st = st ? st : read_f64(f, path, "bias", 1, r->K, 1, bias);
    for (size_t j = 0; j < r->d && st == ARK_OK; j++) {
        if (!(r->scale[j] > 0)) {
            st = ARK_ERR(ARK_EFORMAT, "%s: scale of feature %zu is %g", path, j, r->scale[j]);
        }
    }
    for (size_t k = 0; k < r->K && st == ARK_OK; k++) {
        memcpy(r->w + k * (r->d + 1), weight + k * r->d, r->d * sizeof *weight);
        r->w[k * (r->d + 1) + r->d] = bias[k];
    }
    ark_free(weight);
    ark_free(bias);
    return st;
}

ark_status ark_probe_load(const char *path, ark_probe *out) {
    ark_st_file *f;
    ark_probe p = {.C = NAN};
    json_error_t error;
    ARK_TRY(ark_st_open(path, &f));
    const char *format = ark_st_meta(f, "format"), *text = ark_st_meta(f, "probe");
    json_t *about = text ? json_loads(text, JSON_REJECT_DUPLICATES, &error) : NULL;
    ark_status st = ARK_OK;
    if (!format || strcmp(format, "arkfm-probe") != 0 || !about) {
        st = ARK_ERR(ARK_EFORMAT, "%s: not a probe (metadata format is '%s')", path, format ? format : "");
    }
    st = st ? st : read_about(path, about, f, &p);
    st = st ? st : read_tensors(path, f, &p.readout);
    json_decref(about);
    ark_st_close(f);
    if (st != ARK_OK) {
        ark_probe_free(&p);
        return st;
    }
    *out = p;
    return ARK_OK;
}

void ark_probe_free(ark_probe *p) {
    for (size_t k = 0; p->classes && k < p->readout.K; k++) {
        ark_free(p->classes[k]);
    }
    ark_free(p->classes);
    ark_free(p->points);
    ark_free(p->source);
    ark_free(p->layer);
    ark_readout_free(&p->readout);
    *p = (ark_probe){0};
}
