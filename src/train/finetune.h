/* Fine-tuning: any weights, a new head for one dataset, trials with seeds of their own, results with
 * intervals.
 *
 *   DIR/config.yaml, results.json, results.csv, results.txt, model-card.md
 *   DIR/trial-N/   model.safetensors (its best epoch, with operating points), val.csv, test.csv, result.json,
 *                  metrics.jsonl, tensorboard/; checkpoints/ while it runs
 *   DIR/model.safetensors -> the trial with the best validation value
 *
 * The validation split chooses epoch, temperature, thresholds and trial; the test split is only scored. */
#ifndef ARK_TRAIN_FINETUNE_H
#define ARK_TRAIN_FINETUNE_H

#include "ark/train.h"
#include "train/finetune_config.h"

#include <jansson.h>

/** Run what is not done yet of the trials, then write the results. A folder that already holds a run is
 *  refused unless opts->resume; then finished trials are kept and an unfinished one goes on from its
 *  checkpoint, to the same bytes. config is completed from the weights (model.arch). opts->set is not read.
 *  *results, when wanted, gets the content of results.json (json_decref).
 *  @return ARK_OK | ARK_EINVAL (also: no validation split, a validation value that does not exist, weights
 *  without the projector asked for) | ARK_EINTERRUPTED | what pretraining returns. */
ark_status ark_finetune(ark_finetune_config *config, const char *out_dir, const ark_train_opts *opts,
    json_t **results) ARK_MUST_CHECK;

#endif
