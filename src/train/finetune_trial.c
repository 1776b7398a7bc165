/* One trial: epochs until the validation value stops improving, then the scores of its best epoch. */
#include "backend/backend.h"
#include "base/alloc.h"
#include "base/err.h"
#include "base/file.h"
#include "model/model.h"
#include "model/weight_file.h"
#include "train/finetune_impl.h"
#include "train/training.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Keys that may differ between a run and its continuation: they change speed or the number of trials. */
static const char *const may_change[] = {"data.config", "data.workers", "data.ring", "data.cache_mb",
    "train.trials", "train.checkpoint_steps", "train.backend", "train.recompute", NULL};

/* --- building --- */

/* The projector of the weights, which ark_weights_load leaves out with the heads. */
static ark_status load_projector(const char *path, ark_params *params) {
    ark_weight_file *f;
    ark_match m = {0};
    ARK_TRY(ark_weight_file_open(path, NULL, &f));
    ark_status st = ark_match_weights(f, params, ARK_MATCH_RESIZE_TABLES, &m);
    for (int i = 0; st == ARK_OK && i < ark_params_count(params); i++) {
        const char *name = ark_params_at(params, i)->name;
        bool projector = !strncmp(name, "projector.", 10);
        if (projector && !m.tensor[i]) {
            st = ARK_ERR(ARK_EFORMAT, "%s: %s is missing or of another shape", path, name);
        }
        m.tensor[i] = projector ? m.tensor[i] : NULL;
    }
    st = st ? st : ark_match_fill(f, &m, params, ARK_COL_STUDENT);
    ark_match_free(&m);
    ark_weight_file_close(f);
    return st;
}

static ark_status start_weights(ark__trial *t) {
    const ark_finetune_config *c = t->f->c;
    ark_params *params = ark_trainer_params(t->trainer);
    if (!c->from[0]) {
        return ARK_OK;
    }
    ARK_TRY(ark_weights_load(c->from, params, ARK_COL_STUDENT, true));
    if (c->features == ARK_ON_PROJECTED) {
        ARK_TRY(load_projector(c->from, params));
    }
    return ark_trainer_loaded(t->trainer, false);
}

static ark_status build(ark__trial *t) {
    const ark__finetune *f = t->f;
    ark_trainer_opts to = ark_setup_trainer(&t->c);
    to.layer_decay = f->c->layer_decay;
    ARK_TRY(ark_trainer_new(&f->setup.net, &to, f->dev, &t->trainer));
    ARK_TRY(start_weights(t));
    ARK_TRY(ark_session_new(&f->setup.net, ark_trainer_params(t->trainer), f->dev, (int)t->c.batch,
        (ark_dtype)t->c.dtype, &t->session));
    ark_loader_opts lo = ark_setup_loader(&t->c, &f->setup);
    ARK_TRY(ark_loader_new(&lo, &t->loader));
    ARK_TRY(ARK_NEW(&t->labels, (size_t)t->c.batch * (size_t)f->setup.width, "labels"));
    t->ckpt.net = &f->setup.net;
    t->ckpt.pre = &f->setup.pre;
    t->ckpt.trainer = t->trainer;
    t->at = (ark_position){.val_loss = NAN, .best_loss = INFINITY, .best_epoch = -1};
    return ARK_OK;
}

static void release(ark__trial *t) {
    ark_run_log_close(t->log);
    ark_loader_free(t->loader);
    ark_session_free(t->session);
    ark_trainer_free(t->trainer);
    ark_free(t->labels);
}

static ark_status name_trial(const ark__finetune *f, int number, ark__trial *t) {
    char name[32];
    snprintf(name, sizeof name, "trial-%d", number);
    *t = (ark__trial){.f = f, .number = number, .c = f->c->run};
    t->c.seed += number - 1;
    ARK_TRY(ark__finetune_path(t->dir, f->out_dir, name));
    t->ckpt = (ark_ckpt){.run_dir = t->dir,
        .keys = &ark_finetune_keys,
        .config = f->c,
        .may_change = may_change,
        .keep_last = 1};
    return ARK_OK;
}

