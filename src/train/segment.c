/* The run: from the configuration to the objects, epochs, selection, results. */
#include "train/segment.h"

#include "backend/backend.h"
#include "base/alloc.h"
#include "base/err.h"
#include "base/rng.h"
#include "model/model.h"
#include "model/seg_model.h"
#include "train/json_file.h"
#include "train/sched.h"
#include "train/segment_impl.h"
#include "train/training.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

ark_status ark__segment_path(const ark__segment *s, const char *name, char out[ARK__SEG_PATH]) {
    int n = snprintf(out, ARK__SEG_PATH, "%s/%s", s->out_dir, name);
    return n >= 0 && n < ARK__SEG_PATH ? ARK_OK : ARK_ERR(ARK_EINVAL, "%s: path too long", s->out_dir);
}

/* --- from the configuration to the objects --- */

static ark_status split_classes(ark__segment *s) {
    s->class_text = ark_strdup(s->c->classes);
    if (!s->class_text) {
        return ARK_ERR(ARK_ENOMEM, "out of memory for class names");
    }
    for (char *at = s->class_text; *at;) {
        size_t len = strcspn(at, ",");
        bool more = at[len] == ',';
        at[len] = '\0';
        if (s->net.classes == (int)(sizeof s->classes / sizeof *s->classes) || !at[0]) {
            return ARK_ERR(ARK_EINVAL, "data.classes: expected 1 to 64 names");
        }
        s->classes[s->net.classes++] = at;
        at += len + more;
    }
    return s->net.classes ? ARK_OK : ARK_ERR(ARK_EINVAL, "data.classes: what is segmented must be named");
}

static ark_status read_list(const ark__segment *s, const char *list, const char *dir, ark_mask_set *out) {
    const ark_segment_config *c = s->c;
    const ark_mask_spec spec = {.list = list,
        .data_dir = dir,
        .classes = s->classes,
        .n_classes = s->net.classes,
        .column = c->mask_column,
        .image = c->image,
        .patient = c->patient,
        .split = c->split,
        .only = ARK_TEST,
        .foreground = (int)c->foreground,
        .ignore = (int)c->ignore};
    return ark_mask_set_read(&spec, out);
}

static ark_status read_data(ark__segment *s) {
    const ark_segment_config *c = s->c;
    if (!c->list[0]) {
        return ARK_ERR(ARK_EINVAL, "data.list: no list of images and masks given");
    }
    ARK_TRY(split_classes(s));
    ARK_TRY(read_list(s, c->list, c->data_dir[0] ? c->data_dir : NULL, &s->data));
    if (c->external[0]) {
        ARK_TRY(read_list(s, c->external, NULL, &s->external));
    }
    ARK_TRY(ark_mask_set_thin(&s->data, c->fraction, (uint64_t)c->seed));
    if (s->data.rows_n[ARK_TRAIN] < 2 || s->data.rows_n[ARK_VAL] == 0) {
        return ARK_ERR(ARK_EINVAL,
            "%s: %zu training and %zu validation images; two and one are needed at least", c->list,
            s->data.rows_n[ARK_TRAIN], s->data.rows_n[ARK_VAL]);
    }
    return ARK_OK;
}

/* Architecture and preprocessing, from the weights unless the configuration says otherwise. */
static ark_status describe(ark__segment *s) {
    const ark_segment_config *c = s->c;
    if (!c->from[0] && !c->arch[0]) {
        return ARK_ERR(ARK_EINVAL, "model.arch: from scratch the architecture must be given");
    }
    if (c->from[0]) {
        ark_model *m;
        ark_model_opts o = {.arch = c->arch[0] ? c->arch : NULL};
        ARK_TRY(ark_model_describe(c->from, &o, &m));
        s->net.arch = m->net.arch;
        s->pre = m->pre;
        ark_model_free(m);
    } else {
        ARK_TRY(ark_arch_parse(c->arch, &s->net.arch));
        s->pre = ark_preproc_default(s->net.arch.size_px);
    }
    s->pre.filter = c->filter ? (ark_filter)(c->filter - 1) : s->pre.filter;
    ark_preproc usual = ark_preproc_default(s->pre.size_px);
    for (int i = 0; i < 3 && c->normalization; i++) {
        s->pre.mean[i] = c->normalization == 1 ? usual.mean[i] : 0.5056f;
        s->pre.std[i] = c->normalization == 1 ? usual.std[i] : 0.252f;
    }
    s->net.channels = (int)c->channels;
    s->net.freeze = c->freeze;
    s->net.drop_path = c->freeze ? 0 : (float)c->drop_path;
    return ark_augment_check(&c->augment);
}

