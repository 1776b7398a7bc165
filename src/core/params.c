#include "core/params.h"

#include "backend/backend.h"
#include "base/alloc.h"
#include "base/err.h"
#include "base/mathsafe.h"
#include "base/rng.h"

#include <math.h>
#include <string.h>

enum { PAD_ELEMS = 64 /* 256 bytes of f32 */, MAX_PARAMS = 100000 };

struct ark_params {
    ark_param *items;
    int n, cap;
    int64_t elems;
    int group;
    ark_dev *dev; /* set by alloc */
    float *columns[ARK_COL_COUNT];
    uint16_t *bf16[2]; /* student, teacher */
    uint64_t version[ARK_COL_COUNT], changes;
};

ark_status ark_params_new(ark_params **out) {
    return ARK_NEW(out, 1, "a parameter store");
}

void ark_params_free(ark_params *s) {
    if (!s) {
        return;
    }
    for (int c = 0; s->dev && c < ARK_COL_COUNT; c++) {
        s->dev->backend->free(s->dev, s->columns[c]);
    }
    for (int c = 0; s->dev && c < 2; c++) {
        s->dev->backend->free(s->dev, s->bf16[c]);
    }
    for (int i = 0; i < s->n; i++) {
        ark_free(s->items[i].name);
    }
    ark_free(s->items);
    ark_free(s);
}

int ark_params_find(const ark_params *s, const char *name) {
    for (int i = 0; i < s->n; i++) {
        if (!strcmp(s->items[i].name, name)) {
            return i;
        }
    }
    return -1;
}

static ark_status check_known(const ark_param *p, int ndim, const int64_t *dims) {
    if (p->ndim != ndim || memcmp(p->dims, dims, (size_t)ndim * sizeof *dims)) {
        return ARK_ERR(ARK_ESHAPE,
            "parameter %s is used with two shapes: %lld elements and first dimension %lld", p->name,
            (long long)p->numel, (long long)dims[0]);
    }
    return ARK_OK;
}

static ark_status checked_numel(const char *name, int ndim, const int64_t *dims, int64_t *numel) {
    size_t n = 1;
    for (int i = 0; i < ndim; i++) {
        if (dims[i] < 1 || ark_mul(n, (size_t)dims[i], &n) || n > ((size_t)1 << 40)) {
            return ARK_ERR(ARK_ESHAPE, "parameter %s: dimension %d is %lld", name, i, (long long)dims[i]);
        }
    }
    *numel = (int64_t)n;
    return ARK_OK;
}

ark_status ark_params_declare(
    ark_params *s, const char *name, int ndim, const int64_t *dims, ark_init init, int *index) {
    int known = ark_params_find(s, name);
    if (known >= 0) {
        ARK_TRY(check_known(&s->items[known], ndim, dims));
        *index = known;
        return ARK_OK;
    }
    int64_t numel = 0;
    ARK_TRY(checked_numel(name, ndim, dims, &numel));
    if (s->dev || s->n >= MAX_PARAMS) {
        return ARK_ERR(ARK_EINVAL, "parameter %s: the store is closed", name);
    }
    if (s->n == s->cap) {
        int cap = s->cap ? 2 * s->cap : 64;
        ark_param *items = ark_realloc(s->items, (size_t)cap * sizeof *items);
        if (!items) {
            return ARK_ERR(ARK_ENOMEM, "out of memory declaring parameter %s", name);
        }
        s->items = items;
        s->cap = cap;
    }
    char *copy = ark_strdup(name);
    if (!copy) {
        return ARK_ERR(ARK_ENOMEM, "out of memory declaring parameter %s", name);
    }
    ark_param *p = &s->items[s->n];
    *p = (ark_param){.name = copy,
        .ndim = ndim,
        .numel = numel,
        .offset = s->elems,
        .init = init,
        .group = s->group,
        .fan_in = numel / dims[0],
        .decay = ndim > 1 && !strstr(name, "relative_position_bias_table") && strcmp(name, "pos_embed") != 0};
    memcpy(p->dims, dims, (size_t)ndim * sizeof *dims);
    s->elems += (int64_t)ark_round_up((size_t)numel, PAD_ELEMS);
    *index = s->n++;
    return ARK_OK;
}

void ark_params_set_fan_in(ark_params *s, int index, int64_t fan_in) {
    s->items[index].fan_in = fan_in;
}

void ark_params_set_file_shape(ark_params *s, int index, int ndim, const int64_t *dims) {
    s->items[index].file_ndim = ndim;
    memcpy(s->items[index].file_dims, dims, (size_t)ndim * sizeof *dims);
}

void ark_params_set_buffer(ark_params *s, int index) {
    s->items[index].buffer = true;
    s->items[index].decay = false;
}

