/* From a configuration to the objects of a run. */
#ifndef ARK_TRAIN_SETUP_H
#define ARK_TRAIN_SETUP_H

#include "data/loader.h"
#include "nn/ark_net.h"
#include "train/config.h"
#include "train/trainer.h"

/* How the classes of one dataset map to what is trained. */
typedef struct ark_lane {
    ark_dataset *data;
    uint32_t id;  /* position in the run's order: key of its random draws */
    int head;     /* index of its head in the net */
    int task;     /* index of its task in the trainer */
    int *columns; /* K: column in the batch's label rows of its training pass */
} ark_lane;

typedef struct ark_setup {
    ark_datasets *datasets;
    ark_net net;
    ark_preproc pre;
    int n_lanes;
    ark_lane *lanes;
    int width; /* label columns of a training batch */
} ark_setup;

/** Read the datasets and build the network's description: one head per dataset, or one over the union of
 * class names. A dataset without a training image, or a class without a positive training label, is noted
 * through on_note (may be NULL). */
ark_status ark_setup_read(const ark_train_config *c, void (*on_note)(void *arg, const char *line), void *arg,
    ark_setup *out) ARK_MUST_CHECK;
void ark_setup_free(ark_setup *s);
ark_loader_opts ark_setup_loader(const ark_train_config *c, const ark_setup *s);
ark_trainer_opts ark_setup_trainer(const ark_train_config *c);

#endif
