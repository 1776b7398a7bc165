/* Embeddings from weights, kept beside the results. */
#include "backend/backend.h"
#include "base/alloc.h"
#include "base/err.h"
#include "base/file.h"
#include "base/par.h"
#include "data/loader.h"
#include "io/npy.h"
#include "model/model.h"
#include "model/session.h"
#include "study/inputs.h"
#include "study/json.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

typedef struct embedder {
    const ark_study_config *c;
    const char *weights, *dir;
    const ark_dataset *data;
    const ark_study_hooks *hooks;
    int threads;
    uint64_t weights_hash;
    /* opened when the first split has to be computed */
    ark_dev *dev;
    ark_model *model;
    ark_session *session;
    ark_loader *loader;
    /* from the description of the weights */
    ark_layer layer;
    size_t d;
} embedder;

/* --- what embeddings are made of --- */

/* FNV-1a over words: it finds accidents, not attacks. */
static uint64_t mix(uint64_t h, const void *bytes, size_t n) {
    const unsigned char *p = bytes;
    for (; n >= 8; n -= 8, p += 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        h = (h ^ word) * 0x100000001b3;
        h ^= h >> 32;
    }
    for (; n > 0; n--) {
        h = (h ^ *p++) * 0x100000001b3;
    }
    return h;
}

static ark_status hash_file(const char *path, uint64_t *out) {
    ark_map map;
    ARK_TRY(ark_map_open(path, &map));
    *out = mix(0xcbf29ce484222325, map.data, map.len);
    ark_map_close(&map);
    return ARK_OK;
}

/* Name, size and time of a file. */
static uint64_t mix_file(uint64_t h, const char *path) {
    struct stat s = {0};
    int64_t of_file[3] = {-1, 0, 0};
    if (stat(path, &s) == 0) {
        of_file[0] = (int64_t)s.st_size;
        of_file[1] = (int64_t)s.st_mtim.tv_sec;
        of_file[2] = (int64_t)s.st_mtim.tv_nsec;
    }
    return mix(mix(h, path, strlen(path) + 1), of_file, sizeof of_file);
}

/* A number that changes when weights, layer, type, or any image of the split does. */
static uint64_t fingerprint(const embedder *e, ark_split split) {
    int64_t settings[] = {e->layer, e->c->dtype, e->c->on_bad, (int64_t)e->d};
    uint64_t h = mix(e->weights_hash, settings, sizeof settings);
    double window[] = {e->data->window.kind, e->data->window.centre, e->data->window.width};
    h = mix(h, window, sizeof window);
    if (e->data->pack) { /* the images are in one file */
        char file[4200];
        snprintf(file, sizeof file, "%.4096s/data.mdb", e->c->data_config);
        h = mix_file(h, file);
    }
    for (size_t i = 0; i < e->data->rows_n[split]; i++) {
        h = mix_file(h, e->data->paths[e->data->rows[split][i]]);
    }
    return h;
}

/* --- reading them back --- */

/* Sample numbers of the rows: all images of the split but the skipped ones. */
static ark_status list_samples(
    const embedder *e, ark_split split, const json_t *skipped, uint32_t **out, size_t *n) {
    const ark_dataset *d = e->data;
    size_t next = 0;
    ARK_TRY(ARK_NEW(out, d->rows_n[split], "samples"));
    *n = 0;
    for (size_t i = 0; i < d->rows_n[split]; i++) {
        const char *bad = json_string_value(json_array_get(skipped, next));
        if (bad && !strcmp(bad, d->paths[d->rows[split][i]])) {
            next++;
        } else {
            (*out)[(*n)++] = d->rows[split][i];
        }
    }
    return ARK_OK;
}

static ark_status adopt(
    const embedder *e, ark_split split, const json_t *note, ark_npy *a, bool *found, ark_features *out) {
    uint32_t *sample;
    size_t n;
    ARK_TRY(list_samples(e, split, json_object_get(note, "skipped"), &sample, &n));
    if (a->ndim != 2 || (size_t)a->shape[0] != n || (size_t)a->shape[1] != e->d) {
        ark_free(sample);
        return ARK_OK; /* not what the note says: make it again */
    }
    float *x = a->data;
    a->data = NULL;
    ARK_TRY(ark_features_wrap(x, e->d, sample, n, e->data, out));
    out->skipped = json_array_size(json_object_get(note, "skipped"));
    *found = true;
    return ARK_OK;
}

static ark_status read_cached(const embedder *e, ark_split split, const char *npy, const char *json,
    uint64_t print, bool *found, ark_features *out) {
    char want[32];
    json_error_t error;
    char *text;
    size_t len;
    ark_npy a = {0};
    *found = false;
    if (!ark_path_exists(npy) || !ark_path_exists(json)) {
        return ARK_OK;
    }
    ARK_TRY(ark_file_read(json, 64 << 20, &text, &len));
    json_t *note = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    ark_free(text);
    snprintf(want, sizeof want, "%016llx", (unsigned long long)print);
    const char *got = json_string_value(json_object_get(note, "fingerprint"));
    ark_status st = ARK_OK;
    if (got && !strcmp(got, want)) {
        st = ark_npy_read(npy, &a);
        st = st ? st : adopt(e, split, note, &a, found, out);
        ark_npy_free(&a);
        st = st == ARK_EFORMAT ? ARK_OK : st; /* a damaged array is made again */
    }
    json_decref(note);
    return st;
}

/* --- making them --- */

