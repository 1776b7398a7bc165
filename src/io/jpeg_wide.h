/* JPEG that libjpeg-turbo 2 does not read: lossless (process 14) and sequential DCT of 12 bits, as DICOM has
 * them. */
#ifndef ARK_IO_JPEG_WIDE_H
#define ARK_IO_JPEG_WIDE_H

#include "ark/status.h"

#include <stddef.h>
#include <stdint.h>

/** One frame of T.81: SOF3 of 2 to 16 bits, SOF0 or SOF1 of 12 bits; Huffman coded, 1 or 3 components that
 * are not subsampled, in one scan or a scan each. The frame header must say width, height and samples.
 * out (height,width,samples): bytes where precision <= 8, else uint16_t. ARK_EFORMAT with name and reason:
 * damaged, cut short, a feature that is not read. Allocates only tables. */
ark_status ark__jpeg_wide(const char *name, const uint8_t *bytes, size_t n, int width, int height,
    int samples, int precision, uint8_t *out) ARK_MUST_CHECK;

#endif
