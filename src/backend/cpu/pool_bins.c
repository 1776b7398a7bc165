/* pool_bins: a task is one bin of one sample (forward), one row of one sample (backward). */
#include "backend/cpu/cpu.h"

#include <string.h>

typedef struct {
    const ark_call *c;
    const ark_node *n;
    const ark_simd *k;
} job;

static int64_t first(int64_t i, int64_t size, int64_t bins) {
    return i * size / bins;
}

static int64_t past(int64_t i, int64_t size, int64_t bins) {
    return ark_ceil_div((i + 1) * size, bins);
}

static void forward_bin(void *ctx, int64_t task, int thread) {
    (void)thread;
    const job *j = ctx;
    const ark_tensor *x = j->n->in[0];
    const int64_t h = x->dims[1], w = x->dims[2], C = x->dims[3], bins = j->n->out->dims[1];
    const int64_t by = task / bins % bins, bx = task % bins;
    const int64_t x0 = first(bx, w, bins), wide = past(bx, w, bins) - x0;
    const int64_t y0 = first(by, h, bins), y1 = past(by, h, bins);
    const float *image = (const float *)ark_ptr(j->c, x) + task / (bins * bins) * h * w * C;
    float *out = (float *)ark_ptr(j->c, j->n->out) + task * C;
    memset(out, 0, (size_t)C * sizeof *out);
    for (int64_t y = y0; y < y1; y++) {
        j->k->column_sums(out, image + (y * w + x0) * C, wide, C, C);
    }
    j->k->scale(out, out, 1.0f / (float)((y1 - y0) * wide), C);
}

static void backward_row(void *ctx, int64_t task, int thread) {
    (void)thread;
    const job *j = ctx;
    const ark_tensor *x = j->n->in[0];
    const int64_t h = x->dims[1], w = x->dims[2], C = x->dims[3], bins = j->n->out->dims[1], row = task % h;
    const float *dout = (const float *)ark_grad_ptr(j->c, j->n->out) + task / h * bins * bins * C;
    float *dx = (float *)ark_grad_ptr(j->c, x) + task * w * C;
    if (!j->n->acc[0]) {
        memset(dx, 0, (size_t)(w * C) * sizeof *dx);
    }
    for (int64_t b = 0; b < bins * bins; b++) {
        const int64_t y0 = first(b / bins, h, bins), y1 = past(b / bins, h, bins);
        const int64_t x0 = first(b % bins, w, bins), x1 = past(b % bins, w, bins);
        const float share = 1.0f / (float)((y1 - y0) * (x1 - x0));
        for (int64_t i = x0; row >= y0 && row < y1 && i < x1; i++) {
            j->k->add_scaled(dx + i * C, dx + i * C, dout + b * C, share, C);
        }
    }
}

ark_status ark_cpu_pool_bins_fwd(const ark_call *c, const ark_node *n) {
    job j = {.c = c, .n = n, .k = ark_simd_of(c)};
    ark_parallel(c->dev->threads, c->batch * n->out->dims[1] * n->out->dims[2], forward_bin, &j);
    return ARK_OK;
}

ark_status ark_cpu_pool_bins_bwd(const ark_call *c, const ark_node *n) {
    job j = {.c = c, .n = n, .k = ark_simd_of(c)};
    if (n->want_grad[0]) {
        ark_parallel(c->dev->threads, c->batch * n->in[0]->dims[1], backward_row, &j);
    }
    return ARK_OK;
}
