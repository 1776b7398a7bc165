/* What happens to an image before the model sees it; stored in the weight file's metadata. */
#ifndef ARK_DATA_PREPROC_H
#define ARK_DATA_PREPROC_H

#include "io/image.h"

typedef struct ark_preproc {
    int size_px;     /* side S of the model's input */
    int resize_px;   /* side the image is squashed to before a crop; size*8/7 rounded by default (256 -> 224, 896 -> 768) */
    ark_filter filter;
    float mean[3], std[3]; /* of values in [0,1]; ImageNet by default, or chestx-ray 0.5056/0.252 */
} ark_preproc;

ark_preproc ark_preproc_default(int size_px);

#endif
