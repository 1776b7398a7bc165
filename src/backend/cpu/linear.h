/* What linear.c prepares and linear_grad.c shares. Letters: R rows, K features in, N features out. */
#ifndef ARK_BACKEND_CPU_LINEAR_H
#define ARK_BACKEND_CPU_LINEAR_H

#include "backend/cpu/cpu.h"
#include "backend/cpu/rows.h"

/* [0,total) in panels of one width and a last one that may be narrower. */
typedef struct ark_panels {
    int64_t total, width, count;
} ark_panels;

static inline int ark_panel_kind(const ark_panels *p, int64_t i) {
    return i == p->count - 1 && p->total % p->width ? 1 : 0;
}

static inline int64_t ark_panel_width(const ark_panels *p, int kind) {
    return kind ? p->total % p->width : p->width;
}

typedef struct ark_linear {
    int64_t N, K;
    ark_dtype in, out;
    ark_act act;
    bool bias;
    ark_row_cut cut;
    ark_panels fwd_n;      /* columns of y per task */
    ark_panels dx_k;       /* columns of dx per task */
    ark_panels dw_n, dw_k; /* tiles of dW per task */
    int64_t groups;        /* > 0: backward by groups of pieces with partial dW; 0: by tiles */
    bool packs;            /* products of this dtype take W in panels, made anew in each pass */
    bool narrow_dz;        /* dy is f32 but products want bf16 */
    float *kept; /* W^T in panels over many runs, of a layer without gradients and with few rows; or NULL */
    uint64_t kept_version; /* of the weights it was made from; 0: none yet */
    uint64_t seen;         /* version in the last run: panels are kept from a version's second run on */
    const ark_gemm *fwd[ARK_ROW_SIZES][2];
    const ark_gemm *dx[ARK_ROW_SIZES][2];
    const ark_gemm *dw[ARK_ROW_SIZES][2][2];
    size_t
        thread_bytes; /* scratch of one thread: products first, then lines at line_at, narrowed dz at dz_at */
    size_t line_at, dz_at;
    size_t panels_at; /* scratch after the threads': W^T (forward) or W (dx) in panels */
    size_t shared_at; /* then partial sums, or dz of all rows */
} ark_linear;

/* Elements of one group's partial sums: dW, then db. */
static inline int64_t ark_linear_partial(const ark_linear *l) {
    return ark_simd_pad(l->N * l->K + l->N);
}

/** Weights in the dtype that x has. */
static inline const void *ark_linear_weights(const ark_call *c, const ark_node *n) {
    return n->in[0]->dtype == ARK_BF16 ? (const void *)(c->weights16 + n->in[1]->offset)
                                       : ark_ptr(c, n->in[1]);
}

static inline float *ark_linear_panels(const ark_call *c, const ark_linear *l) {
    bool kept = l->kept && c->version && l->kept_version == c->version;
    return kept ? l->kept : (float *)(void *)((char *)c->scratch + l->panels_at);
}

/** Pack W for y = x W^T (turned) or dx = dz W, on all threads, unless it is kept and still right. */
void ark_linear_pack(const ark_call *c, const ark_node *n, bool turned);

#endif