void ark_params_set_group(ark_params *s, int group) {
    s->group = group;
}

int ark_params_count(const ark_params *s) {
    return s->n;
}

const ark_param *ark_params_at(const ark_params *s, int i) {
    return &s->items[i];
}

int64_t ark_params_elems(const ark_params *s) {
    return s->elems;
}

int64_t ark_params_numel(const ark_params *s) {
    int64_t n = 0;
    for (int i = 0; i < s->n; i++) {
        n += s->items[i].buffer ? 0 : s->items[i].numel;
    }
    return n;
}

ark_status ark_params_alloc(ark_params *s, ark_dev *dev, unsigned columns, bool bf16) {
    s->dev = dev;
    for (int c = 0; c < ARK_COL_COUNT; c++) {
        void *p = NULL;
        if (!(columns >> c & 1u) || s->columns[c]) {
            continue;
        }
        ARK_TRY(dev->backend->alloc(dev, (size_t)s->elems * sizeof(float), &p));
        s->columns[c] = p;
        if (bf16 && c <= ARK_COL_TEACHER) {
            ARK_TRY(dev->backend->alloc(dev, (size_t)s->elems * sizeof(uint16_t), &p));
            s->bf16[c] = p;
        }
    }
    return ARK_OK;
}

float *ark_params_column(const ark_params *s, ark_column c) {
    return s->columns[c];
}

uint16_t *ark_params_bf16(const ark_params *s, ark_column c) {
    return c <= ARK_COL_TEACHER ? s->bf16[c] : NULL;
}

uint64_t ark_params_version(const ark_params *s, ark_column c) {
    return s->version[c];
}

ark_status ark_params_refresh(ark_params *s, ark_column c) {
    uint16_t *copy = ark_params_bf16(s, c);
    s->version[c] = ++s->changes;
    return copy ? s->dev->backend->to_bf16(s->dev, copy, s->columns[c], s->elems) : ARK_OK;
}

/* FNV-1a: the key of a parameter's draws is its name, so adding a layer does not reshuffle the others. */
static uint64_t name_key(const char *name) {
    uint64_t h = 0xcbf29ce484222325u;
    for (; *name; name++) {
        h = (h ^ (unsigned char)*name) * 0x100000001b3u;
    }
    return h;
}

/* Normal(0, 0.02) cut at +-2 absolute, timm's trunc_normal_ defaults: with this std the cut is at 100 sigma,
 * so it is applied by redrawing. */
static float trunc_normal_02(ark_rng *r) {
    double v;
    do {
        v = 0.02 * ark_rng_normal(r);
    } while (fabs(v) > 2);
    return (float)v;
}

static void draw(const ark_param *p, uint64_t seed, float *dst) {
    ark_rng r = ark_rng_at(seed, ARK_RNG_INIT, name_key(p->name), 0, 0);
    double bound = 1 / sqrt((double)p->fan_in);
    for (int64_t k = 0; k < p->numel; k++) {
        switch (p->init) {
        case ARK_INIT_ZEROS:
            dst[k] = 0;
            break;
        case ARK_INIT_ONES:
            dst[k] = 1;
            break;
        case ARK_INIT_TRUNC_NORMAL_02:
            dst[k] = trunc_normal_02(&r);
            break;
        case ARK_INIT_UNIFORM_FAN_IN:
            dst[k] = (float)ark_rng_range(&r, -bound, bound);
            break;
        case ARK_INIT_HE:
            dst[k] = (float)(sqrt(2.0) * bound * ark_rng_normal(&r));
            break;
        case ARK_INIT_LAYER_SCALE:
            dst[k] = 1e-6f;
            break;
        }
    }
}

ark_status ark_params_init(ark_params *s, ark_column c, uint64_t seed) {
    for (int i = 0; i < s->n; i++) {
        const ark_param *p = &s->items[i];
        float *values;
        ARK_TRY(ARK_NEW(&values, (size_t)p->numel, p->name));
        draw(p, seed, values);
        ark_status st = ark_params_write(s, c, i, values);
        ark_free(values);
        ARK_TRY(st);
    }
    return ark_params_refresh(s, c);
}

ark_status ark_params_read(const ark_params *s, ark_column c, int i, float *dst) {
    const ark_param *p = &s->items[i];
    return s->dev->backend->to_host(s->dev, dst, s->columns[c] + p->offset, (size_t)p->numel * sizeof *dst);
}

ark_status ark_params_write(ark_params *s, ark_column c, int i, const float *src) {
    const ark_param *p = &s->items[i];
    s->version[c] = 0; /* until refreshed */
    return s->dev->backend->to_device(s->dev, s->columns[c] + p->offset, src, (size_t)p->numel * sizeof *src);
}
