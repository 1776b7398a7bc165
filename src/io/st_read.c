/* Elements of a tensor in row-major order, whatever its strides and byte order. */
#include "base/err.h"
#include "io/safetensors.h"
#include "io/scalar.h"

#include <string.h>

enum { BLOCK = 512 }; /* elements gathered at a time */

static void swap_bytes(unsigned char *p, size_t n, size_t size) {
    for (size_t i = 0; size > 1 && i < n; i++, p += size) {
        for (size_t k = 0; k < size / 2; k++) {
            unsigned char t = p[k];
            p[k] = p[size - 1 - k];
            p[size - 1 - k] = t;
        }
    }
}

/* Where a walk over all elements stands: one number per dimension, and the place in the data that they
 * make. */
typedef struct walk {
    int64_t at[ARK_ST_MAX_DIMS];
    int64_t place;
} walk;

/* The next n <= BLOCK elements, little-endian. */
static void gather(const ark_st_tensor *t, walk *w, size_t n, unsigned char *out) {
    size_t size = ark_st_dtype_bytes(t->dtype);
    const unsigned char *data = t->data;
    for (size_t i = 0; i < n; i++) {
        memcpy(out + i * size, data + (size_t)w->place * size, size);
        if (!t->strided) {
            w->place++;
            continue;
        }
        for (int d = t->ndim - 1; d >= 0; d--) {
            w->place += t->stride[d];
            if (++w->at[d] < t->shape[d]) {
                break;
            }
            w->place -= t->stride[d] * t->shape[d];
            w->at[d] = 0;
        }
    }
    if (t->big_endian) {
        swap_bytes(out, n, size);
    }
}

ark_status ark_st_read_f32(const ark_st_tensor *t, float *out) {
    if (t->dtype == ARK_ST_BOOL) {
        return ARK_ERR(ARK_EFORMAT, "tensor '%s': truth values (BOOL) where numbers are needed", t->name);
    }
    if (!t->strided && !t->big_endian) {
        ark_scalar_to_f32(t->dtype, t->data, (size_t)t->numel, out);
        return ARK_OK;
    }
    unsigned char block[BLOCK * 8];
    walk w = {0};
    for (int64_t i = 0; i < t->numel; i += BLOCK) {
        size_t n = t->numel - i < BLOCK ? (size_t)(t->numel - i) : BLOCK;
        gather(t, &w, n, block);
        ark_scalar_to_f32(t->dtype, block, n, out + i);
    }
    return ARK_OK;
}

void ark_st_read_raw(const ark_st_tensor *t, void *out) {
    size_t size = ark_st_dtype_bytes(t->dtype);
    if (!t->strided && !t->big_endian) {
        if (t->bytes) {
            memcpy(out, t->data, t->bytes);
        }
        return;
    }
    walk w = {0};
    for (int64_t i = 0; i < t->numel; i += BLOCK) {
        size_t n = t->numel - i < BLOCK ? (size_t)(t->numel - i) : BLOCK;
        gather(t, &w, n, (unsigned char *)out + (size_t)i * size);
    }
}
