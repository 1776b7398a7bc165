#include "base/par.h"

#include <sched.h>
#ifdef ARK_HAVE_OPENMP
#include <omp.h>
#endif

int ark_cpu_count(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0) {
        return 1;
    }
    int n = CPU_COUNT(&set);
    return n > 0 ? n : 1;
}

static void serial(int64_t tasks, void (*body)(void *, int64_t, int), void *ctx) {
    for (int64_t t = 0; t < tasks; t++) {
        body(ctx, t, 0);
    }
}

#ifdef ARK_HAVE_OPENMP
void ark_parallel(int threads, int64_t tasks, void (*body)(void *ctx, int64_t task, int thread), void *ctx) {
    if (threads <= 1 || tasks <= 1 || omp_in_parallel()) {
        serial(tasks, body, ctx);
        return;
    }
    int n = tasks < threads ? (int)tasks : threads;
#pragma omp parallel for num_threads(n) schedule(dynamic, 1)
    for (int64_t t = 0; t < tasks; t++) {
        body(ctx, t, omp_get_thread_num());
    }
}

int ark_parallel_limit(int threads) {
    int before = omp_get_max_threads();
    if (before != threads) {
        omp_set_num_threads(threads);
    }
    return before;
}
#else
void ark_parallel(int threads, int64_t tasks, void (*body)(void *ctx, int64_t task, int thread), void *ctx) {
    (void)threads;
    serial(tasks, body, ctx);
}

int ark_parallel_limit(int threads) {
    (void)threads;
    return 1;
}
#endif
