/* Parallel loops. The only door to OpenMP, so that a build without it (tsan) runs the same code serially. */
#ifndef ARK_BASE_PAR_H
#define ARK_BASE_PAR_H

#include <stdint.h>

/** Run body(ctx, task, thread) for every task in [0,tasks). Tasks are handed out in order to whichever
 *  thread is free, so a body must write only what belongs to its task; `thread` in [0,threads) serves to
 *  pick scratch space. Results then do not depend on the number of threads. threads <= 1, or a call from
 *  inside a parallel region, runs serially with thread 0. */
void ark_parallel(int threads, int64_t tasks, void (*body)(void *ctx, int64_t task, int thread), void *ctx);

/** Bound the threads that other libraries' parallel regions take when called from this thread; returns the
 *  former bound, to be set again afterwards. Regions of ark_parallel are not affected. */
int ark_parallel_limit(int threads);

/** Processors this process may run on (affinity respected), at least 1. */
int ark_cpu_count(void);

#endif
