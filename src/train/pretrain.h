/* Cyclic pretraining: the main job, from a configuration to a run folder. */
#ifndef ARK_TRAIN_PRETRAIN_H
#define ARK_TRAIN_PRETRAIN_H

#include "ark/status.h"
#include "train/config.h"

#include <stdbool.h>
#include <stdint.h>

/* Where training stands, for a progress line. Strings are valid during the call only. */
typedef struct ark_progress {
    const char *dataset;   /* or "all" in concurrent training */
    const char *phase;     /* "train", "val", "test" */
    int64_t epoch, epochs; /* epoch from 1 */
    int64_t batch, batches;
    int64_t step, steps;
    double images_per_s, loss, task_loss, consistency_loss, grad_norm, lr, momentum, consistency, eta_s;
    size_t peak_bytes; /* resident set, high-water mark */
} ark_progress;

typedef struct ark_pretrain_opts {
    const char *out_dir;
    bool resume;
    int threads;                                           /* 0 = all processors */
    void (*on_progress)(void *arg, const ark_progress *p); /* every step; may be NULL */
    void (*on_message)(void *arg, const char *line);       /* one finished thing, as text; may be NULL */
    bool (*should_stop)(void *arg);                        /* asked after every step; may be NULL */
    void *arg;
} ark_pretrain_opts;

/* What came out. */
typedef struct ark_pretrain_result {
    int64_t epochs, steps, images, skipped, best_epoch;
    double val_loss, best_loss, seconds;
} ark_pretrain_result;

/** Train as the configuration says and fill out_dir (config.yaml, metrics.jsonl, tensorboard/, checkpoints/,
 *  teacher.safetensors, student.safetensors, model-card.md). A folder that already holds a run is refused
 * unless resume; resume in an empty folder starts afresh. should_stop: the step is finished, a checkpoint
 * written, ARK_EINTERRUPTED returned. Same configuration, same bytes of weights, whatever the number of
 * threads or interruptions. */
ark_status ark_pretrain(
    const ark_train_config *config, const ark_pretrain_opts *opts, ark_pretrain_result *out) ARK_MUST_CHECK;

#endif
