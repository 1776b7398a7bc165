/* One head of one attention window, in float32 tiles that stay in the cache.
 *
 * Rows of the window go in blocks (attn_block.inc) through the whole chain, scores, softmax, product with v,
 * while they are in the nearest cache; only k and v are needed whole. Rows of scores are padded to whole
 * vectors: the padding starts from the bias' large negative number and ends as weights that are zero.
 *
 * Weights are never divided by their sums: 1/sum goes to the row of the output, and in backward to the row
 * of dout, from where it reaches everything that is linear in the weights. */
#include "backend/cpu/simd/attn.h"

/* Rows go by blocks of TALL or one less: any T from 20 (6 and 5) is a sum of the two, and 49 needs no block
 * of a single row, which runs at a quarter of the speed. Two multiply-adds a cycle of latency 4 want 8 sums
 * at least: 6 x 2 and 5 x 2 vectors of sums, two of b and one of a fill 16 registers, 8 x 2 fit in 32. */
#if defined(__AVX512F__) || defined(__aarch64__)
#define TALL 8
#define SHORT 7
#else
#define TALL 6
#define SHORT 5
#endif

/* D columns of the rows of an array over the grid. */
typedef struct {
    void *base;
    int64_t row; /* elements */
    int64_t column;
} operand;

/* Where the tiles of a head lie in the workspace. */
typedef struct {
    float *q, *k, *v, *dout; /* (T,ld_dim) */
    float *kt, *vt;          /* (ld_dim,ld_score) */
    float *e, *ds;           /* (T,ld_score) */
    float *rows;             /* (TALL,ld_dim) results on their way to the grid */
} tiles;

/* The heads of every Swin have USUAL features: loops over them are worth compiling for that number. */
enum { Q, K, V, USUAL = 32 };

static operand part(const void *base, const ark_attn_tile *t, int n) {
    return (operand){(void *)(uintptr_t)base, 3 * t->row, n * t->row + t->column};
}

static operand whole(const void *base, const ark_attn_tile *t) {
    return (operand){(void *)(uintptr_t)base, t->row, t->column};
}

/* What stands for padding tokens: the bias of q, k or v. */
static const float *pad_bias(const ark_attn_tile *t, int n) {
    return t->qkv_bias ? t->qkv_bias + n * t->row + t->column : NULL;
}

static float *pad_grad(const ark_attn_tile *t, int n) {
    return t->dqkv_bias ? t->dqkv_bias + n * t->dim : NULL;
}

/* Ask for the lines of an operand's rows [from,to). Inline, because gcc 12 takes a function that only
 * prefetches for one without effects and drops every call of it. */
ARK_INLINE void fetch(const ark_attn_tile *t, operand o, int from, int to) {
    const int64_t size = t->dtype == ARK_F32 ? 4 : 2, bytes = t->dim * size;
    for (int i = from; i < to; i++) {
        if (t->token[i] >= 0) {
            const char *row = (const char *)o.base + (t->token[i] * o.row + o.column) * size;
            for (int64_t b = 0; b < bytes; b += 64) {
                __builtin_prefetch(row + b, 0, 2);
            }
        }
    }
}

/* What a tile reads and writes, in the order of fetch_next. */
enum { AT_DQ, AT_DK, AT_DV, AT_Q, AT_K, AT_V, AT_OUT, AT_END };

/* Ask for rows [from,to) of some operands of the next tile, if there is one. A block asks for as many rows
 * as it has itself, and in portions: asked for all at once, they fill the queue of misses and the block
 * waits. */
ARK_INLINE void fetch_next(const ark_attn_tile *t, int from, int to, const int first, const int end) {
    for (int n = first; t && n < end; n++) {
        if (n >= AT_Q && n < AT_OUT) {
            fetch(t, part(t->qkv, t, n - AT_Q), from, to);
        } else if (n == AT_OUT) {
            fetch(t, whole(t->dout ? t->dout : t->out, t), from, to);
        } else if (t->dqkv) {
            fetch(t, part(t->dqkv, t, n - AT_DQ), from, to);
        }
    }
}

/* Rows copied one by one. Counts are passed by value: read through the tile they would be read again after
 * every store. */
