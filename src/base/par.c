#include "base/par.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#ifdef ARK_HAVE_OPENMP
#include <omp.h>
#endif

/* Rounds of looking before a thread sleeps: some tens of microseconds, the usual time between two loops of a
 * step, and little enough to lose when there is none. */
enum { MAX_WORKERS = 255, SPINS = 2000 };

static struct {
    pthread_mutex_t owner; /* held while a loop runs */
    pthread_mutex_t lock;  /* guards what follows */
    pthread_cond_t opened, left;
    int workers; /* threads started so far */
    int seats;   /* workers that may still join the open loop */
    int threads; /* of the open loop, its owner included */
    atomic_int inside;
    atomic_uint loops; /* counts loops opened */
    int64_t tasks;
    atomic_int_fast64_t next;
    void (*body)(void *ctx, int64_t task, int thread);
    void *ctx;
} pool = {
    .owner = PTHREAD_MUTEX_INITIALIZER,
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .opened = PTHREAD_COND_INITIALIZER,
    .left = PTHREAD_COND_INITIALIZER,
};

static _Thread_local bool in_task;

int ark_cpu_count(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0) {
        return 1;
    }
    int n = CPU_COUNT(&set);
    return n > 0 ? n : 1;
}

static void pause_briefly(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

/* Take tasks until none is left. */
static void take_tasks(int thread) {
    in_task = true;
    for (;;) {
        int64_t task = atomic_fetch_add(&pool.next, 1);
        if (task >= pool.tasks) {
            break;
        }
        pool.body(pool.ctx, task, thread);
    }
    in_task = false;
}

static void *worker(void *arg) {
    (void)arg;
    unsigned seen = 0;
    for (;;) {
        for (int i = 0; i < SPINS && atomic_load(&pool.loops) == seen; i++) {
            pause_briefly();
        }
        pthread_mutex_lock(&pool.lock);
        while (atomic_load(&pool.loops) == seen) {
            pthread_cond_wait(&pool.opened, &pool.lock);
        }
        seen = atomic_load(&pool.loops);
        bool joins = pool.seats > 0; /* else the loop is full, or over already */
        int thread = joins ? pool.threads - pool.seats-- : 0;
        atomic_fetch_add(&pool.inside, joins);
        pthread_mutex_unlock(&pool.lock);
        if (!joins) {
            continue;
        }
        take_tasks(thread);
        pthread_mutex_lock(&pool.lock);
        if (atomic_fetch_sub(&pool.inside, 1) == 1) {
            pthread_cond_signal(&pool.left);
        }
        pthread_mutex_unlock(&pool.lock);
    }
    return NULL;
}

/* Start workers until there are `wanted`, with all signals left to the program's own threads. */
static void start_workers(int wanted) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (pool.workers < wanted && pool.workers < MAX_WORKERS) {
        pthread_t id;
        if (pthread_create(&id, NULL, worker, NULL) != 0) {
            break;
        }
        pthread_detach(id);
        pool.workers++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void open_loop(int threads, int64_t tasks, void (*body)(void *, int64_t, int), void *ctx) {
    pthread_mutex_lock(&pool.lock);
    if (pool.workers < threads - 1) {
        start_workers(threads - 1);
    }
    pool.threads = threads;
    pool.seats = threads - 1;
    pool.tasks = tasks;
    pool.body = body;
    pool.ctx = ctx;
    atomic_store(&pool.next, 0);
    atomic_fetch_add(&pool.loops, 1);
    pthread_cond_broadcast(&pool.opened);
    pthread_mutex_unlock(&pool.lock);
}

/* Nobody may join any more; those inside finish the task they have. */
static void close_loop(void) {
    pthread_mutex_lock(&pool.lock);
    pool.seats = 0;
    pthread_mutex_unlock(&pool.lock);
    for (int i = 0; i < SPINS && atomic_load(&pool.inside) > 0; i++) {
        pause_briefly();
    }
    pthread_mutex_lock(&pool.lock);
    while (atomic_load(&pool.inside) > 0) {
        pthread_cond_wait(&pool.left, &pool.lock);
    }
    pthread_mutex_unlock(&pool.lock);
}

void ark_parallel(int threads, int64_t tasks, void (*body)(void *ctx, int64_t task, int thread), void *ctx) {
    if (threads <= 1 || tasks <= 1 || in_task || pthread_mutex_trylock(&pool.owner) != 0) {
        for (int64_t t = 0; t < tasks; t++) {
            body(ctx, t, 0);
        }
        return;
    }
    open_loop(tasks < threads ? (int)tasks : threads, tasks, body, ctx);
    take_tasks(0);
    close_loop();
    pthread_mutex_unlock(&pool.owner);
}

#ifdef ARK_HAVE_OPENMP
int ark_parallel_limit(int threads) {
    int before = omp_get_max_threads();
    if (before != threads) {
        omp_set_num_threads(threads);
    }
    return before;
}
#else
int ark_parallel_limit(int threads) {
    (void)threads;
    return 1;
}
#endif
