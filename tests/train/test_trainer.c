/* One step and many: what moves, what must not, and that a tiny network learns eight images by heart. */
#include "backend/backend.h"
#include "base/alloc.h"
#include "base/rng.h"
#include "train/trainer.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 8, SIDE = 32 };

static char *names_a[] = {"nodule", "effusion"};
static char *names_b[] = {"normal", "bacterial", "viral"};
static ark_head heads[] = {
    {.dataset = "a", .task = ARK_MULTILABEL, .n_classes = 2, .classes = names_a},
    {.dataset = "b", .task = ARK_MULTICLASS, .n_classes = 3, .classes = names_b},
};

static ark_net tiny_net(float drop_path) {
    ark_net net = {.drop_path = drop_path,
        .projector = ARK_PROJECTOR_LINEAR,
        .projector_dim = 16,
        .n_heads = 2,
        .heads = heads};
    assert_int_equal(ark_arch_parse("swin:embed=8,depths=1-2,heads=1-2,window=4,size=32", &net.arch), ARK_OK);
    return net;
}

static const char *backend_name(void) {
    const char *name = getenv("ARK_TEST_BACKEND");
    return name ? name : "cpu";
}

typedef struct fixture {
    ark_net net;
    ark_dev *dev;
    ark_trainer *t;
    float student[BATCH * 3 * SIDE * SIDE], teacher[BATCH * 3 * SIDE * SIDE];
    float labels[BATCH * 3], mask[BATCH * 3];
} fixture;

static ark_trainer_opts options(void) {
    return (ark_trainer_opts){
        .batch = BATCH, .cdt = ARK_F32, .seed = 3, .teacher = true, .optim = {.momentum = 0.9}};
}

static fixture *make(const ark_trainer_opts *o, int threads, float drop_path) {
    fixture *f = calloc(1, sizeof *f);
    f->net = tiny_net(drop_path);
    assert_int_equal(ark_dev_open(backend_name(), threads, &f->dev), ARK_OK);
    assert_int_equal(ark_trainer_new(&f->net, o, f->dev, &f->t), ARK_OK);
    ark_rng r = ark_rng_at(5, ARK_RNG_TEST, 0, 0, 0);
    for (size_t i = 0; i < sizeof f->student / sizeof *f->student; i++) {
        f->student[i] = (float)ark_rng_normal(&r);
        f->teacher[i] = f->student[i];
    }
    for (int i = 0; i < BATCH; i++) {
        for (int k = 0; k < 2; k++) {
            f->labels[i * 2 + k] = (float)((i >> k) & 1);
            f->mask[i * 2 + k] = 1;
        }
    }
    return f;
}

static void drop(fixture *f) {
    ark_trainer_free(f->t);
    ark_dev_close(f->dev);
    free(f);
}

static ark_step step_a(const fixture *f, double c, double lr, uint64_t step) {
    return (ark_step){.task = 0,
        .n = BATCH,
        .student = f->student,
        .teacher = f->teacher,
        .labels = f->labels,
        .mask = f->mask,
        .width = 2,
        .consistency = c,
        .lr = lr,
        .step = step};
}

static float *column(fixture *f, ark_column c) {
    ark_params *p = ark_trainer_params(f->t);
    size_t bytes = (size_t)ark_params_elems(p) * sizeof(float);
    float *copy = malloc(bytes);
    assert_int_equal(f->dev->backend->to_host(f->dev, copy, ark_params_column(p, c), bytes), ARK_OK);
    return copy;
}

static void learns_by_heart(void **state) {
    (void)state;
    ark_trainer_opts o = options();
    fixture *f = make(&o, 2, 0);
    ark_step_result r = {0}, first = {0};
    for (int i = 0; i < 120; i++) {
        ark_step s = step_a(f, 0, 0.05, (uint64_t)i);
        assert_int_equal(ark_trainer_step(f->t, &s, &r), ARK_OK);
        first = i == 0 ? r : first;
    }
    assert_true(fabs(first.task_loss - log(2)) < 0.2);
    assert_true(r.task_loss < 0.1);
    drop(f);
}

/* A step on dataset a leaves dataset b's head bit for bit as it was: no decay, no momentum. */
static void other_heads_are_untouched(void **state) {
    (void)state;
    ark_trainer_opts o = options();
    o.optim.decay = 0.1;
    fixture *f = make(&o, 1, 0);
    float *before = column(f, ARK_COL_STUDENT);
    ark_step_result r;
    ark_step s = step_a(f, 0.25, 0.1, 0);
    assert_int_equal(ark_trainer_step(f->t, &s, &r), ARK_OK);
    float *after = column(f, ARK_COL_STUDENT);
    ark_params *p = ark_trainer_params(f->t);
    int moved = 0;
    for (int i = 0; i < ark_params_count(p); i++) {
        const ark_param *q = ark_params_at(p, i);
        bool same = !memcmp(before + q->offset, after + q->offset, (size_t)q->numel * sizeof(float));
        if (q->group == 2) {
            assert_true(same);
        } else {
            moved += !same;
        }
    }
    assert_true(moved > 20);
    free(before);
    free(after);
    drop(f);
}

/* teacher <- m teacher + (1-m) student, over everything; and the teacher starts as the student. */
static void ema_in_closed_form(void **state) {
    (void)state;
    ark_trainer_opts o = options();
    fixture *f = make(&o, 1, 0);
    float *t0 = column(f, ARK_COL_TEACHER), *s0 = column(f, ARK_COL_STUDENT);
    int64_t n = ark_params_elems(ark_trainer_params(f->t));
    assert_memory_equal(t0, s0, (size_t)n * sizeof(float));
    ark_step_result r;
    ark_step s = step_a(f, 0, 0.1, 0);
    assert_int_equal(ark_trainer_step(f->t, &s, &r), ARK_OK);
    assert_true(isnan(r.consistency_loss));
    assert_int_equal(ark_trainer_ema(f->t, 0.75), ARK_OK);
    float *t1 = column(f, ARK_COL_TEACHER), *s1 = column(f, ARK_COL_STUDENT);
    for (int64_t i = 0; i < n; i++) {
        double want = 0.75 * (double)t0[i] + 0.25 * (double)s1[i];
        assert_true(fabs((double)t1[i] - want) <= 1e-6 * (1 + fabs(want)));
    }
    free(t0);
    free(s0);
    free(t1);
    free(s1);
    drop(f);
}

