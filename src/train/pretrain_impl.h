/* The inside of a pretraining run, shared by the files of the main loop only. */
#ifndef ARK_TRAIN_PRETRAIN_IMPL_H
#define ARK_TRAIN_PRETRAIN_IMPL_H

#include "model/session.h"
#include "train/ckpt.h"
#include "train/model_card.h"
#include "train/pretrain.h"
#include "train/run_log.h"
#include "train/setup.h"

enum { ARK_PRETRAIN_ROWS = 4096 };

typedef struct ark_pretrain_run {
    const ark_train_config *c;
    const ark_train_opts *o;
    const char *out_dir;
    ark_setup setup;
    ark_dev *dev;
    ark_trainer *trainer;
    ark_session *session; /* evaluation */
    ark_loader *loader;
    ark_run_log *log;
    ark_ckpt ckpt;
    ark_position at;
    int passes;          /* per epoch: datasets, or 1 in concurrent training */
    int64_t *pass_steps; /* batches of each pass */
    int64_t epoch_steps, total_steps, total_iterations;
    ark_source *sources; /* one per lane */
    ark_card_row *rows;  /* results of the last evaluations, ARK_PRETRAIN_ROWS at most */
    size_t n_rows;
    double started, rate; /* seconds; images/s, smoothed */
} ark_pretrain_run;

/** Student and teacher on one split of every dataset: logged, and kept as rows of the model card. *mean gets
 *  the mean loss of the guiding model (teacher, or student without one) over the datasets that have the
 *  split; NaN when none has. */
ark_status ark__pretrain_evaluate(ark_pretrain_run *r, ark_split split, double *mean) ARK_MUST_CHECK;

#endif
