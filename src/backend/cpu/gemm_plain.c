/* Matrix products by our own kernel, for builds without oneDNN: operands are packed into float32 panels block
 * by block and multiplied by the register tiles of simd/gemm.c. */
#include "backend/cpu/gemm.h"

#ifndef ARK_HAVE_ONEDNN

#include "base/alloc.h"
#include "base/err.h"
#include "base/mathsafe.h"

#include <string.h>

/* A block of c and the panels of a and b beside it fill three quarters of a 1 MiB second-level cache. */
enum { BLOCK_M = 256, BLOCK_N = 256, BLOCK_K = 256, BLOCK = BLOCK_M * BLOCK_N };

struct ark_gemm {
    ark_gemm_desc desc;
    ark_gemm_pool *pool;
    ark_gemm *next;
};

struct ark_gemm_pool {
    const ark_simd *simd;
    ark_gemm *first;
};

ark_status ark_gemm_pool_new(int threads, const ark_simd *k, ark_gemm_pool **out) {
    (void)threads;
    ark_gemm_pool *p = NULL;
    ARK_TRY(ARK_NEW(&p, 1, "matrix products"));
    p->simd = k;
    *out = p;
    return ARK_OK;
}

void ark_gemm_pool_free(ark_gemm_pool *p) {
    if (!p) {
        return;
    }
    for (ark_gemm *g = p->first, *next; g; g = next) {
        next = g->next;
        ark_free(g);
    }
    ark_free(p);
}

ark_status ark_gemm_get(ark_gemm_pool *p, const ark_gemm_desc *d, const ark_gemm **out) {
    for (ark_gemm *known = p->first; known; known = known->next) {
        if (ark_gemm_same(&known->desc, d)) {
            *out = known;
            return ARK_OK;
        }
    }
    ark_gemm *g = NULL;
    ARK_TRY(ARK_NEW(&g, 1, "a matrix product"));
    *g = (ark_gemm){.desc = *d, .pool = p, .next = p->first};
    p->first = g;
    *out = g;
    return ARK_OK;
}

/* Block of c, panel of a, panel of b, and b before it is turned. */
size_t ark_gemm_scratch(const ark_gemm *g) {
    (void)g;
    return ark_round_up(4 * (size_t)BLOCK * sizeof(float), ARK_ALIGN);
}

/* dst (rows,ldd) = rows x cols elements of a stored matrix, as float32. */
static void load(const ark_simd *k, float *dst, int64_t ldd, const void *src, ark_dtype dtype, int64_t ld,
    int64_t rows, int64_t cols) {
    for (int64_t i = 0; i < rows; i++) {
        if (dtype == ARK_F32) {
            memcpy(dst + i * ldd, (const float *)src + i * ld, (size_t)cols * sizeof *dst);
        } else {
            k->widen(dst + i * ldd, (const uint16_t *)src + i * ld, cols);
        }
    }
}

static const void *at(const void *base, ark_dtype dtype, int64_t elements) {
    return (const char *)base + elements * (int64_t)ark_dtype_bytes(dtype);
}

/* The bk x bn block of b at (l,j) as float32 rows of BLOCK_N. */
static void pack_b(
    const ark_gemm *g, float *dst, float *line, const void *b, int64_t l, int64_t j, int64_t bk, int64_t bn) {
    const ark_gemm_desc *d = &g->desc;
    const ark_simd *k = g->pool->simd;
    if (d->tb) {
        load(k, line, BLOCK_K, at(b, d->in, j * d->ldb + l), d->in, d->ldb, bn, bk);
        k->transpose(dst, BLOCK_N, line, BLOCK_K, bn, bk);
    } else {
        load(k, dst, BLOCK_N, at(b, d->in, l * d->ldb + j), d->in, d->ldb, bk, bn);
    }
    int64_t wide = ark_simd_pad(bn);
    for (int64_t r = 0; r < bk && bn < wide; r++) {
        memset(dst + r * BLOCK_N + bn, 0, (size_t)(wide - bn) * sizeof *dst);
    }
}

/* The block of c starts as what c held, as the bias, or as zero. */
static void begin_c(const ark_gemm *g, float *dst, const float *bias, const void *c, int64_t i, int64_t j,
    int64_t bm, int64_t bn) {
    const ark_gemm_desc *d = &g->desc;
    if (d->accumulate) {
        load(g->pool->simd, dst, BLOCK_N, at(c, d->out, i * d->ldc + j), d->out, d->ldc, bm, bn);
        return;
    }
    for (int64_t r = 0; r < bm; r++) {
        if (d->bias) {
            memcpy(dst + r * BLOCK_N, bias + j, (size_t)bn * sizeof *dst);
        } else {
            memset(dst + r * BLOCK_N, 0, (size_t)bn * sizeof *dst);
        }
    }
}

static void end_c(
    const ark_gemm *g, const float *src, void *c, int64_t i, int64_t j, int64_t bm, int64_t bn) {
    const ark_gemm_desc *d = &g->desc;
    for (int64_t r = 0; r < bm; r++) {
        int64_t offset = (i + r) * d->ldc + j;
        if (d->out == ARK_F32) {
            memcpy((float *)c + offset, src + r * BLOCK_N, (size_t)bn * sizeof *src);
        } else {
            g->pool->simd->narrow((uint16_t *)c + offset, src + r * BLOCK_N, bn);
        }
    }
}

/* block (bm,bn) += a b over k in [l,l+bk); float32 a is read where it lies. */
static void multiply(const ark_gemm *g, float *block, float *pa, const float *pb, const void *a, int64_t i,
    int64_t l, int64_t bm, int64_t bn, int64_t bk) {
    const ark_gemm_desc *d = &g->desc;
    const ark_simd *k = g->pool->simd;
    int64_t ld = d->lda;
    const float *from = at(a, d->in, d->ta ? l * ld + i : i * ld + l);
    if (d->in == ARK_BF16) {
        load(k, pa, BLOCK_K, from, d->in, ld, d->ta ? bk : bm, d->ta ? bm : bk);
        from = pa;
        ld = BLOCK_K;
    }
    k->gemm(
        block, BLOCK_N, from, d->ta ? 1 : ld, d->ta ? ld : 1, pb, BLOCK_N, bm, ark_simd_pad(bn), bk, true);
}

ark_status ark_gemm_run(
    const ark_gemm *g, int thread, const void *a, const void *b, const float *bias, void *c, void *scratch) {
    (void)thread;
    const ark_gemm_desc *d = &g->desc;
    float *block = scratch, *pa = block + BLOCK, *pb = pa + BLOCK, *line = pb + BLOCK;
    for (int64_t j = 0; j < d->n; j += BLOCK_N) {
        int64_t bn = d->n - j < BLOCK_N ? d->n - j : BLOCK_N;
        for (int64_t i = 0; i < d->m; i += BLOCK_M) {
            int64_t bm = d->m - i < BLOCK_M ? d->m - i : BLOCK_M;
            begin_c(g, block, bias, c, i, j, bm, bn);
            for (int64_t l = 0; l < d->k; l += BLOCK_K) {
                int64_t bk = d->k - l < BLOCK_K ? d->k - l : BLOCK_K;
                pack_b(g, pb, line, b, l, j, bk, bn);
                multiply(g, block, pa, pb, a, i, l, bm, bn, bk);
            }
            end_c(g, block, c, i, j, bm, bn);
        }
    }
    return ARK_OK;
}

const char *ark_gemm_name(void) {
    return "plain";
}

#endif
