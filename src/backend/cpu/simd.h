/* Serial inner kernels, compiled once per CPU level from simd/<name>.c and reached through one table.
 *
 * Every kernel works on float32 in contiguous memory and writes only what its arguments name; dtypes, strides
 * over samples, threads and scratch are the callers' business (linear.c, layernorm.c, ...). Buffers need no
 * alignment. Results depend on the level (FMA or not, vector width in sums) but never on the thread. */
#ifndef ARK_BACKEND_CPU_SIMD_H
#define ARK_BACKEND_CPU_SIMD_H

#include "backend/backend.h"

enum { ARK_SIMD_PAD = 16 }; /* floats: rows of padded tiles are multiples of the widest vector */

/* One head of one attention window: where the tokens are and the tile sizes. T = window * window tokens. */
typedef struct ark_attn_tile {
    int tokens;            /* T */
    int dim;               /* D, features of a head */
    int ld_score, ld_dim;  /* T and D rounded up to the level's lanes */
    float scale;           /* D^-0.5 */
    ark_dtype dtype;       /* of qkv, out and their gradients */
    int64_t row;           /* C: elements of a row of out; a row of qkv has 3C */
    int64_t column;        /* first feature of the head in a row of out */
    const int32_t *token;  /* (T) row of the grid, -1 for padding */
    const int32_t *region; /* (ld_score) shift-mask regions, NULL when the window lies in one region */
    const float *bias;     /* (T,ld_score) relative bias; padding columns hold a large negative number */
    const float *qkv_bias; /* (3C): q|k|v of padding tokens; NULL when nothing is padded */
    const void *qkv;       /* (grid,3C) of the sample */
    void *out;             /* (grid,C) of the sample (forward) */
    const void *dout;      /* (grid,C) (backward) */
    void *dqkv;            /* (grid,3C) (backward), or NULL */
    bool acc;              /* add to dqkv instead of setting it */
    float *dbias;          /* (T,ld_score): sum of score gradients, +=, or NULL */
    float *dqkv_bias;      /* (3,D): gradients that reach padding tokens, +=, or NULL */
    float *work;           /* ark_attn_work(tokens, dim) floats */
    /* The tile that comes after, whose rows are brought near meanwhile, or NULL. */
    const struct ark_attn_tile *next;
} ark_attn_tile;

/* c (m, one panel; ldc) = start + a b, or += that; then y = act(c). b is packed: (k, cols) with cols as
 * panel_size says. Element (i,l) of a is a[i / rows * a_group + i % rows * a_row + l * a_col]. All
 * columns of the panel are written. */
typedef struct ark_panel_product {
    float *c, *y; /* y: as c, may be c; NULL without an activation */
    int64_t ldc;
    const float *a;
    int64_t a_group, a_row, a_col;
    const float *b;
    const float *start; /* (cols), or NULL for zero */
    int64_t m, k;
    ark_act act;
    bool accumulate;
    bool first_use;    /* a may still lie in memory (a_col is 1): fetch it a tile ahead */
    const float *next; /* the next panel, to be fetched meanwhile, or NULL */
} ark_panel_product;

/* The patches of a convolution as rows of a matrix (im2col), one per output pixel: row (b,oy,ox), columns
 * (ky,kx,i), or (i,ky,kx) of a planar image; zero where the patch leaves the image. */
typedef struct ark_patches {
    const void *x; /* (B,H,W,I), planar (B,I,H,W) */
    ark_dtype dtype;
    bool planar;
    int64_t H, W, I, OH, OW, k, stride, pad;
    int64_t first; /* row of the matrix that is called row 0 */
} ark_patches;

enum { ARK_DW_COLS = 16 }; /* channels of a block of a depthwise convolution */

/* ARK_DW_COLS channels of one sample, with k/2 pixels of zeros around: ((H + k - 1),(W + k - 1),ARK_DW_COLS). */
typedef struct ark_dwconv_block {
    const float *x;
    int64_t H, W, k;
} ark_dwconv_block;

/* Per channel, for the backward of batch norm. */
typedef struct ark_norm_line {
    const float *s, *t, *mean; /* y = x s + t */
    const float *a, *b, *c;    /* dx = a dz + b (x - mean) + c */
    bool relu;
} ark_norm_line;

static inline int64_t ark_simd_pad(int64_t n) {
    return (n + ARK_SIMD_PAD - 1) / ARK_SIMD_PAD * ARK_SIMD_PAD;
}

/* Floats of workspace for one tile, backward included: T rows of q k dout, transposes of k and v, two score
 * matrices, and a block of rows on their way out. */
static inline int64_t ark_attn_work(int64_t tokens, int64_t dim) {
    int64_t rows = ark_simd_pad(tokens), cols = ark_simd_pad(dim);
    return 5 * rows * cols + 2 * rows * rows + ARK_SIMD_PAD * cols;
}

typedef struct ark_simd {
    const char *level; /* "v2", "v3", "v4" */
    int lanes;         /* floats of a vector; divides ARK_SIMD_PAD */
#define ARK_SIMD(name, args) void(*name) args;
#include "backend/cpu/simd.def"
#undef ARK_SIMD
} ark_simd;

/** Table of the best level this processor has, or of the lower one that the environment's
 * ARK_CPU_ISA=v2|v3|v4 names; an unknown or unavailable name is ARK_EINVAL. Static storage. */
ark_status ark_simd_pick(const ark_simd **out) ARK_MUST_CHECK;

/** True when the processor multiplies bfloat16 pairs itself (AVX512_BF16) and level v4 is in use. */
bool ark_simd_has_bf16(const ark_simd *k);

#endif