static ark_status build(ark__segment *s) {
    const ark_segment_config *c = s->c;
    if (c->freeze && !c->from[0]) {
        return ARK_ERR(ARK_EINVAL, "train.freeze: from scratch there is nothing worth keeping");
    }
    ARK_TRY(read_data(s));
    ARK_TRY(describe(s));
    ARK_TRY(ark_dev_open(c->backend, s->o->threads, &s->dev));
    const ark_seg_trainer_opts to = {.batch = (int)c->batch,
        .seed = (uint64_t)c->seed,
        .dice = c->dice,
        .bce = c->bce,
        .smooth = (float)c->smooth,
        .optim = {.adamw = c->optimizer == 1,
            .momentum = c->momentum,
            .decay = c->weight_decay,
            .beta1 = c->adam_beta1,
            .beta2 = c->adam_beta2,
            .eps = c->adam_eps,
            .clip = c->clip_grad}};
    ARK_TRY(ark_seg_trainer_new(&s->net, &to, s->dev, &s->trainer));
    ark_params *params = ark_seg_trainer_params(s->trainer);
    if (c->from[0]) {
        ARK_TRY(ark_weights_load(c->from, params, ARK_COL_STUDENT, true));
        ARK_TRY(ark_params_refresh(params, ARK_COL_STUDENT));
    }
    ARK_TRY(ark_mask_loader_new(&s->pre, s->net.classes, (int)c->batch, s->dev->threads, &s->loader));
    size_t side = (size_t)s->pre.size_px, values = (size_t)c->batch * side * side * (size_t)s->net.classes;
    ARK_TRY(ARK_NEW(&s->prob, values, "probabilities"));
    ARK_TRY(ARK_NEW(&s->order, s->data.rows_n[ARK_TRAIN], "an epoch's order"));
    s->best_dice = -1;
    s->best_epoch = -1;
    return ARK_OK;
}

static void release(ark__segment *s) {
    ark_run_log_close(s->log);
    ark_mask_loader_free(s->loader);
    ark_seg_trainer_free(s->trainer);
    ark_dev_close(s->dev);
    ark_mask_set_free(&s->data);
    ark_mask_set_free(&s->external);
    ark_free(s->class_text);
    ark_free(s->prob);
    ark_free(s->order);
}

/* --- training --- */

static int64_t epoch_steps(const ark__segment *s) {
    int64_t n = (int64_t)s->data.rows_n[ARK_TRAIN];
    return (n + s->c->batch - 1) / s->c->batch;
}

static double learning_rate(const ark__segment *s) {
    const ark_segment_config *c = s->c;
    const double per = (double)epoch_steps(s);
    const ark_lr lr = {.peak = c->lr,
        .floor = c->lr_min,
        .warmup_start = c->warmup_lr,
        .warmup = c->warmup_epochs * per,
        .total = (double)c->epochs * per};
    return c->schedule == 1 ? c->lr : ark_lr_cosine(&lr, (double)s->step);
}

static ark_status train_step(ark__segment *s) {
    const ark_segment_config *c = s->c;
    const ark_mask_batch *b;
    const int64_t images = (int64_t)s->data.rows_n[ARK_TRAIN], batches = epoch_steps(s);
    /* Batches of nearly equal size: batch norm cannot learn from a single image that is left over. */
    const int64_t first = images * s->batch / batches;
    const int n = (int)(images * (s->batch + 1) / batches - first);
    double loss, lr = learning_rate(s), began = ark_training_now();
    ARK_TRY(ark_mask_loader_read(
        s->loader, &s->data, s->order + first, n, &c->augment, (uint64_t)c->seed, (uint64_t)s->epoch, 0, &b));
    ARK_TRY(ark_seg_trainer_step(s->trainer, b, lr, (uint64_t)s->step, &loss));
    s->sum_loss += loss;
    s->batch++;
    s->step++;
    if (s->o->on_progress) {
        double rate = n / (ark_training_now() - began);
        const int64_t steps = epoch_steps(s) * c->epochs;
        const ark_train_progress p = {.dataset = "train",
            .epoch = s->epoch + 1,
            .epochs = c->epochs,
            .batch = s->batch,
            .batches = epoch_steps(s),
            .step = s->step,
            .steps = steps,
            .loss = loss,
            .task_loss = loss,
            .consistency_loss = NAN,
            .grad_norm = NAN,
            .lr = lr,
            .momentum = NAN,
            .consistency = NAN,
            .images_per_s = rate,
            .eta_s = (double)(steps - s->step) * (double)c->batch / rate,
            .peak_bytes = ark_training_peak_bytes()};
        s->o->on_progress(s->o->user, &p);
    }
    return ARK_OK;
}

