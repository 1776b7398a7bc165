/* Configuration of a segmentation run; values come as in train/config.h. Keys: docs/segmentation.md. */
#ifndef ARK_TRAIN_SEGMENT_CONFIG_H
#define ARK_TRAIN_SEGMENT_CONFIG_H

#include "data/augment.h"
#include "train/keys.h"

#include <stdbool.h>

typedef struct ark_segment_config {
    /* data */
    char *list, *data_dir, *external, *classes, *mask_column, *image, *patient, *split;
    int64_t foreground, ignore;
    double fraction;
    /* model */
    char *from, *arch; /* from: weight file; "" = from scratch */
    int64_t channels, freeze;
    double drop_path;
    /* preprocess: 0 = as the weights were trained, else 1 + the value of the run's own list */
    int64_t filter, normalization;
    ark_augment augment;
    /* train */
    int64_t epochs, batch, seed, patience, optimizer, schedule;
    double dice, bce, smooth, lr, lr_min, warmup_lr, warmup_epochs, momentum, weight_decay, clip_grad,
        adam_beta1, adam_beta2, adam_eps;
    char *backend;
    /* test */
    double threshold;
    int64_t replicates, pictures;
    char **origins; /* per key, owned */
} ark_segment_config;

extern const ark_key_table ark_segment_keys;

/** Defaults, then the file. Errors as ark_config_read. Free also after failure. */
ark_status ark_segment_config_read(const char *path, ark_segment_config *out) ARK_MUST_CHECK;
/** One --set: "train.epochs=3". */
ark_status ark_segment_config_set(ark_segment_config *c, const char *assignment) ARK_MUST_CHECK;
/** The weights to start from, as --from gives them: a path, or "random". */
ark_status ark_segment_config_from(ark_segment_config *c, const char *weights) ARK_MUST_CHECK;
/** Was it said what to start from? */
bool ark_segment_config_has_from(const ark_segment_config *c);
void ark_segment_config_free(ark_segment_config *c);

#endif
