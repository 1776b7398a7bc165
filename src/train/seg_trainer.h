/* One segmentation network being trained: its plans, memory and update. */
#ifndef ARK_TRAIN_SEG_TRAINER_H
#define ARK_TRAIN_SEG_TRAINER_H

#include "data/masks.h"
#include "nn/seg_net.h"
#include "train/optim.h"

typedef struct ark_seg_trainer_opts {
    int batch;
    uint64_t seed;
    double dice, bce; /* weights of the two losses */
    float smooth;
    ark_optim optim; /* settings only */
} ark_seg_trainer_opts;

typedef struct ark_seg_trainer ark_seg_trainer;

/** Columns: ARK_COL_STUDENT (drawn from the seed), its gradient and moments, and ARK_COL_TEACHER, which keeps
 *  the best weights so far. net and dev are borrowed. */
ark_status ark_seg_trainer_new(const ark_seg_net *net, const ark_seg_trainer_opts *o, ark_dev *dev,
    ark_seg_trainer **out) ARK_MUST_CHECK;
void ark_seg_trainer_free(ark_seg_trainer *t);
ark_params *ark_seg_trainer_params(ark_seg_trainer *t);
ark_optim *ark_seg_trainer_optim(ark_seg_trainer *t);

/** Forward, backward, update on one batch; step keys the drop-path. A loss or gradient that is not finite is
 *  ARK_EDEVICE and the weights stay. */
ark_status ark_seg_trainer_step(
    ark_seg_trainer *t, const ark_mask_batch *b, double lr, uint64_t step, double *loss) ARK_MUST_CHECK;
/** The student's weights become the best ones. */
ark_status ark_seg_trainer_keep(ark_seg_trainer *t) ARK_MUST_CHECK;
/** Probabilities (n,S,S,K) of a column, by the running statistics, n <= batch. */
ark_status ark_seg_trainer_predict(
    ark_seg_trainer *t, ark_column column, const float *image, int n, float *prob) ARK_MUST_CHECK;

#endif
