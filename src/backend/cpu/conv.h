/* What conv.c prepares and conv_grad.c shares. Letters: R output pixels, O output channels, K = k k I columns of a
 * patch. All products are float32 (gemm.c); bf16 is widened while patches are gathered and narrowed on the way out. */
#ifndef ARK_BACKEND_CPU_CONV_H
#define ARK_BACKEND_CPU_CONV_H

#include "backend/cpu/cpu.h"
#include "backend/cpu/epilogue.h"
#include "backend/cpu/linear.h"
#include "backend/cpu/rows.h"

/* How backward reaches x. */
typedef enum ark_conv_dx {
    ARK_DX_NONE,
    ARK_DX_GATHER, /* stride 1: a convolution of dy with the turned kernel */
    ARK_DX_SCATTER /* dy W into patches, which are added where they came from, sample by sample */
} ark_conv_dx;

typedef struct ark_conv {
    ark_patches patches; /* of x, without the pointer */
    int64_t O, K, taps;
    ark_dtype in, out;
    bool bias, reorder; /* reorder: files have (O,I,k,k), products want (O,k,k,I) */
    ark_row_cut cut;
    ark_panels fwd_n;
    const ark_gemm *fwd[ARK_ROW_SIZES][2];
    float *kept; /* W^T in panels, of a layer without gradients; or NULL */
    uint64_t kept_version;
    ark_conv_dx dx;
    ark_row_cut dx_cut; /* of input pixels (gather), or of one sample's output pixels (scatter) */
    const ark_gemm *dx_product[ARK_ROW_SIZES];
    int64_t groups; /* rows are summed in so many parts for dW */
    ark_panels dw_n, dw_k;
    const ark_gemm *dw[2][2];
    size_t thread_bytes,
        products; /* scratch of one thread: products first, then a tile of patches or a line */
    size_t weights_at, panels_at, wide_at,
        partial_at; /* behind the threads': W ordered; in panels; dy f32; dW */
} ark_conv;

/** W (O,K) in the order of the patches' columns: the parameter itself, or an ordered copy in scratch. */
const float *ark_conv_weights(const ark_call *c, const ark_node *n);
/** Pack b on all threads into the panels of this call. */
void ark_conv_pack(const ark_call *c, const ark_conv *v, float *panels, const ark_packing *w);
ark_status ark_conv_prepare_grad(
    ark_conv *v, ark_gemm_pool *pool, const ark_node *n, size_t *tile, size_t *panels) ARK_MUST_CHECK;

static inline void *ark_conv_scratch(const ark_call *c, const ark_conv *v, int thread) {
    return (char *)c->scratch + (size_t)thread * v->thread_bytes;
}

static inline float *ark_conv_at(const ark_call *c, size_t at) {
    return (float *)(void *)((char *)c->scratch + at);
}

#endif
