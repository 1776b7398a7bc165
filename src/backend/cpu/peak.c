#include "backend/cpu/peak.h"

#include "backend/cpu/simd.h"
#include "base/alloc.h"
#include "base/err.h"
#include "base/par.h"

#include <math.h>
#include <string.h>
#include <time.h>

enum { REPEATS = 8 };

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

typedef struct {
    void (*kernel)(double *flops, int64_t rounds);
    double flops[256];
} arithmetic;

static void arithmetic_task(void *ctx, int64_t task, int thread) {
    (void)thread;
    arithmetic *a = ctx;
    double flops = 0.0;
    a->kernel(&flops, 200000);
    a->flops[task] = flops;
}

/* GFLOP/s of the best repeat, NaN when the kernel does nothing. */
static double measure_arithmetic(int threads, void (*kernel)(double *, int64_t)) {
    double best = 0.0;
    for (int r = 0; r < REPEATS; r++) {
        arithmetic a = {.kernel = kernel};
        double start = seconds();
        ark_parallel(threads, threads, arithmetic_task, &a);
        double spent = seconds() - start, flops = 0.0;
        for (int i = 0; i < threads; i++) {
            flops += a.flops[i];
        }
        best = fmax(best, flops / spent / 1e9);
    }
    return best > 0.0 ? best : (double)NAN;
}

typedef struct {
    char *dst, *src;
    size_t piece;
} copy;

static void copy_task(void *ctx, int64_t task, int thread) {
    (void)thread;
    const copy *c = ctx;
    memcpy(c->dst + (size_t)task * c->piece, c->src + (size_t)task * c->piece, c->piece);
}

ark_status ark_cpu_peak(int threads, double *gflops_f32, double *gflops_bf16, double *copy_gbs) {
    const ark_simd *k;
    ARK_TRY(ark_simd_pick(&k));
    if (threads <= 0) {
        threads = ark_cpu_count();
    }
    threads = threads > 256 ? 256 : threads;
    const size_t piece = 1 << 20, pieces = 192; /* 192 MiB each way */
    copy c = {
        .piece = piece, .dst = ark_malloc_aligned(piece * pieces), .src = ark_malloc_aligned(piece * pieces)};
    if (!c.dst || !c.src) {
        ark_free(c.dst);
        ark_free(c.src);
        return ARK_ERR(ARK_ENOMEM, "out of memory: 2 x %zu bytes to measure the copy rate", piece * pieces);
    }
    memset(c.src, 1, piece * pieces);
    memset(c.dst, 0, piece * pieces);
    double best = INFINITY;
    for (int r = 0; r < REPEATS; r++) {
        double start = seconds();
        ark_parallel(threads, (int64_t)pieces, copy_task, &c);
        best = fmin(best, seconds() - start);
    }
    ark_free(c.dst);
    ark_free(c.src);
    *copy_gbs = 2.0 * (double)(piece * pieces) / best / 1e9;
    *gflops_f32 = measure_arithmetic(threads, k->peak_f32);
    *gflops_bf16 = measure_arithmetic(threads, k->peak_bf16);
    return ARK_OK;
}
