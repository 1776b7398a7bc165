/* maxpool and avgpool2: a task is a row of the output grid forward, of the input grid backward. */
#include "backend/cpu/cpu.h"

#include <string.h>

enum { BLOCK = 256 }; /* channels at a time */

typedef struct {
    const ark_call *c;
    const ark_node *n;
    const ark_simd *k;
    int64_t H, W, C, OH, OW;
} job;

static job job_of(const ark_call *c, const ark_node *n) {
    return (job){.c = c,
        .n = n,
        .k = ark_simd_of(c),
        .H = n->in[0]->dims[1],
        .W = n->in[0]->dims[2],
        .C = n->in[0]->dims[3],
        .OH = n->out->dims[1],
        .OW = n->out->dims[2]};
}

/* First window and last window of `taps` that cover place i, of n windows at stride 2 that begin `pad` before 0. */
static int64_t first_window(int64_t i, int64_t taps, int64_t pad) {
    return ark_max64(0, (i + pad - taps + 2) / 2);
}

/* ---- maxpool -------------------------------------------------------------------------------- */

/* Channels [ch,ch+n) of one output pixel. */
static void max_pixel(const job *j, int64_t b, int64_t oy, int64_t ox, int64_t ch, int64_t n) {
    const ark_tensor *x = j->n->in[0], *y = j->n->out, *saved = j->n->saved[0];
    const int64_t at = ((b * j->OH + oy) * j->OW + ox) * j->C + ch;
    float best[BLOCK], tap[BLOCK], wide[BLOCK];
    bool started = false;
    for (int64_t t = 0; t < 9; t++) {
        const int64_t iy = 2 * oy + t / 3 - 1, ix = 2 * ox + t % 3 - 1;
        if (iy < 0 || iy >= j->H || ix < 0 || ix >= j->W) {
            continue;
        }
        const float *v =
            ark_read(j->k, x->dtype, ark_ptr(j->c, x), ((b * j->H + iy) * j->W + ix) * j->C + ch, n, wide);
        if (started) {
            j->k->keep_larger(best, tap, v, (float)t, n);
            continue;
        }
        started = true;
        memcpy(best, v, (size_t)n * sizeof *best);
        for (int64_t i = 0; i < n; i++) {
            tap[i] = (float)t;
        }
    }
    float *to = ark_write_begin(y->dtype, ark_ptr(j->c, y), at, false, best);
    if (to != best) {
        memcpy(to, best, (size_t)n * sizeof *best);
    }
    ark_write_end(j->k, y->dtype, ark_ptr(j->c, y), at, n, false, to, NULL);
    if (saved) {
        j->k->narrow((uint16_t *)ark_ptr(j->c, saved) + at, tap, n);
    }
}

static void max_task(void *ctx, int64_t task, int thread) {
    (void)thread;
    const job *j = ctx;
    for (int64_t ox = 0; ox < j->OW; ox++) {
        for (int64_t ch = 0; ch < j->C; ch += BLOCK) {
            max_pixel(j, task / j->OH, task % j->OH, ox, ch, ark_min64(BLOCK, j->C - ch));
        }
    }
}

ark_status ark_cpu_maxpool_fwd(const ark_call *c, const ark_node *n) {
    job j = job_of(c, n);
    ark_parallel(c->dev->threads, c->batch * j.OH, max_task, &j);
    return ARK_OK;
}

/* The gradients of up to four windows over one input pixel, where it was their largest. */
static void max_grad_pixel(const job *j, int64_t b, int64_t y, int64_t x, int64_t ch, int64_t n) {
    const ark_tensor *out = j->n->out, *in = j->n->in[0];
    const int64_t at = ((b * j->H + y) * j->W + x) * j->C + ch;
    float sum[BLOCK], dy[BLOCK], tap[BLOCK], old[BLOCK];
    memset(sum, 0, (size_t)n * sizeof *sum);
    for (int64_t oy = first_window(y, 3, 1); oy < j->OH && 2 * oy - 1 <= y; oy++) {
        for (int64_t ox = first_window(x, 3, 1); ox < j->OW && 2 * ox - 1 <= x; ox++) {
            const int64_t from = ((b * j->OH + oy) * j->OW + ox) * j->C + ch;
            const float *g = ark_read(j->k, out->dtype, ark_grad_ptr(j->c, out), from, n, dy);
            j->k->widen(tap, (const uint16_t *)ark_ptr(j->c, j->n->saved[0]) + from, n);
            j->k->add_where(sum, g, tap, (float)((y - 2 * oy + 1) * 3 + x - 2 * ox + 1), n);
        }
    }
    float *to = ark_write_begin(in->dtype, ark_grad_ptr(j->c, in), at, j->n->acc[0], sum);
    if (to != sum) {
        memcpy(to, sum, (size_t)n * sizeof *sum);
    }
    ark_write_end(j->k, in->dtype, ark_grad_ptr(j->c, in), at, n, j->n->acc[0], to, old);
}

