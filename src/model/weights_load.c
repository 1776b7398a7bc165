/* Pairing a file's tensors with a store's parameters, and reading them. */
#include "base/alloc.h"
#include "base/err.h"
#include "model/model.h"
#include "model/state_family.h"
#include "nn/upernet.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { NAMED_IN_REPORT = 8 }; /* the rest is counted */

/* Count a key that does not fit, and name it while there is room. */
static void note(ark_match *m, const char *fmt, ...) ARK_PRINTF(2, 3);
static void note(ark_match *m, const char *fmt, ...) {
    char text[256];
    size_t len = strlen(m->report);
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (m->bad == m->keys_cap) {
        size_t cap = m->keys_cap ? 2 * m->keys_cap : 16;
        char **more = ark_realloc(m->keys, cap * sizeof *more);
        if (!more) {
            m->keys_lost = true;
            return;
        }
        m->keys = more;
        m->keys_cap = cap;
    }
    m->keys[m->bad] = ark_strdup(text);
    m->keys_lost |= !m->keys[m->bad];
    m->bad++;
    if (m->named == (int)m->bad - 1 && m->named < NAMED_IN_REPORT && n > 0 &&
        len + (size_t)n + 40 < sizeof m->report) {
        snprintf(m->report + len, sizeof m->report - len, "%s%s", len ? "; " : "", text);
        m->named++;
    }
}

/* "(96,3,4,4)" */
static const char *shape_text(int ndim, const int64_t *dims, char buf[96]) {
    int n = snprintf(buf, 96, "(");
    for (int i = 0; i < ndim && n < 96; i++) {
        n += snprintf(buf + n, (size_t)(96 - n), "%s%lld", i ? "," : "", (long long)dims[i]);
    }
    if (n < 95) {
        snprintf(buf + n, (size_t)(96 - n), ")");
    }
    return buf;
}

static bool same_shape(const ark_st_tensor *t, int ndim, const int64_t *dims) {
    return t->ndim == ndim && !memcmp(t->shape, dims, (size_t)ndim * sizeof *dims);
}

static bool is_table(const ark_param *p) {
    const char *tail = strstr(p->name, ".relative_position_bias_table");
    return tail && p->ndim == 2;
}

/* The family whose resize brings t to p, or NULL. */
static const ark_state_family *resizer(const ark_param *p, const ark_st_tensor *t) {
    const ark_state_family *f;
    for (int i = 0; (f = ark_state_family_at(i)) != NULL; i++) {
        if (f->fits && f->fits(p, t)) {
            return f;
        }
    }
    return NULL;
}

static bool is_resizable(const ark_param *p, const ark_st_tensor *t) {
    if (resizer(p, t)) {
        return true;
    }
    return is_table(p) && t->ndim == 2 && t->shape[1] == p->dims[1] && ark_bias_table_window(t->shape[0]) > 0;
}

bool ark_match_outside_encoder(const char *name) {
    return !strncmp(name, "projector.", 10) || !strncmp(name, "omni_heads.", 11) || ark_is_decoder(name);
}

static void match_param(
    const ark_weight_file *f, const ark_param *p, unsigned flags, ark_match *m, const ark_st_tensor **slot) {
    int ndim = p->file_ndim ? p->file_ndim : p->ndim;
    const int64_t *dims = p->file_ndim ? p->file_dims : p->dims;
    const ark_st_tensor *t = ark_weight_file_find(f, p->name);
    char file_shape[96], own_shape[96];
    if (!t) {
        m->missing++;
        note(m, "missing %s", p->name);
    } else if (t->dtype == ARK_ST_BOOL) {
        m->missing++;
        note(m, "%s holds booleans", p->name);
    } else if (same_shape(t, ndim, dims) || ((flags & ARK_MATCH_RESIZE_TABLES) && is_resizable(p, t))) {
        *slot = t;
    } else {
        m->missing++;
        note(m, "%s is %s, the model has %s", p->name, shape_text(t->ndim, t->shape, file_shape),
            shape_text(ndim, dims, own_shape));
    }
}

