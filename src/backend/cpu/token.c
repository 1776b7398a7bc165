/* token_embed and token_slice: rows that move, with something added. */
#include "backend/cpu/cpu.h"

#include <string.h>

enum { X, CLS, POS, ROWS = 16, LINE = 1024 };

typedef struct {
    const ark_call *c;
    const ark_node *n;
    const ark_simd *k;
} job;

static void over(const ark_call *c, const ark_node *n, int64_t tasks, void (*task)(void *, int64_t, int)) {
    job j = {.c = c, .n = n, .k = ark_simd_of(c)};
    ark_parallel(c->dev->threads, tasks, task, &j);
}

/* dst = or += src. */
static void put(const ark_simd *k, float *dst, const float *src, int64_t n, bool acc) {
    if (acc) {
        k->add(dst, src, n);
    } else {
        memcpy(dst, src, (size_t)n * sizeof *dst);
    }
}

/* ---- token_embed: a task is some positions ----------------------------------------------------- */

static int64_t embed_tasks(const ark_node *n) {
    return ark_ceil_div(n->out->dims[1], ROWS);
}

static void embed_fwd_task(void *ctx, int64_t task, int thread) {
    (void)thread;
    const job *j = ctx;
    const int64_t N = j->n->out->dims[1], C = j->n->out->dims[2], end = ark_min64(N, (task + 1) * ROWS);
    const float *x = ark_ptr(j->c, j->n->in[X]), *cls = ark_ptr(j->c, j->n->in[CLS]);
    const float *pos = ark_ptr(j->c, j->n->in[POS]);
    float *out = ark_ptr(j->c, j->n->out);
    for (int64_t b = 0; b < j->c->batch; b++) {
        for (int64_t t = task * ROWS; t < end; t++) {
            const float *token = t == 0 ? cls : x + (b * (N - 1) + t - 1) * C;
            j->k->add_scaled(out + (b * N + t) * C, pos + t * C, token, 1.0f, C);
        }
    }
}

/* Sums over the batch go sample by sample into the gradient, in order. */
static void embed_bwd_task(void *ctx, int64_t task, int thread) {
    (void)thread;
    const job *j = ctx;
    const ark_node *n = j->n;
    const int64_t N = n->out->dims[1], C = n->out->dims[2], end = ark_min64(N, (task + 1) * ROWS);
    const float *dout = ark_grad_ptr(j->c, n->out);
    for (int64_t b = 0; b < j->c->batch; b++) {
        for (int64_t t = task * ROWS; t < end; t++) {
            const float *d = dout + (b * N + t) * C;
            if (n->want_grad[POS]) {
                j->k->add((float *)ark_grad_ptr(j->c, n->in[POS]) + t * C, d, C);
            }
            if (t == 0 && n->want_grad[CLS]) {
                j->k->add(ark_grad_ptr(j->c, n->in[CLS]), d, C);
            }
            if (t > 0 && n->want_grad[X]) {
                put(j->k, (float *)ark_grad_ptr(j->c, n->in[X]) + (b * (N - 1) + t - 1) * C, d, C, n->acc[X]);
            }
        }
    }
}

ark_status ark_cpu_token_embed_fwd(const ark_call *c, const ark_node *n) {
    over(c, n, embed_tasks(n), embed_fwd_task);
    return ARK_OK;
}

ark_status ark_cpu_token_embed_bwd(const ark_call *c, const ark_node *n) {
    over(c, n, embed_tasks(n), embed_bwd_task);
    return ARK_OK;
}

/* ---- token_slice: a task is a sample ----------------------------------------------------------- */

/* dst += src, n elements of either dtype. */
static void add_rows(const ark_simd *k, ark_dtype dtype, void *dst, const void *src, int64_t n) {
    float a[LINE], b[LINE];
    for (int64_t i = 0; i < n; i += LINE) {
        const int64_t m = ark_min64(LINE, n - i);
        if (dtype == ARK_F32) {
            k->add((float *)dst + i, (const float *)src + i, m);
        } else {
            k->widen(a, (const uint16_t *)dst + i, m);
            k->widen(b, (const uint16_t *)src + i, m);
            k->add(a, b, m);
            k->narrow((uint16_t *)dst + i, a, m);
        }
    }
}

static void slice_fwd_task(void *ctx, int64_t b, int thread) {
    (void)thread;
    const job *j = ctx;
    const int64_t N = j->n->in[X]->dims[1], C = j->n->in[X]->dims[2], part = ark_numel_per_sample(j->n->out);
    const ark_tensor *x = j->n->in[X], *out = j->n->out;
    memcpy(ark_at(out, ark_ptr(j->c, out), b * part),
        ark_at(x, ark_ptr(j->c, x), (b * N + j->n->a.slice.from) * C),
        (size_t)part * ark_dtype_bytes(x->dtype));
}

static void slice_bwd_task(void *ctx, int64_t b, int thread) {
    (void)thread;
    const job *j = ctx;
    const ark_tensor *x = j->n->in[X], *out = j->n->out;
    const int64_t all = ark_numel_per_sample(x), part = ark_numel_per_sample(out);
    const int64_t at = j->n->a.slice.from * x->dims[2], size = (int64_t)ark_dtype_bytes(x->dtype);
    char *dx = ark_at(x, ark_grad_ptr(j->c, x), b * all);
    const char *dout = ark_at(out, ark_grad_ptr(j->c, out), b * part);
    if (j->n->acc[X]) {
        add_rows(j->k, x->dtype, dx + at * size, dout, part);
        return;
    }
    memset(dx, 0, (size_t)(at * size));
    memcpy(dx + at * size, dout, (size_t)(part * size));
    memset(dx + (at + part) * size, 0, (size_t)((all - at - part) * size));
}

ark_status ark_cpu_token_slice_fwd(const ark_call *c, const ark_node *n) {
    over(c, n, c->batch, slice_fwd_task);
    return ARK_OK;
}

ark_status ark_cpu_token_slice_bwd(const ark_call *c, const ark_node *n) {
    if (n->want_grad[X]) {
        over(c, n, c->batch, slice_bwd_task);
    }
    return ARK_OK;
}
