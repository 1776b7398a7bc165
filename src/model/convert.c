#include "model/convert.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/str.h"
#include "io/torch_write.h"
#include "model/weight_file.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* A conversion under way. */
typedef struct job {
    const ark_weight_file *f;
    ark_params *params;
    ark_match match;
    ark_st_writer *w;
    float **owned; /* per parameter: values that could not be taken from the file as they lie */
    ark_weights_format format;
} job;

/* In place when it is what is to be written: float32, row-major, of the parameter's shape, finite. */
static ark_status usable_in_place(const job *j, const ark_st_tensor *t, const ark_param *p, bool *yes) {
    *yes = t->dtype == ARK_ST_F32 && !t->strided && !t->big_endian && t->numel == p->numel;
    for (int64_t k = 0; k < t->numel && *yes; k++) {
        float v;
        memcpy(&v, (const char *)t->data + (size_t)k * sizeof v, sizeof v);
        if (!isfinite(v)) {
            return ARK_ERR(
                ARK_EFORMAT, "%s: %s: element %lld is %f", j->f->path, t->name, (long long)k, (double)v);
        }
    }
    return ARK_OK;
}

static ark_status add_param(job *j, int i, ark_converted *r) {
    const ark_param *p = ark_params_at(j->params, i);
    const ark_st_tensor *t = j->match.tensor[i];
    const void *data = t->data;
    bool in_place;
    ARK_TRY(usable_in_place(j, t, p, &in_place));
    if (!in_place) {
        float *values;
        ARK_TRY(ARK_NEW(&j->owned[i], (size_t)(t->numel + p->numel), p->name));
        ARK_TRY(ark_match_read(j->f, &j->match, j->params, i, j->owned[i], &values));
        data = values;
    }
    r->tensors++;
    r->parameters += p->numel;
    return ark_st_writer_add(j->w, p->name, ARK_ST_F32, p->file_ndim ? p->file_ndim : p->ndim,
        p->file_ndim ? p->file_dims : p->dims, data);
}

static bool is_description(const char *key) {
    static const char *const keys[] = {"format", "version", "config", "heads", "preprocessing"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if (!strcmp(key, keys[i])) {
            return true;
        }
    }
    return false;
}

/* Where the weights come from: the file's name without its folder, and the key. */
static ark_status add_origin(const job *j) {
    const ark_pth_file *pth = ark_tensor_file_pth(j->f->file);
    const char *key = pth ? ark_pth_key(pth) : "";
    char text[400];
    snprintf(text, sizeof text, "%.250s%s%.100s", ark_path_base(j->f->path), key[0] ? ", key " : "", key);
    return ark_st_writer_meta(j->w, "converted_from", text);
}

static ark_status add_meta(const job *j, const ark_model *m) {
    if (j->format == ARK_WEIGHTS_TIMM) {
        return ark_st_writer_meta(j->w, "format", "pt"); /* what PyTorch's own writers of safetensors say */
    }
    ARK_TRY(ark_meta_write(j->w, &m->net, &m->pre));
    for (size_t i = 0; j->f->ours && i < ark_tensor_file_meta_count(j->f->file); i++) {
        const char *key, *value;
        ark_tensor_file_meta_at(j->f->file, i, &key, &value);
        if (!is_description(key)) {
            ARK_TRY(ark_st_writer_meta(j->w, key, value));
        }
    }
    return j->f->ours ? ARK_OK : add_origin(j);
}

static ark_status fill(job *j, const ark_model_opts *opts, ark_converted *r) {
    ark_model *m = &r->model;
    ARK_TRY(ark_model_describe_file(j->f, opts, m));
    ARK_TRY(ark_params_new(&j->params));
    ARK_TRY(ark_net_declare(&m->net, j->params));
    unsigned geometric = opts->geometric_tables ? ARK_MATCH_GEOMETRIC : 0;
    ARK_TRY(ark_match_weights(j->f, j->params, ARK_MATCH_RESIZE_TABLES | geometric, &j->match));
    if (!opts->allow_missing) {
        ARK_TRY(ark_match_complete(j->f, &j->match));
    }
    m->report = ark_strdup(j->match.report);
    if (!m->report) {
        return ARK_ERR(ARK_ENOMEM, "%s: out of memory", j->f->path);
    }
    ARK_TRY(ARK_NEW(&j->owned, (size_t)ark_params_count(j->params), "values"));
    ARK_TRY(ark_st_writer_new(&j->w));
    for (int i = 0; i < ark_params_count(j->params); i++) {
        bool outside = ark_match_outside_encoder(ark_params_at(j->params, i)->name);
        if (j->format == ARK_WEIGHTS_TIMM && outside) {
            r->left_out += j->match.tensor[i] != NULL;
        } else if (j->match.tensor[i]) {
            ARK_TRY(add_param(j, i, r));
        }
    }
    return add_meta(j, m);
}

ark_status ark_weights_convert(const char *in, const ark_model_opts *opts, const char *out,
    ark_weights_format format, ark_converted *r) {
    ark_weight_file *f = NULL;
    job j = {.format = format};
    *r = (ark_converted){0};
    ARK_TRY(ark_weight_file_open(in, opts->key, &f));
    j.f = f;
    ark_status st = fill(&j, opts, r);
    if (st == ARK_OK) {
        st = format == ARK_WEIGHTS_PTH ? ark_pth_write(j.w, out) : ark_st_writer_save(j.w, out);
    }
    for (int i = 0; j.owned && i < ark_params_count(j.params); i++) {
        ark_free(j.owned[i]);
    }
    ark_free(j.owned);
    ark_match_give_keys(&j.match, &r->model.unmatched, &r->model.n_unmatched);
    ark_match_free(&j.match);
    ark_st_writer_free(j.w);
    ark_params_free(j.params);
    ark_weight_file_close(f);
    return st;
}

void ark_converted_free(ark_converted *r) {
    ark_model_clear(&r->model);
}
