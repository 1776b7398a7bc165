/* Model card: what a weight file is, was trained on, scored, and is not for. Markdown beside the weights. */
#ifndef ARK_TRAIN_MODEL_CARD_H
#define ARK_TRAIN_MODEL_CARD_H

#include "train/config.h"
#include "train/setup.h"

/* One line of the results table. */
typedef struct ark_card_row {
    const char *dataset, *model, *split; /* "teacher" or "student" */
    int64_t n;
    int classes, defined;
    double auroc, ap, accuracy, loss; /* NaN prints as "-" */
} ark_card_row;

/** Write PATH atomically. parameters: total number of weights. */
ark_status ark_model_card_write(const char *path, const ark_train_config *c, const ark_setup *s,
    int64_t parameters, const ark_card_row *rows, size_t n_rows) ARK_MUST_CHECK;

#endif
