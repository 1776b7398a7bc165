/* Ops that join two branches: concat, add_relu, layer_scale. Tasks are blocks of rows; those of layer_scale lie in
 * one sample, whose path may be dropped, and keep the sums for gamma apart. */
#include "backend/cpu/cpu.h"
#include "base/rng.h"

#include <string.h>

enum { LINE = 1024, TASK_BYTES = 1 << 17, MAX_BLOCKS = 64 };

typedef struct {
    const ark_call *c;
    const ark_node *n;
    const ark_simd *k;
    int64_t rows, cols, block; /* of out; rows of a task */
    float *partial;
} job;

static job job_of(const ark_call *c, const ark_node *n) {
    job j = {.c = c,
        .n = n,
        .k = ark_simd_of(c),
        .rows = ark_rows(n->out, c->batch),
        .cols = ark_last_dim(n->out)};
    j.block = ark_max64(1, TASK_BYTES / (j.cols * (int64_t)sizeof(float)));
    return j;
}

static void over_rows(job *j, void (*task)(void *, int64_t, int)) {
    ark_parallel(j->c->dev->threads, ark_ceil_div(j->rows, j->block), task, j);
}

/* ---- concat --------------------------------------------------------------------------------- */

/* cols elements of dst = or += as many of src, of one dtype. */
static void put(const job *j, ark_dtype dt, void *dst, int64_t to, const void *src, int64_t from,
    int64_t cols, bool acc) {
    const size_t size = ark_dtype_bytes(dt);
    if (!acc) {
        memcpy((char *)dst + (size_t)to * size, (const char *)src + (size_t)from * size, (size_t)cols * size);
        return;
    }
    float a[LINE], b[LINE], old[LINE];
    for (int64_t i = 0; i < cols; i += LINE) {
        const int64_t n = ark_min64(LINE, cols - i);
        if (dt == ARK_F32) {
            j->k->add((float *)dst + to + i, (const float *)src + from + i, n);
            continue;
        }
        j->k->scale(b, ark_read(j->k, dt, src, from + i, n, a), 1.0f, n);
        ark_write_end(j->k, dt, dst, to + i, n, true, b, old);
    }
}

static void concat_task(void *ctx, int64_t task, int thread) {
    (void)thread;
    const job *j = ctx;
    const ark_tensor *y = j->n->out;
    const int64_t end = ark_min64((task + 1) * j->block, j->rows);
    for (int64_t r = task * j->block; r < end; r++) {
        int64_t at = r * j->cols;
        for (int i = 0; i < 2; i++) {
            const ark_tensor *x = j->n->in[i];
            const int64_t n = ark_last_dim(x);
            put(j, y->dtype, ark_ptr(j->c, y), at, ark_ptr(j->c, x), r * n, n, false);
            at += n;
        }
    }
}

ark_status ark_cpu_concat_fwd(const ark_call *c, const ark_node *n) {
    job j = job_of(c, n);
    over_rows(&j, concat_task);
    return ARK_OK;
}

static void concat_grad_task(void *ctx, int64_t task, int thread) {
    (void)thread;
    const job *j = ctx;
    const ark_tensor *y = j->n->out;
    const int64_t end = ark_min64((task + 1) * j->block, j->rows);
    for (int64_t r = task * j->block; r < end; r++) {
        int64_t at = r * j->cols;
        for (int i = 0; i < 2; i++) {
            const ark_tensor *x = j->n->in[i];
            const int64_t n = ark_last_dim(x);
            if (j->n->want_grad[i]) {
                put(j, y->dtype, ark_grad_ptr(j->c, x), r * n, ark_grad_ptr(j->c, y), at, n, j->n->acc[i]);
            }
            at += n;
        }
    }
}

ark_status ark_cpu_concat_bwd(const ark_call *c, const ark_node *n) {
    job j = job_of(c, n);
    over_rows(&j, concat_grad_task);
    return ARK_OK;
}

/* ---- add_relu ------------------------------------------------------------------------------- */

