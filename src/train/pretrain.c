/* The main loop: epochs, dataset passes, steps; then validation, test, checkpoint. */
#include "train/pretrain.h"

#include "backend/backend.h"
#include "base/alloc.h"
#include "base/err.h"
#include "base/str.h"
#include "model/model.h"
#include "train/config_impl.h"
#include "train/pretrain_impl.h"
#include "train/sched.h"
#include "train/training.h"

#include <math.h>
#include <stdio.h>

/* ---- schedules ---- */

static double consistency_now(const ark_pretrain_run *r) {
    if (!r->c->teacher || !r->c->consistency) {
        return 0;
    }
    return ark_consistency_weight(r->at.iteration, r->total_iterations, r->c->consistency_max);
}

static double lr_now(const ark_pretrain_run *r) {
    return ark_training_lr(r->c, r->epoch_steps, &r->at);
}

/* ---- building ---- */

static ark_status count_steps(ark_pretrain_run *r) {
    ark_setup *s = &r->setup;
    bool mixed = r->c->mode == ARK_CONCURRENT;
    size_t all = 0;
    r->passes = mixed ? 1 : s->n_lanes;
    ARK_TRY(ARK_NEW(&r->pass_steps, (size_t)s->n_lanes, "step counts"));
    ARK_TRY(ARK_NEW(&r->sources, (size_t)s->n_lanes, "sources"));
    ARK_TRY(ARK_NEW(&r->rows, ARK_PRETRAIN_ROWS, "results"));
    for (int i = 0; i < s->n_lanes; i++) {
        const ark_lane *l = &s->lanes[i];
        size_t n = l->data->rows_n[ARK_TRAIN];
        r->sources[i] = (ark_source){.data = l->data, .id = l->id, .split = ARK_TRAIN, .columns = l->columns};
        r->pass_steps[i] = ark_training_batches(r->c, n);
        all += n;
    }
    if (mixed) {
        r->pass_steps[0] = ark_training_batches(r->c, all);
    }
    for (int i = 0; i < r->passes; i++) {
        if (r->pass_steps[i] == 0) {
            return ARK_ERR(ARK_EINVAL,
                "%s: fewer training images than one batch of %lld, and train.drop_last is set",
                r->sources[i].data->name, (long long)r->c->batch);
        }
        r->epoch_steps += r->pass_steps[i];
    }
    r->total_steps = r->epoch_steps * r->c->epochs;
    r->total_iterations = r->c->ema_mode == ARK_EMA_ITERATION ? r->total_steps : r->c->epochs * r->passes;
    return ARK_OK;
}

/* Keys that may differ between a run and its continuation: they change speed, output or length. */
static const char *const may_change[] = {"data.config", "data.workers", "data.ring", "data.cache_mb",
    "train.epochs", "train.test_every", "train.keep_last", "train.checkpoint_steps", "train.backend",
    "train.recompute", "model.init", NULL};

static ark_status build(ark_pretrain_run *r) {
    const ark_train_config *c = r->c;
    ARK_TRY(ark_config_check(c));
    ARK_TRY(ark_setup_read(c, r->o->on_message, r->o->user, &r->setup));
    ARK_TRY(count_steps(r));
    ARK_TRY(ark_dev_open(c->backend, r->o->threads, &r->dev));
    ark_trainer_opts topts = ark_setup_trainer(c);
    ARK_TRY(ark_trainer_new(&r->setup.net, &topts, r->dev, &r->trainer));
    ark_params *params = ark_trainer_params(r->trainer);
    if (c->init[0]) {
        const char *key = c->init_key[0] ? c->init_key : NULL;
        ARK_TRY(ark_weights_load_key(c->init, key, params, ARK_COL_STUDENT, true));
        ARK_TRY(ark_trainer_loaded(r->trainer, !topts.teacher_independent));
    }
    ARK_TRY(ark_session_new(&r->setup.net, params, r->dev, (int)c->batch, (ark_dtype)c->dtype, &r->session));
    ark_loader_opts lopts = ark_setup_loader(c, &r->setup);
    ARK_TRY(ark_loader_new(&lopts, &r->loader));
    r->ckpt = (ark_ckpt){.run_dir = r->out_dir,
        .keys = &ark__train_keys,
        .config = c,
        .may_change = may_change,
        .keep_last = c->keep_last,
        .net = &r->setup.net,
        .pre = &r->setup.pre,
        .trainer = r->trainer};
    r->at = (ark_position){.val_loss = NAN, .best_loss = INFINITY, .best_epoch = -1};
    return ARK_OK;
}

