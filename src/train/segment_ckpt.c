/* The state of a segmentation run in one file: every column, and where the run stands. */
#include "base/alloc.h"
#include "base/err.h"
#include "base/file.h"
#include "io/safetensors.h"
#include "train/segment_impl.h"

#include <stdio.h>
#include <string.h>

enum { NAME_BYTES = 256 };

static const struct {
    ark_column column;
    const char *name;
} columns[] = {{ARK_COL_STUDENT, "student"}, {ARK_COL_TEACHER, "best"}, {ARK_COL_MOMENT1, "moment1"},
    {ARK_COL_MOMENT2, "moment2"}};
enum { COLUMNS = sizeof columns / sizeof columns[0] };

/* Keys that may differ between a run and its continuation. */
static bool may_change(const char *key) {
    static const char *const keys[] = {"train.backend", "train.epochs", "train.patience", "test.bootstrap",
        "test.pictures", "data.external"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if (!strcmp(key, keys[i])) {
            return true;
        }
    }
    return false;
}

/* Numbers as text: doubles in hexadecimal, which comes back bit for bit. */
static ark_status put_position(const ark__segment *s, ark_st_writer *w) {
    char text[256];
    const ark_optim *o = ark_seg_trainer_optim(s->trainer);
    snprintf(text, sizeof text, "%lld %lld %lld %lld %a %a %lld %lld", (long long)s->epoch,
        (long long)s->batch, (long long)s->step, (long long)s->best_epoch, s->best_dice, s->sum_loss,
        (long long)o->updates[0], (long long)o->updates[1]);
    ARK_TRY(ark_st_writer_meta(w, "format", "arkfm segmentation checkpoint 1"));
    ARK_TRY(ark_st_writer_meta(w, "position", text));
    for (size_t i = 0; i < ark_segment_keys.n; i++) {
        char key[NAME_BYTES], value[4096];
        snprintf(key, sizeof key, "config.%s", ark_segment_keys.keys[i].name);
        ark_keys_value(&ark_segment_keys, s->c, i, value, sizeof value);
        ARK_TRY(ark_st_writer_meta(w, key, value));
    }
    return ARK_OK;
}

/* host: room for all columns, kept until the file is written. */
static ark_status put_columns(const ark__segment *s, ark_st_writer *w, float *host) {
    ark_params *params = ark_seg_trainer_params(s->trainer);
    for (int c = 0; c < COLUMNS; c++) {
        if (!ark_params_column(params, columns[c].column)) {
            continue;
        }
        for (int i = 0; i < ark_params_count(params); i++) {
            const ark_param *p = ark_params_at(params, i);
            float *at = host + c * ark_params_elems(params) + p->offset;
            char name[NAME_BYTES];
            snprintf(name, sizeof name, "%s/%s", columns[c].name, p->name);
            ARK_TRY(ark_params_read(params, columns[c].column, i, at));
            ARK_TRY(ark_st_writer_add(w, name, ARK_ST_F32, p->ndim, p->dims, at));
        }
    }
    return ARK_OK;
}

ark_status ark__segment_ckpt_save(const ark__segment *s) {
    char path[ARK__SEG_PATH];
    float *host = NULL;
    ark_st_writer *w = NULL;
    ARK_TRY(ark__segment_path(s, "checkpoint.safetensors", path));
    size_t elems = (size_t)ark_params_elems(ark_seg_trainer_params(s->trainer));
    ark_status st = ARK_NEW(&host, COLUMNS * elems, "a copy of the weights");
    st = st ? st : ark_st_writer_new(&w);
    st = st ? st : put_position(s, w);
    st = st ? st : put_columns(s, w, host);
    st = st ? st : ark_st_writer_save(w, path);
    ark_st_writer_free(w);
    ark_free(host);
    return st;
}

static ark_status same_config(const ark__segment *s, const ark_st_file *f, const char *path) {
    for (size_t i = 0; i < ark_segment_keys.n; i++) {
        const char *name = ark_segment_keys.keys[i].name;
        char key[NAME_BYTES], value[4096];
        snprintf(key, sizeof key, "config.%s", name);
        ark_keys_value(&ark_segment_keys, s->c, i, value, sizeof value);
        const char *saved = ark_st_meta(f, key);
        if (!may_change(name) && (!saved || strcmp(saved, value) != 0)) {
            return ARK_ERR(ARK_EINVAL, "%s: %s was '%s' and is now '%s': a resumed run keeps it", path, name,
                saved ? saved : "(nothing)", value);
        }
    }
    return ARK_OK;
}

static ark_status read_position(ark__segment *s, const ark_st_file *f, const char *path) {
    const char *format = ark_st_meta(f, "format"), *text = ark_st_meta(f, "position");
    long long v[6];
    int n = 0;
    if (!format || strcmp(format, "arkfm segmentation checkpoint 1") != 0 || !text ||
        sscanf(text, "%lld %lld %lld %lld %la %la %lld %lld%n", &v[0], &v[1], &v[2], &v[3], &s->best_dice,
            &s->sum_loss, &v[4], &v[5], &n) != 8 ||
        text[n] || v[0] < 0 || v[1] < 0 || v[2] < 0) {
        return ARK_ERR(ARK_EFORMAT, "%s is no checkpoint of a segmentation", path);
    }
    ark_optim *o = ark_seg_trainer_optim(s->trainer);
    s->epoch = v[0];
    s->batch = v[1];
    s->step = v[2];
    s->best_epoch = v[3];
    o->updates[0] = v[4];
    o->updates[1] = v[5];
    return ARK_OK;
}

static ark_status read_column(ark_params *params, const ark_st_file *f, const char *path, int c, float *buf) {
    for (int i = 0; i < ark_params_count(params); i++) {
        const ark_param *p = ark_params_at(params, i);
        char name[NAME_BYTES];
        snprintf(name, sizeof name, "%s/%s", columns[c].name, p->name);
        const ark_st_tensor *t = ark_st_find(f, name);
        if (!t || t->numel != p->numel || t->dtype != ARK_ST_F32) {
            return ARK_ERR(ARK_EFORMAT, "%s: %s is missing or of another size", path, name);
        }
        ARK_TRY(ark_st_read_f32(t, buf));
        ARK_TRY(ark_params_write(params, columns[c].column, i, buf));
    }
    return ARK_OK;
}

static ark_status load(ark__segment *s, const ark_st_file *f, const char *path, float *buf) {
    ark_params *params = ark_seg_trainer_params(s->trainer);
    ARK_TRY(same_config(s, f, path));
    ARK_TRY(read_position(s, f, path));
    for (int c = 0; c < COLUMNS; c++) {
        if (ark_params_column(params, columns[c].column)) {
            ARK_TRY(read_column(params, f, path, c, buf));
        }
    }
    ARK_TRY(ark_params_refresh(params, ARK_COL_STUDENT));
    return ark_params_refresh(params, ARK_COL_TEACHER);
}

ark_status ark__segment_ckpt_load(ark__segment *s, bool *found) {
    char path[ARK__SEG_PATH];
    ark_st_file *f;
    float *buf = NULL;
    *found = false;
    ARK_TRY(ark__segment_path(s, "checkpoint.safetensors", path));
    if (!ark_path_exists(path)) {
        return ARK_OK;
    }
    ARK_TRY(ark_st_open(path, &f));
    ark_status st = ARK_NEW(&buf, (size_t)ark_params_elems(ark_seg_trainer_params(s->trainer)), "one tensor");
    st = st ? st : load(s, f, path, buf);
    ark_free(buf);
    ark_st_close(f);
    *found = st == ARK_OK;
    return st;
}
