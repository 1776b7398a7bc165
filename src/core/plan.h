/* Plan: a model recorded once and executed many times.
 *
 *   ark_plan_new -> inputs, parameters and ops are recorded -> ark_plan_finish -> forward / backward, many
 * times
 *
 * Builders call ops (core/ops.h); each call appends a node, and call order is execution order. finish checks,
 * asks the device's backend for a kernel per node, and lays out the activations by lifetime. Backward walks
 * the same array in reverse with hand-written kernels. Nothing is allocated after finish. A plan is immutable
 * after finish; one thread at a time runs it, since its activations live in the space it runs in. */
#ifndef ARK_CORE_PLAN_H
#define ARK_CORE_PLAN_H

#include "ark/status.h"
#include "core/params.h"
#include "core/tensor.h"

typedef struct ark_dev ark_dev;
typedef struct ark_plan ark_plan;
typedef struct ark_space ark_space;

typedef enum ark_op {
#define ARK_OP(NAME, name, grad) ARK_OP_##NAME,
#include "core/ops.def"
#undef ARK_OP
    ARK_OP_COUNT
} ark_op;

typedef enum ark_act { ARK_ACT_NONE, ARK_ACT_GELU, ARK_ACT_RELU } ark_act;

/* One recorded call. Backends read it; only `priv` is theirs to write (in prepare and release). */
typedef struct ark_node {
    ark_op op;
    int id;
    int segment;       /* from 1; 0 = in none (ark_plan_segment) */
    const char *label; /* "layers.0.blocks.1.attn", for messages and listings; owned by the plan */
    int n_in;
    ark_tensor *in[ARK_MAX_IN]; /* NULL for an absent optional input */
    ark_tensor *out;
    ark_tensor *saved[ARK_MAX_SAVED]; /* statistics kept for backward; NULL where unused or gradients are not
                                         wanted */
    bool want_grad[ARK_MAX_IN];       /* backward must write this input's gradient */
    bool acc[ARK_MAX_IN];             /* backward adds to it instead of setting it */
    union {
        struct {
            int patch;
        } patchify;
        struct {
            ark_act act;
        } linear;
        struct {
            float eps;
        } layernorm;
        struct {
            int heads, window, shift; /* of attention only heads */
        } attn;
        struct {
            int64_t from; /* first token */
        } slice;
        struct {
            float rate;
        } residual; /* and layer_scale */
        struct {
            int stride, pad;
            bool planar;
        } conv; /* and dwconv, whose stride is 1 */
        struct {
            float eps, momentum;
            bool relu;
        } batchnorm;
        struct {
            float smooth;
        } dice;
    } a;
    /* Of an INFER plan: nodes that this one does on its way out (core/fuse.c), and whose output is its own.
     */
    const struct ark_node *norm; /* batch norm by running statistics, or NULL */
    ark_tensor *sum;             /* then relu(that + sum), or NULL; also the last of in */
    void *priv;
} ark_node;

typedef enum ark_plan_mode {
    ARK_PLAN_TRAIN, /* activations that backward reads are kept */
    ARK_PLAN_INFER, /* memory is reused as soon as possible; no backward */
} ark_plan_mode;

/** An empty plan over a parameter store, for at most `batch` samples, computing in cdt. store is borrowed. */
ark_status ark_plan_new(ark_params *store, int batch, ark_dtype cdt, ark_plan **out) ARK_MUST_CHECK;
/** Frees nodes and kernels' caches; NULL is allowed. */
void ark_plan_free(ark_plan *p);

/** Input f32 of shape dims, dims[0] the batch, to be written before each run. want_grad:
 * its gradient can be read after backward. */
ark_tensor *ark_plan_input(ark_plan *p, const char *name, int ndim, const int64_t *dims, bool want_grad);
/** Parameter of the store by its name, declared there on first use with the given shape (see
 * ark_params_declare). */
ark_tensor *ark_plan_param(ark_plan *p, const char *name, int ndim, const int64_t *dims, ark_init init);
/** Buffer of the store (see ark_params_set_buffer), a vector of n: kept and averaged like a parameter, but
 * without gradient. */
ark_tensor *ark_plan_buffer(ark_plan *p, const char *name, int64_t n, ark_init init);
/** Details of a parameter that its shape does not tell; see ark_params_set_fan_in and
 * ark_params_set_file_shape. */
void ark_plan_param_fan_in(ark_plan *p, const ark_tensor *t, int64_t fan_in);
void ark_plan_param_file_shape(ark_plan *p, const ark_tensor *t, int ndim, const int64_t *dims);
/** Keep t readable until the run ends and let its gradient be seeded. Returns t. */
ark_tensor *ark_plan_output(ark_plan *p, ark_tensor *t);
/** Prefix for the labels of the following nodes ("layers.0.blocks.1"); copied. */
void ark_plan_label(ark_plan *p, const char *fmt, ...) ARK_PRINTF(2, 3);
/** The following nodes form a segment, until the next call or ark_plan_segment_end: the unit of
 * ark_plan_recompute. A plan without it ignores segments. */
