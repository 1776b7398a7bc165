/* The trials of a fine-tuning, and what is said about all of them. */
#include "train/finetune.h"

#include "backend/backend.h"
#include "base/alloc.h"
#include "base/err.h"
#include "base/file.h"
#include "model/model.h"
#include "train/finetune_impl.h"
#include "train/training.h"

#include <math.h>
#include <stdio.h>
#include <unistd.h>

ark_status ark__finetune_path(char out[ARK__FT_PATH], const char *dir, const char *name) {
    int n = snprintf(out, ARK__FT_PATH, "%s/%s", dir, name);
    return n >= 0 && n < ARK__FT_PATH ? ARK_OK : ARK_ERR(ARK_EINVAL, "%s: path too long", dir);
}

/* --- from the configuration to the run --- */

static ark_status set_arch(ark_train_config *c, const ark_arch *a) {
    char text[ARK_ARCH_TEXT];
    char *copy = ark_strdup(ark_arch_print(a, text, sizeof text));
    if (!copy) {
        return ARK_ERR(ARK_ENOMEM, "out of memory for the configuration");
    }
    ark_free(c->arch);
    c->arch = copy;
    return ARK_OK;
}

/* Architecture, projector and preprocessing of the weights. */
static ark_status read_weights(ark_finetune_config *c, ark_preproc *pre) {
    ark_model *m;
    ark_model_opts o = {.arch = c->run.arch[0] ? c->run.arch : NULL};
    ARK_TRY(ark_model_describe(c->from, &o, &m));
    ark_status st = ARK_OK;
    if (c->features == ARK_ON_PROJECTED && m->net.projector == ARK_PROJECTOR_NONE) {
        st = ARK_ERR(ARK_EINVAL, "model.features: projected, but %s has no projector", c->from);
    }
    if (st == ARK_OK) {
        st = set_arch(&c->run, &m->net.arch);
    }
    c->run.projector = m->net.projector;
    c->run.projector_dim = m->net.projector_dim;
    *pre = m->pre;
    ark_model_free(m);
    return st;
}

/* What the run's own keys change in the preprocessing. */
static ark_status complete_preproc(const ark_finetune_config *c, ark_preproc *pre) {
    pre->resize_px = c->run.resize_px ? (int)c->run.resize_px : pre->resize_px;
    pre->filter = c->filter == ARK_AS_WEIGHTS ? pre->filter : (ark_filter)(c->filter - 1);
    if (c->normalization != ARK_AS_WEIGHTS) {
        bool imagenet = c->normalization == 1;
        ark_preproc usual = ark_preproc_default(pre->size_px);
        for (int i = 0; i < 3; i++) {
            pre->mean[i] = imagenet ? usual.mean[i] : 0.5056f;
            pre->std[i] = imagenet ? usual.std[i] : 0.252f;
        }
    }
    return ark_preproc_check(pre);
}

static ark_status check(const ark_finetune_config *c) {
    if (!c->run.data_config[0]) {
        return ARK_ERR(ARK_EINVAL, "data.config: no dataset file given");
    }
    if (!c->from[0] && !c->run.arch[0]) {
        return ARK_ERR(ARK_EINVAL, "model.arch: from scratch the architecture must be given");
    }
    if (!c->from[0] && c->features == ARK_ON_PROJECTED) {
        return ARK_ERR(ARK_EINVAL, "model.features: projected needs weights with a projector");
    }
    if (!c->from[0] && c->freeze != ARK_FREEZE_NONE) {
        return ARK_ERR(ARK_EINVAL, "train.freeze: from scratch there is nothing worth keeping");
    }
    return ark_augment_check(&c->run.augment);
}

static ark_status check_data(const ark_setup *s, const char *file) {
    if (s->n_lanes != 1) {
        return ARK_ERR(ARK_EINVAL, "data.dataset: %s has %d datasets; name one", file, s->n_lanes);
    }
    const ark_dataset *d = s->lanes[0].data;
    if (d->rows_n[ARK_VAL] == 0) {
        return ARK_ERR(
            ARK_EINVAL, "%s: no validation image; epoch and operating points are chosen on them", d->name);
    }
    return ARK_OK;
}

/* Datasets and network; a pack is checked against the preprocessing that the run will have. */
static ark_status set_up(ark__finetune *f, const ark_preproc *pre) {
    ark_train_config c = f->c->run;
    c.resize_px = pre->resize_px;
    c.filter = pre->filter;
    ARK_TRY(ark_setup_read(&c, f->o->on_message, f->o->user, &f->setup));
    f->setup.pre = *pre;
    return ARK_OK;
}

