/* ark/train.h over train/pretrain.h and train/finetune.h: a file and overrides instead of a parsed
 * configuration. */
#include "ark/train.h"

#include "train/finetune.h"
#include "train/pretrain.h"

ark_train_opts ark_train_default_opts(void) {
    return (ark_train_opts){0};
}

ark_status ark_train_pretrain(
    const char *run_yaml, const char *out_dir, const ark_train_opts *opts, ark_train_result *result) {
    ark_train_opts o = opts ? *opts : ark_train_default_opts();
    ark_train_config c;
    ark_train_result r;
    ark_status st = ark_config_read(run_yaml, &c);
    for (size_t i = 0; st == ARK_OK && i < o.n_set; i++) {
        st = ark_config_set(&c, o.set[i]);
    }
    st = st ? st : ark_pretrain(&c, out_dir, &o, &r);
    if (st == ARK_OK && result) {
        *result = r;
    }
    ark_config_free(&c);
    return st;
}

ark_status ark_train_finetune(
    const char *run_yaml, const char *weights, const char *out_dir, const ark_train_opts *opts) {
    ark_train_opts o = opts ? *opts : ark_train_default_opts();
    ark_finetune_config c;
    ark_status st = ark_finetune_config_read(run_yaml, &c);
    for (size_t i = 0; st == ARK_OK && i < o.n_set; i++) {
        st = ark_finetune_config_set(&c, o.set[i]);
    }
    if (st == ARK_OK && weights) {
        st = ark_finetune_config_from(&c, weights);
    }
    st = st ? st : ark_finetune(&c, out_dir, &o, NULL);
    ark_finetune_config_free(&c);
    return st;
}
