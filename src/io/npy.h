/* NumPy .npy files: versions 1-3, little-endian numeric arrays, C order. */
#ifndef ARK_IO_NPY_H
#define ARK_IO_NPY_H

#include "ark/status.h"

#include <stddef.h>
#include <stdint.h>

typedef struct ark_npy {
    int ndim;
    int64_t shape[8];
    int64_t numel;
    float *data; /* owned; converted to float32 from f2/f4/f8/i1..i8/u1..u8/b1; Fortran order is transposed */
} ark_npy;

/** Read a whole array as float32. Object arrays (pickles), big-endian, >8 dims, sizes that do not match the
 * file: ARK_EFORMAT naming file and reason. Limit 16 GiB of data. */
ark_status ark_npy_read(const char *path, ark_npy *out) ARK_MUST_CHECK;
/** The same from n bytes of memory; name appears in messages. */
ark_status ark_npy_parse(const void *bytes, size_t n, const char *name, ark_npy *out) ARK_MUST_CHECK;
void ark_npy_free(ark_npy *a);
/** Write float32, version 1.0, atomically. */
ark_status ark_npy_write_f32(
    const char *path, int ndim, const int64_t *shape, const float *data) ARK_MUST_CHECK;

#endif
