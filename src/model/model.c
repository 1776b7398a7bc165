#include "model/model.h"

#include "base/alloc.h"
#include "base/err.h"
#include "model/weight_file.h"

#include <string.h>

/* Preprocessing for another input side, the rest kept. */
static ark_preproc with_size(const ark_preproc *old, int size_px) {
    ark_preproc pre = ark_preproc_default(size_px);
    pre.filter = old->filter;
    memcpy(pre.mean, old->mean, sizeof pre.mean);
    memcpy(pre.std, old->std, sizeof pre.std);
    return pre;
}

/* The network, from metadata or from shapes; opts->arch has the last word on the encoder. */
ark_status ark_model_describe_file(const ark_weight_file *f, const ark_model_opts *opts, ark_model *m) {
    ark_arch wanted = {0};
    m->ours = f->ours;
    memcpy(m->note, f->note, sizeof m->note);
    if (opts->arch) {
        ARK_TRY(ark_arch_parse(opts->arch, &wanted));
    }
    if (f->ours) {
        ARK_TRY(ark_meta_read(f, &m->net, &m->pre));
    } else {
        ark_arch found = wanted;
        if (!opts->arch) {
            ARK_TRY(ark_arch_infer(f, opts->size_px, &found, &m->size_assumed));
        }
        m->net.arch = found;
        ARK_TRY(ark_net_infer(f, &m->net));
        m->pre = ark_preproc_default(found.size_px);
    }
    if (opts->arch && f->ours) {
        m->net.arch = wanted;
        m->pre = m->pre.size_px == wanted.size_px ? m->pre : with_size(&m->pre, wanted.size_px);
    }
    if (opts->heads) {
        m->heads_known = true;
        return ark_heads_name(opts->heads, f->path, &m->net);
    }
    return f->ours ? ARK_OK : ark_heads_recognise(&m->net, &m->heads_known);
}

/* Not parsed here: what it means is eval's matter. */
static ark_status keep_operating_points(const ark_weight_file *f, ark_model *m) {
    const char *text = f->ours ? ark_tensor_file_meta(f->file, "operating_points") : NULL;
    m->operating_points = text ? ark_strdup(text) : NULL;
    return !text || m->operating_points ? ARK_OK : ARK_ERR(ARK_ENOMEM, "%s: out of memory", f->path);
}

/* Names and shapes are matched before memory is taken for what they claim. */
static ark_status open_into(
    ark_model *m, const ark_weight_file *f, const ark_model_opts *opts, ark_match *match) {
    ARK_TRY(ark_model_describe_file(f, opts, m));
    ARK_TRY(keep_operating_points(f, m));
    ARK_TRY(ark_params_new(&m->params));
    ARK_TRY(ark_net_declare(&m->net, m->params));
    unsigned geometric = opts->geometric_tables ? ARK_MATCH_GEOMETRIC : 0;
    ARK_TRY(ark_match_weights(f, m->params, ARK_MATCH_RESIZE_TABLES | geometric, match));
    if (!opts->allow_missing) {
        ARK_TRY(ark_match_complete(f, match));
    }
    m->report = ark_strdup(match->report);
    if (!m->report) {
        return ARK_ERR(ARK_ENOMEM, "%s: out of memory", f->path);
    }
    ARK_TRY(ark_params_alloc(m->params, m->dev, 1u << ARK_COL_STUDENT, opts->bf16));
    if (match->missing) {
        ARK_TRY(ark_params_init(m->params, ARK_COL_STUDENT, 0));
    }
    ARK_TRY(ark_match_fill(f, match, m->params, ARK_COL_STUDENT));
    ark_match_give_keys(match, &m->unmatched, &m->n_unmatched);
    return ARK_OK;
}

ark_status ark_model_open(const char *path, const ark_model_opts *opts, ark_dev *dev, ark_model **out) {
    ark_weight_file *f = NULL;
    ark_model *m = NULL;
    ark_match match = {0};
    ark_status st = ark_weight_file_open(path, opts->key, &f);
    st = st ? st : ARK_NEW(&m, 1, "a model");
    if (st == ARK_OK) {
        m->dev = dev;
        st = open_into(m, f, opts, &match);
    }
    ark_match_free(&match);
    ark_weight_file_close(f);
    if (st != ARK_OK) {
        ark_model_free(m);
        return st;
    }
    *out = m;
    return ARK_OK;
}

ark_status ark_model_describe(const char *path, const ark_model_opts *opts, ark_model **out) {
    ark_weight_file *f;
    ark_model *m = NULL;
    ARK_TRY(ark_weight_file_open(path, opts->key, &f));
    ark_status st = ARK_NEW(&m, 1, "a model");
    if (st == ARK_OK) {
        st = ark_model_describe_file(f, opts, m);
    }
    ark_weight_file_close(f);
    if (st != ARK_OK) {
        ark_model_free(m);
        return st;
    }
    *out = m;
    return ARK_OK;
}

void ark_model_clear(ark_model *m) {
    ark_params_free(m->params);
    ark_net_free(&m->net);
    ark_free(m->operating_points);
    ark_free(m->report);
    for (size_t i = 0; m->unmatched && i < m->n_unmatched; i++) {
        ark_free(m->unmatched[i]);
    }
    ark_free(m->unmatched);
    *m = (ark_model){0};
}

void ark_model_free(ark_model *m) {
    if (m) {
        ark_model_clear(m);
        ark_free(m);
    }
}
