/* Flat loops over parameter ranges, cut into equal chunks. */
#include "backend/cpu/cpu.h"

enum { CHUNK = 1 << 16 };

typedef struct {
    const ark_simd *k;
    int64_t n, chunk;
    float *w, *m, *v;
    const float *g;
    float rate;
    uint16_t *narrow;
    double *partial;
    const ark_sgd *sgd;
    const ark_adamw *adamw;
} flat;

static int64_t extent(const flat *f, int64_t task, int64_t *from) {
    *from = task * f->chunk;
    return ark_min64(f->chunk, f->n - *from);
}

static void run(ark_dev *dev, flat *f, void (*task)(void *, int64_t, int)) {
    f->k = ark_cpu_of(dev)->simd;
    if (!f->chunk) {
        f->chunk = CHUNK;
    }
    ark_parallel(dev->threads, ark_ceil_div(f->n, f->chunk), task, f);
}

static void ema_task(void *ctx, int64_t task, int thread) {
    (void)thread;
    const flat *f = ctx;
    int64_t i, n = extent(f, task, &i);
    f->k->ema(f->w + i, f->g + i, f->rate, n);
}

ark_status ark_cpu_ema(ark_dev *dev, float *teacher, const float *student, float m, int64_t n) {
    flat f = {.n = n, .w = teacher, .g = student, .rate = m};
    run(dev, &f, ema_task);
    return ARK_OK;
}

static void sgd_task(void *ctx, int64_t task, int thread) {
    (void)thread;
    const flat *f = ctx;
    int64_t i, n = extent(f, task, &i);
    f->k->sgd(f->w + i, f->g + i, f->m ? f->m + i : NULL, n, f->sgd);
}

ark_status ark_cpu_sgd(ark_dev *dev, float *w, const float *g, float *buf, int64_t n, const ark_sgd *o) {
    flat f = {.n = n, .w = w, .g = g, .m = buf, .sgd = o};
    run(dev, &f, sgd_task);
    return ARK_OK;
}

static void adamw_task(void *ctx, int64_t task, int thread) {
    (void)thread;
    const flat *f = ctx;
    int64_t i, n = extent(f, task, &i);
    f->k->adamw(f->w + i, f->g + i, f->m + i, f->v + i, n, f->adamw);
}

ark_status ark_cpu_adamw(
    ark_dev *dev, float *w, const float *g, float *m, float *v, int64_t n, const ark_adamw *o) {
    flat f = {.n = n, .w = w, .g = g, .m = m, .v = v, .adamw = o};
    run(dev, &f, adamw_task);
    return ARK_OK;
}

static void sum_squares_task(void *ctx, int64_t task, int thread) {
    (void)thread;
    const flat *f = ctx;
    int64_t i, n = extent(f, task, &i);
    f->k->sum_squares(&f->partial[task], f->g + i, n);
}

/* Chunks grow with n so that their sums fit the device's table; the sums are added in order. */
ark_status ark_cpu_sum_squares(ark_dev *dev, const float *g, int64_t n, double *out) {
    flat f = {.n = n, .g = g, .partial = ark_cpu_of(dev)->partial};
    f.chunk = ark_max64(CHUNK, ark_ceil_div(n, ARK_CPU_PARTIALS));
    run(dev, &f, sum_squares_task);
    double sum = 0.0;
    for (int64_t i = 0; i < ark_ceil_div(n, f.chunk); i++) {
        sum += f.partial[i];
    }
    *out = sum;
    return ARK_OK;
}

static void to_bf16_task(void *ctx, int64_t task, int thread) {
    (void)thread;
    const flat *f = ctx;
    int64_t i, n = extent(f, task, &i);
    f->k->narrow(f->narrow + i, f->g + i, n);
}

ark_status ark_cpu_to_bf16(ark_dev *dev, uint16_t *dst, const float *src, int64_t n) {
    flat f = {.n = n, .g = src, .narrow = dst};
    run(dev, &f, to_bf16_task);
    return ARK_OK;
}
