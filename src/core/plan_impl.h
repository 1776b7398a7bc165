/* The inside of a plan, shared by the files of core only. */
#ifndef ARK_CORE_PLAN_IMPL_H
#define ARK_CORE_PLAN_IMPL_H

#include "backend/backend.h"
#include "core/plan.h"

/* Guard bytes behind every planned tensor. Always laid out (256 bytes each), written and verified only in
 * spaces made with canary. */
enum { ARK_GUARD_BYTES = 256, ARK_GUARD_VALUE = 0xA5 };

/* One step of a run; its index in the plan's list is the time on the time line. Forward comes first, node i
 * at time i. In a TRAIN plan backward follows: each node that has a gradient to pass on, from last to first,
 * and before it what it reads and memory did not keep. */
typedef enum ark_move {
    ARK_MOVE_FORWARD,
    ARK_MOVE_REPLAY, /* forward once more */
    ARK_MOVE_REMAKE, /* only the output, from what backward keeps anyway */
    ARK_MOVE_BACKWARD
} ark_move;

typedef struct ark_plan_step {
    ark_move move;
    int node;
} ark_plan_step;

struct ark_plan {
    ark_params *store;
    int batch;
    ark_dtype cdt;
    ark_plan_mode mode;
    ark_dev *dev; /* set by finish */
    ark_node **nodes;
    int n_nodes, cap_nodes;
    int n_fused; /* behind the nodes: what others do for them (fuse.c) */
    ark_tensor **tensors;
    int n_tensors, cap_tensors;
    char label[160];
    ark_tensor poison;
    ark_status first_error;
    char first_message[1024];
    bool recompute;
    bool frozen;                /* parameters recorded now get no gradient */
    bool watch;                 /* the gradient at a tap is wanted, and none besides */
    ark_tensor *tapped, *nudge; /* what was tapped, and the input of zeros added to it */
    int segments, segment;      /* made so far; the one being recorded, 0 = none */
    ark_plan_step *steps;       /* set by finish; the first n_nodes are the forward pass */
    int n_steps;
    size_t act_bytes, scratch_bytes;
    int prepared; /* nodes whose kernel has been prepared: release that many */
};

struct ark_space {
    ark_dev *dev;
    unsigned char *acts;
    void *scratch;
    size_t act_bytes, scratch_bytes;
    bool canary;
    char violation[256]; /* first overwritten guard, "" when none */
};

/* What core must know of an op beyond its shape rule. */
typedef struct ark_opdef {
    const char *name;
    bool has_grad;
    unsigned bwd_reads_in; /* bit i: backward reads in[i] */
    bool (*bwd_reads_out)(const ark_node *n);
    bool (*remakes)(const ark_node *n); /* out can be written again from these inputs and the statistics */
    unsigned remake_reads_in;
    bool passes_grad; /* the gradient of in[0] starts as that of out, unchanged */
    double (*flops_fwd)(const ark_node *n, int64_t batch);
    double bwd_ratio; /* backward FLOPs over forward FLOPs when all gradients are wanted */
} ark_opdef;
extern const ark_opdef ark__opdefs[ARK_OP_COUNT];

/** New tensor or node owned by the plan; NULL after poisoning it when there is no memory. */
ark_tensor *ark__plan_tensor(ark_plan *p, ark_tensor_kind kind, ark_dtype dt, int ndim, const int64_t *dims);
ark_node *ark__plan_append(ark_plan *p, ark_op op, int n_in, ark_tensor *const *in, unsigned nograd_in);

/** Of an INFER plan: batch norm and sums into the products before them, where the backend can. */
ark_status ark__plan_fuse(ark_plan *p) ARK_MUST_CHECK;
/** Gradient flow (want_grad, acc), then the list of steps. */
ark_status ark__plan_schedule(ark_plan *p) ARK_MUST_CHECK;
/** From the steps, the lives of every tensor and gradient. */
void ark__plan_lives(ark_plan *p);
/** From the lives, offsets; sets p->act_bytes. */
ark_status ark__plan_layout(ark_plan *p) ARK_MUST_CHECK;

/** Backward of this node has a gradient to write. */
bool ark__runs_backward(const ark_node *n);
/** Input k if it is an activation in `mask` (bit i: in[i]), else NULL. */
ark_tensor *ark__act_in(const ark_node *n, int k, unsigned mask);

/** Bytes a tensor takes at the planned batch. */
size_t ark__tensor_bytes(const ark_tensor *t);

#endif
