/* Op problems for tests: what to build, with which values; and a session that runs one on a backend.
 *
 * A new op needs a row in op_case.c (a test fails while it is missing), goldens in
 * make_golden.py and rows in shapes.h. */
#ifndef ARK_TESTS_OPS_OP_CASE_H
#define ARK_TESTS_OPS_OP_CASE_H

#include "backend/backend.h"
#include "core/ops.h"
#include "io/safetensors.h"

enum { OP_MAX_ATTR = 4 };

/* Types of one variant of an op: which inputs are bf16 (bit k), and the output. */
typedef struct op_types {
    const char *name; /* "bf16->f32", for messages */
    unsigned half_in;
    ark_dtype out;
} op_types;

typedef struct op_spec {
    unsigned params;   /* bit k: input k is a parameter, otherwise an input of the plan */
    unsigned grads;    /* bit k: input k has a gradient */
    const char *fill;  /* random values of input k: n normal, w normal/sqrt(last dim), g around 1, u in [0,1),
                          m 0 or 1 */
    op_types types[5]; /* every combination that core/ops.h allows; the first is all f32 */
    int n_types;
    ark_tensor *(*build)(ark_plan *p, ark_tensor **in, const float *attr, ark_dtype out);
} op_spec;

extern const op_spec op_specs[ARK_OP_COUNT];

typedef struct op_case {
    char name[64];
    ark_op op;
    float attr[OP_MAX_ATTR];
    int ndim[ARK_MAX_IN]; /* 0: absent */
    int64_t dims[ARK_MAX_IN][ARK_MAX_DIMS];
    float *in[ARK_MAX_IN];
    float *r; /* seed of the output's gradient, NULL: drawn by the session */
    /* PyTorch's float64 results, NULL outside golden files */
    double *out, *grad[ARK_MAX_IN];
} op_case;

/* Elements of input k. */
int64_t op_case_numel(const op_case *c, int k);
void op_case_free(op_case *c);

/* All cases of an op's golden file, in file order. Fails the test when the file cannot be read. */
void op_golden_load(ark_op op, op_case **cases, int *n);
void op_cases_free(op_case *cases, int n);

/* A case with random values from its shapes; the same (c, seed) gives the same values. */
void op_case_fill(op_case *c, uint64_t seed);

/* How to run a case. */
typedef struct op_setup {
    const char *backend;
    int threads;
    op_types types;
    int planned; /* batch of the plan; 0: that of the case */
    int uses;    /* times the op is recorded on the same inputs, for the rule of gradient sums; 0: once */
    bool infer;  /* forward only */
    bool params_only; /* no gradients of plan inputs */
    bool stochastic;
    uint64_t seed, step;
    bool no_canary;
} op_setup;

typedef struct op_session op_session;

/* NULL when the backend is not built, or has no kernel for this op yet; any other failure fails the test. */
op_session *op_session_open(const op_case *c, const op_setup *s);
void op_session_close(op_session *s);
int64_t op_session_out_numel(const op_session *s);
int64_t op_session_out_row(const op_session *s); /* last dimension of the output, 1 for scalars */
/* Other values for input k, borrowed until the next call. */
void op_session_set(op_session *s, int k, const float *values);
/* Run, then read the output; bf16 comes back as f32. */
void op_session_forward(op_session *s, float *out);
/* Backward of sum(out * r) after a forward, from zeroed parameter gradients. */
void op_session_backward(op_session *s, const float *r);
/* As above, without zeroing. Every backward needs a forward before it: it reuses the
 * memory of what it has read. */
void op_session_backward_more(op_session *s, const float *r);
/* Gradient of input k after backward. */
void op_session_grad(op_session *s, int k, float *grad);
/* Guard bytes behind every tensor are intact; fails the test otherwise. */
void op_session_check(op_session *s);

/* r of the case, or reproducible random values; n elements. */
void op_case_seed(const op_case *c, float *r, int64_t n);

/* Round to bf16 and back. */
void round_to_bf16(float *values, int64_t n);

#endif
