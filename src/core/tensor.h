/* Tensors of a plan: shape, type and place; never the data itself.
 *
 * Row-major, last dimension fastest. Activations have the batch as dims[0]; a run may use
 * fewer samples than planned. */
#ifndef ARK_CORE_TENSOR_H
#define ARK_CORE_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ARK_MAX_DIMS = 4, ARK_MAX_IN = 6, ARK_MAX_SAVED = 2, ARK_MAX_LIVES = 3 };

typedef enum ark_dtype { ARK_F32, ARK_BF16 } ark_dtype;

typedef enum ark_tensor_kind {
    ARK_T_INPUT, /* written by the caller before a run */
    ARK_T_PARAM, /* lives in the parameter store, shared by plans */
    ARK_T_ACT,   /* written by a node */
} ark_tensor_kind;

enum { ARK_NO_OFFSET = -1 };

/* When memory holds a tensor: from a write to the last read of what was written, on the plan's time line.
 * What backward makes again has a life per making, all at one offset. */
typedef struct ark_lives {
    int n;
    struct {
        int first, last;
    } at[ARK_MAX_LIVES];
} ark_lives;

typedef struct ark_tensor {
    int id;
    ark_tensor_kind kind;
    ark_dtype dtype;
    int ndim;
    int64_t dims[ARK_MAX_DIMS];
    const char *name; /* parameters and inputs; owned by the plan or store */
    int param;        /* index in the store, for ARK_T_PARAM */
    bool needs_grad;  /* some parameter or gradient-wanting input lies upstream */
    bool is_output;   /* kept until the end of the run; its gradient can be seeded */
    bool scalar;      /* one value for the whole batch (losses): dims[0] is not the batch */
    int producer;     /* node index, -1 for inputs and parameters */
    int64_t offset;   /* bytes in the activation arena (or parameter column); ARK_NO_OFFSET before finish */
    int64_t grad_offset;
    ark_lives lives, grad_lives; /* filled by finish */
} ark_tensor;

static inline size_t ark_dtype_bytes(ark_dtype dt) {
    return dt == ARK_F32 ? 4 : 2;
}

static inline const char *ark_dtype_name(ark_dtype dt) {
    return dt == ARK_F32 ? "f32" : "bf16";
}

/* Elements at the planned (largest) batch. */
static inline int64_t ark_numel(const ark_tensor *t) {
    int64_t n = 1;
    for (int i = 0; i < t->ndim; i++) {
        n *= t->dims[i];
    }
    return n;
}

/* Elements of one sample (all dimensions but the first). */
static inline int64_t ark_numel_per_sample(const ark_tensor *t) {
    int64_t n = 1;
    for (int i = 1; i < t->ndim; i++) {
        n *= t->dims[i];
    }
    return n;
}

/* Product of all dimensions but the last, for a run of `batch` samples. */
static inline int64_t ark_rows(const ark_tensor *t, int64_t batch) {
    int64_t n = batch;
    for (int i = 1; i < t->ndim - 1; i++) {
        n *= t->dims[i];
    }
    return n;
}

static inline int64_t ark_last_dim(const ark_tensor *t) {
    return t->dims[t->ndim - 1];
}

/* bfloat16: the upper half of a float32, rounded to nearest even; NaN stays NaN. */
static inline float ark_bf16_to_f32(uint16_t h) {
    union {
        uint32_t u;
        float f;
    } v = {(uint32_t)h << 16};
    return v.f;
}

static inline uint16_t ark_f32_to_bf16(float x) {
    union {
        float f;
        uint32_t u;
    } v = {x};
    if ((v.u & 0x7fffffffu) > 0x7f800000u) {
        return (uint16_t)((v.u >> 16) | 0x40u);
    }
    return (uint16_t)((v.u + 0x7fffu + ((v.u >> 16) & 1u)) >> 16);
}

#endif