static ark_status train_epoch(ark__segment *s) {
    const size_t n = s->data.rows_n[ARK_TRAIN];
    ark_rng r = ark_rng_at((uint64_t)s->c->seed, ARK_RNG_ORDER, (uint64_t)s->epoch, 0, 0);
    memcpy(s->order, s->data.rows[ARK_TRAIN], n * sizeof *s->order);
    ark_rng_shuffle(&r, s->order, (uint32_t)n);
    const double lr = learning_rate(s), began = ark_training_now();
    while (s->batch < epoch_steps(s)) {
        ARK_TRY(train_step(s));
        if (s->o->should_stop && s->o->should_stop(s->o->user)) {
            ARK_TRY(ark__segment_ckpt_save(s));
            return ARK_ERR(ARK_EINTERRUPTED,
                "stopped after step %lld; a checkpoint is written, go on with --resume", (long long)s->step);
        }
    }
    const double loss = s->sum_loss / (double)epoch_steps(s), rate = (double)n / (ark_training_now() - began);
    ark_run_log_begin(s->log, "train", "train", s->step);
    ark_run_log_int(s->log, "epoch", s->epoch + 1);
    ark_run_log_real(s->log, "loss", loss);
    ark_run_log_real(s->log, "lr", lr);
    ark_run_log_real(s->log, "images_per_s", rate);
    ark_training_say(s->o, "epoch %lld/%lld: loss %.4f, lr %.3g, %.1f images/s", (long long)s->epoch + 1,
        (long long)s->c->epochs, loss, lr, rate);
    s->sum_loss = 0;
    s->batch = 0;
    s->epoch++;
    return ark_run_log_end(s->log);
}

/* Validation, then the checkpoint: a resumed run finds all of an epoch done, or none. */
static ark_status end_epoch(ark__segment *s) {
    ark__seg_scores scores;
    ark_status st = ark__segment_score(
        s, ARK_COL_STUDENT, &s->data, s->data.rows[ARK_VAL], s->data.rows_n[ARK_VAL], &scores);
    double dice = st == ARK_OK ? scores.mean_dice : NAN, iou = st == ARK_OK ? scores.mean_iou : NAN;
    ark__segment_scores_free(&scores);
    ARK_TRY(st);
    if (isnan(dice)) {
        return ARK_ERR(ARK_EINVAL,
            "%s: every mask of the validation split is empty or ignored: no Dice to "
            "choose an epoch by",
            s->c->list);
    }
    ark_run_log_begin(s->log, "val", "val", s->step);
    ark_run_log_int(s->log, "epoch", s->epoch);
    ark_run_log_real(s->log, "dice", dice);
    ark_run_log_real(s->log, "iou", iou);
    ARK_TRY(ark_run_log_end(s->log));
    if (dice > s->best_dice) {
        s->best_dice = dice;
        s->best_epoch = s->epoch;
        ARK_TRY(ark_seg_trainer_keep(s->trainer));
    }
    ark_training_say(s->o, "  val: Dice %.4f, IoU %.4f%s", dice, iou,
        s->best_epoch == s->epoch ? ", the best so far" : "");
    return ark__segment_ckpt_save(s);
}

static bool goes_on(const ark__segment *s) {
    bool patient = s->c->patience == 0 || s->best_epoch < 0 || s->epoch - s->best_epoch < s->c->patience;
    return s->epoch < s->c->epochs && patient;
}

/* --- results --- */

