/* What pretraining and fine-tuning share: time, messages, steps of an epoch, the learning rate, the run's
 * folder, and how the scores of a split are logged. */
#ifndef ARK_TRAIN_TRAINING_H
#define ARK_TRAIN_TRAINING_H

#include "ark/train.h"
#include "eval/evaluate.h"
#include "train/ckpt.h"
#include "train/config.h"
#include "train/run_log.h"

/** Seconds on a clock that only goes forward. */
double ark_training_now(void);
/** Largest resident memory of the process so far. */
size_t ark_training_peak_bytes(void);
/** Hand one line to the caller's on_message. */
void ark_training_say(const ark_train_opts *o, const char *fmt, ...) ARK_PRINTF(2, 3);

/** Batches of a pass over so many images; 0 when train.drop_last leaves none. */
int64_t ark_training_batches(const ark_train_config *c, size_t images);
/** Learning rate of the step at `at`, in a run of c->epochs epochs of epoch_steps steps. */
double ark_training_lr(const ark_train_config *c, int64_t epoch_steps, const ark_position *at);

/** Make the run folder; ARK_EINVAL when it already holds a config.yaml and the run is not to be resumed. */
ark_status ark_training_folder(const char *dir, bool resume) ARK_MUST_CHECK;

/* Whose scores a line is about. */
typedef struct ark_training_scored {
    const char *dataset, *model, *split;
    int64_t epoch, step, n;
} ark_training_scored;

/** Log a summary as event `split` under the tag split/dataset/model, and say it as one line. Classes without
 *  an AUROC are named. */
ark_status ark_training_log_summary(ark_run_log *log, const ark_train_opts *o,
    const ark_training_scored *what, const ark_summary *sum) ARK_MUST_CHECK;

#endif