static void equal_views_agree_at_first(void **state) {
    (void)state;
    ark_trainer_opts o = options();
    fixture *f = make(&o, 1, 0);
    ark_step_result r;
    ark_step s = step_a(f, 0.5, 0.01, 0);
    assert_int_equal(ark_trainer_step(f->t, &s, &r), ARK_OK);
    assert_true(r.consistency_loss < 1e-10); /* same weights, same image, no drop-path */
    assert_true(fabs(r.loss - 0.5 * r.task_loss) < 1e-9);
    drop(f);
}

static void threads_and_recompute_do_not_change_bytes(void **state) {
    (void)state;
    ark_trainer_opts o = options();
    size_t memory[3];
    float *columns[3];
    size_t bytes = 0;
    for (int k = 0; k < 3; k++) {
        o.recompute = k == 2;
        fixture *f = make(&o, k == 0 ? 1 : 2, 0.2f);
        memory[k] = ark_trainer_bytes(f->t);
        bytes = (size_t)ark_params_elems(ark_trainer_params(f->t)) * sizeof(float);
        for (int i = 0; i < 5; i++) {
            ark_step_result r;
            ark_step s = step_a(f, 0.3, 0.05, (uint64_t)i);
            s.n = i == 2 ? 5 : BATCH; /* a partial batch among full ones */
            assert_int_equal(ark_trainer_step(f->t, &s, &r), ARK_OK);
        }
        columns[k] = column(f, ARK_COL_STUDENT);
        drop(f);
    }
    assert_true(memory[2] < memory[1]);
    for (int k = 0; k < 3; k++) {
        assert_memory_equal(columns[0], columns[k], bytes);
    }
    for (int k = 0; k < 3; k++) {
        free(columns[k]);
    }
}

/* A whole batch without labels, or a NaN image: no harm, or a clear error with the weights unchanged. */
static void bad_batches(void **state) {
    (void)state;
    ark_trainer_opts o = options();
    fixture *f = make(&o, 1, 0);
    ark_step_result r;
    memset(f->mask, 0, sizeof f->mask);
    ark_step s = step_a(f, 0, 0.1, 0);
    assert_int_equal(ark_trainer_step(f->t, &s, &r), ARK_OK);
    assert_true(r.task_loss == 0 && r.grad_norm == 0);
    for (int i = 0; i < BATCH * 3; i++) {
        f->mask[i] = 1;
    }
    f->student[7] = NAN;
    float *before = column(f, ARK_COL_STUDENT);
    assert_int_equal(ark_trainer_step(f->t, &s, &r), ARK_EDEVICE);
    assert_non_null(strstr(ark_err_msg(), "not finite"));
    float *after = column(f, ARK_COL_STUDENT);
    assert_memory_equal(before, after, (size_t)ark_params_elems(ark_trainer_params(f->t)) * sizeof(float));
    free(before);
    free(after);
    drop(f);
}

static void steps_allocate_nothing(void **state) {
    (void)state;
    for (int k = 0; k < 2; k++) {
        ark_trainer_opts o = options();
        o.recompute = k == 1;
        fixture *f = make(&o, 2, 0);
        ark_step_result r;
        ark_step s = step_a(f, 0.3, 0.05, 0);
        assert_int_equal(ark_trainer_step(f->t, &s, &r), ARK_OK);
        uint64_t calls = ark_alloc_get_stats().calls;
        for (int i = 0; i < 3; i++) {
            assert_int_equal(ark_trainer_step(f->t, &s, &r), ARK_OK);
        }
        assert_int_equal(ark_alloc_get_stats().calls, calls);
        drop(f);
    }
}

/* Fail every allocation in turn: the right status, nothing leaked, no crash. */
static void every_allocation_may_fail(void **state) {
    (void)state;
    ark_net net = tiny_net(0.2f);
    ark_trainer_opts o = options();
    o.recompute = true;
    uint64_t live = ark_alloc_get_stats().live_bytes;
    ark_status st = ARK_ENOMEM;
    uint64_t n = 1;
    for (; st != ARK_OK && n < 20000; n = n < 60 ? n + 1 : n + 17) {
        ark_trainer *t = NULL;
        ark_dev *dev; /* keeps products for later plans, so it is part of what must be given back */
        assert_int_equal(ark_dev_open(backend_name(), 1, &dev), ARK_OK);
        ark_alloc_fail_after(n);
        st = ark_trainer_new(&net, &o, dev, &t);
        ark_alloc_fail_after(0);
        assert_true(st == ARK_OK || st == ARK_ENOMEM);
        ark_trainer_free(t);
        ark_dev_close(dev);
        assert_int_equal(ark_alloc_get_stats().live_bytes, live);
    }
    assert_int_equal(st, ARK_OK);
    assert_true(n > 100);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(learns_by_heart),
        cmocka_unit_test(other_heads_are_untouched),
        cmocka_unit_test(ema_in_closed_form),
        cmocka_unit_test(equal_views_agree_at_first),
        cmocka_unit_test(threads_and_recompute_do_not_change_bytes),
        cmocka_unit_test(bad_batches),
        cmocka_unit_test(steps_allocate_nothing),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
