/* batchnorm: sums over blocks of rows, at most MAX_BLOCKS of them, in float32 over 16 rows and in double beyond; then
 * one pass that writes. Backward is two such passes; what passed the ReLU is found again from x. */
#include "backend/cpu/cpu.h"
#include "backend/cpu/epilogue.h"

#include <math.h>
#include <string.h>

enum { X, GAMMA, BETA, MEAN, VAR, MAX_BLOCKS = 64, CHUNK = 16, LINES = 8, PASS_BYTES = 1 << 16 };

typedef struct {
    const ark_call *c;
    const ark_node *n;
    const ark_simd *k;
    int64_t rows, cols, width; /* width: cols padded */
    int64_t block, blocks;     /* rows of a task */
    float *line;               /* LINES padded rows: per channel values */
    double *sums;              /* (MAX_BLOCKS, 2, width) */
    float *chunks;             /* per thread: 2 x CHUNK rows, and one */
    ark_norm_line v;
} job;

enum { SHIFT, SCALE, OFFSET, A, B, C };

static int64_t thread_floats(int64_t cols) {
    return (2 * CHUNK + 1) * ark_simd_pad(cols);
}

ark_status ark_cpu_batchnorm_prepare(ark_dev *dev, ark_node *n, size_t *scratch) {
    const int64_t cols = ark_last_dim(n->in[X]), width = ark_simd_pad(cols);
    *scratch = (size_t)(MAX_BLOCKS * 2 * width) * sizeof(double) +
               (size_t)(LINES * width + thread_floats(cols) * dev->threads) * sizeof(float);
    return ARK_OK;
}

static job job_of(const ark_call *c, const ark_node *n) {
    job j = {.c = c,
        .n = n,
        .k = ark_simd_of(c),
        .rows = ark_rows(n->in[X], c->batch),
        .cols = ark_last_dim(n->in[X])};
    j.width = ark_simd_pad(j.cols);
    j.block = ark_ceil_div(ark_ceil_div(j.rows, MAX_BLOCKS), CHUNK) * CHUNK;
    j.blocks = ark_ceil_div(j.rows, j.block);
    j.sums = c->scratch;
    j.line = (float *)(void *)(j.sums + MAX_BLOCKS * 2 * j.width);
    j.chunks = j.line + LINES * j.width;
    return j;
}

static float *line(const job *j, int i) {
    return j->line + i * j->width;
}

/* ---- forward -------------------------------------------------------------------------------- */

static void moments_task(void *ctx, int64_t task, int thread) {
    const job *j = ctx;
    const ark_tensor *x = j->n->in[X];
    double *sum = j->sums + task * 2 * j->width;
    float *chunk = j->chunks + thread_floats(j->cols) * thread;
    memset(sum, 0, (size_t)(2 * j->width) * sizeof *sum);
    const int64_t end = ark_min64((task + 1) * j->block, j->rows);
    for (int64_t r = task * j->block; r < end; r += CHUNK) {
        const int64_t n = ark_min64(CHUNK, end - r);
        const float *xr = ark_read(j->k, x->dtype, ark_ptr(j->c, x), r * j->cols, n * j->cols, chunk);
        j->k->moments(sum, sum + j->width, xr, line(j, SHIFT), n, j->cols);
    }
}

/* Mean, 1/sqrt(var + eps) and, unless this is a replay, the running statistics. Values are taken relative to the
 * first row, so that squares lose no digits to a mean far from zero. */
