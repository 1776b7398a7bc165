/* Checkpoints: everything a run needs to go on, in one folder that appears whole or not at all.
 *
 *   DIR/checkpoints/epoch-NNNN/        state.json, student, teacher and optimizer .safetensors
 *   DIR/checkpoints/step-NNNNNNNNN/    the same, written in mid-epoch (interrupt, train.checkpoint_steps)
 *
 * A folder is written under a temporary name, every file fsynced, then renamed. Older
 * ones are removed only after that. */
#ifndef ARK_TRAIN_CKPT_H
#define ARK_TRAIN_CKPT_H

#include "data/preproc.h"
#include "train/keys.h"
#include "train/trainer.h"

#include <jansson.h>

/* Where a run stands: the next batch to train on, and what is being summed. */
typedef struct ark_position {
    int64_t epoch, pass, batch; /* next: epoch, dataset pass within it, batch within that */
    int64_t step;               /* optimizer steps done, skipped batches counted */
    int64_t iteration;          /* t: dataset passes (or steps, in iteration mode) whose EMA is done */
    int64_t images, skipped;    /* since the start of the run */
    double val_loss;            /* last mean validation loss, NaN before the first */
    double best_loss;           /* lowest so far, +inf before the first */
    int64_t best_epoch;         /* -1 before the first */
    double sum_loss, sum_task, sum_consistency, sum_norm; /* running sums of the current pass, per batch */
    int64_t sum_n, sum_consistency_n;
} ark_position;

typedef struct ark_ckpt {
    const char *run_dir;
    const ark_key_table *keys; /* of config: what is compared when a run goes on */
    const void *config;
    const char *const *may_change; /* keys that may differ then; ends with NULL */
    int64_t keep_last;
    const ark_net *net;
    const ark_preproc *pre;
    ark_trainer *trainer;
} ark_ckpt;

/** The values of the configuration as text, key by key. */
json_t *ark_ckpt_config_json(const ark_ckpt *c);
/** ARK_EINVAL naming `path`, key, old and new value where `saved`, written by the function above, differs in
 * a key outside may_change. */
ark_status ark_ckpt_same_config(const ark_ckpt *c, const json_t *saved, const char *path) ARK_MUST_CHECK;

/** Write the state; at_epoch_end names it epoch-NNNN (NNNN = epochs done) instead of step-NNNNNNNNN. Then
 * remove all but the newest keep_last and the best one, and point checkpoints/best at the latter. On failure
 * (full disk, ...) older checkpoints are untouched. */
ark_status ark_ckpt_save(const ark_ckpt *c, const ark_position *at, bool at_epoch_end) ARK_MUST_CHECK;

/** Load the newest complete checkpoint into the trainer. *found = false when there is none. A run whose
 * configuration differs in a key outside may_change is refused with key, old and new value (ARK_EINVAL). */
ark_status ark_ckpt_load(const ark_ckpt *c, ark_position *at, bool *found) ARK_MUST_CHECK;

#endif
