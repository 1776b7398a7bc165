#include "train/ckpt.h"

#include "backend/backend.h"
#include "base/alloc.h"
#include "base/err.h"
#include "base/file.h"
#include "base/str.h"
#include "io/safetensors.h"
#include "model/model.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PATH_BYTES = 4096, STATE_LIMIT = 1 << 20, FORMAT = 1 };

static ark_status join(char out[PATH_BYTES], const char *a, const char *b) {
    int n = snprintf(out, PATH_BYTES, "%s/%s", a, b);
    return n >= 0 && n < PATH_BYTES ? ARK_OK : ARK_ERR(ARK_EINVAL, "%s: path too long", a);
}

/* ---- state.json ---- */

/* One list feeds writing and reading. */
#define POSITION_INTS(X)                                                                                     \
    X(epoch)                                                                                                 \
    X(pass) X(batch) X(step) X(iteration) X(images) X(skipped) X(best_epoch) X(sum_n) X(sum_consistency_n)
#define POSITION_REALS(X) X(val_loss) X(best_loss) X(sum_loss) X(sum_task) X(sum_consistency) X(sum_norm)

/* JSON has no infinities or NaN; as text every double comes back bit for bit. */
static json_t *exact(double v) {
    char buf[40];
    snprintf(buf, sizeof buf, "%a", v);
    return json_string(buf);
}

json_t *ark_ckpt_config_json(const ark_ckpt *c) {
    json_t *o = json_object();
    for (size_t i = 0; i < c->keys->n; i++) {
        char value[4096];
        ark_keys_value(c->keys, c->config, i, value, sizeof value);
        json_object_set_new(o, c->keys->keys[i].name, json_string(value));
    }
    return o;
}

static ark_status write_state(const ark_ckpt *c, const ark_position *at, const char *path) {
    json_t *o = json_object(), *updates = json_array();
    const ark_optim *optim = ark_trainer_optim(c->trainer);
    json_object_set_new(o, "format", json_integer(FORMAT));
#define PUT_INT(name) json_object_set_new(o, #name, json_integer(at->name));
#define PUT_REAL(name) json_object_set_new(o, #name, exact(at->name));
    POSITION_INTS(PUT_INT)
    POSITION_REALS(PUT_REAL)
#undef PUT_INT
#undef PUT_REAL
    for (int i = 0; i < optim->n_groups; i++) {
        json_array_append_new(updates, json_integer(optim->updates[i]));
    }
    json_object_set_new(o, "updates", updates);
    json_object_set_new(o, "config", ark_ckpt_config_json(c));
    char *text = json_dumps(o, JSON_INDENT(1));
    json_decref(o);
    if (!text) {
        return ARK_ERR(ARK_ENOMEM, "%s: out of memory", path);
    }
    ark_status st = ark_file_write(path, text, strlen(text));
    free(text); /* jansson's own allocation */
    return st;
}

static ark_status bad_state(const char *path, const char *name) {
    return ARK_ERR(ARK_EFORMAT, "%s: field '%s' is missing or of the wrong type", path, name);
}

static ark_status read_int(const json_t *o, const char *path, const char *name, int64_t *out) {
    const json_t *v = json_object_get(o, name);
    if (!json_is_integer(v)) {
        return bad_state(path, name);
    }
    *out = json_integer_value(v);
    return ARK_OK;
}

static ark_status read_real(const json_t *o, const char *path, const char *name, double *out) {
    const char *s = json_string_value(json_object_get(o, name));
    char *end = NULL;
    double v = s ? strtod(s, &end) : 0;
    if (!s || end == s || *end) {
        return bad_state(path, name);
    }
    *out = v;
    return ARK_OK;
}

