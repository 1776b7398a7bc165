/* layernorm: tasks are blocks of rows. Backward sums dgamma and dbeta per block, then
 * adds the blocks in order. */
#include "backend/cpu/cpu.h"

#include <string.h>

enum { X, GAMMA, BETA, BLOCK_BYTES = 1 << 16, MAX_BLOCKS = 64, COLUMNS = 256 };

typedef struct {
    const ark_call *c;
    const ark_node *n;
    int64_t rows, cols, block; /* rows of a task */
    float *partial;            /* (blocks, 2 padded cols): dgamma, dbeta */
} job;

/* Scratch of a thread: three rows. */
static int64_t thread_floats(int64_t cols) {
    return 4 * ark_simd_pad(cols);
}

static int64_t grad_block(int64_t rows) {
    return ark_max64(ark_ceil_div(rows, MAX_BLOCKS), 8);
}

ark_status ark_cpu_layernorm_prepare(ark_dev *dev, ark_node *n, size_t *scratch) {
    int64_t cols = ark_last_dim(n->in[X]);
    *scratch =
        (size_t)(thread_floats(cols) * dev->threads + MAX_BLOCKS * 2 * ark_simd_pad(cols)) * sizeof(float);
    return ARK_OK;
}

static job job_of(const ark_call *c, const ark_node *n) {
    job j = {.c = c, .n = n, .rows = ark_rows(n->in[X], c->batch), .cols = ark_last_dim(n->in[X])};
    j.partial = (float *)c->scratch + thread_floats(j.cols) * c->dev->threads;
    return j;
}

static void fwd_task(void *ctx, int64_t task, int thread) {
    const job *j = ctx;
    const ark_simd *k = ark_simd_of(j->c);
    const ark_tensor *x = j->n->in[X], *y = j->n->out;
    float *in = (float *)j->c->scratch + thread_floats(j->cols) * thread, *line = in + ark_simd_pad(j->cols);
    float *mean = j->n->saved[0] ? ark_ptr(j->c, j->n->saved[0]) : NULL;
    float *rstd = j->n->saved[1] ? ark_ptr(j->c, j->n->saved[1]) : NULL;
    const float *gamma = ark_ptr(j->c, j->n->in[GAMMA]), *beta = ark_ptr(j->c, j->n->in[BETA]);
    int64_t end = ark_min64((task + 1) * j->block, j->rows);
    for (int64_t r = task * j->block; r < end; r++) {
        int64_t at = r * j->cols;
        const float *xr = ark_read(k, x->dtype, ark_ptr(j->c, x), at, j->cols, in);
        float *yr = ark_write_begin(y->dtype, ark_ptr(j->c, y), at, false, line);
        k->layernorm(yr, mean ? mean + r : NULL, rstd ? rstd + r : NULL, xr, gamma, beta,
            j->n->a.layernorm.eps, j->cols);
        ark_write_end(k, y->dtype, ark_ptr(j->c, y), at, j->cols, false, yr, NULL);
    }
}

ark_status ark_cpu_layernorm_fwd(const ark_call *c, const ark_node *n) {
    job j = job_of(c, n);
    j.block = ark_max64(1, BLOCK_BYTES / (j.cols * (int64_t)sizeof(float)));
    ark_parallel(c->dev->threads, ark_ceil_div(j.rows, j.block), fwd_task, &j);
    return ARK_OK;
}

static void bwd_task(void *ctx, int64_t task, int thread) {
    const job *j = ctx;
    const ark_simd *k = ark_simd_of(j->c);
    const ark_tensor *x = j->n->in[X], *y = j->n->out;
    const int64_t width = ark_simd_pad(j->cols);
    float *in = (float *)j->c->scratch + thread_floats(j->cols) * thread;
    float *grad = in + width, *line = grad + width, *old = line + width;
    float *dgamma = j->partial + task * 2 * width, *dbeta = dgamma + width;
    memset(dgamma, 0, (size_t)(2 * width) * sizeof *dgamma);
    const float *mean = ark_ptr(j->c, j->n->saved[0]), *rstd = ark_ptr(j->c, j->n->saved[1]);
    const float *gamma = ark_ptr(j->c, j->n->in[GAMMA]);
    void *dx = j->n->want_grad[X] ? ark_grad_ptr(j->c, x) : NULL;
    int64_t end = ark_min64((task + 1) * j->block, j->rows);
    for (int64_t r = task * j->block; r < end; r++) {
        int64_t at = r * j->cols;
        const float *xr = ark_read(k, x->dtype, ark_ptr(j->c, x), at, j->cols, in);
        const float *dyr = ark_read(k, y->dtype, ark_grad_ptr(j->c, y), at, j->cols, grad);
        float *dxr = dx ? ark_write_begin(x->dtype, dx, at, j->n->acc[X], line) : line;
        k->layernorm_grad(dxr, dgamma, dbeta, dyr, xr, gamma, mean[r], rstd[r], j->cols);
        if (dx) {
            ark_write_end(k, x->dtype, dx, at, j->cols, j->n->acc[X], dxr, old);
        }
    }
}

/* Some columns of dgamma and dbeta over all blocks. */
static void reduce_task(void *ctx, int64_t task, int thread) {
    (void)thread;
    const job *j = ctx;
    const ark_simd *k = ark_simd_of(j->c);
    const int64_t width = ark_simd_pad(j->cols), from = task * COLUMNS,
                  n = ark_min64(COLUMNS, j->cols - from);
    for (int i = 0; i < 2; i++) {
        const ark_tensor *p = j->n->in[i ? BETA : GAMMA];
        if (!j->n->want_grad[i ? BETA : GAMMA]) {
            continue;
        }
        float *sum = (float *)ark_grad_ptr(j->c, p) + from;
        for (int64_t b = 0; b < ark_ceil_div(j->rows, j->block); b++) {
            k->add(sum, j->partial + (2 * b + i) * width + from, n);
        }
    }
}

ark_status ark_cpu_layernorm_bwd(const ark_call *c, const ark_node *n) {
    job j = job_of(c, n);
    j.block = grad_block(j.rows);
    ark_parallel(c->dev->threads, ark_ceil_div(j.rows, j.block), bwd_task, &j);
    ark_parallel(c->dev->threads, ark_ceil_div(j.cols, COLUMNS), reduce_task, &j);
    return ARK_OK;
}