/* --- steps --- */

/* y (1 - s) + s / 2 where every class is a question of its own, y (1 - s) + s / K for exclusive ones. */
static const float *smooth(ark__trial *t, const ark_batch *b) {
    double s = t->f->c->label_smoothing;
    const ark_head *h = &t->f->setup.net.heads[0];
    double even = h->task == ARK_MULTICLASS && t->c.multiclass_loss == 0 ? s / h->n_classes : s / 2;
    if (s == 0) {
        return b->labels;
    }
    for (int i = 0; i < b->n * t->f->setup.width; i++) {
        t->labels[i] = b->mask[i] > 0 ? (float)(b->labels[i] * (1 - s) + even) : 0;
    }
    return t->labels;
}

static void report(const ark__trial *t, const ark_step_result *res, double lr, int64_t batches) {
    const ark__finetune *f = t->f;
    if (!f->o->on_progress) {
        return;
    }
    int64_t steps = f->epoch_steps * t->c.epochs;
    ark_train_progress p = {.dataset = f->setup.lanes[0].data->name,
        .epoch = t->at.epoch + 1,
        .epochs = t->c.epochs,
        .batch = t->at.batch,
        .batches = batches,
        .step = t->at.step,
        .steps = steps,
        .loss = res->loss,
        .task_loss = res->task_loss,
        .consistency_loss = NAN,
        .grad_norm = res->grad_norm,
        .lr = lr,
        .momentum = NAN,
        .consistency = NAN,
        .images_per_s = t->rate,
        .eta_s = t->rate > 0 ? (double)(steps - t->at.step) * (double)t->c.batch / t->rate : NAN,
        .peak_bytes = ark_training_peak_bytes()};
    f->o->on_progress(f->o->user, &p);
}

static ark_status train_step(ark__trial *t, const ark_batch *b, double began) {
    double lr = ark_training_lr(&t->c, t->f->epoch_steps, &t->at);
    ark_step step = {.task = 0,
        .n = b->n,
        .student = b->student,
        .labels = smooth(t, b),
        .mask = b->mask,
        .width = t->f->setup.width,
        .lr = lr,
        .step = (uint64_t)t->at.step};
    ark_step_result res;
    ARK_TRY(ark_trainer_step(t->trainer, &step, &res));
    t->at.step++;
    t->at.batch = (int64_t)b->index + 1;
    t->at.images += b->n;
    t->at.sum_loss += res.loss;
    t->at.sum_norm += res.grad_norm;
    t->at.sum_n++;
    double rate = b->n / (ark_training_now() - began);
    t->rate = t->rate > 0 ? 0.9 * t->rate + 0.1 * rate : rate;
    report(t, &res, lr, t->f->epoch_steps);
    return ARK_OK;
}

/* After a step: stop when asked, or write the checkpoint that is due. */
static ark_status between_steps(ark__trial *t) {
    const ark_train_opts *o = t->f->o;
    if (o->should_stop && o->should_stop(o->user)) {
        ARK_TRY(ark_ckpt_save(&t->ckpt, &t->at, false));
        return ARK_ERR(ARK_EINTERRUPTED,
            "stopped in trial %d after step %lld; a checkpoint is written, go on with --resume", t->number,
            (long long)t->at.step);
    }
    int64_t every = t->c.checkpoint_steps;
    return every > 0 && t->at.step % every == 0 ? ark_ckpt_save(&t->ckpt, &t->at, false) : ARK_OK;
}