static ark_status read_position(const json_t *o, const char *path, ark_position *at, ark_optim *optim) {
    int64_t format;
    ARK_TRY(read_int(o, path, "format", &format));
    if (format != FORMAT) {
        return ARK_ERR(
            ARK_EFORMAT, "%s: format %lld, this program reads %d", path, (long long)format, FORMAT);
    }
#define GET_INT(name) ARK_TRY(read_int(o, path, #name, &at->name));
#define GET_REAL(name) ARK_TRY(read_real(o, path, #name, &at->name));
    POSITION_INTS(GET_INT)
    POSITION_REALS(GET_REAL)
#undef GET_INT
#undef GET_REAL
    const json_t *updates = json_object_get(o, "updates");
    if (json_array_size(updates) != (size_t)optim->n_groups) {
        return ARK_ERR(ARK_EFORMAT, "%s: %zu parameter groups, the model has %d", path,
            json_array_size(updates), optim->n_groups);
    }
    for (int i = 0; i < optim->n_groups; i++) {
        optim->updates[i] = json_integer_value(json_array_get(updates, (size_t)i));
    }
    return ARK_OK;
}

static bool may_change(const ark_ckpt *c, const char *key) {
    for (size_t i = 0; c->may_change[i]; i++) {
        if (!strcmp(key, c->may_change[i])) {
            return true;
        }
    }
    return false;
}

ark_status ark_ckpt_same_config(const ark_ckpt *c, const json_t *saved, const char *path) {
    for (size_t i = 0; i < c->keys->n; i++) {
        char now[4096];
        const char *key = c->keys->keys[i].name, *then = json_string_value(json_object_get(saved, key));
        ark_keys_value(c->keys, c->config, i, now, sizeof now);
        if (!may_change(c, key) && (!then || strcmp(then, now))) {
            return ARK_ERR(ARK_EINVAL,
                "%s: the run was started with %s: %s, now %s; start in a new folder, or keep the value", path,
                key, then ? then : "(absent)", now);
        }
    }
    return ARK_OK;
}

/* ---- optimizer.safetensors: the moment columns, each as one flat tensor ---- */

static const struct {
    const char *name;
    ark_column column;
} moments[] = {{"moment1", ARK_COL_MOMENT1}, {"moment2", ARK_COL_MOMENT2}};

static ark_status copy_out(const ark_ckpt *c, ark_column column, float *host, int64_t n) {
    ark_params *p = ark_trainer_params(c->trainer);
    ark_dev *dev = ark_trainer_device(c->trainer);
    return dev->backend->to_host(dev, host, ark_params_column(p, column), (size_t)n * sizeof *host);
}

static ark_status write_optimizer(const ark_ckpt *c, const char *path) {
    ark_params *p = ark_trainer_params(c->trainer);
    int64_t n = ark_params_elems(p);
    ark_st_writer *w = NULL;
    float *host[2] = {NULL, NULL};
    ark_status st = ark_st_writer_new(&w);
    for (int i = 0; i < 2 && st == ARK_OK; i++) {
        if (!ark_params_column(p, moments[i].column)) {
            continue;
        }
        st = ARK_NEW(&host[i], (size_t)n, "optimizer state");
        if (st == ARK_OK) {
            st = copy_out(c, moments[i].column, host[i], n);
        }
        if (st == ARK_OK) {
            st = ark_st_writer_add(w, moments[i].name, ARK_ST_F32, 1, &n, host[i]);
        }
    }
    if (st == ARK_OK) {
        st = ark_st_writer_save(w, path);
    }
    ark_st_writer_free(w);
    ark_free(host[0]);
    ark_free(host[1]);
    return st;
}

static ark_status read_optimizer(const ark_ckpt *c, const char *path) {
    ark_params *p = ark_trainer_params(c->trainer);
    ark_dev *dev = ark_trainer_device(c->trainer);
    int64_t n = ark_params_elems(p);
    ark_st_file *f;
    ARK_TRY(ark_st_open(path, &f));
    ark_status st = ARK_OK;
    for (int i = 0; i < 2 && st == ARK_OK; i++) {
        float *column = ark_params_column(p, moments[i].column);
        const ark_st_tensor *t = ark_st_find(f, moments[i].name);
        if (!column) {
            continue;
        }
        if (!t || t->dtype != ARK_ST_F32 || t->numel != n) {
            st = ARK_ERR(ARK_EFORMAT, "%s: %s has %lld values, the model needs %lld", path, moments[i].name,
                t ? (long long)t->numel : 0LL, (long long)n);
        } else {
            st = dev->backend->to_device(dev, column, t->data, (size_t)n * sizeof *column);
        }
    }
    ark_st_close(f);
    return st;
}