static ark_status open_model(embedder *e) {
    if (e->session) {
        return ARK_OK;
    }
    bool bf16 = e->c->dtype == 1;
    ark_model_opts mo = {.bf16 = bf16};
    ark_loader_opts lo = ark_loader_default_opts();
    ARK_TRY(ark_dev_open(e->c->backend, e->threads, &e->dev));
    ARK_TRY(ark_model_open(e->weights, &mo, e->dev, &e->model));
    ARK_TRY(ark_session_new(
        &e->model->net, e->model->params, e->dev, (int)e->c->batch, bf16 ? ARK_BF16 : ARK_F32, &e->session));
    lo.batch = (int)e->c->batch;
    lo.workers = (int)e->c->workers;
    lo.width = e->data->n_classes;
    lo.pre = e->model->pre;
    lo.on_bad = e->c->on_bad ? ARK_BAD_SKIP : ARK_BAD_FAIL;
    return ark_loader_new(&lo, &e->loader);
}

static json_t *skipped_images(const embedder *e, ark_split split, const ark_features *f) {
    json_t *list = json_array();
    size_t next = 0;
    for (size_t i = 0; i < e->data->rows_n[split]; i++) {
        uint32_t sample = e->data->rows[split][i];
        if (next < f->n && f->sample[next] == sample) {
            next++;
        } else {
            json_array_append_new(list, ark_json_text(e->data->paths[sample]));
        }
    }
    return list;
}

static ark_status write_cached(const embedder *e, ark_split split, const char *npy, const char *json,
    uint64_t print, const ark_features *f) {
    char hash[32], weights_hash[32];
    int64_t shape[2] = {(int64_t)f->n, (int64_t)f->d};
    snprintf(hash, sizeof hash, "%016llx", (unsigned long long)print);
    snprintf(weights_hash, sizeof weights_hash, "%016llx", (unsigned long long)e->weights_hash);
    ARK_TRY(ark_npy_write_f32(npy, 2, shape, f->x));
    json_t *o = json_pack("{s:s,s:o,s:s,s:o,s:s,s:s,s:s,s:I,s:I,s:o}", "fingerprint", hash, "weights",
        ark_json_text(e->weights), "weights_fingerprint", weights_hash, "dataset",
        ark_json_text(e->data->name), "split", ark_split_name(split), "layer",
        e->layer == ARK_LAYER_ENCODER ? "encoder" : "projector", "dtype", e->c->dtype ? "bf16" : "f32",
        "rows", (json_int_t)f->n, "features", (json_int_t)f->d, "skipped", skipped_images(e, split, f));
    return ark_json_write(json, o);
}

static ark_status one_split(embedder *e, ark_split split, ark_features *out) {
    char npy[4200], json[4200];
    bool found;
    const char *name = ark_split_name(split);
    snprintf(npy, sizeof npy, "%.4096s/%s.npy", e->dir, name);
    snprintf(json, sizeof json, "%.4096s/%s.json", e->dir, name);
    uint64_t print = fingerprint(e, split);
    ARK_TRY(read_cached(e, split, npy, json, print, &found, out));
    if (found) {
        ark_study_say(e->hooks, "%s: embeddings of %zu images from %s", name, out->n, npy);
        return ARK_OK;
    }
    ark_study_say(e->hooks, "%s: embedding %zu images", name, e->data->rows_n[split]);
    ARK_TRY(open_model(e));
    ARK_TRY(ark_features_read(
        e->session, ARK_COL_STUDENT, &e->model->net, e->layer, e->loader, e->data, split, out));
    return write_cached(e, split, npy, json, print, out);
}

/* Which features the weights give, without loading them. */
static ark_status describe(embedder *e) {
    ark_model *m;
    ark_model_opts mo = {0};
    ARK_TRY(ark_model_describe(e->weights, &mo, &m));
    bool has = m->net.projector != ARK_PROJECTOR_NONE;
    ark_status st = ARK_OK;
    if (e->c->layer == 2 && !has) {
        st = ARK_ERR(ARK_EINVAL, "%s has no projector: features.layer: encoder", e->weights);
    }
    e->layer = e->c->layer == 1 || !has ? ARK_LAYER_ENCODER : ARK_LAYER_PROJECTOR;
    e->d =
        (size_t)(e->layer == ARK_LAYER_ENCODER ? ark_arch_features(&m->net.arch) : ark_net_features(&m->net));
    ark_model_free(m);
    return st;
}

ark_status ark__study_embed(const ark_study_config *c, const char *weights, const ark_dataset *data,
    const char *cache_dir, int threads, const ark_study_hooks *hooks, ark_study_inputs *out) {
    embedder e = {.c = c,
        .weights = weights,
        .dir = cache_dir,
        .data = data,
        .hooks = hooks,
        .threads = threads > 0 ? threads : ark_cpu_count()};
    ark_status st = describe(&e);
    st = st ? st : ark_mkdirs(cache_dir);
    st = st ? st : hash_file(weights, &e.weights_hash);
    for (int s = 0; s < ARK_SPLIT_COUNT && st == ARK_OK; s++) {
        if (data->rows_n[s] > 0) {
            st = one_split(&e, (ark_split)s, &out->f[s]);
        }
    }
    out->layer = e.layer == ARK_LAYER_ENCODER ? "encoder" : "projector";
    ark_loader_free(e.loader);
    ark_session_free(e.session);
    ark_model_free(e.model);
    if (e.dev) {
        ark_dev_close(e.dev);
    }
    return st;
}
