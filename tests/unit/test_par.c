/* Parallel loops: every task once, whatever the number of threads, callers and loops. */
#include "base/par.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { TASKS = 1000, THREADS = 5 };

typedef struct {
    atomic_int done[TASKS];
    atomic_int busy[THREADS];
    atomic_int clashes, out_of_range;
} counts;

/* Two tasks with the same thread number must never overlap: they share scratch. */
static void count(void *ctx, int64_t task, int thread) {
    counts *c = ctx;
    if (task < 0 || task >= TASKS || thread < 0 || thread >= THREADS) {
        atomic_fetch_add(&c->out_of_range, 1);
        return;
    }
    if (atomic_fetch_add(&c->busy[thread], 1) != 0) {
        atomic_fetch_add(&c->clashes, 1);
    }
    atomic_fetch_add(&c->done[task], 1);
    atomic_fetch_sub(&c->busy[thread], 1);
}

static void test_every_task_once(void **state) {
    (void)state;
    static counts c;
    for (int threads = -1; threads <= THREADS; threads++) {
        for (int64_t tasks = 0; tasks <= TASKS; tasks = tasks * 3 + 1) {
            memset(&c, 0, sizeof c);
            ark_parallel(threads, tasks, count, &c);
            for (int i = 0; i < TASKS; i++) {
                assert_int_equal(atomic_load(&c.done[i]), i < tasks);
            }
            assert_int_equal(atomic_load(&c.clashes) + atomic_load(&c.out_of_range), 0);
        }
    }
}

/* What a loop wrote is there when it returns: each loop reads what the last one wrote. */
static void shift(void *ctx, int64_t task, int thread) {
    (void)thread;
    int *v = ctx;
    v[task] = v[TASKS - 1 - task] + 1;
}

static void test_many_loops(void **state) {
    (void)state;
    static int v[TASKS];
    memset(v, 0, sizeof v);
    for (int i = 0; i < 20000; i++) {
        ark_parallel(3, 2 + i % 7, shift, v);
    }
    for (int round = 0; round < 200; round++) {
        ark_parallel(THREADS, TASKS / 2, shift, v);
        for (int i = 0; i < TASKS / 2; i++) {
            assert_int_equal(v[i], v[TASKS - 1 - i] + 1);
        }
    }
}

static void nested(void *ctx, int64_t task, int thread) {
    (void)task;
    (void)thread;
    counts *c = ctx;
    ark_parallel(THREADS, 10, count, c);
}

/* An inner loop runs where its caller is, as thread 0. */
static void inner(void *ctx, int64_t task, int thread) {
    (void)task;
    atomic_int *wrong = ctx;
    if (thread != 0) {
        atomic_fetch_add(wrong, 1);
    }
}

static void outer(void *ctx, int64_t task, int thread) {
    (void)task;
    (void)thread;
    ark_parallel(THREADS, 10, inner, ctx);
}

static void test_nested(void **state) {
    (void)state;
    static counts c;
    memset(&c, 0, sizeof c);
    ark_parallel(THREADS, 50, nested, &c);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(atomic_load(&c.done[i]), 50);
    }
    atomic_int wrong = 0;
    ark_parallel(THREADS, 50, outer, &wrong);
    assert_int_equal(atomic_load(&wrong), 0);
}

static void *caller(void *arg) {
    for (int i = 0; i < 500; i++) {
        ark_parallel(3, TASKS, count, arg);
    }
    return NULL;
}

/* Two programs' threads at once: each gets its own loop done. */
static void test_two_callers(void **state) {
    (void)state;
    static counts c[2];
    memset(c, 0, sizeof c);
    pthread_t id;
    assert_int_equal(pthread_create(&id, NULL, caller, &c[1]), 0);
    caller(&c[0]);
    assert_int_equal(pthread_join(id, NULL), 0);
    for (int k = 0; k < 2; k++) {
        for (int i = 0; i < TASKS; i++) {
            assert_int_equal(atomic_load(&c[k].done[i]), 500);
        }
        assert_int_equal(atomic_load(&c[k].clashes), 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_task_once),
        cmocka_unit_test(test_many_loops),
        cmocka_unit_test(test_nested),
        cmocka_unit_test(test_two_callers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
