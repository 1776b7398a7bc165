/* Backend: one table of kernels per kind of device. The rest of the code never asks which one it has.
 *
 * Adding an op: one line in core/ops.def, its rule in core/opdef.c, one file in each backend folder, one row
 * here below in each table. A missing kernel is named when a plan is finished, never in mid-step. */
#ifndef ARK_BACKEND_BACKEND_H
#define ARK_BACKEND_BACKEND_H

#include "core/plan.h"

/* What a kernel is given besides its node: where the data is, and the run's settings. */
typedef struct ark_call {
    ark_dev *dev;
    unsigned char *acts;       /* activation arena */
    const float *weights;      /* the column being read */
    const uint16_t *weights16; /* its bf16 copy, or NULL */
    uint64_t version;          /* of the weights; 0: unknown, nothing derived from them may be kept */
    float *grads;              /* parameter gradients, NULL in forward-only runs */
    void *scratch;             /* at least what prepare asked for */
    int64_t batch;             /* samples of this run, <= planned */
    bool stochastic;
    bool
        replay; /* this forward ran before in this run (docs/adr/0015): running statistics have been updated */
    uint64_t seed, step;
} ark_call;

typedef struct ark_kernel {
    const char *impl; /* "ref", "onednn", "simd": shown in listings */
    /* Cache what depends on shapes only (node->priv); *scratch = bytes wanted for fwd and bwd. Optional. */
    ark_status (*prepare)(ark_dev *dev, ark_node *n, size_t *scratch);
    ark_status (*fwd)(const ark_call *c, const ark_node *n);
    ark_status (*bwd)(const ark_call *c, const ark_node *n);
    /* Write out again, to the bit as fwd did, from what opdef.c says is there. Optional: without it out is
     * kept until backward has read it. */
    ark_status (*remake)(const ark_call *c, const ark_node *n);
    void (*release)(ark_dev *dev, ark_node *n); /* undo prepare; optional */
    bool fuses;                                 /* fwd does node->norm and node->sum as well (core/fuse.c) */
} ark_kernel;

/* Settings of one flat update over a range of parameters. */
typedef struct ark_sgd {
    float lr, momentum, decay; /* decay applies to the range when nonzero */
    float grad_scale;          /* gradients are multiplied by it first (clipping) */
    bool nesterov, first;      /* first: the momentum buffer starts as the gradient (torch.optim.SGD) */
} ark_sgd;
typedef struct ark_adamw {
    float lr, beta1, beta2, eps, decay, grad_scale;
    int64_t t; /* number of this update, from 1 */
} ark_adamw;

typedef struct ark_backend {
    const char *name;
    ark_status (*open)(int threads, ark_dev **out);
    void (*close)(ark_dev *dev);
    ark_status (*alloc)(ark_dev *dev, size_t bytes, void **out); /* ARK_ALIGN-aligned, zero-filled */
    void (*free)(ark_dev *dev, void *p);
    ark_status (*to_device)(ark_dev *dev, void *dst, const void *src, size_t bytes);
    ark_status (*to_host)(ark_dev *dev, void *dst, const void *src, size_t bytes);
    ark_status (*fill)(ark_dev *dev, float *p, float value, int64_t n);
    ark_status (*sync)(ark_dev *dev);
    /* Flat loops over parameter ranges. Element-wise, so independent of the number of threads. */
    ark_status (*ema)(
        ark_dev *dev, float *teacher, const float *student, float m, int64_t n); /* t = m t + (1-m) s */
    ark_status (*sgd)(ark_dev *dev, float *w, const float *g, float *buf, int64_t n, const ark_sgd *o);
    ark_status (*adamw)(
        ark_dev *dev, float *w, const float *g, float *m, float *v, int64_t n, const ark_adamw *o);
    ark_status (*sum_squares)(ark_dev *dev, const float *g, int64_t n, double *out); /* fixed order */
    ark_status (*to_bf16)(ark_dev *dev, uint16_t *dst, const float *src, int64_t n);
    const ark_kernel *kernels; /* ARK_OP_COUNT rows, indexed by ark_op */
} ark_backend;

/* Every device starts with this; backends extend it. */
struct ark_dev {
    const ark_backend *backend;
    int threads;
};

/** Open a device: backend "ref", "cpu" or "cuda"; threads 0 = all processors. Unknown names list the known
 * ones (ARK_EINVAL); one that was not built is ARK_ENOTBUILT. */
ark_status ark_dev_open(const char *backend, int threads, ark_dev **out) ARK_MUST_CHECK;
void ark_dev_close(ark_dev *dev);

/* Pointers of a tensor's data and gradient in a call. Parameters resolve into their column. */
static inline void *ark_ptr(const ark_call *c, const ark_tensor *t) {
    if (t->kind == ARK_T_PARAM) {
        return (void *)(uintptr_t)(c->weights + t->offset);
    }
    return c->acts + t->offset;
}

static inline void *ark_grad_ptr(const ark_call *c, const ark_tensor *t) {
    if (t->kind == ARK_T_PARAM) {
        return c->grads + t->offset;
    }
    return c->acts + t->grad_offset;
}

extern const ark_backend ark_backend_ref;
extern const ark_backend ark_backend_cpu;
extern const ark_backend ark_backend_cuda;

#endif