/* ---- folders ---- */

static ark_status write_folder(const ark_ckpt *c, const ark_position *at, const char *dir) {
    char path[PATH_BYTES];
    ark_params *p = ark_trainer_params(c->trainer);
    ARK_TRY(join(path, dir, "student.safetensors"));
    ARK_TRY(ark_weights_save(path, c->net, c->pre, p, ARK_COL_STUDENT, NULL));
    if (ark_params_column(p, ARK_COL_TEACHER)) {
        ARK_TRY(join(path, dir, "teacher.safetensors"));
        ARK_TRY(ark_weights_save(path, c->net, c->pre, p, ARK_COL_TEACHER, NULL));
    }
    ARK_TRY(join(path, dir, "optimizer.safetensors"));
    ARK_TRY(write_optimizer(c, path));
    ARK_TRY(join(path, dir, "state.json"));
    return write_state(c, at, path);
}

static bool is_checkpoint(const char *name) {
    return !strncmp(name, "epoch-", 6) || !strncmp(name, "step-", 5);
}

/* Step counter in a checkpoint's state, or -1 when the folder is not a complete one. */
static int64_t step_of(const char *dir, const char *name) {
    char folder[PATH_BYTES], path[PATH_BYTES];
    if (join(folder, dir, name) != ARK_OK || join(path, folder, "state.json") != ARK_OK) {
        return -1;
    }
    json_t *o = json_load_file(path, 0, NULL);
    int64_t step =
        json_is_integer(json_object_get(o, "step")) ? json_integer_value(json_object_get(o, "step")) : -1;
    json_decref(o);
    return step;
}

static ark_status remove_in(const char *dir, const char *name) {
    char path[PATH_BYTES];
    ARK_TRY(join(path, dir, name));
    return ark_rmtree(path);
}

/* Checkpoints newer than this one are counted; those beyond keep_last go, except the best. */
static ark_status prune(const char *dir, int64_t keep, const char *best) {
    char **names;
    size_t n;
    ARK_TRY(ark_list_dir(dir, &names, &n));
    ark_status st = ARK_OK;
    for (size_t i = 0; i < n && st == ARK_OK; i++) {
        int64_t mine = is_checkpoint(names[i]) ? step_of(dir, names[i]) : -1, newer = 0;
        for (size_t k = 0; k < n && mine >= 0; k++) {
            newer += is_checkpoint(names[k]) && step_of(dir, names[k]) > mine;
        }
        if (mine >= 0 && newer >= keep && strcmp(names[i], best) != 0) {
            st = remove_in(dir, names[i]);
        }
    }
    ark_names_free(names, n);
    return st;
}

/* checkpoints/best -> epoch-NNNN, replaced by rename. */
static ark_status point_best(const char *dir, const char *best) {
    char tmp[PATH_BYTES], link[PATH_BYTES];
    ARK_TRY(join(tmp, dir, ".best.tmp"));
    ARK_TRY(join(link, dir, "best"));
    (void)unlink(tmp);
    if (symlink(best, tmp) != 0) {
        return ARK_OK; /* a file system without links; state.json has best_epoch */
    }
    return ark_rename_durable(tmp, link);
}