static void release(ark_pretrain_run *r) {
    ark_run_log_close(r->log);
    ark_loader_free(r->loader);
    ark_session_free(r->session);
    ark_trainer_free(r->trainer);
    ark_dev_close(r->dev);
    ark_setup_free(&r->setup);
    ark_free(r->pass_steps);
    ark_free(r->sources);
    ark_free(r->rows);
}

/* ---- one pass over a dataset ---- */

static void report(ark_pretrain_run *r, const ark_step_result *res, int64_t batch, int64_t batches, double c,
    double lr, double m) {
    if (!r->o->on_progress) {
        return;
    }
    double left = (double)(r->total_steps - r->at.step) * (double)r->c->batch;
    ark_train_progress p = {
        .dataset = r->c->mode == ARK_CONCURRENT ? "all" : r->setup.lanes[r->at.pass].data->name,
        .epoch = r->at.epoch + 1,
        .epochs = r->c->epochs,
        .batch = batch,
        .batches = batches,
        .step = r->at.step,
        .steps = r->total_steps,
        .images_per_s = r->rate,
        .loss = res->loss,
        .task_loss = res->task_loss,
        .consistency_loss = res->consistency_loss,
        .grad_norm = res->grad_norm,
        .lr = lr,
        .momentum = m,
        .consistency = c,
        .eta_s = r->rate > 0 ? left / r->rate : NAN,
        .peak_bytes = ark_training_peak_bytes(),
    };
    r->o->on_progress(r->o->user, &p);
}

static ark_status train_step(
    ark_pretrain_run *r, const ark_batch *b, int64_t batches, double seconds_before) {
    double c = consistency_now(r), lr = lr_now(r);
    double m = ark_ema_momentum(r->at.iteration, r->total_iterations, r->c->ema_momentum);
    ark_step step = {
        .task = r->setup.lanes[r->at.pass].task,
        .n = b->n,
        .student = b->student,
        .teacher = b->teacher,
        .labels = b->labels,
        .mask = b->mask,
        .width = r->setup.width,
        .consistency = c,
        .lr = lr,
        .step = (uint64_t)r->at.step,
    };
    ark_step_result res;
    ARK_TRY(ark_trainer_step(r->trainer, &step, &res));
    r->at.step++;
    r->at.batch = (int64_t)b->index + 1;
    r->at.images += b->n;
    r->at.sum_loss += res.loss;
    r->at.sum_task += res.task_loss;
    r->at.sum_norm += res.grad_norm;
    r->at.sum_n++;
    if (isfinite(res.consistency_loss)) {
        r->at.sum_consistency += res.consistency_loss;
        r->at.sum_consistency_n++;
    }
    if (r->c->ema_mode == ARK_EMA_ITERATION) {
        ARK_TRY(ark_trainer_ema(r->trainer, m));
        r->at.iteration++;
    }
    double rate = b->n / (ark_training_now() - seconds_before);
    r->rate = r->rate > 0 ? 0.9 * r->rate + 0.1 * rate : rate;
    report(r, &res, r->at.batch, batches, c, lr, m);
    return ARK_OK;
}

