/* Ops that move or add values: patchify, patch_merge, residual, avgpool. */
#include "backend/cpu/cpu.h"
#include "base/rng.h"

#include <string.h>

enum { LINE = 1024 };

typedef struct {
    const ark_call *c;
    const ark_node *n;
    const ark_simd *k;
} job;

static void over(const ark_call *c, const ark_node *n, int64_t tasks, void (*task)(void *, int64_t, int)) {
    job j = {.c = c, .n = n, .k = ark_simd_of(c)};
    ark_parallel(c->dev->threads, tasks, task, &j);
}

/* dst[d_at..] = or += s * src[s_at..], between any two dtypes. */
static void move(const ark_simd *k, ark_dtype dt, void *dst, int64_t d_at, ark_dtype st, const void *src,
    int64_t s_at, int64_t n, float s, bool acc) {
    if (s == 1.0f && dt == st && !acc) {
        size_t size = ark_dtype_bytes(dt);
        memcpy((char *)dst + (size_t)d_at * size, (const char *)src + (size_t)s_at * size, (size_t)n * size);
        return;
    }
    float a[LINE], b[LINE], old[LINE];
    for (int64_t i = 0; i < n; i += LINE) {
        int64_t m = ark_min64(LINE, n - i);
        const float *from = ark_read(k, st, src, s_at + i, m, a);
        if (dt == ARK_F32 && acc) {
            float *to = (float *)dst + d_at + i;
            k->add_scaled(to, to, from, s, m);
            continue;
        }
        float *to = ark_write_begin(dt, dst, d_at + i, acc, b);
        k->scale(to, from, s, m);
        ark_write_end(k, dt, dst, d_at + i, m, acc, to, old);
    }
}

static void clear(ark_dtype dtype, void *dst, int64_t at, int64_t n) {
    size_t size = ark_dtype_bytes(dtype);
    memset((char *)dst + (size_t)at * size, 0, (size_t)n * size);
}

/* ---- patchify: a task is a row of patches --------------------------------------------------- */

/* The few bytes of one line of a patch. */
static inline void copy_piece(void *dst, const void *src, size_t bytes) {
    switch (bytes) {
    case 8:
        memcpy(dst, src, 8);
        return;
    case 16:
        memcpy(dst, src, 16);
        return;
    default:
        memcpy(dst, src, bytes);
    }
}

/* A line of the image spreads over all patches of the row, in bf16 narrowed as a whole first. */
static void patchify_row(const job *j, int64_t row) {
    const ark_tensor *x = j->n->in[0], *y = j->n->out;
    const int64_t P = j->n->a.patchify.patch, channels = x->dims[1], high = x->dims[2], wide = x->dims[3];
    const int64_t patches = wide / P, sample = row / (high / P), py = row % (high / P),
                  features = channels * P * P;
    const size_t size = ark_dtype_bytes(y->dtype);
    uint16_t half[LINE];
    for (int64_t i = 0; i < channels * P; i++) {
        const float *line =
            (const float *)ark_ptr(j->c, x) + ((sample * channels + i / P) * high + py * P + i % P) * wide;
        char *out = (char *)ark_ptr(j->c, y) + (size_t)(row * patches * features + i * P) * size;
        const int64_t step = ark_max64(LINE / P, 1) * P; /* whole patches at a time */
        for (int64_t from = 0; from < wide; from += step) {
            const int64_t n = ark_min64(step, wide - from);
            const char *src = (const char *)(line + from);
            if (y->dtype == ARK_BF16 && n > LINE) { /* one wide patch */
                j->k->narrow((uint16_t *)(void *)out, line + from, n);
                out += (size_t)features * size;
                continue;
            }
            if (y->dtype == ARK_BF16) {
                j->k->narrow(half, line + from, n);
                src = (const char *)half;
            }
            for (int64_t p = 0; p < n / P; p++, out += (size_t)features * size) {
                copy_piece(out, src + (size_t)(p * P) * size, (size_t)P * size);
            }
        }
    }
}

