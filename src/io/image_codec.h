/* Between the image door (image.c) and the decoders of one format each. */
#ifndef ARK_IO_IMAGE_CODEC_H
#define ARK_IO_IMAGE_CODEC_H

#include "io/image.h"

/** A decoder: bytes are known to begin with its signature, limits is not NULL. Of info (NULL = not wanted),
 * which says 8-bit grey, it changes depth and photometric where that is not so. */
typedef ark_status ark_image_decoder(const void *bytes, size_t n, const char *name,
    const ark_image_limits *limits, ark_image_info *info, ark_image *out);
ark_image_decoder ark_png_decode, ark_jpeg_decode, ark_tiff_decode;

/** Refuse what the header declares before anything is allocated for it: ARK_EFORMAT with both numbers. */
ark_status ark_image_check_size(
    const char *name, size_t width, size_t height, const ark_image_limits *limits) ARK_MUST_CHECK;

/* Pillow's "L": ITU-R 601-2 weights in 16-bit fixed point. */
static inline uint8_t ark_luma(unsigned r, unsigned g, unsigned b) {
    return (uint8_t)((r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16);
}

#endif