static ark_status log_pass(
    ark_pretrain_run *r, double lr, double m, double c, double seconds, int64_t images) {
    const ark_position *at = &r->at;
    const char *name = r->c->mode == ARK_CONCURRENT ? "all" : r->setup.lanes[at->pass].data->name;
    double n = at->sum_n ? (double)at->sum_n : NAN;
    double consistency = at->sum_consistency_n ? at->sum_consistency / (double)at->sum_consistency_n : NAN;
    char tag[160];
    snprintf(tag, sizeof tag, "train/%s", name);
    ark_run_log_begin(r->log, "train", tag, at->step);
    ark_run_log_int(r->log, "epoch", at->epoch + 1);
    ark_run_log_text(r->log, "dataset", name);
    ark_run_log_int(r->log, "iteration", at->iteration);
    ark_run_log_real(r->log, "loss", at->sum_loss / n);
    ark_run_log_real(r->log, "task_loss", at->sum_task / n);
    ark_run_log_real(r->log, "consistency_loss", consistency);
    ark_run_log_real(r->log, "grad_norm", at->sum_norm / n);
    ark_run_log_real(r->log, "lr", lr);
    ark_run_log_real(r->log, "momentum", m);
    ark_run_log_real(r->log, "consistency", c);
    ark_run_log_real(r->log, "images_per_s", (double)images / seconds);
    ark_run_log_real(r->log, "wait_s", ark_loader_wait_s(r->loader));
    ark_run_log_int(r->log, "skipped", (int64_t)at->skipped);
    ark_training_say(r->o,
        "epoch %lld/%lld %s: loss %.4f (task %.4f, consistency %.4f) lr %.3g m %.4f c %.3f, %.1f images/s",
        (long long)at->epoch + 1, (long long)r->c->epochs, name, at->sum_loss / n, at->sum_task / n,
        consistency, lr, m, c, (double)images / seconds);
    return ark_run_log_end(r->log);
}

static ark_status interrupted(ark_pretrain_run *r) {
    ARK_TRY(ark_ckpt_save(&r->ckpt, &r->at, false));
    return ARK_ERR(ARK_EINTERRUPTED, "stopped after step %lld; a checkpoint is written, go on with --resume",
        (long long)r->at.step);
}

/* After a step: stop when asked, or write the checkpoint that is due. */
static ark_status between_steps(ark_pretrain_run *r) {
    if (r->o->should_stop && r->o->should_stop(r->o->user)) {
        return interrupted(r);
    }
    int64_t every = r->c->checkpoint_steps;
    return every > 0 && r->at.step % every == 0 ? ark_ckpt_save(&r->ckpt, &r->at, false) : ARK_OK;
}

static ark_status train_pass(ark_pretrain_run *r) {
    int p = (int)r->at.pass;
    bool mixed = r->c->mode == ARK_CONCURRENT;
    ark_pass pass = {.sources = mixed ? r->sources : &r->sources[p],
        .n_sources = mixed ? (size_t)r->setup.n_lanes : 1,
        .views = ARK_VIEWS_PRETRAIN,
        .augment = &r->c->augment,
        .shuffle = true,
        .epoch = (uint32_t)r->at.epoch,
        .first_batch = (size_t)r->at.batch};
    /* Steps are numbered by position, so a batch that was skipped whole keeps its number. */
    int64_t first_step = r->at.epoch * r->epoch_steps, skipped_before = r->at.skipped,
            images_before = r->at.images;
    for (int i = 0; i < p; i++) {
        first_step += r->pass_steps[i];
    }
    double began = ark_training_now(), c = consistency_now(r), lr = lr_now(r);
    double m = ark_ema_momentum(r->at.iteration, r->total_iterations, r->c->ema_momentum);
    const ark_batch *b;
    ARK_TRY(ark_loader_begin(r->loader, &pass));
    for (;;) {
        double t = ark_training_now();
        ARK_TRY(ark_loader_next(r->loader, &b));
        if (!b) {
            break;
        }
        const char *first;
        r->at.step = first_step + (int64_t)b->index;
        lr = lr_now(r);
        ARK_TRY(train_step(r, b, r->pass_steps[p], t));
        r->at.skipped = skipped_before + (int64_t)ark_loader_skipped(r->loader, &first);
        ARK_TRY(between_steps(r));
    }
    const char *first;
    size_t skipped = ark_loader_skipped(r->loader, &first);
    if (skipped) {
        ark_training_say(r->o, "%zu unreadable images left out; the first: %s", skipped, first);
    }
    r->at.skipped = skipped_before + (int64_t)skipped;
    r->at.step = first_step + r->pass_steps[p];
    if (r->c->ema_mode == ARK_EMA_EPOCH) {
        ARK_TRY(ark_trainer_ema(r->trainer, m));
        r->at.iteration++;
    }
    ARK_TRY(log_pass(r, lr, m, c, ark_training_now() - began, r->at.images - images_before));
    r->at.sum_loss = r->at.sum_task = r->at.sum_consistency = r->at.sum_norm = 0;
    r->at.sum_n = r->at.sum_consistency_n = 0;
    r->at.batch = 0;
    r->at.pass++;
    return ARK_OK;
}