static void patchify_row_grad(const job *j, int64_t row) {
    const ark_tensor *x = j->n->in[0], *y = j->n->out;
    const int64_t P = j->n->a.patchify.patch, channels = x->dims[1], high = x->dims[2], wide = x->dims[3];
    const int64_t patches = wide / P, sample = row / (high / P), py = row % (high / P), lines = channels * P;
    for (int64_t i = 0; i < patches * lines; i++) {
        int64_t p = i / lines, ch = i % lines / P, line = i % P;
        int64_t in = ((sample * channels + ch) * high + py * P + line) * wide + p * P;
        int64_t out = ((row * patches + p) * channels + ch) * P * P + line * P;
        move(j->k, x->dtype, ark_grad_ptr(j->c, x), in, y->dtype, ark_grad_ptr(j->c, y), out, P, 1.0f,
            j->n->acc[0]);
    }
}

static void patchify_fwd_task(void *ctx, int64_t task, int thread) {
    (void)thread;
    patchify_row(ctx, task);
}

static void patchify_bwd_task(void *ctx, int64_t task, int thread) {
    (void)thread;
    patchify_row_grad(ctx, task);
}

ark_status ark_cpu_patchify_fwd(const ark_call *c, const ark_node *n) {
    over(c, n, c->batch * n->out->dims[1], patchify_fwd_task);
    return ARK_OK;
}

ark_status ark_cpu_patchify_bwd(const ark_call *c, const ark_node *n) {
    if (n->want_grad[0]) {
        over(c, n, c->batch * n->out->dims[1], patchify_bwd_task);
    }
    return ARK_OK;
}

/* ---- patch_merge: a task is a row of the output grid ---------------------------------------- */

/* Block q of the output holds the neighbour at row q % 2, column q / 2. */
static void patch_merge_row(const job *j, int64_t task, bool backward) {
    const ark_tensor *x = j->n->in[0], *y = j->n->out;
    const int64_t H = x->dims[1], W = x->dims[2], C = x->dims[3], rows = y->dims[1], cols = y->dims[2];
    const int64_t sample = task / rows, row = task % rows;
    for (int64_t i = 0; i < cols * 4; i++) {
        int64_t q = i % 4, yy = 2 * row + q % 2, xx = 2 * (i / 4) + q / 2;
        int64_t small = (task * cols + i / 4) * 4 * C + q * C, big = ((sample * H + yy) * W + xx) * C;
        bool inside = yy < H && xx < W;
        if (backward) {
            if (inside) {
                move(j->k, x->dtype, ark_grad_ptr(j->c, x), big, y->dtype, ark_grad_ptr(j->c, y), small, C,
                    1.0f, j->n->acc[0]);
            }
        } else if (inside) {
            move(j->k, y->dtype, ark_ptr(j->c, y), small, x->dtype, ark_ptr(j->c, x), big, C, 1.0f, false);
        } else {
            clear(y->dtype, ark_ptr(j->c, y), small, C);
        }
    }
}

static void patch_merge_fwd_task(void *ctx, int64_t task, int thread) {
    (void)thread;
    patch_merge_row(ctx, task, false);
}

static void patch_merge_bwd_task(void *ctx, int64_t task, int thread) {
    (void)thread;
    patch_merge_row(ctx, task, true);
}

ark_status ark_cpu_patch_merge_fwd(const ark_call *c, const ark_node *n) {
    over(c, n, c->batch * n->out->dims[1], patch_merge_fwd_task);
    return ARK_OK;
}

ark_status ark_cpu_patch_merge_bwd(const ark_call *c, const ark_node *n) {
    if (n->want_grad[0]) {
        over(c, n, c->batch * n->out->dims[1], patch_merge_bwd_task);
    }
    return ARK_OK;
}

/* ---- residual: a task is a block of one sample ---------------------------------------------- */

/* What h of this sample is multiplied by. */
static float path_scale(const ark_call *c, const ark_node *n, int64_t sample) {
    float rate = n->a.residual.rate;
    if (!c->stochastic || rate <= 0.0f) {
        return 1.0f;
    }
    ark_rng rng = ark_rng_at(c->seed, ARK_RNG_DROP_PATH, c->step, (uint32_t)n->id, (uint32_t)sample);
    return ark_rng_f32(&rng) >= rate ? (float)(1.0 / (1.0 - (double)rate)) : 0.0f;
}

enum { RESIDUAL_BLOCK = 1 << 15 };

typedef struct {
    int64_t at, n;
    float scale;
} residual_block;

static residual_block residual_at(const job *j, int64_t task) {
    int64_t size = ark_numel_per_sample(j->n->out), blocks = ark_ceil_div(size, RESIDUAL_BLOCK);
    int64_t sample = task / blocks, from = task % blocks * RESIDUAL_BLOCK;
    return (residual_block){.at = sample * size + from,
        .n = ark_min64(RESIDUAL_BLOCK, size - from),
        .scale = path_scale(j->c, j->n, sample)};
}