static void batch_statistics(job *j, float *mean, float *rstd) {
    const float m = j->n->a.batchnorm.momentum;
    float *running_mean = ark_ptr(j->c, j->n->in[MEAN]), *running_var = ark_ptr(j->c, j->n->in[VAR]);
    const ark_tensor *x = j->n->in[X];
    const float *first = ark_read(j->k, x->dtype, ark_ptr(j->c, x), 0, j->cols, line(j, SHIFT));
    memmove(line(j, SHIFT), first, (size_t)j->cols * sizeof *first);
    ark_parallel(j->c->dev->threads, j->blocks, moments_task, j);
    for (int64_t i = 0; i < j->cols; i++) {
        double sum = 0.0, squares = 0.0, n = (double)j->rows;
        for (int64_t b = 0; b < j->blocks; b++) {
            sum += j->sums[b * 2 * j->width + i];
            squares += j->sums[(b * 2 + 1) * j->width + i];
        }
        double offset = sum / n, var = squares / n - offset * offset;
        var = var < 0.0 ? 0.0 : var;
        mean[i] = (float)((double)line(j, SHIFT)[i] + offset);
        rstd[i] = (float)(1.0 / sqrt(var + (double)j->n->a.batchnorm.eps));
        if (!j->c->replay) {
            double new_mean = (double)line(j, SHIFT)[i] + offset;
            running_mean[i] = (float)((1.0 - (double)m) * running_mean[i] + (double)m * new_mean);
            running_var[i] = (float)((1.0 - (double)m) * running_var[i] + (double)m * (var * n / (n - 1.0)));
        }
    }
}

static void running_statistics(const job *j, float *mean, float *rstd) {
    const float *m = ark_ptr(j->c, j->n->in[MEAN]), *var = ark_ptr(j->c, j->n->in[VAR]);
    for (int64_t i = 0; i < j->cols; i++) {
        mean[i] = m[i];
        rstd[i] = (float)(1.0 / sqrt((double)var[i] + (double)j->n->a.batchnorm.eps));
    }
}

/* y = x s + t from mean and 1/sqrt(var + eps), as ark_norm_scale has it. */
static void scale_of(const job *j, const float *mean, const float *rstd) {
    const float *gamma = ark_ptr(j->c, j->n->in[GAMMA]), *beta = ark_ptr(j->c, j->n->in[BETA]);
    float *s = line(j, SCALE), *t = line(j, OFFSET);
    for (int64_t i = 0; i < j->cols; i++) {
        s[i] = gamma[i] * rstd[i];
        t[i] = (float)((double)beta[i] - (double)mean[i] * (double)s[i]);
    }
}

static int64_t pass_rows(const job *j) {
    return ark_max64(1, PASS_BYTES / (j->cols * (int64_t)sizeof(float)));
}

static void write_task(void *ctx, int64_t task, int thread) {
    const job *j = ctx;
    const ark_tensor *x = j->n->in[X], *y = j->n->out;
    float *in = j->chunks + thread_floats(j->cols) * thread, *out = in + j->width;
    const int64_t end = ark_min64((task + 1) * pass_rows(j), j->rows);
    for (int64_t r = task * pass_rows(j); r < end; r++) {
        const int64_t at = r * j->cols;
        const float *xr = ark_read(j->k, x->dtype, ark_ptr(j->c, x), at, j->cols, in);
        float *yr = ark_write_begin(y->dtype, ark_ptr(j->c, y), at, false, out);
        j->k->affine(yr, xr, line(j, SCALE), line(j, OFFSET), NULL, j->n->a.batchnorm.relu, j->cols);
        ark_write_end(j->k, y->dtype, ark_ptr(j->c, y), at, j->cols, false, yr, NULL);
    }
}

ark_status ark_cpu_batchnorm_fwd(const ark_call *c, const ark_node *n) {
    job j = job_of(c, n);
    float *mean = n->saved[0] ? ark_ptr(c, n->saved[0]) : line(&j, A);
    float *rstd = n->saved[1] ? ark_ptr(c, n->saved[1]) : line(&j, B);
    if (c->stochastic && j.rows < 2) {
        return ARK_ERR(ARK_ESHAPE, "batch norm needs more than one value per channel in training");
    }
    if (c->stochastic) {
        batch_statistics(&j, mean, rstd);
    } else {
        running_statistics(&j, mean, rstd);
    }
    scale_of(&j, mean, rstd);
    ark_parallel(c->dev->threads, ark_ceil_div(j.rows, pass_rows(&j)), write_task, &j);
    return ARK_OK;
}

ark_status ark_cpu_batchnorm_remake(const ark_call *c, const ark_node *n) {
    job j = job_of(c, n);
    scale_of(&j, ark_ptr(c, n->saved[0]), ark_ptr(c, n->saved[1]));
    ark_parallel(c->dev->threads, ark_ceil_div(j.rows, pass_rows(&j)), write_task, &j);
    return ARK_OK;
}