/* --- the end of an epoch and of the run --- */

/* Validation, test when due, then the checkpoint: a resumed run finds all of an epoch done, or none. */
static ark_status end_epoch(ark_pretrain_run *r) {
    double ignored;
    r->at.epoch++;
    r->at.pass = 0;
    r->n_rows = 0;
    ARK_TRY(ark__pretrain_evaluate(r, ARK_VAL, &r->at.val_loss));
    bool last = r->at.epoch == r->c->epochs;
    if (last || (r->c->test_every > 0 && r->at.epoch % r->c->test_every == 0)) {
        ARK_TRY(ark__pretrain_evaluate(r, ARK_TEST, &ignored));
    }
    if (r->at.val_loss < r->at.best_loss) {
        r->at.best_loss = r->at.val_loss;
        r->at.best_epoch = r->at.epoch;
    }
    return ark_ckpt_save(&r->ckpt, &r->at, true);
}

static ark_status finish(ark_pretrain_run *r) {
    ark_params *params = ark_trainer_params(r->trainer);
    const char *const names[] = {"student.safetensors", "teacher.safetensors", "model-card.md"};
    for (int i = 0; i < 3; i++) {
        char *path = ark_path_join(r->out_dir, names[i]);
        ark_status st = ARK_OK;
        if (!path) {
            st = ARK_ERR(ARK_ENOMEM, "out of memory");
        } else if (i == 2) {
            st = ark_model_card_write(path, r->c, &r->setup, ark_params_numel(params), r->rows, r->n_rows);
        } else if (i == 0 || r->c->teacher) {
            st = ark_weights_save(
                path, &r->setup.net, &r->setup.pre, params, i ? ARK_COL_TEACHER : ARK_COL_STUDENT, NULL);
        }
        ark_free(path);
        ARK_TRY(st);
    }
    return ARK_OK;
}

static ark_status open_folder(ark_pretrain_run *r, bool *found) {
    *found = false;
    ARK_TRY(ark_training_folder(r->out_dir, r->o->resume));
    if (r->o->resume) {
        ARK_TRY(ark_ckpt_load(&r->ckpt, &r->at, found));
    }
    char *config = ark_path_join(r->out_dir, "config.yaml");
    ark_status st = config ? ark_config_write(r->c, config) : ARK_ERR(ARK_ENOMEM, "out of memory");
    ark_free(config);
    return st;
}

static ark_status train(ark_pretrain_run *r) {
    bool found;
    ARK_TRY(build(r));
    ARK_TRY(open_folder(r, &found));
    ARK_TRY(ark_run_log_open(r->out_dir, found ? r->at.step : -1, &r->log));
    ark_training_say(r->o, "%lld parameters, %d datasets, %lld steps in %lld epochs, %s%s",
        (long long)ark_params_numel(ark_trainer_params(r->trainer)), r->setup.n_lanes,
        (long long)r->total_steps, (long long)r->c->epochs, ark_dtype_name((ark_dtype)r->c->dtype),
        found ? ", resumed" : "");
    while (r->at.epoch < r->c->epochs) {
        while (r->at.pass < r->passes) {
            ARK_TRY(train_pass(r));
        }
        ARK_TRY(end_epoch(r));
    }
    return finish(r);
}

ark_status ark_pretrain(
    const ark_train_config *config, const char *out_dir, const ark_train_opts *opts, ark_train_result *out) {
    ark_pretrain_run r = {.c = config, .o = opts, .out_dir = out_dir, .started = ark_training_now()};
    ark_status st = train(&r);
    if (st == ARK_OK) {
        *out = (ark_train_result){.epochs = r.at.epoch,
            .steps = r.at.step,
            .images = r.at.images,
            .skipped = r.at.skipped,
            .best_epoch = r.at.best_epoch,
            .val_loss = r.at.val_loss,
            .best_loss = r.at.best_loss,
            .seconds = ark_training_now() - r.started};
    }
    release(&r);
    return st;
}