ark_status ark_match_weights(
    const ark_weight_file *f, const ark_params *params, unsigned flags, ark_match *out) {
    ark_match m = {.geometric = flags & ARK_MATCH_GEOMETRIC};
    bool encoder_only = flags & ARK_MATCH_ENCODER_ONLY;
    ARK_TRY(ARK_NEW(&m.tensor, (size_t)ark_params_count(params), "weight matching"));
    for (int i = 0; i < ark_params_count(params); i++) {
        const ark_param *p = ark_params_at(params, i);
        if (!encoder_only || !ark_match_outside_encoder(p->name)) {
            match_param(f, p, flags, &m, &m.tensor[i]);
        }
    }
    for (size_t i = 0; i < f->n; i++) {
        const char *name = f->items[i].name;
        if ((!encoder_only || !ark_match_outside_encoder(name)) && ark_params_find(params, name) < 0) {
            note(&m, "unexpected %s", name);
        }
    }
    if (m.keys_lost) {
        ark_match_free(&m);
        return ARK_ERR(ARK_ENOMEM, "%s: out of memory for the names of unmatched tensors", f->path);
    }
    if (m.bad > (size_t)m.named) {
        size_t len = strlen(m.report);
        snprintf(m.report + len, sizeof m.report - len, "; and %zu more", m.bad - (size_t)m.named);
    }
    *out = m;
    return ARK_OK;
}

ark_status ark_match_complete(const ark_weight_file *f, const ark_match *m) {
    return m->bad ? ARK_ERR(ARK_EFORMAT, "%s does not fit the model: %s", f->path, m->report) : ARK_OK;
}

void ark_match_free(ark_match *m) {
    for (size_t i = 0; m->keys && i < m->bad; i++) {
        ark_free(m->keys[i]);
    }
    ark_free(m->keys);
    ark_free(m->tensor);
    *m = (ark_match){0};
}

void ark_match_give_keys(ark_match *m, char ***keys, size_t *n) {
    *keys = m->keys;
    *n = m->bad;
    m->keys = NULL;
}

static ark_status check_finite(const ark_weight_file *f, const ark_st_tensor *t, const float *values) {
    for (int64_t k = 0; k < t->numel; k++) {
        if (!isfinite(values[k])) {
            return ARK_ERR(
                ARK_EFORMAT, "%s: %s: element %lld is %f", f->path, t->name, (long long)k, (double)values[k]);
        }
    }
    return ARK_OK;
}

ark_status ark_match_read(const ark_weight_file *f, const ark_match *m, const ark_params *params, int i,
    float *buf, float **values) {
    const ark_param *p = ark_params_at(params, i);
    const ark_st_tensor *t = m->tensor[i];
    ark_status st = ark_st_read_f32(t, buf);
    if (st != ARK_OK) {
        return ark__err_prefix(st, "%s", f->path);
    }
    ARK_TRY(check_finite(f, t, buf));
    *values = buf;
    if (is_table(p) && t->shape[0] != p->dims[0]) {
        *values = buf + t->numel;
        return ark_bias_table_resize(m->geometric, buf, ark_bias_table_window(t->shape[0]), *values,
            ark_bias_table_window(p->dims[0]), (int)p->dims[1]);
    } else if (!same_shape(t, p->file_ndim ? p->file_ndim : p->ndim, p->file_ndim ? p->file_dims : p->dims)) {
        *values = buf + t->numel;
        resizer(p, t)->resize(t, buf, p, *values);
    }
    return ARK_OK;
}

ark_status ark_match_fill(
    const ark_weight_file *f, const ark_match *m, ark_params *params, ark_column column) {
    size_t most = 0;
    for (int i = 0; i < ark_params_count(params); i++) {
        size_t need = m->tensor[i] ? (size_t)(m->tensor[i]->numel + ark_params_at(params, i)->numel) : 0;
        most = need > most ? need : most;
    }
    float *buf;
    ARK_TRY(ARK_NEW(&buf, most, "one tensor"));
    ark_status st = ARK_OK;
    for (int i = 0; i < ark_params_count(params) && st == ARK_OK; i++) {
        if (m->tensor[i]) {
            float *values = buf;
            st = ark_match_read(f, m, params, i, buf, &values);
            st = st ? st : ark_params_write(params, column, i, values);
        }
    }
    ark_free(buf);
    return st ? st : ark_params_refresh(params, column);
}

ark_status ark_weights_load(const char *path, ark_params *params, ark_column column, bool encoder_only) {
    return ark_weights_load_key(path, NULL, params, column, encoder_only);
}

ark_status ark_weights_load_key(
    const char *path, const char *key, ark_params *params, ark_column column, bool encoder_only) {
    ark_weight_file *f;
    ark_match m = {0};
    ARK_TRY(ark_weight_file_open(path, key, &f));
    ark_status st =
        ark_match_weights(f, params, encoder_only ? ARK_MATCH_ENCODER_ONLY | ARK_MATCH_RESIZE_TABLES : 0, &m);
    st = st ? st : ark_match_complete(f, &m);
    st = st ? st : ark_match_fill(f, &m, params, column);
    ark_match_free(&m);
    ark_weight_file_close(f);
    return st;
}
