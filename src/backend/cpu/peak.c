#include "backend/cpu/peak.h"

#include "backend/cpu/simd.h"
#include "base/alloc.h"
#include "base/err.h"
#include "base/par.h"

#include <math.h>
#include <string.h>
#include <time.h>

/* Peaks are the best of many short runs: on a shared machine a few in a row can all be disturbed. */
enum { REPEATS = 8, ARITHMETIC_REPEATS = 64, ROUNDS = 1000000, MAX_THREADS = 256 };

static double seconds(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

typedef struct {
    void (*kernel)(double *flops, int64_t rounds);
    double gflops[MAX_THREADS]; /* best of each task so far */
} arithmetic;

/* By the processor time the thread got, so that other programs do not count. */
static void arithmetic_task(void *ctx, int64_t task, int thread) {
    (void)thread;
    arithmetic *a = ctx;
    double flops = 0.0, start = seconds(CLOCK_THREAD_CPUTIME_ID);
    a->kernel(&flops, ROUNDS);
    double spent = seconds(CLOCK_THREAD_CPUTIME_ID) - start;
    a->gflops[task] = fmax(a->gflops[task], flops / spent / 1e9);
}

/* GFLOP/s of all threads together, each at its best; NaN when the kernel does nothing. */
static double measure_arithmetic(int threads, void (*kernel)(double *, int64_t)) {
    arithmetic a = {.kernel = kernel};
    for (int r = 0; r < ARITHMETIC_REPEATS; r++) {
        ark_parallel(threads, threads, arithmetic_task, &a);
    }
    double sum = 0.0;
    for (int i = 0; i < threads; i++) {
        sum += a.gflops[i];
    }
    return sum > 0.0 ? sum : (double)NAN;
}

enum { PIECE = 1 << 18, PIECES = 96 }; /* floats of a task; 96 MiB each way */

typedef struct {
    const ark_simd *k;
    float *dst, *src;
} copy;

static void copy_task(void *ctx, int64_t task, int thread) {
    (void)thread;
    const copy *c = ctx;
    c->k->peak_copy(c->dst + task * PIECE, c->src + task * PIECE, PIECE);
}

ark_status ark_cpu_peak(int threads, double *gflops_f32, double *gflops_bf16, double *copy_gbs) {
    const ark_simd *k;
    ARK_TRY(ark_simd_pick(&k));
    if (threads <= 0) {
        threads = ark_cpu_count();
    }
    threads = threads > MAX_THREADS ? MAX_THREADS : threads;
    const size_t bytes = (size_t)PIECE * PIECES * sizeof(float);
    copy c = {.k = k, .dst = ark_malloc_aligned(bytes), .src = ark_malloc_aligned(bytes)};
    if (!c.dst || !c.src) {
        ark_free(c.dst);
        ark_free(c.src);
        return ARK_ERR(ARK_ENOMEM, "out of memory: 2 x %zu bytes to measure the copy rate", bytes);
    }
    memset(c.src, 1, bytes);
    memset(c.dst, 0, bytes);
    double best = INFINITY;
    for (int r = 0; r < REPEATS; r++) {
        double start = seconds(CLOCK_MONOTONIC);
        ark_parallel(threads, PIECES, copy_task, &c);
        best = fmin(best, seconds(CLOCK_MONOTONIC) - start);
    }
    ark_free(c.dst);
    ark_free(c.src);
    *copy_gbs = 2.0 * (double)bytes / best / 1e9;
    *gflops_f32 = measure_arithmetic(threads, k->peak_f32);
    *gflops_bf16 = measure_arithmetic(threads, k->peak_bf16);
    return ARK_OK;
}