static ark_status log_epoch(ark__trial *t, double lr, double seconds, int64_t images) {
    double n = t->at.sum_n ? (double)t->at.sum_n : NAN;
    ark_run_log_begin(t->log, "train", "train", t->at.step);
    ark_run_log_int(t->log, "epoch", t->at.epoch + 1);
    ark_run_log_real(t->log, "loss", t->at.sum_loss / n);
    ark_run_log_real(t->log, "grad_norm", t->at.sum_norm / n);
    ark_run_log_real(t->log, "lr", lr);
    ark_run_log_real(t->log, "images_per_s", (double)images / seconds);
    ark_run_log_real(t->log, "wait_s", ark_loader_wait_s(t->loader));
    ark_run_log_int(t->log, "skipped", t->at.skipped);
    ark_training_say(t->f->o, "trial %d/%lld epoch %lld/%lld: loss %.4f, lr %.3g, %.1f images/s", t->number,
        (long long)t->f->c->trials, (long long)t->at.epoch + 1, (long long)t->c.epochs, t->at.sum_loss / n,
        lr, (double)images / seconds);
    return ark_run_log_end(t->log);
}

static ark_status train_epoch(ark__trial *t) {
    const ark_lane *lane = &t->f->setup.lanes[0];
    ark_source source = {.data = lane->data, .id = lane->id, .split = ARK_TRAIN, .columns = lane->columns};
    ark_pass pass = {.sources = &source,
        .n_sources = 1,
        .views = ARK_VIEWS_FINETUNE,
        .augment = &t->c.augment,
        .shuffle = true,
        .epoch = (uint32_t)t->at.epoch,
        .first_batch = (size_t)t->at.batch};
    /* Steps are numbered by position, so a batch that was skipped whole keeps its number. */
    int64_t first_step = t->at.epoch * t->f->epoch_steps, skipped = t->at.skipped, images = t->at.images;
    double began = ark_training_now(), lr = ark_training_lr(&t->c, t->f->epoch_steps, &t->at);
    const ark_batch *b;
    const char *first;
    ARK_TRY(ark_loader_begin(t->loader, &pass));
    for (;;) {
        double now = ark_training_now();
        ARK_TRY(ark_loader_next(t->loader, &b));
        if (!b) {
            break;
        }
        t->at.step = first_step + (int64_t)b->index;
        ARK_TRY(train_step(t, b, now));
        t->at.skipped = skipped + (int64_t)ark_loader_skipped(t->loader, &first);
        ARK_TRY(between_steps(t));
    }
    size_t left_out = ark_loader_skipped(t->loader, &first);
    if (left_out) {
        ark_training_say(t->f->o, "%zu unreadable images left out; the first: %s", left_out, first);
    }
    t->at.skipped = skipped + (int64_t)left_out;
    t->at.step = first_step + t->f->epoch_steps;
    ARK_TRY(log_epoch(t, lr, ark_training_now() - began, t->at.images - images));
    t->at.sum_loss = t->at.sum_norm = 0;
    t->at.sum_n = 0;
    t->at.batch = 0;
    t->at.epoch++;
    return ARK_OK;
}

/* --- selection --- */

/* The value that validation asks to be low. */
static ark_status criterion_of(const ark__trial *t, const ark_summary *sum, double *out) {
    const char *name = t->f->setup.lanes[0].data->name;
    bool by_auroc = t->f->c->select == ARK_SELECT_AUROC;
    *out = by_auroc ? 1 - sum->mean_auroc : sum->loss;
    if (isfinite(*out)) {
        return ARK_OK;
    }
    return by_auroc
               ? ARK_ERR(ARK_EINVAL,
                     "%s: no class of the validation split has a positive and a negative image, so there "
                     "is no AUROC to select by; train.select: loss works without",
                     name)
               : ARK_ERR(ARK_EINVAL,
                     "%s: the validation split has no label that counts, or the loss is "
                     "not finite",
                     name);
}

