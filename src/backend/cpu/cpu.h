/* The CPU backend's own view of its device, and how kernels read and write either dtype.
 *
 * Every op is cut into tasks whose boundaries follow from the shapes and the batch alone.
 * A task owns what it writes; sums over tasks go through partial results that are added
 * in task order. Results are therefore the same for any number of threads. One plan runs
 * at a time on a device: products keep one set of operands per thread. */
#ifndef ARK_BACKEND_CPU_CPU_H
#define ARK_BACKEND_CPU_CPU_H

#include "backend/backend.h"
#include "backend/cpu/gemm.h"
#include "backend/cpu/simd.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/mathsafe.h"
#include "base/par.h"

enum { ARK_CPU_PARTIALS = 4096 };

typedef struct ark_cpu {
    ark_dev dev;
    const ark_simd *simd;
    ark_gemm_pool *gemms;
    double partial[ARK_CPU_PARTIALS]; /* of sum_squares */
} ark_cpu;

static inline ark_cpu *ark_cpu_of(ark_dev *dev) {
    return (ark_cpu *)dev;
}

static inline const ark_simd *ark_simd_of(const ark_call *c) {
    return ark_cpu_of(c->dev)->simd;
}

/* Elements [at, at+n) of an array as float32: the array itself, or tmp (n floats) filled from bf16. */
static inline const float *ark_read(
    const ark_simd *k, ark_dtype dtype, const void *base, int64_t at, int64_t n, float *tmp) {
    if (dtype == ARK_F32) {
        return (const float *)base + at;
    }
    k->widen(tmp, (const uint16_t *)base + at, n);
    return tmp;
}

/* Where a float32 result for elements [at, at+n) may be computed: in place, or in tmp when it must be
 * narrowed or added; ark_write_end finishes. */
static inline float *ark_write_begin(ark_dtype dtype, void *base, int64_t at, bool acc, float *tmp) {
    return dtype == ARK_F32 && !acc ? (float *)base + at : tmp;
}

/* src is what ark_write_begin returned, now filled; old (n floats) is workspace, used for bf16 with acc. */
static inline void ark_write_end(
    const ark_simd *k, ark_dtype dtype, void *base, int64_t at, int64_t n, bool acc, float *src, float *old) {
    if (dtype == ARK_F32) {
        if (acc) {
            k->add((float *)base + at, src, n);
        }
        return;
    }
    if (acc) {
        k->widen(old, (const uint16_t *)base + at, n);
        k->add(src, old, n);
    }
    k->narrow((uint16_t *)base + at, src, n);
}

/* Piece i of n nearly equal pieces of [0,total). */
static inline int64_t ark_piece(int64_t total, int64_t n, int64_t i) {
    return total / n * i + (total % n) * i / n;
}

static inline int64_t ark_ceil_div(int64_t a, int64_t b) {
    return (a + b - 1) / b;
}

static inline int64_t ark_min64(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static inline int64_t ark_max64(int64_t a, int64_t b) {
    return a > b ? a : b;
}

static inline void *ark_at(const ark_tensor *t, void *base, int64_t elements) {
    return (char *)base + elements * (int64_t)ark_dtype_bytes(t->dtype);
}

/* Kernels of this folder, gathered in backend.c. */
#define ARK_OP(NAME, name, grad)                                                                             \
    ark_status ark_cpu_##name##_fwd(const ark_call *c, const ark_node *n);                                   \
    ark_status ark_cpu_##name##_bwd(const ark_call *c, const ark_node *n);
#include "core/ops.def"
#undef ARK_OP
ark_status ark_cpu_linear_remake(const ark_call *c, const ark_node *n) ARK_MUST_CHECK;
ark_status ark_cpu_linear_prepare(ark_dev *dev, ark_node *n, size_t *scratch) ARK_MUST_CHECK;
void ark_cpu_linear_release(ark_dev *dev, ark_node *n);
ark_status ark_cpu_layernorm_prepare(ark_dev *dev, ark_node *n, size_t *scratch) ARK_MUST_CHECK;
ark_status ark_cpu_dice_logits_prepare(ark_dev *dev, ark_node *n, size_t *scratch) ARK_MUST_CHECK;
ark_status ark_cpu_attention_prepare(ark_dev *dev, ark_node *n, size_t *scratch) ARK_MUST_CHECK;
ark_status ark_cpu_window_attn_prepare(ark_dev *dev, ark_node *n, size_t *scratch) ARK_MUST_CHECK;
ark_status ark_cpu_conv2d_prepare(ark_dev *dev, ark_node *n, size_t *scratch) ARK_MUST_CHECK;
void ark_cpu_conv2d_release(ark_dev *dev, ark_node *n);
ark_status ark_cpu_dwconv_prepare(ark_dev *dev, ark_node *n, size_t *scratch) ARK_MUST_CHECK;
ark_status ark_cpu_batchnorm_prepare(ark_dev *dev, ark_node *n, size_t *scratch) ARK_MUST_CHECK;
ark_status ark_cpu_batchnorm_remake(const ark_call *c, const ark_node *n) ARK_MUST_CHECK;
ark_status ark_cpu_layer_scale_prepare(ark_dev *dev, ark_node *n, size_t *scratch) ARK_MUST_CHECK;
/* Frees a priv that is one block of memory. */
void ark_cpu_release(ark_dev *dev, ark_node *n);

/* Flat updates (flat.c). */
ark_status ark_cpu_ema(ark_dev *dev, float *teacher, const float *student, float m, int64_t n) ARK_MUST_CHECK;
ark_status ark_cpu_sgd(
    ark_dev *dev, float *w, const float *g, float *buf, int64_t n, const ark_sgd *o) ARK_MUST_CHECK;
ark_status ark_cpu_adamw(
    ark_dev *dev, float *w, const float *g, float *m, float *v, int64_t n, const ark_adamw *o) ARK_MUST_CHECK;
ark_status ark_cpu_sum_squares(ark_dev *dev, const float *g, int64_t n, double *out) ARK_MUST_CHECK;
ark_status ark_cpu_to_bf16(ark_dev *dev, uint16_t *dst, const float *src, int64_t n) ARK_MUST_CHECK;

#endif