static void add_task(void *ctx, int64_t task, int thread) {
    (void)thread;
    const job *j = ctx;
    const ark_tensor *x = j->n->in[0], *h = j->n->in[1], *y = j->n->out;
    const int64_t end = ark_min64((task + 1) * j->block, j->rows) * j->cols;
    float a[LINE], b[LINE], out[LINE];
    for (int64_t i = task * j->block * j->cols; i < end; i += LINE) {
        const int64_t n = ark_min64(LINE, end - i);
        float *to = ark_write_begin(y->dtype, ark_ptr(j->c, y), i, false, out);
        j->k->add_scaled(to, ark_read(j->k, x->dtype, ark_ptr(j->c, x), i, n, a),
            ark_read(j->k, h->dtype, ark_ptr(j->c, h), i, n, b), 1.0f, n);
        j->k->relu(to, to, n);
        ark_write_end(j->k, y->dtype, ark_ptr(j->c, y), i, n, false, to, NULL);
    }
}

ark_status ark_cpu_add_relu_fwd(const ark_call *c, const ark_node *n) {
    job j = job_of(c, n);
    over_rows(&j, add_task);
    return ARK_OK;
}

static void add_grad_task(void *ctx, int64_t task, int thread) {
    (void)thread;
    const job *j = ctx;
    const ark_tensor *y = j->n->out;
    const int64_t end = ark_min64((task + 1) * j->block, j->rows) * j->cols;
    float out[LINE], grad[LINE], dz[LINE], copy[LINE], old[LINE];
    for (int64_t i = task * j->block * j->cols; i < end; i += LINE) {
        const int64_t n = ark_min64(LINE, end - i);
        j->k->relu_grad(dz, ark_read(j->k, y->dtype, ark_grad_ptr(j->c, y), i, n, grad),
            ark_read(j->k, y->dtype, ark_ptr(j->c, y), i, n, out), n);
        for (int t = 0; t < 2; t++) {
            const ark_tensor *x = j->n->in[t];
            if (!j->n->want_grad[t]) {
                continue;
            }
            float *to = ark_write_begin(x->dtype, ark_grad_ptr(j->c, x), i, j->n->acc[t], copy);
            memcpy(to, dz, (size_t)n * sizeof *dz);
            ark_write_end(j->k, x->dtype, ark_grad_ptr(j->c, x), i, n, j->n->acc[t], to, old);
        }
    }
}

ark_status ark_cpu_add_relu_bwd(const ark_call *c, const ark_node *n) {
    job j = job_of(c, n);
    over_rows(&j, add_grad_task);
    return ARK_OK;
}

/* ---- layer_scale ---------------------------------------------------------------------------- */

/* What gamma h of this sample is multiplied by. */
static float path_scale(const ark_call *c, const ark_node *n, int64_t sample) {
    const float rate = n->a.residual.rate;
    if (!c->stochastic || rate <= 0.0f) {
        return 1.0f;
    }
    ark_rng rng = ark_rng_at(c->seed, ARK_RNG_DROP_PATH, c->step, (uint32_t)n->id, (uint32_t)sample);
    return ark_rng_f32(&rng) >= rate ? (float)(1.0 / (1.0 - (double)rate)) : 0.0f;
}

/* Blocks of one sample: about MAX_BLOCKS in all. */
static int64_t sample_blocks(int64_t rows, int64_t batch) {
    return ark_max64(1, ark_min64(rows, MAX_BLOCKS / batch));
}

ark_status ark_cpu_layer_scale_prepare(ark_dev *dev, ark_node *n, size_t *scratch) {
    (void)dev;
    const int64_t width = ark_simd_pad(ark_last_dim(n->out)), tasks = ark_max64(MAX_BLOCKS, n->out->dims[0]);
    *scratch = (size_t)(tasks * 2 * width + dev->threads * width * 4) * sizeof(float);
    return ARK_OK;
}

typedef struct {
    int64_t first, end;
    float scale;
} rows_of_task;

static rows_of_task sample_rows(const job *j, int64_t task) {
    const int64_t per_sample = ark_rows(j->n->out, 1), blocks = sample_blocks(per_sample, j->c->batch);
    const int64_t sample = task / blocks, i = task % blocks;
    return (rows_of_task){.first = sample * per_sample + ark_piece(per_sample, blocks, i),
        .end = sample * per_sample + ark_piece(per_sample, blocks, i + 1),
        .scale = path_scale(j->c, j->n, sample)};
}

