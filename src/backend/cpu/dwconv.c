/* dwconv: tasks are (sample, block of 16 channels). A block is copied with a border of zeros, which costs one move for
 * k k multiply-adds, and lets k rows of it stay in the first-level cache. */
#include "backend/cpu/cpu.h"

#include <string.h>

enum { X, W, BIAS, COLS = ARK_DW_COLS };

typedef struct {
    const ark_call *c;
    const ark_node *n;
    const ark_simd *k;
    int64_t H, Wd, C, kernel, blocks, plane, weights; /* floats of a padded block, of its weights */
    float *partial;                                   /* (batch, blocks, weights + COLS): dW and db */
} job;

static job job_of(const ark_call *c, const ark_node *n) {
    const ark_tensor *x = n->in[X];
    job j = {.c = c, .n = n, .H = x->dims[1], .Wd = x->dims[2], .C = x->dims[3], .kernel = n->in[W]->dims[2]};
    j.blocks = ark_ceil_div(j.C, COLS);
    j.plane = (j.H + j.kernel - 1) * (j.Wd + j.kernel - 1) * COLS;
    j.weights = j.kernel * j.kernel * COLS;
    return j;
}

/* A thread's scratch: a padded block, one without border, weights, bias. */
static int64_t thread_floats(const job *j) {
    return j->plane + j->H * j->Wd * COLS + j->weights + COLS;
}

ark_status ark_cpu_dwconv_prepare(ark_dev *dev, ark_node *n, size_t *scratch) {
    job j = job_of(NULL, n);
    int64_t partial = n->want_grad[W] || (n->in[BIAS] && n->want_grad[BIAS])
                          ? n->in[X]->dims[0] * j.blocks * (j.weights + COLS)
                          : 0;
    *scratch = (size_t)(thread_floats(&j) * dev->threads + partial) * sizeof(float);
    return ARK_OK;
}

static int64_t width_of(const job *j, int64_t block) {
    return ark_min64(COLS, j->C - block * COLS);
}

/* n of a line's 16 channels; a copy of known length where all of them are. */
static inline void copy_channels(float *dst, const float *src, int64_t n) {
    if (n == COLS) {
        memcpy(dst, src, COLS * sizeof *dst);
    } else {
        memcpy(dst, src, (size_t)n * sizeof *dst);
    }
}

/* Block of (H,W,C) with `border` pixels of zeros around it. */
static void load_block(const job *j, float *dst, const float *src, int64_t block, int64_t border) {
    const int64_t width = j->Wd + 2 * border, n = width_of(j, block);
    if (border || n < COLS) {
        memset(dst, 0, (size_t)((j->H + 2 * border) * width * COLS) * sizeof *dst);
    }
    for (int64_t y = 0; y < j->H; y++) {
        float *d = dst + ((y + border) * width + border) * COLS;
        const float *s = src + y * j->Wd * j->C + block * COLS;
        for (int64_t x = 0; x < j->Wd; x++, d += COLS, s += j->C) {
            copy_channels(d, s, n);
        }
    }
}

/* (C,1,k,k) -> (taps,16), turned by half a circle for dx. */
static void load_weights(const job *j, float *dst, int64_t block, bool turned) {
    const int64_t taps = j->kernel * j->kernel, n = width_of(j, block);
    const float *w = (const float *)ark_ptr(j->c, j->n->in[W]) + block * COLS * taps;
    for (int64_t t = 0; t < taps; t++) {
        for (int64_t ch = 0; ch < COLS; ch++) {
            dst[(turned ? taps - 1 - t : t) * COLS + ch] = ch < n ? w[ch * taps + t] : 0.0f;
        }
    }
}

/* The block's convolution into (H,W,C) of `to`. */
static void convolve(const job *j, float *to, float *scratch, int64_t block, const float *bias, bool acc) {
    const int64_t n = width_of(j, block), pixels = j->H * j->Wd;
    float *small = scratch + j->plane, *w = small + pixels * COLS;
    const ark_dwconv_block b = {.x = scratch, .H = j->H, .W = j->Wd, .k = j->kernel};
    to += block * COLS;
    if (n == COLS) {
        j->k->dwconv(&b, to, j->C, w, bias, acc);
        return;
    }
    j->k->dwconv(&b, small, COLS, w, bias, false);
    for (int64_t p = 0; p < pixels; p++) {
        if (acc) {
            j->k->add(to + p * j->C, small + p * COLS, n);
        } else {
            memcpy(to + p * j->C, small + p * COLS, (size_t)n * sizeof *to);
        }
    }
}

