/* Inside of the run configuration. */
#ifndef ARK_TRAIN_CONFIG_IMPL_H
#define ARK_TRAIN_CONFIG_IMPL_H

#include "train/config.h"
#include "train/keys.h"

extern const ark_key_table ark__train_keys;

#endif
