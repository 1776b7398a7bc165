#include "train/config.h"

#include "base/err.h"
#include "train/config_impl.h"

ark_status ark_config_read(const char *path, ark_train_config *out) {
    *out = (ark_train_config){.augment = ark_augment_pretrain()};
    ARK_TRY(ark_keys_defaults(&ark__train_keys, out));
    return path ? ark_keys_read(&ark__train_keys, out, path) : ARK_OK;
}

ark_status ark_config_set(ark_train_config *c, const char *assignment) {
    return ark_keys_set(&ark__train_keys, c, assignment);
}

ark_status ark_config_check(const ark_train_config *c) {
    ark_arch a;
    if (!c->data_config[0]) {
        return ARK_ERR(ARK_EINVAL, "data.config: no dataset file given");
    }
    ARK_TRY(ark_arch_parse(c->arch, &a));
    if (c->resize_px && c->resize_px < a.size_px) {
        return ARK_ERR(ARK_EINVAL, "preprocess.resize_px %lld is smaller than the input side %d",
            (long long)c->resize_px, a.size_px);
    }
    if (c->teacher_view == 1 && !c->teacher) {
        return ARK_ERR(ARK_EINVAL, "train.teacher_view: student has no meaning with train.teacher: false");
    }
    return ark_augment_check(&c->augment);
}

void ark_config_free(ark_train_config *c) {
    ark_keys_free(&ark__train_keys, c);
    *c = (ark_train_config){0};
}

size_t ark_config_count(void) {
    return ark__train_keys.n;
}

const char *ark_config_key(size_t index) {
    return ark__train_keys.keys[index].name;
}

const char *ark_config_help(size_t index) {
    return ark__train_keys.keys[index].help;
}

void ark_config_value(const ark_train_config *c, size_t index, char *buf, size_t cap) {
    ark_keys_value(&ark__train_keys, c, index, buf, cap);
}

ark_status ark_config_write(const ark_train_config *c, const char *path) {
    return ark_keys_write(&ark__train_keys, c, path);
}