static void fwd_task(void *ctx, int64_t task, int thread) {
    const job *j = ctx;
    const int64_t sample = task / j->blocks, block = task % j->blocks, size = j->H * j->Wd * j->C;
    float *scratch = (float *)j->c->scratch + thread_floats(j) * thread;
    float *w = scratch + j->plane + j->H * j->Wd * COLS, *bias = NULL;
    load_block(j, scratch, (const float *)ark_ptr(j->c, j->n->in[X]) + sample * size, block, j->kernel / 2);
    load_weights(j, w, block, false);
    if (j->n->in[BIAS]) {
        bias = w + j->weights;
        memset(bias, 0, COLS * sizeof *bias);
        copy_channels(bias, (const float *)ark_ptr(j->c, j->n->in[BIAS]) + block * COLS, width_of(j, block));
    }
    convolve(j, (float *)ark_ptr(j->c, j->n->out) + sample * size, scratch, block, bias, false);
}

ark_status ark_cpu_dwconv_fwd(const ark_call *c, const ark_node *n) {
    job j = job_of(c, n);
    j.k = ark_simd_of(c);
    ark_parallel(c->dev->threads, c->batch * j.blocks, fwd_task, &j);
    return ARK_OK;
}

static void bwd_task(void *ctx, int64_t task, int thread) {
    const job *j = ctx;
    const int64_t sample = task / j->blocks, block = task % j->blocks, pixels = j->H * j->Wd;
    const float *dy = (const float *)ark_grad_ptr(j->c, j->n->out) + sample * pixels * j->C;
    float *scratch = (float *)j->c->scratch + thread_floats(j) * thread;
    float *small = scratch + j->plane;
    const bool wants_bias = j->n->in[BIAS] && j->n->want_grad[BIAS];
    if (j->n->want_grad[W] || wants_bias) {
        float *dw = j->partial + task * (j->weights + COLS), *db = dw + j->weights;
        memset(dw, 0, (size_t)(j->weights + COLS) * sizeof *dw);
        load_block(j, small, dy, block, 0);
        load_block(j, scratch, (const float *)ark_ptr(j->c, j->n->in[X]) + sample * pixels * j->C, block,
            j->kernel / 2);
        const ark_dwconv_block b = {.x = scratch, .H = j->H, .W = j->Wd, .k = j->kernel};
        if (j->n->want_grad[W]) {
            j->k->dwconv_grad(&b, dw, small);
        }
        j->k->column_sums(db, small, pixels, COLS, COLS);
    }
    if (j->n->want_grad[X]) {
        load_block(j, scratch, dy, block, j->kernel / 2);
        load_weights(j, small + pixels * COLS, block, true);
        convolve(j, (float *)ark_grad_ptr(j->c, j->n->in[X]) + sample * pixels * j->C, scratch, block, NULL,
            j->n->acc[X]);
    }
}

/* The samples' shares of one block, in order. */
static void reduce_task(void *ctx, int64_t block, int thread) {
    (void)thread;
    const job *j = ctx;
    const int64_t taps = j->kernel * j->kernel, n = width_of(j, block), size = j->weights + COLS;
    float *sum = j->partial + block * size;
    for (int64_t b = 1; b < j->c->batch; b++) {
        j->k->add(sum, j->partial + (b * j->blocks + block) * size, size);
    }
    float *dw = j->n->want_grad[W] ? (float *)ark_grad_ptr(j->c, j->n->in[W]) + block * COLS * taps : NULL;
    for (int64_t e = 0; dw && e < n * taps; e++) {
        dw[e] += sum[e % taps * COLS + e / taps];
    }
    if (j->n->in[BIAS] && j->n->want_grad[BIAS]) {
        j->k->add((float *)ark_grad_ptr(j->c, j->n->in[BIAS]) + block * COLS, sum + j->weights, n);
    }
}

ark_status ark_cpu_dwconv_bwd(const ark_call *c, const ark_node *n) {
    job j = job_of(c, n);
    j.k = ark_simd_of(c);
    j.partial = (float *)c->scratch + thread_floats(&j) * c->dev->threads;
    ark_parallel(c->dev->threads, c->batch * j.blocks, bwd_task, &j);
    if (n->want_grad[W] || (n->in[BIAS] && n->want_grad[BIAS])) {
        ark_parallel(c->dev->threads, j.blocks, reduce_task, &j);
    }
    return ARK_OK;
}