ARK_INLINE void widen_row(float *dst, const uint16_t *src, int dim, float scale) {
    int d = 0;
    for (; d + ARK_LANES <= dim; d += ARK_LANES) {
        ark_half_vec h;
        memcpy(&h, src + d, sizeof h);
        ark_store(dst + d, scale * (ark_vec)(__builtin_convertvector(h, ark_ivec) << 16));
    }
    for (; d < dim; d++) {
        dst[d] = scale * ark_from_bits((int32_t)((uint32_t)src[d] << 16));
    }
}

ARK_INLINE void scale_row(float *dst, const float *src, int dim, float scale, bool acc) {
    int d = 0;
    for (; d + ARK_LANES <= dim; d += ARK_LANES) {
        const ark_vec v = scale * ark_load(src + d);
        ark_store(dst + d, acc ? ark_load(dst + d) + v : v);
    }
    for (; d < dim; d++) {
        dst[d] = acc ? dst[d] + scale * src[d] : scale * src[d];
    }
}

/* dst (to-from,ld_dim) = scale * rows [from,to), padding tokens from `pad` (D) or zero. */
ARK_INLINE void gather_rows(float *dst, const ark_attn_tile *t, operand o, const float *pad, int from, int to,
    float scale, const int dim, const int ld) {
    const bool f32 = t->dtype == ARK_F32;
    const int32_t *token = t->token;
    for (int i = from; i < to; i++, dst += ld) {
        const int64_t at = token[i] * o.row + o.column;
        if (token[i] < 0) {
            memset(dst, 0, (size_t)dim * sizeof *dst);
            if (pad) {
                scale_row(dst, pad, dim, scale, false);
            }
        } else if (f32) {
            scale_row(dst, (const float *)o.base + at, dim, scale, false);
        } else {
            widen_row(dst, (const uint16_t *)o.base + at, dim, scale);
        }
        for (int d = dim; d < ld; d++) {
            dst[d] = 0.0f;
        }
    }
}

static void gather(
    float *dst, const ark_attn_tile *t, operand o, const float *pad, int from, int to, float scale) {
    if (t->dim == USUAL) {
        gather_rows(dst, t, o, pad, from, to, scale, USUAL, USUAL);
    } else {
        gather_rows(dst, t, o, pad, from, to, scale, t->dim, t->ld_dim);
    }
}

/* The inverse of gather; src is used up. What padding tokens receive goes to `pad` (D), +=, or nowhere. */
ARK_INLINE void scatter_rows(float *src, const ark_attn_tile *t, operand o, float *pad, int from, int to,
    float scale, bool acc, const int dim, const int ld) {
    const bool f32 = t->dtype == ARK_F32;
    const int32_t *token = t->token;
    for (int i = from; i < to; i++, src += ld) {
        const int64_t at = token[i] * o.row + o.column;
        if (token[i] < 0) {
            if (pad) {
                scale_row(pad, src, dim, scale, true);
            }
        } else if (!o.base) {
            continue;
        } else if (f32) {
            scale_row((float *)o.base + at, src, dim, scale, acc);
        } else {
            uint16_t *dst = (uint16_t *)o.base + at;
            for (int d = 0; d < dim; d++) {
                src[d] = (acc ? ark_from_bits((int32_t)((uint32_t)dst[d] << 16)) : 0.0f) + scale * src[d];
            }
            ARK_FN(narrow)(dst, src, dim);
        }
    }
}

static void scatter(
    float *src, const ark_attn_tile *t, operand o, float *pad, int from, int to, float scale, bool acc) {
    if (t->dim == USUAL) {
        scatter_rows(src, t, o, pad, from, to, scale, acc, USUAL, USUAL);
    } else {
        scatter_rows(src, t, o, pad, from, to, scale, acc, t->dim, t->ld_dim);
    }
}

/* turned (ld_dim,ld_score) = an operand with its rows as columns, zeros in the padding columns. With `keep`,
 * `rows` (T,ld_dim) gets the rows as they are; otherwise they only pass through `four` (4,ld_dim). ld_score
 * is a multiple of four on every level, ld_dim too. */