static ark_status build(ark__finetune *f) {
    ark_finetune_config *c = f->c;
    ark_preproc pre;
    ARK_TRY(check(c));
    if (c->from[0]) {
        ARK_TRY(read_weights(c, &pre));
    } else {
        ark_arch a;
        ARK_TRY(ark_arch_parse(c->run.arch, &a));
        pre = ark_preproc_default(a.size_px);
    }
    ARK_TRY(complete_preproc(c, &pre));
    if (!c->from[0] || c->features == ARK_ON_ENCODER) {
        c->run.projector = ARK_PROJECTOR_NONE;
    }
    ARK_TRY(set_up(f, &pre));
    ARK_TRY(check_data(&f->setup, c->run.data_config));
    f->setup.net.freeze = (ark_freeze)c->freeze;
    f->setup.net.drop_path = c->freeze == ARK_FREEZE_NONE ? (float)c->run.drop_path : 0;
    const ark_dataset *d = f->setup.lanes[0].data;
    f->epoch_steps = ark_training_batches(&c->run, d->rows_n[ARK_TRAIN]);
    if (f->epoch_steps == 0) {
        return ARK_ERR(ARK_EINVAL,
            "%s: fewer training images than one batch of %lld, and train.drop_last is set", d->name,
            (long long)c->run.batch);
    }
    return ark_dev_open(c->run.backend, f->o->threads, &f->dev);
}

/* --- all trials --- */

/* DIR/model.safetensors -> the trial that validation prefers, the first of equal ones. */
static ark_status point_model(const ark__finetune *f, const json_t *trials) {
    char target[64], path[ARK__FT_PATH];
    bool by_auroc = f->c->select == ARK_SELECT_AUROC;
    double best = NAN;
    size_t at = 0;
    for (size_t i = 0; i < json_array_size(trials); i++) {
        double v = json_number_value(json_object_get(json_array_get(trials, i), "best_value"));
        if (i == 0 || (by_auroc ? v > best : v < best)) {
            best = v;
            at = i;
        }
    }
    snprintf(target, sizeof target, "trial-%zu/model.safetensors", at + 1);
    ARK_TRY(ark__finetune_path(path, f->out_dir, "model.safetensors"));
    (void)unlink(path);
    if (symlink(target, path) != 0) {
        return ARK_OK; /* a file system without links: the trials' own files are there */
    }
    return ARK_OK;
}

static ark_status run_trials(const ark__finetune *f, json_t *trials) {
    for (int i = 1; i <= (int)f->c->trials; i++) {
        json_t *result;
        ARK_TRY(ark__trial_finished(f, i, &result));
        if (!result) {
            ARK_TRY(ark__trial_run(f, i));
            ARK_TRY(ark__trial_finished(f, i, &result));
        } else {
            ark_training_say(f->o, "trial %d of %lld is finished", i, (long long)f->c->trials);
        }
        json_object_del(result, "config");
        json_array_append_new(trials, result);
    }
    return ARK_OK;
}

static ark_status write_results(const ark__finetune *f, const json_t *results) {
    char path[ARK__FT_PATH];
    ARK_TRY(ark__finetune_path(path, f->out_dir, "config.yaml"));
    ARK_TRY(ark_keys_write(&ark_finetune_keys, f->c, path)); /* more trials than at first, perhaps */
    ARK_TRY(ark__finetune_path(path, f->out_dir, "results.json"));
    ARK_TRY(ark__json_write(path, results));
    ARK_TRY(ark__finetune_tables(f, results));
    ARK_TRY(ark__finetune_card(f, results));
    return point_model(f, json_object_get(results, "trials"));
}

static ark_status run(ark__finetune *f, json_t **results) {
    char path[ARK__FT_PATH];
    ARK_TRY(build(f));
    ARK_TRY(ark_training_folder(f->out_dir, f->o->resume));
    json_t *trials = json_array();
    ark_status st = ark__finetune_path(path, f->out_dir, "config.yaml");
    if (st == ARK_OK && !ark_path_exists(path)) {
        st = ark_keys_write(&ark_finetune_keys, f->c, path);
    }
    st = st ? st : run_trials(f, trials);
    json_t *o = st ? NULL
                   : json_pack("{s:s,s:s,s:s,s:O,s:o}", "dataset", f->setup.lanes[0].data->name, "from",
                         f->c->from[0] ? f->c->from : "random", "arch", f->c->run.arch, "trials", trials,
                         "summary", ark__finetune_summary(trials));
    json_decref(trials);
    ARK_TRY(st);
    st = o ? write_results(f, o) : ARK_ERR(ARK_EINVAL, "results: names must be UTF-8");
    if (st == ARK_OK && results) {
        *results = o;
    } else {
        json_decref(o);
    }
    return st;
}

ark_status ark_finetune(
    ark_finetune_config *config, const char *out_dir, const ark_train_opts *opts, json_t **results) {
    ark__finetune f = {.c = config, .o = opts, .out_dir = out_dir};
    ark_status st = run(&f, results);
    ark_dev_close(f.dev);
    ark_setup_free(&f.setup);
    return st;
}