static float *lines_of(const job *j, int thread) {
    const int64_t width = ark_simd_pad(j->cols), tasks = ark_max64(MAX_BLOCKS, j->n->out->dims[0]);
    return (float *)j->c->scratch + tasks * 2 * width + (int64_t)thread * width * 4;
}

static void layer_scale_task(void *ctx, int64_t task, int thread) {
    const job *j = ctx;
    const rows_of_task t = sample_rows(j, task);
    const ark_tensor *h = j->n->in[1];
    const float *x = ark_ptr(j->c, j->n->in[0]), *gamma = ark_ptr(j->c, j->n->in[2]);
    float *y = ark_ptr(j->c, j->n->out), *wide = lines_of(j, thread);
    for (int64_t r = t.first; r < t.end; r++) {
        const int64_t at = r * j->cols;
        j->k->add_scaled_each(y + at, x + at, ark_read(j->k, h->dtype, ark_ptr(j->c, h), at, j->cols, wide),
            gamma, t.scale, j->cols);
    }
}

static int64_t layer_scale_tasks(const ark_call *c, const ark_node *n) {
    return c->batch * sample_blocks(ark_rows(n->out, 1), c->batch);
}

ark_status ark_cpu_layer_scale_fwd(const ark_call *c, const ark_node *n) {
    job j = job_of(c, n);
    ark_parallel(c->dev->threads, layer_scale_tasks(c, n), layer_scale_task, &j);
    return ARK_OK;
}

enum { CHUNK = 64 }; /* rows summed before they join the block's sum: many small numbers lose digits */

static void layer_scale_grad_task(void *ctx, int64_t task, int thread) {
    const job *j = ctx;
    const rows_of_task t = sample_rows(j, task);
    const ark_tensor *x = j->n->in[0], *h = j->n->in[1];
    const float *dout = ark_grad_ptr(j->c, j->n->out), *gamma = ark_ptr(j->c, j->n->in[2]);
    const int64_t width = ark_simd_pad(j->cols);
    float *wide = lines_of(j, thread), *line = wide + width, *old = line + width, *chunk = old + width;
    float *sum = j->partial + task * 2 * width;
    const bool there = ark_grad_ptr(j->c, x) == (const void *)dout; /* passed on in its place */
    memset(sum, 0, (size_t)j->cols * sizeof *sum);
    memset(chunk, 0, (size_t)j->cols * sizeof *chunk);
    for (int64_t r = t.first; r < t.end; r++) {
        const int64_t at = r * j->cols;
        if (j->n->want_grad[2]) {
            j->k->add_product(
                chunk, dout + at, ark_read(j->k, h->dtype, ark_ptr(j->c, h), at, j->cols, wide), j->cols);
        }
        if (j->n->want_grad[2] && ((r - t.first) % CHUNK == CHUNK - 1 || r + 1 == t.end)) {
            j->k->add_scaled(sum, sum, chunk, t.scale, j->cols);
            memset(chunk, 0, (size_t)j->cols * sizeof *chunk);
        }
        if (j->n->want_grad[1]) {
            float *dh = ark_write_begin(h->dtype, ark_grad_ptr(j->c, h), at, j->n->acc[1], line);
            memset(old, 0, (size_t)j->cols * sizeof *old);
            j->k->add_scaled_each(dh, old, dout + at, gamma, t.scale, j->cols);
            ark_write_end(j->k, h->dtype, ark_grad_ptr(j->c, h), at, j->cols, j->n->acc[1], dh, old);
        }
        if (j->n->want_grad[0] && !there) {
            put(j, ARK_F32, ark_grad_ptr(j->c, x), at, dout, at, j->cols, j->n->acc[0]);
        }
    }
}

ark_status ark_cpu_layer_scale_bwd(const ark_call *c, const ark_node *n) {
    job j = job_of(c, n);
    j.partial = c->scratch;
    const int64_t tasks = layer_scale_tasks(c, n), width = ark_simd_pad(j.cols);
    ark_parallel(c->dev->threads, tasks, layer_scale_grad_task, &j);
    for (int64_t t = 0; n->want_grad[2] && t < tasks; t++) {
        j.k->add(ark_grad_ptr(c, n->in[2]), j.partial + t * 2 * width, j.cols);
    }
    return ARK_OK;
}
