/* Matrix products of fixed shape, each run by one thread on its own piece of the data.
 *
 * float32 products, and bfloat16 ones where the processor has no instruction for them, are done here
 * (gemm.c): b goes through packed panels and the register tiles of simd/panel.c. Where it has
 * (AVX512_BF16), oneDNN does the bfloat16 products (gemm_onednn.c). A product is prepared once per shape
 * and shared by every node that wants it. Running one never starts threads and sums in an order that the
 * shape alone decides, so the result does not depend on how many threads there are. */
#ifndef ARK_BACKEND_CPU_GEMM_H
#define ARK_BACKEND_CPU_GEMM_H

#include "backend/cpu/simd.h"

typedef struct ark_gemm ark_gemm;
typedef struct ark_gemm_pool ark_gemm_pool;

/* c (m,n) = a b + bias, or c += a b, sums in float32; then y = act(c). Leading dimensions count elements
 * between stored rows. */
typedef struct ark_gemm_desc {
    int64_t m, n, k;
    bool ta;     /* a is stored (k,m) */
    bool tb;     /* b is stored (n,k) */
    bool packed; /* b is in panels that ark_gemm_pack made, from a multiple of 64 columns */
    int64_t lda, ldb, ldc;
    ark_dtype in;              /* of a and b */
    ark_dtype out;             /* of c and y; f32 when in is f32 */
    bool bias;                 /* (n) f32 is added */
    bool accumulate;           /* c += instead of c =; not with bias */
    bool patches_a, patches_b; /* a or b (not turned, f32) is args.patches: it is gathered block by block */
    ark_act act;
} ark_gemm_desc;

/* What one run works on. */
typedef struct ark_gemm_args {
    const void *a, *b;
    const float *bias;          /* ignored unless the description has it */
    void *c;                    /* with an activation: the pre-activation */
    void *y;                    /* act(c), may be c; ignored without an activation */
    const ark_patches *patches; /* where the description says so */
    int64_t column;             /* of patches_b: b begins at this one */
    int64_t k; /* if not 0: a shorter sum than described, where a is turned and ark_gemm_packs */
} ark_gemm_args;

/** Products that at most `threads` threads will run at a time; k as picked by ark_simd_pick, whose level also
 * bounds what the matrix library uses. */
ark_status ark_gemm_pool_new(int threads, const ark_simd *k, ark_gemm_pool **out) ARK_MUST_CHECK;
void ark_gemm_pool_free(ark_gemm_pool *p);

/** The product of this shape, prepared now if it is new; owned by the pool. @return
 * ARK_OK | ARK_ENOMEM | ARK_EDEVICE. */
ark_status ark_gemm_get(ark_gemm_pool *p, const ark_gemm_desc *d, const ark_gemm **out) ARK_MUST_CHECK;

/** y = act(z) over n elements of dtype, bit by bit what a product with that activation writes; the same
 * memory is allowed. */
void ark_activate(const ark_simd *k, ark_act act, ark_dtype dtype, void *y, const void *z, int64_t n);

/** Bytes of scratch that one run needs, ARK_ALIGN-aligned. */
size_t ark_gemm_scratch(const ark_gemm *g);

/** Run on the calling thread, which no other call with the same `thread` < threads may overlap. */
ark_status ark_gemm_run(
    const ark_gemm *g, int thread, const ark_gemm_args *args, void *scratch) ARK_MUST_CHECK;

/* ---- b packed beforehand: weights that many rows are multiplied with -------------------------- */

/* b (k,n) as it is stored: (k,n), or (n,k) when turned; ld elements between stored rows. */
typedef struct ark_packing {
    const void *b;
    ark_dtype in;
    bool turned;
    int64_t ld, n, k;
} ark_packing;

/** True when products of this dtype pack b anyway, so that packing it once for several of them saves work. */
bool ark_gemm_packs(const ark_gemm_pool *p, ark_dtype in);
/** Floats of b in panels. Columns from j, a multiple of 64, start at j * k. */
int64_t ark_gemm_packed_floats(const ark_gemm_pool *p, int64_t k, int64_t n);
/** Packing n columns is this many tasks; each writes columns of its own. */
int64_t ark_gemm_pack_tasks(int64_t n);
/** One of them; scratch: ark_gemm_pack_scratch bytes. */
void ark_gemm_pack(const ark_gemm_pool *p, float *dst, int64_t task, const ark_packing *w, void *scratch);
size_t ark_gemm_pack_scratch(const ark_gemm_pool *p, const ark_packing *w);

#endif
