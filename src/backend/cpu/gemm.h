/* Matrix products of fixed shape, each run by one thread on its own piece of the data.
 *
 * The only door to a matrix library: gemm_onednn.c or, without oneDNN, gemm_plain.c stands behind it. A
 * product is prepared once per shape and shared by every node that wants it. Running one never starts
 * threads, so the result does not depend on how many there are. */
#ifndef ARK_BACKEND_CPU_GEMM_H
#define ARK_BACKEND_CPU_GEMM_H

#include "backend/cpu/simd.h"

typedef struct ark_gemm ark_gemm;
typedef struct ark_gemm_pool ark_gemm_pool;

/* c (m,n) = a b + bias, or c += a b, sums in float32. Leading dimensions count elements
 * between stored rows. */
typedef struct ark_gemm_desc {
    int64_t m, n, k;
    bool ta; /* a is stored (k,m) */
    bool tb; /* b is stored (n,k) */
    int64_t lda, ldb, ldc;
    ark_dtype in;    /* of a and b */
    ark_dtype out;   /* of c; f32 when in is f32 */
    bool bias;       /* (n) f32 is added */
    bool accumulate; /* c += instead of c =; not with bias */
} ark_gemm_desc;

static inline bool ark_gemm_same(const ark_gemm_desc *x, const ark_gemm_desc *y) {
    return x->m == y->m && x->n == y->n && x->k == y->k && x->ta == y->ta && x->tb == y->tb &&
           x->lda == y->lda && x->ldb == y->ldb && x->ldc == y->ldc && x->in == y->in && x->out == y->out &&
           x->bias == y->bias && x->accumulate == y->accumulate;
}

/** Products that at most `threads` threads will run at a time; k as picked by ark_simd_pick, whose level also
 * bounds what the matrix library uses. */
ark_status ark_gemm_pool_new(int threads, const ark_simd *k, ark_gemm_pool **out) ARK_MUST_CHECK;
void ark_gemm_pool_free(ark_gemm_pool *p);

/** The product of this shape, prepared now if it is new; owned by the pool. @return
 * ARK_OK | ARK_ENOMEM | ARK_EDEVICE. */
ark_status ark_gemm_get(ark_gemm_pool *p, const ark_gemm_desc *d, const ark_gemm **out) ARK_MUST_CHECK;

/** Bytes of scratch that one run needs, ARK_ALIGN-aligned. */
size_t ark_gemm_scratch(const ark_gemm *g);

/** Run on the calling thread, which no other call with the same `thread` < threads may overlap. bias is
 * ignored unless the description has it. */
ark_status ark_gemm_run(const ark_gemm *g, int thread, const void *a, const void *b, const float *bias,
    void *c, void *scratch) ARK_MUST_CHECK;

/** "onednn" or "plain". */
const char *ark_gemm_name(void);

#endif
