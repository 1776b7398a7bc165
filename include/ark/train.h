/* Training: one model pretrained on many datasets, each with labels of its own (Foundation Ark), and its
 * fine-tuning for one more.
 *
 * A run is described by a YAML file (docs/configuration.md) and leaves a folder (docs/internals/files.md):
 * weights of student and teacher, checkpoints, metrics.jsonl, TensorBoard events, a model card. The weights
 * open with ark_infer_open. Memory and thread rules: ark/ark.h. */
#ifndef ARK_TRAIN_H
#define ARK_TRAIN_H

#include "ark/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Where a run stands, after each step. Valid during the callback only. Numbers that do not exist are NaN. */
typedef struct ark_train_progress {
    const char *dataset;     /* that the step learned from; "all" in concurrent training */
    int64_t epoch, epochs;   /* this one, from 1; of the run */
    int64_t batch, batches;  /* done; of this dataset and epoch */
    int64_t step, steps;     /* optimizer steps done; of the run */
    double loss;             /* (1-c) task_loss + c consistency_loss, mean over the batch */
    double task_loss;        /* cross-entropy of the dataset's head */
    double consistency_loss; /* mean squared distance to the teacher's features; NaN when not computed */
    double grad_norm;        /* L2, before clipping */
    double lr;               /* learning rate of the step */
    double momentum;         /* m of the teacher's moving average */
    double consistency;      /* c */
    double images_per_s;     /* smoothed */
    double eta_s;            /* seconds left for training steps, at that speed */
    size_t peak_bytes;       /* largest resident memory of the process so far */
} ark_train_progress;

/* Start from ark_train_default_opts(); fields may be added. Callbacks run on the thread that called
 * ark_train_pretrain, between two steps; they may be NULL and may not call back into the same run. */
typedef struct ark_train_opts {
    const char *const *set; /* n_set assignments "train.epochs=4" that override the YAML file */
    size_t n_set;
    bool resume; /* go on with the run in the folder; starts afresh in an empty one */
    int threads; /* of the computation, 0 = all processors; image readers are set by data.workers */
    void (*on_progress)(void *user, const ark_train_progress *progress); /* after every step */
    void (*on_message)(void *user, const char *line); /* one finished thing as text, without newline */
    bool (*should_stop)(void *user);                  /* asked after every step; true ends the run */
    void *user;                                       /* handed to the callbacks; never read */
} ark_train_opts;

/** No overrides, a new run, all processors, no callbacks. */
ark_train_opts ark_train_default_opts(void);

/* What came out of a run that was finished. */
typedef struct ark_train_result {
    int64_t epochs, steps; /* of the whole run, resumed parts included */
    int64_t images;        /* seen in training */
    int64_t skipped;       /* unreadable images left out, with data.on_bad_sample=skip */
    double val_loss;  /* validation loss after the last epoch, mean over datasets; NaN without such a split */
    double best_loss; /* lowest of any epoch; +inf without a validation split */
    int64_t best_epoch; /* its epoch, from 1; -1 without */
    double seconds;     /* that this call took */
} ark_train_result;

/** Pretrain as run_yaml and opts->set say, and fill out_dir. Returns when the last epoch is done, or early.
 *  @param run_yaml  configuration; relative paths in it are relative to its folder.
 *  @param out_dir   run folder, made if missing. One that holds a run is refused unless opts->resume.
 *  @param opts      NULL = defaults. Borrowed for the call.
 *  @param result    NULL = not wanted.
 *  Determinism: the same configuration gives the same bytes of weights, whatever the number of threads and
 *  however often the run was stopped and resumed.
 *  Threads: any, but no two runs in one folder.
 *  @return ARK_OK | ARK_EINVAL (unknown key, bad value, folder already in use: named in the message) |
 *  ARK_EFORMAT, ARK_EIO (datasets, images, full disk; the last checkpoint stays whole) | ARK_EINTERRUPTED
 *  (should_stop said so: a checkpoint is written, resume goes on from that very step) | ARK_EDEVICE (loss or
 *  gradient not finite) | ARK_ENOTBUILT | ARK_ENOMEM. */
ark_status ark_train_pretrain(const char *run_yaml, const char *out_dir, const ark_train_opts *opts,
    ark_train_result *result) ARK_MUST_CHECK;

/** Fine-tune any weights for one dataset, in trials: `arkfm finetune` (docs/finetune.md). Results are files
 *  in out_dir: results.json, model.safetensors and one folder per trial. In the callbacks, momentum,
 *  consistency and consistency_loss are NaN, and steps count within a trial.
 *  @param run_yaml  configuration, or NULL for defaults with opts->set; relative paths in it are relative to
 *  its folder.
 *  @param weights   weight file to start from, "random" for the baseline from scratch, NULL = as model.from
 *  of the configuration says.
 *  @param opts      as above; resume keeps finished trials.
 *  Determinism, threads, errors: as above. ARK_EINVAL also for a dataset without a validation split. */
ark_status ark_train_finetune(const char *run_yaml, const char *weights, const char *out_dir,
    const ark_train_opts *opts) ARK_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
