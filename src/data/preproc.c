#include "data/preproc.h"

#include "base/err.h"

#include <math.h>

enum { MAX_SIDE = 4096 };

ark_preproc ark_preproc_default(int size_px) {
    int resize_px =
        size_px >= 224 ? (size_px * 8 + 7 * 32 - 1) / (7 * 32) * 32 : (size_px * 8 * 2 + 7) / (7 * 2);
    return (ark_preproc){
        .size_px = size_px,
        .resize_px = resize_px,
        .filter = ARK_BILINEAR,
        .mean = {0.485f, 0.456f, 0.406f},
        .std = {0.229f, 0.224f, 0.225f},
    };
}

ark_status ark_preproc_check(const ark_preproc *pre) {
    if (pre->size_px < 1 || pre->size_px > MAX_SIDE) {
        return ARK_ERR(ARK_EINVAL, "image size of %d pixels, expected 1 to %d", pre->size_px, MAX_SIDE);
    }
    if (pre->resize_px < pre->size_px || pre->resize_px > MAX_SIDE) {
        return ARK_ERR(
            ARK_EINVAL, "resize to %d pixels, expected %d to %d", pre->resize_px, pre->size_px, MAX_SIDE);
    }
    for (int c = 0; c < 3; c++) {
        if (!isfinite(pre->mean[c]) || !isfinite(pre->std[c]) || pre->std[c] <= 0) {
            return ARK_ERR(ARK_EINVAL, "mean %g and std %g of channel %d", pre->mean[c], pre->std[c], c);
        }
    }
    return ARK_OK;
}
