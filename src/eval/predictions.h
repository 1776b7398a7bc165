/* The table of predictions of one split, as CSV. */
#ifndef ARK_EVAL_PREDICTIONS_H
#define ARK_EVAL_PREDICTIONS_H

#include "eval/evaluate.h"

/** Write PATH atomically: path, with_patient the number of the patient within the dataset (not an identifier
 *  from outside), then per class its label (blank where it does not count) and "CLASS score", the probability
 *  with 9 digits: it reads back to the same float. */
ark_status ark_predictions_write(const char *path, const ark_scores *s, const ark_head *head,
    const ark_dataset *data, bool with_patient) ARK_MUST_CHECK;

#endif
