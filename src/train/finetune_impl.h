/* The inside of a fine-tuning, shared by its files. */
#ifndef ARK_TRAIN_FINETUNE_IMPL_H
#define ARK_TRAIN_FINETUNE_IMPL_H

#include "eval/split_report.h"
#include "model/session.h"
#include "train/ckpt.h"
#include "train/finetune.h"
#include "train/json_file.h"
#include "train/run_log.h"
#include "train/setup.h"

enum { ARK__FT_PATH = 4096 };

typedef struct ark__finetune {
    ark_finetune_config *c;
    const ark_train_opts *o;
    const char *out_dir;
    ark_setup setup;
    ark_dev *dev;
    int64_t epoch_steps;
} ark__finetune;

/* One trial under way. */
typedef struct ark__trial {
    const ark__finetune *f;
    int number;         /* from 1 */
    ark_train_config c; /* of the trial: the run's with its seed; borrows */
    char dir[ARK__FT_PATH];
    ark_trainer *trainer;
    ark_session *session;
    ark_loader *loader;
    ark_run_log *log;
    ark_ckpt ckpt;
    ark_position at; /* best_loss holds the selection criterion, lower is better */
    float *labels;   /* (batch,K), smoothed */
    double rate;     /* images/s, smoothed */
} ark__trial;

/** Does DIR/trial-N hold a finished trial of this configuration? Its result then, else NULL. */
ark_status ark__trial_finished(const ark__finetune *f, int number, json_t **result) ARK_MUST_CHECK;
/** Train, choose, test; leaves result.json, written last. */
ark_status ark__trial_run(const ark__finetune *f, int number) ARK_MUST_CHECK;
/** After training, with the weights of the best epoch loaded: decisions, scores of validation and test,
 *  files. */
ark_status ark__trial_score(ark__trial *t) ARK_MUST_CHECK;

/** DIR/name; ARK_EINVAL when too long. */
ark_status ark__finetune_path(char out[ARK__FT_PATH], const char *dir, const char *name) ARK_MUST_CHECK;

/** Mean and standard deviation over trials of every number of their reports: "summary" of results.json.
 *  trials: results of the trials, in order. */
json_t *ark__finetune_summary(const json_t *trials);
/** results.csv and results.txt. */
ark_status ark__finetune_tables(const ark__finetune *f, const json_t *results) ARK_MUST_CHECK;
ark_status ark__finetune_card(const ark__finetune *f, const json_t *results) ARK_MUST_CHECK;

#endif
