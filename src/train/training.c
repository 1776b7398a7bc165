#include "train/training.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/file.h"
#include "base/str.h"
#include "train/sched.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

double ark_training_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

size_t ark_training_peak_bytes(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (size_t)u.ru_maxrss * 1024;
}

void ark_training_say(const ark_train_opts *o, const char *fmt, ...) {
    char line[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    if (o->on_message) {
        o->on_message(o->user, line);
    }
}

int64_t ark_training_batches(const ark_train_config *c, size_t images) {
    size_t b = (size_t)c->batch;
    return (int64_t)(c->drop_last ? images / b : (images + b - 1) / b);
}

double ark_training_lr(const ark_train_config *c, int64_t epoch_steps, const ark_position *at) {
    ark_lr s = {.peak = c->lr, .floor = c->lr_min, .warmup_start = c->warmup_lr};
    double per = c->schedule == ARK_LR_COSINE ? (double)epoch_steps : 1;
    s.warmup = c->warmup_epochs * per;
    s.total = (double)c->epochs * per;
    switch ((ark_schedule)c->schedule) {
    case ARK_LR_CONSTANT:
        return c->lr;
    case ARK_LR_AS_RELEASED:
        return ark_lr_as_released(&s, at->val_loss);
    case ARK_LR_COSINE_EPOCH:
        return ark_lr_cosine(&s, (double)at->epoch);
    case ARK_LR_COSINE:
        break;
    }
    return ark_lr_cosine(&s, (double)at->step);
}

ark_status ark_training_folder(const char *dir, bool resume) {
    char *config = ark_path_join(dir, "config.yaml");
    ark_status st = config ? ark_mkdirs(dir) : ARK_ERR(ARK_ENOMEM, "out of memory");
    if (st == ARK_OK && !resume && ark_path_exists(config)) {
        st = ARK_ERR(ARK_EINVAL,
            "%s already holds a run: add --resume to go on with it, or choose another folder", dir);
    }
    ark_free(config);
    return st;
}

/* Names of the classes whose AUROC does not exist in the split, "" when all do. */
static const char *undefined_names(const ark_summary *sum, char *buf, size_t cap) {
    size_t len = 0;
    buf[0] = '\0';
    for (int k = 0; k < sum->k && len < cap; k++) {
        if (!isfinite(sum->classes[k].auroc)) {
            len += (size_t)snprintf(buf + len, cap - len, "%s%s", len ? ", " : "", sum->classes[k].name);
        }
    }
    return buf;
}

ark_status ark_training_log_summary(
    ark_run_log *log, const ark_train_opts *o, const ark_training_scored *what, const ark_summary *sum) {
    char tag[200], undefined[512];
    snprintf(tag, sizeof tag, "%s/%s/%s", what->split, what->dataset, what->model);
    undefined_names(sum, undefined, sizeof undefined);
    ark_run_log_begin(log, what->split, tag, what->step);
    ark_run_log_int(log, "epoch", what->epoch);
    ark_run_log_text(log, "dataset", what->dataset);
    ark_run_log_text(log, "model", what->model);
    ark_run_log_int(log, "n", what->n);
    ark_run_log_int(log, "classes", sum->k);
    ark_run_log_int(log, "classes_defined", sum->defined);
    if (undefined[0]) {
        ark_run_log_text(log, "undefined", undefined);
    }
    ark_run_log_real(log, "loss", sum->loss);
    ark_run_log_real(log, "auroc", sum->mean_auroc);
    ark_run_log_real(log, "ap", sum->mean_ap);
    ark_run_log_real(log, "accuracy", sum->accuracy);
    ark_training_say(o, "  %s %s %s: loss %.4f, AUROC %.4f (%d of %d classes%s%s), AP %.4f, accuracy %.4f",
        what->split, what->dataset, what->model, sum->loss, sum->mean_auroc, sum->defined, sum->k,
        undefined[0] ? "; undefined: " : "", undefined, sum->mean_ap, sum->accuracy);
    return ark_run_log_end(log);
}