static void gather_turned(
    float *turned, float *rows, bool keep, float *four, const ark_attn_tile *t, operand o, const float *pad) {
    const int T = t->tokens, S = t->ld_score, L = t->ld_dim;
    for (int i = 0; i < S; i += 4) {
        const int n = T - i < 4 ? T - i : 4;
        float *to = keep && n == 4 ? rows + (int64_t)i * L : four;
        if (n < 4) {
            memset(four, 0, 4 * (size_t)L * sizeof *four);
        }
        if (n > 0) {
            gather(to, t, o, pad, i, i + n, 1.0f);
        }
        if (keep && n > 0 && n < 4) {
            memcpy(rows + (int64_t)i * L, four, (size_t)(n * L) * sizeof *four);
        }
        ark_turn_rows(turned + i, S, to, L, L / 4);
    }
}

#define ARK_ROWS TALL
#include "backend/cpu/simd/attn_block.inc"
#define ARK_ROWS SHORT
#include "backend/cpu/simd/attn_block.inc"
#define ARK_ROWS 1
#include "backend/cpu/simd/attn_block.inc"

typedef void block(const ark_attn_tile *t, const tiles *w, int i);

/* Runs all rows through a function that was compiled for blocks of TALL, SHORT and 1: as few blocks as
 * possible, and where T is no sum of the first two, single rows at the end. */
static void each_block(const ark_attn_tile *t, const tiles *w, block *tall, block *shorter, block *single) {
    const int T = t->tokens, n = (T + TALL - 1) / TALL;
    const int missing = n * TALL - T; /* rows, so many blocks must be shorter */
    const int all_tall = missing > n ? T / TALL : n - missing;
    int i = 0;
    for (; i < all_tall * TALL; i += TALL) {
        tall(t, w, i);
    }
    for (; i + SHORT <= T; i += SHORT) {
        shorter(t, w, i);
    }
    for (; i < T; i++) {
        single(t, w, i);
    }
}

#define EACH_BLOCK(name, t, w)                                                                               \
    each_block(t, w, ARK_GLUE(name, TALL), ARK_GLUE(name, SHORT), ARK_GLUE(name, 1))

/* The next `floats` of the workspace. Tiles follow each other closely, because tiles at distances of a power
 * of two would share few sets of the cache. */
static float *take(float **work, int64_t floats) {
    float *at = *work;
    *work += ark_simd_pad(floats);
    return at;
}

void ARK_FN(attn_forward)(const ark_attn_tile *t) {
    const int64_t L = t->ld_dim, S = t->ld_score;
    float *work = t->work;
    tiles w = {0};
    w.rows = take(&work, TALL * L);
    w.q = take(&work, TALL * L);
    w.e = take(&work, TALL * S);
    w.kt = take(&work, L * S);
    w.v = take(&work, t->tokens * L);
    gather_turned(w.kt, w.rows, false, w.rows, t, part(t->qkv, t, K), pad_bias(t, K));
    gather(w.v, t, part(t->qkv, t, V), pad_bias(t, V), 0, t->tokens, 1.0f);
    EACH_BLOCK(forward, t, &w);
}

void ARK_FN(attn_backward)(const ark_attn_tile *t) {
    const int64_t T = t->tokens, L = t->ld_dim, S = t->ld_score;
    float *work = t->work;
    tiles w = {0};
    w.rows = take(&work, TALL * L);
    w.kt = take(&work, L * S);
    w.vt = take(&work, L * S);
    w.k = take(&work, T * L);
    w.q = take(&work, T * L);
    w.dout = take(&work, T * L);
    w.e = take(&work, T * S);
    w.ds = take(&work, T * S);
    gather_turned(w.kt, w.k, true, w.rows, t, part(t->qkv, t, K), pad_bias(t, K));
    gather_turned(w.vt, w.rows, false, w.rows, t, part(t->qkv, t, V), pad_bias(t, V));
    /* All rows at once, so that many misses of the nearest cache are under way together. */
    gather(w.q, t, part(t->qkv, t, Q), pad_bias(t, Q), 0, t->tokens, t->scale);
    gather(w.dout, t, whole(t->dout, t), NULL, 0, t->tokens, 1.0f);
    EACH_BLOCK(backward, t, &w);
    if (t->dqkv || t->dqkv_bias) {
        EACH_BLOCK(backward_k, t, &w);
        EACH_BLOCK(backward_v, t, &w);
    }
}
