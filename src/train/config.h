/* Run configuration: one table of keys gives parsing, defaults, ranges, origins and the resolved copy.
 *
 * A value comes from the default, then the run's YAML file, then --set key=value; each remembers its origin.
 */
#ifndef ARK_TRAIN_CONFIG_H
#define ARK_TRAIN_CONFIG_H

#include "ark/status.h"
#include "data/augment.h"
#include "data/loader.h"
#include "nn/ark_net.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum ark_mode { ARK_CYCLIC, ARK_CONCURRENT } ark_mode;
typedef enum ark_ema_mode { ARK_EMA_EPOCH, ARK_EMA_ITERATION } ark_ema_mode;
typedef enum ark_teacher_start { ARK_TEACHER_COPY, ARK_TEACHER_INDEPENDENT } ark_teacher_start;
typedef enum ark_optimizer { ARK_SGD, ARK_ADAMW } ark_optimizer;
typedef enum ark_schedule {
    ARK_LR_COSINE,       /* linear warm-up, then cosine to lr_min, per optimizer step */
    ARK_LR_COSINE_EPOCH, /* the same curve, constant within an epoch */
    ARK_LR_CONSTANT,     /* lr from the first step */
    ARK_LR_AS_RELEASED,  /* warm-up indexed by the last validation loss instead of the epoch */
} ark_schedule;

typedef struct ark_train_config {
    /* data */
    char *data_config;
    char *datasets; /* names joined by ',' ; "" = all of the file, in its order */
    int64_t on_bad, workers, ring, cache_mb;
    /* model */
    char *arch, *init, *init_key;
    int64_t projector, projector_dim;
    double drop_path;
    /* preprocess */
    int64_t resize_px, filter, normalization;
    ark_augment augment;
    /* train */
    int64_t epochs, batch, seed, optimizer, schedule, dtype, mode, union_head, ema_mode, teacher,
        teacher_start, teacher_view, consistency, multiclass_loss, drop_last, uncertain, missing, recompute;
    double lr, lr_min, warmup_lr, warmup_epochs, momentum, weight_decay, clip_grad, adam_beta1, adam_beta2,
        adam_eps, ema_momentum, consistency_max;
    /* output */
    int64_t test_every, keep_last, checkpoint_steps;
    char *backend;
    char **origins; /* per key, owned */
} ark_train_config;

/** Defaults, then the file (NULL: none). Relative paths in the file are relative to the file's folder.
 * Unknown keys and bad values: ARK_EINVAL naming file, line, key and the nearest valid word. Free with
 * ark_config_free also after failure. */
ark_status ark_config_read(const char *path, ark_train_config *out) ARK_MUST_CHECK;
/** One --set: "train.epochs=4". ARK_EINVAL as above. */
ark_status ark_config_set(ark_train_config *c, const char *assignment) ARK_MUST_CHECK;
/** Checks between keys (warm-up shorter than the run, sizes, ...). */
ark_status ark_config_check(const ark_train_config *c) ARK_MUST_CHECK;
void ark_config_free(ark_train_config *c);
/** Write the resolved configuration as YAML that ark_config_read accepts, each value with
 * its origin as a comment. */
ark_status ark_config_write(const ark_train_config *c, const char *path) ARK_MUST_CHECK;
/** The value of a key as text, in buf; for comparing two runs and for reports. index < ark_config_count(). */
size_t ark_config_count(void);
const char *ark_config_key(size_t index);
const char *ark_config_help(size_t index);
void ark_config_value(const ark_train_config *c, size_t index, char *buf, size_t cap);

#endif
