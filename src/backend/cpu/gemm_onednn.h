/* bfloat16 products by oneDNN, for processors that multiply bfloat16 themselves. Known to gemm.c only. */
#ifndef ARK_BACKEND_CPU_GEMM_ONEDNN_H
#define ARK_BACKEND_CPU_GEMM_ONEDNN_H

#include "backend/cpu/gemm.h"

typedef struct ark_onednn ark_onednn;
typedef struct ark_onednn_product ark_onednn_product;

/** NULL in *out where oneDNN was not built in or this level has no bfloat16 of its own. */
ark_status ark_onednn_new(int threads, const ark_simd *k, ark_onednn **out) ARK_MUST_CHECK;
void ark_onednn_free(ark_onednn *o);

/** d.in is bf16; the activation is the caller's business. *scratch: bytes that a run needs. */
ark_status ark_onednn_product_new(
    ark_onednn *o, const ark_gemm_desc *d, size_t *scratch, ark_onednn_product **out) ARK_MUST_CHECK;
void ark_onednn_product_free(ark_onednn *o, ark_onednn_product *p);
ark_status ark_onednn_run(const ark_onednn *o, const ark_onednn_product *p, int thread,
    const ark_gemm_args *args, void *scratch) ARK_MUST_CHECK;

#endif
