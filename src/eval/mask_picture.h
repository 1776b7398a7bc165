/* Predicted masks as pictures: one PNG per class at the image's own size, and an overlay. */
#ifndef ARK_EVAL_MASK_PICTURE_H
#define ARK_EVAL_MASK_PICTURE_H

#include "ark/status.h"

#include <stddef.h>
#include <stdint.h>

/** Probabilities (side,side,K) of the image at `image`, resized bilinearly to its size and cut at threshold:
 *  DIR/NAME.CLASS.png (0 and 255) for every class and DIR/NAME.overlay.png (RGB: a colour per class, its
 *  outline full, its inside light). NAME is the file's, without folder and ending; characters of a class name
 *  other than letters, digits, '-' and '_' become '_'. */
ark_status ark_mask_pictures_write(const char *dir, const char *image, const float *prob, int side, int K,
    const char *const *classes, double threshold) ARK_MUST_CHECK;

#endif