ark_status ark_ckpt_save(const ark_ckpt *c, const ark_position *at, bool at_epoch_end) {
    char dir[PATH_BYTES], tmp[PATH_BYTES], final[PATH_BYTES], name[64], best[64] = "";
    ARK_TRY(join(dir, c->run_dir, "checkpoints"));
    if (at_epoch_end) {
        snprintf(name, sizeof name, "epoch-%04lld", (long long)at->epoch);
    } else {
        snprintf(name, sizeof name, "step-%09lld", (long long)at->step);
    }
    ARK_TRY(join(tmp, dir, ".writing"));
    ARK_TRY(join(final, dir, name));
    ARK_TRY(ark_rmtree(tmp));
    ARK_TRY(ark_mkdirs(tmp));
    ark_status st = write_folder(c, at, tmp);
    if (st == ARK_OK) {
        st = ark_rmtree(final); /* left by a run that was resumed from an older one */
    }
    if (st == ARK_OK) {
        st = ark_rename_durable(tmp, final);
    }
    if (st != ARK_OK) {
        char why[1024];
        snprintf(why, sizeof why, "%s", ark_err_msg());
        ark_status cleanup =
            ark_rmtree(tmp); /* give a full disk its space back; the first error is the one to report */
        (void)cleanup;
        return ark__err_copy(st, why);
    }
    if (at->best_epoch >= 0) {
        snprintf(best, sizeof best, "epoch-%04lld", (long long)at->best_epoch);
        ARK_TRY(point_best(dir, best));
    }
    return prune(dir, c->keep_last, best);
}

static ark_status newest(const char *dir, char *name, size_t cap, bool *found) {
    char **names;
    size_t n;
    int64_t best = -1;
    *found = false;
    if (!ark_path_is_dir(dir)) {
        return ARK_OK;
    }
    ARK_TRY(ark_list_dir(dir, &names, &n));
    for (size_t i = 0; i < n; i++) {
        int64_t step = is_checkpoint(names[i]) ? step_of(dir, names[i]) : -1;
        /* At one step the epoch's end is further on than the same step in mid-epoch; it
         * sorts first and stays. */
        if (step > best) {
            best = step;
            snprintf(name, cap, "%s", names[i]);
            *found = true;
        }
    }
    ark_names_free(names, n);
    return ARK_OK;
}

static ark_status load_folder(const ark_ckpt *c, const char *dir, ark_position *at) {
    char path[PATH_BYTES];
    ark_params *p = ark_trainer_params(c->trainer);
    ARK_TRY(join(path, dir, "state.json"));
    char *text;
    size_t len;
    ARK_TRY(ark_file_read(path, STATE_LIMIT, &text, &len));
    json_error_t error;
    json_t *o = json_loadb(text, len, 0, &error);
    ark_free(text);
    if (!o) {
        return ARK_ERR(ARK_EFORMAT, "%s:%d: %s", path, error.line, error.text);
    }
    ark_status st = ark_ckpt_same_config(c, json_object_get(o, "config"), path);
    if (st == ARK_OK) {
        st = read_position(o, path, at, ark_trainer_optim(c->trainer));
    }
    json_decref(o);
    ARK_TRY(st);
    ARK_TRY(join(path, dir, "optimizer.safetensors"));
    ARK_TRY(read_optimizer(c, path));
    ARK_TRY(join(path, dir, "student.safetensors"));
    ARK_TRY(ark_weights_load(path, p, ARK_COL_STUDENT, false));
    ARK_TRY(ark_params_refresh(p, ARK_COL_STUDENT));
    if (ark_params_column(p, ARK_COL_TEACHER)) {
        ARK_TRY(join(path, dir, "teacher.safetensors"));
        ARK_TRY(ark_weights_load(path, p, ARK_COL_TEACHER, false));
        ARK_TRY(ark_params_refresh(p, ARK_COL_TEACHER));
    }
    return ARK_OK;
}

ark_status ark_ckpt_load(const ark_ckpt *c, ark_position *at, bool *found) {
    char dir[PATH_BYTES], folder[PATH_BYTES], name[64];
    ARK_TRY(join(dir, c->run_dir, "checkpoints"));
    ARK_TRY(newest(dir, name, sizeof name, found));
    if (!*found) {
        return ARK_OK;
    }
    ARK_TRY(join(folder, dir, name));
    return load_folder(c, folder, at);
}
