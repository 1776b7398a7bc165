/* Checked size arithmetic: 0 when the result fits, 1 on overflow (the result is then unspecified). */
#ifndef ARK_BASE_MATHSAFE_H
#define ARK_BASE_MATHSAFE_H

#include <stddef.h>

static inline int ark_mul(size_t a, size_t b, size_t *out) {
    return __builtin_mul_overflow(a, b, out);
}

static inline int ark_add(size_t a, size_t b, size_t *out) {
    return __builtin_add_overflow(a, b, out);
}

/* Smallest multiple of unit >= n; the caller knows that it fits. */
static inline size_t ark_round_up(size_t n, size_t unit) {
    return (n + unit - 1) / unit * unit;
}

#endif