static void max_grad_task(void *ctx, int64_t task, int thread) {
    (void)thread;
    const job *j = ctx;
    for (int64_t x = 0; x < j->W; x++) {
        for (int64_t ch = 0; ch < j->C; ch += BLOCK) {
            max_grad_pixel(j, task / j->H, task % j->H, x, ch, ark_min64(BLOCK, j->C - ch));
        }
    }
}

ark_status ark_cpu_maxpool_bwd(const ark_call *c, const ark_node *n) {
    job j = job_of(c, n);
    if (n->want_grad[0]) {
        ark_parallel(c->dev->threads, c->batch * j.H, max_grad_task, &j);
    }
    return ARK_OK;
}

/* ---- avgpool2 ------------------------------------------------------------------------------- */

static void mean_task(void *ctx, int64_t task, int thread) {
    (void)thread;
    const job *j = ctx;
    const ark_tensor *x = j->n->in[0], *y = j->n->out;
    float sum[BLOCK], wide[BLOCK];
    for (int64_t e = 0; e < j->OW * ark_ceil_div(j->C, BLOCK); e++) {
        const int64_t ox = e % j->OW, ch = e / j->OW * BLOCK, n = ark_min64(BLOCK, j->C - ch);
        const int64_t b = task / j->OH, oy = task % j->OH, at = (task * j->OW + ox) * j->C + ch;
        memset(sum, 0, (size_t)n * sizeof *sum);
        for (int64_t t = 0; t < 4; t++) {
            const int64_t from = ((b * j->H + 2 * oy + t / 2) * j->W + 2 * ox + t % 2) * j->C + ch;
            j->k->add(sum, ark_read(j->k, x->dtype, ark_ptr(j->c, x), from, n, wide), n);
        }
        float *to = ark_write_begin(y->dtype, ark_ptr(j->c, y), at, false, wide);
        j->k->scale(to, sum, 0.25f, n);
        ark_write_end(j->k, y->dtype, ark_ptr(j->c, y), at, n, false, to, NULL);
    }
}

ark_status ark_cpu_avgpool2_fwd(const ark_call *c, const ark_node *n) {
    job j = job_of(c, n);
    ark_parallel(c->dev->threads, c->batch * j.OH, mean_task, &j);
    return ARK_OK;
}

static void mean_grad_task(void *ctx, int64_t task, int thread) {
    (void)thread;
    const job *j = ctx;
    const ark_tensor *x = j->n->in[0], *y = j->n->out;
    const int64_t b = task / j->H, oy = task % j->H / 2;
    float g[BLOCK], wide[BLOCK], old[BLOCK];
    for (int64_t e = 0; e < j->W * ark_ceil_div(j->C, BLOCK); e++) {
        const int64_t ix = e % j->W, ch = e / j->W * BLOCK, n = ark_min64(BLOCK, j->C - ch), ox = ix / 2;
        const int64_t at = (task * j->W + ix) * j->C + ch, from = ((b * j->OH + oy) * j->OW + ox) * j->C + ch;
        float *to = ark_write_begin(x->dtype, ark_grad_ptr(j->c, x), at, j->n->acc[0], g);
        if (oy < j->OH && ox < j->OW) {
            j->k->scale(to, ark_read(j->k, y->dtype, ark_grad_ptr(j->c, y), from, n, wide), 0.25f, n);
        } else {
            memset(to, 0, (size_t)n * sizeof *to);
        }
        ark_write_end(j->k, x->dtype, ark_grad_ptr(j->c, x), at, n, j->n->acc[0], to, old);
    }
}

ark_status ark_cpu_avgpool2_bwd(const ark_call *c, const ark_node *n) {
    job j = job_of(c, n);
    if (n->want_grad[0]) {
        ark_parallel(c->dev->threads, c->batch * j.H, mean_grad_task, &j);
    }
    return ARK_OK;
}