static void residual_fwd_task(void *ctx, int64_t task, int thread) {
    (void)thread;
    const job *j = ctx;
    residual_block b = residual_at(j, task);
    const float *x = (const float *)ark_ptr(j->c, j->n->in[0]) + b.at;
    float *out = (float *)ark_ptr(j->c, j->n->out) + b.at;
    float line[LINE];
    for (int64_t i = 0; i < b.n; i += LINE) {
        int64_t m = ark_min64(LINE, b.n - i);
        const ark_tensor *h = j->n->in[1];
        j->k->add_scaled(
            out + i, x + i, ark_read(j->k, h->dtype, ark_ptr(j->c, h), b.at + i, m, line), b.scale, m);
    }
}

static void residual_bwd_task(void *ctx, int64_t task, int thread) {
    (void)thread;
    const job *j = ctx;
    residual_block b = residual_at(j, task);
    for (int i = 0; i < 2; i++) {
        const ark_tensor *t = j->n->in[i];
        bool there = ark_grad_ptr(j->c, t) == ark_grad_ptr(j->c, j->n->out); /* passed on in its place */
        if (j->n->want_grad[i] && !(there && i == 0)) {
            move(j->k, t->dtype, ark_grad_ptr(j->c, t), b.at, ARK_F32, ark_grad_ptr(j->c, j->n->out), b.at,
                b.n, i ? b.scale : 1.0f, j->n->acc[i]);
        }
    }
}

static int64_t residual_tasks(const ark_call *c, const ark_node *n) {
    return c->batch * ark_ceil_div(ark_numel_per_sample(n->out), RESIDUAL_BLOCK);
}

ark_status ark_cpu_residual_fwd(const ark_call *c, const ark_node *n) {
    over(c, n, residual_tasks(c, n), residual_fwd_task);
    return ARK_OK;
}

ark_status ark_cpu_residual_bwd(const ark_call *c, const ark_node *n) {
    over(c, n, residual_tasks(c, n), residual_bwd_task);
    return ARK_OK;
}

/* ---- avgpool: a task is some channels of one sample ----------------------------------------- */

enum { POOL_CHANNELS = 256 };

static int64_t pool_tasks(const ark_call *c, const ark_node *n) {
    return c->batch * ark_ceil_div(ark_last_dim(n->out), POOL_CHANNELS);
}

static void pool_task(void *ctx, int64_t task, bool backward) {
    const job *j = ctx;
    const int64_t C = ark_last_dim(j->n->out), tokens = ark_rows(j->n->in[0], 1);
    const int64_t blocks = ark_ceil_div(C, POOL_CHANNELS), sample = task / blocks,
                  col = task % blocks * POOL_CHANNELS;
    const int64_t n = ark_min64(POOL_CHANNELS, C - col);
    const float share = 1.0f / (float)tokens;
    if (!backward) {
        const float *x = (const float *)ark_ptr(j->c, j->n->in[0]) + sample * tokens * C + col;
        float *y = (float *)ark_ptr(j->c, j->n->out) + sample * C + col;
        memset(y, 0, (size_t)n * sizeof *y);
        j->k->column_sums(y, x, tokens, n, C);
        j->k->scale(y, y, share, n);
        return;
    }
    const float *dy = ark_grad_ptr(j->c, j->n->out);
    for (int64_t t = 0; t < tokens; t++) {
        move(j->k, ARK_F32, ark_grad_ptr(j->c, j->n->in[0]), (sample * tokens + t) * C + col, ARK_F32, dy,
            sample * C + col, n, share, j->n->acc[0]);
    }
}

static void avgpool_fwd_task(void *ctx, int64_t task, int thread) {
    (void)thread;
    pool_task(ctx, task, false);
}

static void avgpool_bwd_task(void *ctx, int64_t task, int thread) {
    (void)thread;
    pool_task(ctx, task, true);
}

ark_status ark_cpu_avgpool_fwd(const ark_call *c, const ark_node *n) {
    over(c, n, pool_tasks(c, n), avgpool_fwd_task);
    return ARK_OK;
}

ark_status ark_cpu_avgpool_bwd(const ark_call *c, const ark_node *n) {
    if (n->want_grad[0]) {
        over(c, n, pool_tasks(c, n), avgpool_bwd_task);
    }
    return ARK_OK;
}
