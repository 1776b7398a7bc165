/* What happens to an image before the model sees it; stored in the weight file's metadata. */
#ifndef ARK_DATA_PREPROC_H
#define ARK_DATA_PREPROC_H

#include "io/image.h"

typedef struct ark_preproc {
    int size_px;   /* side S of the model's input */
    int resize_px; /* side R >= S an image is squashed to before a crop */
    ark_filter filter;
    float mean[3], std[3]; /* of values in [0,1]; ImageNet by default, or chestx-ray 0.5056/0.252 */
} ark_preproc;

/** Bilinear, ImageNet mean and std, R = 8/7 S rounded; from 224 px on rounded up to a multiple of 32, which
 * gives the published pairs 224 <- 256 and 768 <- 896. */
ark_preproc ark_preproc_default(int size_px);
/** Refuse sizes outside 1..4096, R < S, a standard deviation that is not positive: ARK_EINVAL. */
ark_status ark_preproc_check(const ark_preproc *pre) ARK_MUST_CHECK;

#endif
