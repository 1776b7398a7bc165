/* Cyclic pretraining: the main job, from a configuration to a run folder. */
#ifndef ARK_TRAIN_PRETRAIN_H
#define ARK_TRAIN_PRETRAIN_H

#include "ark/train.h"
#include "train/config.h"

/** Train as the configuration says and fill out_dir (config.yaml, metrics.jsonl, tensorboard/, checkpoints/,
 *  teacher.safetensors, student.safetensors, model-card.md). A folder that already holds a run is refused
 *  unless opts->resume; resume in an empty folder starts afresh. should_stop: the step is finished, a
 *  checkpoint written, ARK_EINTERRUPTED returned. Same configuration, same bytes of weights, whatever the
 *  number of threads or interruptions. opts->set is not read: overrides are part of the configuration. */
ark_status ark_pretrain(const ark_train_config *config, const char *out_dir, const ark_train_opts *opts,
    ark_train_result *out) ARK_MUST_CHECK;

#endif
