/* upsample: a task is a row of the output (forward) or of the input (backward). The taps of a row or column
 * depend on sizes only and are computed where they are needed; the channels are the inner loop. */
#include "backend/cpu/cpu.h"

#include <math.h>
#include <string.h>

typedef struct {
    const ark_call *c;
    const ark_node *n;
    const ark_simd *k;
} job;

typedef struct {
    int64_t low, high;
    float share; /* of high */
} taps;

static taps locate(int64_t i, int64_t in, int64_t out) {
    double at = ((double)i + 0.5) * (double)in / (double)out - 0.5;
    at = at < 0 ? 0 : at;
    int64_t low = ark_min64((int64_t)at, in - 1);
    return (taps){.low = low, .high = ark_min64(low + 1, in - 1), .share = (float)(at - (double)low)};
}

static void forward_row(void *ctx, int64_t task, int thread) {
    (void)thread;
    const job *j = ctx;
    const ark_tensor *x = j->n->in[0], *y = j->n->out;
    const int64_t h = x->dims[1], w = x->dims[2], C = x->dims[3], H = y->dims[1], W = y->dims[2];
    const taps ty = locate(task % H, h, H);
    const float *image = (const float *)ark_ptr(j->c, x) + task / H * h * w * C;
    const float *low = image + ty.low * w * C, *high = image + ty.high * w * C;
    float *out = (float *)ark_ptr(j->c, y) + task * W * C;
    for (int64_t i = 0; i < W; i++, out += C) {
        const taps tx = locate(i, w, W);
        const float b = tx.share * (1 - ty.share), d = tx.share * ty.share;
        const float a = (1 - tx.share) * (1 - ty.share), e = (1 - tx.share) * ty.share;
        const float *p = low + tx.low * C, *q = low + tx.high * C, *r = high + tx.low * C,
                    *s = high + tx.high * C;
        for (int64_t ch = 0; ch < C; ch++) {
            out[ch] = a * p[ch] + b * q[ch] + (e * r[ch] + d * s[ch]);
        }
    }
}

/* First output whose low tap may be `row` - 1 or later; outputs from there on are looked at until both taps
 * have passed the row. */
static int64_t first_reader(int64_t row, int64_t in, int64_t out) {
    int64_t at = (int64_t)floor(((double)row - 0.5) * (double)out / (double)in - 0.5) - 1;
    return ark_max64(0, ark_min64(at, out - 1));
}

static float weight_of(const taps *t, int64_t row) {
    return (t->low == row ? 1 - t->share : 0.0f) + (t->high == row ? t->share : 0.0f);
}

/* Gather: each input row collects, in a fixed order, from the outputs that read it. */
static void backward_row(void *ctx, int64_t task, int thread) {
    (void)thread;
    const job *j = ctx;
    const ark_tensor *x = j->n->in[0], *y = j->n->out;
    const int64_t h = x->dims[1], w = x->dims[2], C = x->dims[3], H = y->dims[1], W = y->dims[2];
    const int64_t row = task % h;
    const float *dout = (const float *)ark_grad_ptr(j->c, y) + task / h * H * W * C;
    float *dx = (float *)ark_grad_ptr(j->c, x) + task * w * C;
    if (!j->n->acc[0]) {
        memset(dx, 0, (size_t)(w * C) * sizeof *dx);
    }
    for (int64_t i = first_reader(row, h, H); i < H; i++) {
        const taps ty = locate(i, h, H);
        if (ty.low > row) {
            break;
        }
        const float wy = weight_of(&ty, row);
        for (int64_t k = 0; wy != 0.0f && k < W; k++) {
            const taps tx = locate(k, w, W);
            const float *from = dout + (i * W + k) * C;
            float *low = dx + tx.low * C, *high = dx + tx.high * C;
            j->k->add_scaled(low, low, from, wy * (1 - tx.share), C);
            if (tx.share != 0.0f) {
                j->k->add_scaled(high, high, from, wy * tx.share, C);
            }
        }
    }
}

static void over(const ark_call *c, const ark_node *n, int64_t tasks, void (*task)(void *, int64_t, int)) {
    job j = {.c = c, .n = n, .k = ark_simd_of(c)};
    ark_parallel(c->dev->threads, tasks, task, &j);
}

ark_status ark_cpu_upsample_fwd(const ark_call *c, const ark_node *n) {
    over(c, n, c->batch * n->out->dims[1], forward_row);
    return ARK_OK;
}

ark_status ark_cpu_upsample_bwd(const ark_call *c, const ark_node *n) {
    if (n->want_grad[0]) {
        over(c, n, c->batch * n->in[0]->dims[1], backward_row);
    }
    return ARK_OK;
}