static ark_status score_split(ark__segment *s, const ark_mask_set *set, const uint32_t *rows, size_t n,
    const char *name, json_t *results) {
    ark__seg_scores scores;
    char file[64];
    if (n == 0) {
        return ARK_OK;
    }
    ark_status st = ark__segment_score(s, ARK_COL_TEACHER, set, rows, n, &scores);
    snprintf(file, sizeof file, "%s.csv", name);
    st = st ? st : ark__segment_scores_csv(s, set, rows, &scores, file);
    if (st == ARK_OK) {
        json_object_set_new(results, name, ark__segment_scores_json(s, &scores));
    }
    ark__segment_scores_free(&scores);
    return st;
}

static ark_status finish(ark__segment *s, json_t *results) {
    char path[ARK__SEG_PATH];
    const ark_mask_set *d = &s->data, *e = &s->external;
    ark_params *params = ark_seg_trainer_params(s->trainer);
    ARK_TRY(ark__segment_path(s, "model.safetensors", path));
    ARK_TRY(ark_seg_model_save(path, &s->net, &s->pre, (char *const *)(uintptr_t)s->classes, s->c->threshold,
        params, ARK_COL_TEACHER));
    ARK_TRY(score_split(s, d, d->rows[ARK_VAL], d->rows_n[ARK_VAL], "val", results));
    ARK_TRY(score_split(s, d, d->rows[ARK_TEST], d->rows_n[ARK_TEST], "test", results));
    for (int p = 0; p < ARK_SPLIT_COUNT && e->n; p++) { /* another hospital's list: whatever its splits */
        const char *const names[] = {"external_train", "external_val", "external_test"};
        ARK_TRY(score_split(s, e, e->rows[p], e->rows_n[p], names[p], results));
    }
    size_t pictures =
        (size_t)s->c->pictures < d->rows_n[ARK_TEST] ? (size_t)s->c->pictures : d->rows_n[ARK_TEST];
    ARK_TRY(ark__segment_pictures(s, ARK_COL_TEACHER, d, d->rows[ARK_TEST], pictures));
    ARK_TRY(ark__segment_path(s, "results.json", path));
    ARK_TRY(ark__json_write(path, results));
    ARK_TRY(ark__segment_path(s, "checkpoint.safetensors", path));
    (void)unlink(path); /* what it was for is done */
    return ARK_OK;
}

static ark_status run(ark__segment *s, json_t *results) {
    bool found = false;
    char config[ARK__SEG_PATH], arch[ARK_ARCH_TEXT];
    ARK_TRY(build(s));
    ARK_TRY(ark_training_folder(s->out_dir, s->o->resume));
    if (s->o->resume) {
        ARK_TRY(ark__segment_ckpt_load(s, &found));
    }
    ARK_TRY(ark__segment_path(s, "config.yaml", config));
    ARK_TRY(ark_keys_write(&ark_segment_keys, s->c, config));
    ARK_TRY(ark_run_log_open(s->out_dir, found ? s->step : -1, &s->log));
    ark_training_say(s->o, "%lld parameters, %zu training images, %lld steps an epoch%s",
        (long long)ark_params_numel(ark_seg_trainer_params(s->trainer)), s->data.rows_n[ARK_TRAIN],
        (long long)epoch_steps(s), found ? ", resumed" : "");
    while (goes_on(s)) {
        ARK_TRY(train_epoch(s));
        ARK_TRY(end_epoch(s));
    }
    json_object_set_new(results, "from", json_string(s->c->from[0] ? s->c->from : "random"));
    json_object_set_new(results, "arch", json_string(ark_arch_print(&s->net.arch, arch, sizeof arch)));
    json_object_set_new(results, "train_images", json_integer((json_int_t)s->data.rows_n[ARK_TRAIN]));
    json_object_set_new(results, "epochs", json_integer(s->epoch));
    json_object_set_new(results, "best_epoch", json_integer(s->best_epoch));
    return finish(s, results);
}

ark_status ark_segment(
    const ark_segment_config *config, const char *out_dir, const ark_train_opts *opts, json_t **results) {
    ark__segment s = {.c = config, .o = opts, .out_dir = out_dir};
    json_t *o = json_object();
    ark_status st = run(&s, o);
    release(&s);
    if (st == ARK_OK && results) {
        *results = o;
    } else {
        json_decref(o);
    }
    return st;
}