void ark_plan_segment(ark_plan *p);
void ark_plan_segment_end(ark_plan *p);
/** A TRAIN plan keeps of each segment only what other segments read; backward runs the segment forward again
 * before it walks it back. Same bits, less memory, more time. To be called before finish. */
void ark_plan_recompute(ark_plan *p);
/** Parameters recorded from now on get no gradient, and what only they would need one for has no backward
 * pass; off again with false. Without effect in INFER mode. To be called before finish. */
void ark_plan_freeze(ark_plan *p, bool frozen);
/** To be called before recording: what is wanted is the gradient at the place that the builder marks with
 * ark_plan_tap, and none of parameters. A TRAIN plan then keeps and walks back only what lies behind it. */
void ark_plan_watch(ark_plan *p);
/** Mark the place whose gradient explains an output (the layer that Grad-CAM looks at): x f32, of any shape.
 * Returns what the builder goes on with: x itself unless the plan is watched. */
ark_tensor *ark_plan_tap(ark_plan *p, ark_tensor *x);
/** After recording: the tapped tensor, an output, and the tensor whose gradient (ark_run_read_grad) is its
 * gradient; before each run zeros are to be written to the latter. ARK_EINVAL when nothing was tapped. */
ark_status ark_plan_watched(const ark_plan *p, ark_tensor **tapped, ark_tensor **nudge) ARK_MUST_CHECK;
/** Remember the first error of recording; the builder goes on. Returns a poison tensor. */
ark_tensor *ark_plan_poison(ark_plan *p, ark_status st);
/** ARK_OK, or the first error of recording, with its message restored. */
ark_status ark_plan_error(const ark_plan *p) ARK_MUST_CHECK;
ark_dtype ark_plan_cdt(const ark_plan *p);
int ark_plan_batch(const ark_plan *p);

/** Freeze: report the first recording error, pick kernels, lay out memory.
 *  @return ARK_OK | ARK_ESHAPE (first bad op named) | ARK_ENOMEM | ARK_EDEVICE | ARK_ENOTBUILT (op without
 * kernel). */
ark_status ark_plan_finish(ark_plan *p, ark_dev *dev, ark_plan_mode mode) ARK_MUST_CHECK;

/* What the listing shows and what `bench` counts. Valid after finish. */
int ark_plan_node_count(const ark_plan *p);
const ark_node *ark_plan_node(const ark_plan *p, int i);
int ark_plan_tensor_count(const ark_plan *p);
const ark_tensor *ark_plan_tensor(const ark_plan *p, int i);
size_t ark_plan_act_bytes(const ark_plan *p);
size_t ark_plan_scratch_bytes(const ark_plan *p);
/** Multiply-adds counted as two, for the planned batch. */
double ark_plan_flops_fwd(const ark_plan *p);
double ark_plan_flops_bwd(const ark_plan *p);
double ark_node_flops_fwd(const ark_node *n, int64_t batch);
double ark_node_flops_bwd(const ark_node *n, int64_t batch);
const char *ark_op_name(ark_op op);

/** Memory to run plans in, one at a time: the largest activation arena and scratch of plans[0..n). canary:
 * guard bytes behind every planned tensor, verified by ark_space_check. */
ark_status ark_space_new(
    ark_dev *dev, ark_plan *const *plans, int n, bool canary, ark_space **out) ARK_MUST_CHECK;
void ark_space_free(ark_space *s);
/** ARK_EDEVICE naming the tensor whose guard bytes were overwritten by the last run of p. */
ark_status ark_space_check(const ark_space *s, const ark_plan *p) ARK_MUST_CHECK;

/* One run. */
typedef struct ark_run {
    ark_space *space;
    ark_params *params;
    ark_column weights; /* which column the plan reads: ARK_COL_STUDENT or ARK_COL_TEACHER */
    int batch;          /* 1..planned */
    bool stochastic;    /* drop-path active, batch norm by and into the statistics of the batch (a flag of its
                            own, not tied to gradients) */
    uint64_t seed, step; /* keys of the drop-path draws */
} ark_run;

/** Copy host data (run->batch samples) into an input, or out of any output / input
 * gradient, converting to f32. */
ark_status ark_run_write(const ark_run *r, ark_plan *p, const ark_tensor *t, const float *src) ARK_MUST_CHECK;
ark_status ark_run_read(const ark_run *r, ark_plan *p, const ark_tensor *t, float *dst) ARK_MUST_CHECK;
ark_status ark_run_read_grad(const ark_run *r, ark_plan *p, const ark_tensor *t, float *dst) ARK_MUST_CHECK;

ark_status ark_run_forward(const ark_run *r, ark_plan *p) ARK_MUST_CHECK;

/* Gradient of the training objective with respect to one output. */
typedef struct ark_seed {
    ark_tensor *t;
    float scale;       /* used when data is NULL: every element gets it (losses: their weight) */
    const float *data; /* run->batch samples, or one value for a scalar */
} ark_seed;

/** Outputs without a seed get gradient zero. Parameter gradients are added to ARK_COL_GRAD. */
ark_status ark_run_backward(const ark_run *r, ark_plan *p, const ark_seed *seeds, int n) ARK_MUST_CHECK;

#endif