/* ---- backward ------------------------------------------------------------------------------- */

static void sums_task(void *ctx, int64_t task, int thread) {
    const job *j = ctx;
    const ark_tensor *x = j->n->in[X], *y = j->n->out;
    double *sum = j->sums + task * 2 * j->width;
    float *in = j->chunks + thread_floats(j->cols) * thread, *grad = in + CHUNK * j->width;
    memset(sum, 0, (size_t)(2 * j->width) * sizeof *sum);
    const int64_t end = ark_min64((task + 1) * j->block, j->rows);
    for (int64_t r = task * j->block; r < end; r += CHUNK) {
        const int64_t n = ark_min64(CHUNK, end - r), at = r * j->cols;
        const float *xr = ark_read(j->k, x->dtype, ark_ptr(j->c, x), at, n * j->cols, in);
        const float *dy = ark_read(j->k, y->dtype, ark_grad_ptr(j->c, y), at, n * j->cols, grad);
        j->k->norm_sums(sum, sum + j->width, dy, xr, &j->v, n, j->cols);
    }
}

static void grad_task(void *ctx, int64_t task, int thread) {
    const job *j = ctx;
    const ark_tensor *x = j->n->in[X], *y = j->n->out;
    float *in = j->chunks + thread_floats(j->cols) * thread, *grad = in + j->width, *out = grad + j->width;
    void *dx = ark_grad_ptr(j->c, x);
    const int64_t end = ark_min64((task + 1) * pass_rows(j), j->rows);
    for (int64_t r = task * pass_rows(j); r < end; r++) {
        const int64_t at = r * j->cols;
        const float *xr = ark_read(j->k, x->dtype, ark_ptr(j->c, x), at, j->cols, in);
        const float *dy = ark_read(j->k, y->dtype, ark_grad_ptr(j->c, y), at, j->cols, grad);
        float *dxr = ark_write_begin(x->dtype, dx, at, j->n->acc[X], out);
        j->k->norm_grad(dxr, dy, xr, &j->v, j->cols);
        ark_write_end(j->k, x->dtype, dx, at, j->cols, j->n->acc[X], dxr, out + j->width);
    }
}

ark_status ark_cpu_batchnorm_bwd(const ark_call *c, const ark_node *n) {
    job j = job_of(c, n);
    const float *mean = ark_ptr(c, n->saved[0]), *rstd = ark_ptr(c, n->saved[1]);
    float *dgamma = n->want_grad[GAMMA] ? ark_grad_ptr(c, n->in[GAMMA]) : NULL;
    float *dbeta = n->want_grad[BETA] ? ark_grad_ptr(c, n->in[BETA]) : NULL;
    scale_of(&j, mean, rstd);
    j.v = (ark_norm_line){.s = line(&j, SCALE),
        .t = line(&j, OFFSET),
        .mean = mean,
        .a = line(&j, A),
        .b = line(&j, B),
        .c = line(&j, C),
        .relu = n->a.batchnorm.relu};
    ark_parallel(c->dev->threads, j.blocks, sums_task, &j);
    for (int64_t i = 0; i < j.cols; i++) {
        double sum = 0.0, product = 0.0, rows = (double)j.rows, s = line(&j, SCALE)[i];
        for (int64_t b = 0; b < j.blocks; b++) {
            sum += j.sums[b * 2 * j.width + i];
            product += j.sums[(b * 2 + 1) * j.width + i];
        }
        double hat = product * (double)rstd[i]; /* sum of dz times the normalised x */
        if (dgamma) {
            dgamma[i] += (float)hat;
        }
        if (dbeta) {
            dbeta[i] += (float)sum;
        }
        line(&j, A)[i] = (float)s;
        line(&j, B)[i] = c->stochastic ? (float)(-s * hat * (double)rstd[i] / rows) : 0.0f;
        line(&j, C)[i] = c->stochastic ? (float)(-s * sum / rows) : 0.0f;
    }
    if (n->want_grad[X]) {
        ark_parallel(c->dev->threads, ark_ceil_div(j.rows, pass_rows(&j)), grad_task, &j);
    }
    return ARK_OK;
}
