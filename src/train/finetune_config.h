/* Configuration of a fine-tuning: the keys of a training run that apply, with defaults of their own, and
 * what is particular to it. Values come as in train/config.h. */
#ifndef ARK_TRAIN_FINETUNE_CONFIG_H
#define ARK_TRAIN_FINETUNE_CONFIG_H

#include "train/config.h"
#include "train/keys.h"

typedef enum ark_finetune_features { ARK_ON_ENCODER, ARK_ON_PROJECTED } ark_finetune_features;
typedef enum ark_select { ARK_SELECT_LOSS, ARK_SELECT_AUROC } ark_select;
/* Preprocessing: as the weights were trained, or 1 + the value of the run's own list. */
enum { ARK_AS_WEIGHTS = 0 };

typedef struct ark_finetune_config {
    ark_train_config run; /* of one trial; what has no key here is off or as pretraining's default */
    char *from;           /* weight file; "" = from scratch */
    int64_t features, freeze, filter, normalization, trials, patience, select, ten_crop, replicates;
    double layer_decay, label_smoothing, sensitivity;
    char **origins; /* per key, owned */
} ark_finetune_config;

extern const ark_key_table ark_finetune_keys;

/** Defaults, then the file (NULL: none). Errors as ark_config_read. Free also after failure. */
ark_status ark_finetune_config_read(const char *path, ark_finetune_config *out) ARK_MUST_CHECK;
/** One --set: "train.trials=3". */
ark_status ark_finetune_config_set(ark_finetune_config *c, const char *assignment) ARK_MUST_CHECK;
/** The weights to start from, as --from gives them: a path, or "random". */
ark_status ark_finetune_config_from(ark_finetune_config *c, const char *weights) ARK_MUST_CHECK;
/** Was it said what to start from, in the file or by the two above? */
bool ark_finetune_config_has_from(const ark_finetune_config *c);
void ark_finetune_config_free(ark_finetune_config *c);

#endif
