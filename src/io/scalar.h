/* Numbers as files store them, made float32. */
#ifndef ARK_IO_SCALAR_H
#define ARK_IO_SCALAR_H

#include "io/safetensors.h"

/** out[i] = (float)src[i] for n little-endian elements at any address; BOOL gives 0 or 1. */
void ark_scalar_to_f32(ark_st_dtype dtype, const void *src, size_t n, float *out);

#endif
