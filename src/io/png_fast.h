/* Between image_png.c and its fast path. */
#ifndef ARK_IO_PNG_FAST_H
#define ARK_IO_PNG_FAST_H

#include "io/image.h"

#include <stdbool.h>

/** Pixels of a PNG of 1 to 4 channels of 8 or 16 bits, not interlaced, into im, which has the size of the
 *  header and 16 bits where grey has. The chunks before the first IDAT have been checked. False: left to
 *  libspng, whatever the reason; im then holds anything. Allocates the inflated rows, if the file has bytes
 *  enough to make them, and a copy of the pixel chunks where these do not fit into im. */
bool ark__png_fast(const uint8_t *bytes, size_t n, int channels, int bits, ark_image *im);

#endif
