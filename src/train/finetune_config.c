#include "train/finetune_config.h"

#include "base/alloc.h"
#include "base/err.h"
#include "train/config_impl.h"

#include <stdio.h>
#include <string.h>

ark_status ark_finetune_config_read(const char *path, ark_finetune_config *out) {
    *out = (ark_finetune_config){0};
    out->run.augment = ark_augment_finetune();
    ARK_TRY(ark_keys_defaults(&ark__train_keys, &out->run));
    out->run.teacher = out->run.consistency = 0;
    ARK_TRY(ark_keys_defaults(&ark_finetune_keys, out));
    return path ? ark_keys_read(&ark_finetune_keys, out, path) : ARK_OK;
}

ark_status ark_finetune_config_set(ark_finetune_config *c, const char *assignment) {
    return ark_keys_set(&ark_finetune_keys, c, assignment);
}

ark_status ark_finetune_config_from(ark_finetune_config *c, const char *weights) {
    char assignment[4200];
    bool scratch = !strcmp(weights, "random") || !strcmp(weights, "none");
    int n = snprintf(assignment, sizeof assignment, "model.from=%s", scratch ? "" : weights);
    if (n < 0 || (size_t)n >= sizeof assignment) {
        return ARK_ERR(ARK_EINVAL, "--from: path too long");
    }
    return ark_keys_set(&ark_finetune_keys, c, assignment);
}

bool ark_finetune_config_has_from(const ark_finetune_config *c) {
    for (size_t i = 0; i < ark_finetune_keys.n; i++) {
        if (!strcmp(ark_finetune_keys.keys[i].name, "model.from")) {
            return strcmp(c->origins[i], "default") != 0;
        }
    }
    return false;
}

void ark_finetune_config_free(ark_finetune_config *c) {
    ark_keys_free(&ark_finetune_keys, c);
    ark_keys_free(&ark__train_keys, &c->run);
    *c = (ark_finetune_config){0};
}