/* Validation, then the checkpoint: a resumed run finds all of an epoch done, or none. */
static ark_status end_epoch(ark__trial *t) {
    const ark_setup *s = &t->f->setup;
    const ark_dataset *d = s->lanes[0].data;
    ark_eval_opts eo = {.split = ARK_VAL, .batch = (int)t->c.batch};
    ark_scores scores;
    ark_summary sum;
    double criterion;
    ARK_TRY(ark_evaluate(t->session, ARK_COL_STUDENT, &s->net, 0, t->loader, d, 0, &eo, &scores));
    ark_training_scored what = {.dataset = d->name,
        .model = "student",
        .split = "val",
        .epoch = t->at.epoch,
        .step = t->at.step,
        .n = scores.n};
    ark_status st = ark_summarize(&scores, &s->net.heads[0], &sum);
    ark_scores_free(&scores);
    ARK_TRY(st);
    st = ark_training_log_summary(t->log, t->f->o, &what, &sum);
    st = st ? st : criterion_of(t, &sum, &criterion);
    t->at.val_loss = sum.loss;
    ark_summary_free(&sum);
    ARK_TRY(st);
    if (criterion < t->at.best_loss) {
        t->at.best_loss = criterion;
        t->at.best_epoch = t->at.epoch;
    }
    return ark_ckpt_save(&t->ckpt, &t->at, true);
}

static bool goes_on(const ark__trial *t) {
    int64_t patience = t->f->c->patience;
    bool patient = patience == 0 || t->at.best_epoch < 0 || t->at.epoch - t->at.best_epoch < patience;
    return t->at.epoch < t->c.epochs && patient;
}

/* The weights of the best epoch, which its checkpoint has kept. */
static ark_status load_best(ark__trial *t) {
    char path[ARK__FT_PATH], name[64];
    snprintf(name, sizeof name, "checkpoints/epoch-%04lld/student.safetensors", (long long)t->at.best_epoch);
    ARK_TRY(ark__finetune_path(path, t->dir, name));
    ARK_TRY(ark_weights_load(path, ark_trainer_params(t->trainer), ARK_COL_STUDENT, false));
    return ark_trainer_loaded(t->trainer, false);
}

/* --- the trial --- */

ark_status ark__trial_finished(const ark__finetune *f, int number, json_t **result) {
    ark__trial t;
    char path[ARK__FT_PATH];
    ARK_TRY(name_trial(f, number, &t));
    ARK_TRY(ark__finetune_path(path, t.dir, "result.json"));
    *result = NULL;
    if (!ark_path_exists(path)) {
        return ARK_OK;
    }
    json_t *o;
    ARK_TRY(ark__json_read(path, &o));
    ark_status st = ark_ckpt_same_config(&t.ckpt, json_object_get(o, "config"), path);
    if (st != ARK_OK) {
        json_decref(o);
        return st;
    }
    *result = o;
    return ARK_OK;
}

static ark_status run(ark__trial *t) {
    bool found = false;
    ARK_TRY(ark_mkdirs(t->dir));
    ARK_TRY(build(t));
    if (t->f->o->resume) {
        ARK_TRY(ark_ckpt_load(&t->ckpt, &t->at, &found));
    }
    ARK_TRY(ark_run_log_open(t->dir, found ? t->at.step : -1, &t->log));
    ark_training_say(t->f->o, "trial %d of %lld, seed %lld: %lld parameters, %lld steps an epoch%s",
        t->number, (long long)t->f->c->trials, (long long)t->c.seed,
        (long long)ark_params_numel(ark_trainer_params(t->trainer)), (long long)t->f->epoch_steps,
        found ? ", resumed" : "");
    while (goes_on(t)) {
        ARK_TRY(train_epoch(t));
        ARK_TRY(end_epoch(t));
    }
    ARK_TRY(load_best(t));
    ARK_TRY(ark__trial_score(t));
    char path[ARK__FT_PATH];
    ARK_TRY(ark__finetune_path(path, t->dir, "checkpoints"));
    return ark_rmtree(path); /* model.safetensors is what they were kept for */
}

ark_status ark__trial_run(const ark__finetune *f, int number) {
    ark__trial t;
    ARK_TRY(name_trial(f, number, &t));
    ark_status st = run(&t);
    release(&t);
    return st;
}
