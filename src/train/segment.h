/* Segmentation: an encoder of any weights, UperNet, and masks.
 *
 *   DIR/config.yaml, metrics.jsonl, tensorboard/, checkpoint.safetensors while it runs
 *   DIR/model.safetensors        the epoch with the best validation Dice
 *   DIR/results.json             Dice and IoU per class with intervals by patient
 *   DIR/val.csv, test.csv, external_*.csv  per image and class
 *   DIR/pictures/                masks and overlays of the first test images
 *
 * The validation split chooses the epoch; the test split and the external list are only scored. */
#ifndef ARK_TRAIN_SEGMENT_H
#define ARK_TRAIN_SEGMENT_H

#include "ark/train.h"
#include "train/segment_config.h"

#include <jansson.h>

/** Train, choose, test. A folder that holds a run is refused unless opts->resume, which goes on to the same
 *  bytes. opts->set is not read. *results, when wanted, gets the content of results.json (json_decref).
 *  @return ARK_OK | ARK_EINVAL (no training or validation image, a validation split of empty masks,
 *  ...) | ARK_EINTERRUPTED (a checkpoint is written) | what reading images and training steps return */
ark_status ark_segment(const ark_segment_config *config, const char *out_dir, const ark_train_opts *opts,
    json_t **results) ARK_MUST_CHECK;

#endif
