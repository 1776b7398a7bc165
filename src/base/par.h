/* Parallel loops on threads of our own, kept between loops.
 *
 * A loop is over when its tasks are, not when every thread has come and gone: a thread that the system gives
 * to another program (or to our own image workers) just takes no task. OpenMP's loops end with all threads
 * meeting, which on a machine with other work costs a time slice per loop (docs/adr/0014). */
#ifndef ARK_BASE_PAR_H
#define ARK_BASE_PAR_H

#include <stdint.h>

/** Run body(ctx, task, thread) for every task in [0,tasks). Tasks are handed out in order to whichever
 *  thread is free, so a body must write only what belongs to its task; `thread` in [0,threads) serves to
 *  pick scratch space. Results then do not depend on the number of threads. threads <= 1, a call from inside
 *  a task, or a call while another thread's loop runs: serially with thread 0. The first loop starts the
 *  threads; where the system refuses one, the others do its share. */
void ark_parallel(int threads, int64_t tasks, void (*body)(void *ctx, int64_t task, int thread), void *ctx);

/** Bound the OpenMP threads that other libraries take when called from this thread; returns the former bound,
 *  to be set again afterwards. Loops of ark_parallel are not affected. */
int ark_parallel_limit(int threads);

/** Processors this process may run on (affinity respected), at least 1. */
int ark_cpu_count(void);

#endif
