#include "model/encoder_golden.h"

#include "common/check.h"
#include "core/ops.h"
#include "io/safetensors.h"
#include "nn/ark_net.h"
#include "nn/encoder.h"
#include "nn/layers.h"
#include "train/sched.h"
#include "train/trainer.h"

#include "backend/backend.h"
#include "base/alloc.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Largest relative L2 errors: per sample for activations and embeddings, per parameter for gradients. */
typedef struct limits {
    double stage, embedding, gradient, loss, final;
} limits;
static const limits limits_of[] = {
    [ARK_F32] = {1e-5, 1e-5, 1e-5, 1e-4, 1e-5},
    [ARK_BF16] = {2e-2, 2e-2, 6e-2, 3e-2, 3e-2},
};

enum { PROJECTED = 24, WIDTH = 5, BATCH = 3, STEPS = 10, PROBES = 2 };

static ark_st_file *golden;
static const encoder_golden *suite;

/* --- reading the file ------------------------------------------------------------------------- */

static const ark_st_tensor *find(const char *fmt, ...) ARK_PRINTF(1, 2);
static const ark_st_tensor *find(const char *fmt, ...) {
    char name[128];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(name, sizeof name, fmt, ap);
    va_end(ap);
    const ark_st_tensor *t = ark_st_find(golden, name);
    require(t != NULL, "%s has no %s", suite->file, name);
    return t;
}

static float *read_floats(const ark_st_tensor *t) {
    float *v = ark_calloc((size_t)t->numel, sizeof *v);
    require(v != NULL, "out of memory");
    must(ark_st_read_f32(t, v));
    return v;
}

static double *read_doubles(const ark_st_tensor *t) {
    double *v = ark_calloc((size_t)t->numel, sizeof *v);
    require(v != NULL, "out of memory");
    if (t->dtype == ARK_ST_F64) {
        memcpy(v, t->data, t->bytes);
        return v;
    }
    float *f = read_floats(t);
    for (int64_t i = 0; i < t->numel; i++) {
        v[i] = f[i];
    }
    ark_free(f);
    return v;
}

/* Pixels are stored as value * 32. */
static float *read_images(int size) {
    const ark_st_tensor *t = find("images%d", size);
    float *v = read_floats(t);
    for (int64_t i = 0; i < t->numel; i++) {
        v[i] /= 32.0f;
    }
    return v;
}

/* Largest over rows of |got - want| / |want| in L2. */
static double relative_error(const float *got, const double *want, int64_t rows, int64_t cols) {
    double worst = 0.0;
    for (int64_t r = 0; r < rows; r++) {
        double diff = 0.0, size = 0.0;
        for (int64_t i = r * cols; i < (r + 1) * cols; i++) {
            diff += (got[i] - want[i]) * (got[i] - want[i]);
            size += want[i] * want[i];
        }
        worst = fmax(worst, sqrt(diff / size));
        if (isnan(diff)) {
            return INFINITY;
        }
    }
    return worst;
}

static double expect_close(
    const char *what, const float *got, const ark_st_tensor *t, int64_t rows, double limit) {
    double *want = read_doubles(t);
    double e = relative_error(got, want, rows, t->numel / rows);
    ark_free(want);
    require(e <= limit, "%s %s: relative error %.3g > %.3g", what, t->name, e, limit);
    return e;
}

/* --- the network ------------------------------------------------------------------------------ */

static char *class_names[] = {"a", "b", "c", "d", "e"};
static ark_head heads[] = {
    {.dataset = "findings", .task = ARK_MULTILABEL, .n_classes = 5, .classes = class_names},
    {.dataset = "diagnosis", .task = ARK_MULTICLASS, .n_classes = 4, .classes = class_names},
};

static ark_net make_net(int size) {
    ark_net net = {
        .projector = ARK_PROJECTOR_LINEAR, .projector_dim = PROJECTED, .n_heads = 2, .heads = heads};
    char key[16];
    snprintf(key, sizeof key, "arch%d", size);
    must(ark_arch_parse(ark_st_meta(golden, key), &net.arch));
    return net;
}

/* What differs from the first size stands under paramSIZE. */
static void load_params(ark_params *store, int size) {
    for (int i = 0; i < ark_params_count(store); i++) {
        const ark_param *p = ark_params_at(store, i);
        char name[160];
        snprintf(name, sizeof name, "param%d/%s", size, p->name);
        const ark_st_tensor *t = ark_st_find(golden, name);
        t = t ? t : find("param/%s", p->name);
        require(t->numel == p->numel, "%s has %lld elements, the file %lld", p->name, (long long)p->numel,
            (long long)t->numel);
        float *v = read_floats(t);
        must(ark_params_write(store, ARK_COL_STUDENT, i, v));
        ark_free(v);
    }
    must(ark_params_refresh(store, ARK_COL_STUDENT));
}

/* NULL: not built, not asked for. */
static ark_dev *open_device(const char *name) {
    const char *env = getenv("ARK_TEST_BACKENDS"), *list = env != NULL ? env : "ref,cpu";
    ark_dev *dev = NULL;
    ark_status st = strstr(list, name) != NULL ? ark_dev_open(name, 2, &dev) : ARK_ENOTBUILT;
    if (st == ARK_ENOTBUILT) {
        return NULL;
    }
    must(st);
    return dev;
}

/* --- activations and gradients ---------------------------------------------------------------- */

typedef struct probe {
    ark_params *store;
    ark_plan *plan;
    ark_space *space;
    ark_tensor *image, *stages[ARK_MAX_STAGES], *encoder, *projected;
    int n_stages;
    ark_run run;
} probe;

/* As ark_net_trunk, with the stages visible and a gradient for the image. */
static void build_probe(probe *p, ark_dev *dev, ark_dtype dt, int size) {
    ark_net net = make_net(size);
    int64_t dims[4] = {PROBES, 3, size, size};
    must(ark_params_new(&p->store));
    must(ark_plan_new(p->store, PROBES, dt, &p->plan));
    p->image = ark_plan_input(p->plan, "image", 4, dims, true);
    p->n_stages = ark_encode_maps(&net.arch);
    p->encoder = ark_encode(p->plan, p->image, &net.arch, 0.0f, p->stages);
    p->projected = ark_nn_linear(
        p->plan, p->encoder, "projector", PROJECTED, true, ARK_INIT_UNIFORM_FAN_IN, ARK_ACT_NONE, ARK_F32);
    for (int s = 0; s < p->n_stages; s++) {
        ark_plan_output(p->plan, p->stages[s]);
    }
    ark_plan_output(p->plan, p->encoder);
    ark_plan_output(p->plan, p->projected);
    must(ark_plan_finish(p->plan, dev, ARK_PLAN_TRAIN));
    must(ark_params_alloc(p->store, dev, 1u << ARK_COL_STUDENT | 1u << ARK_COL_GRAD, dt == ARK_BF16));
    must(ark_space_new(dev, &p->plan, 1, true, &p->space));
    load_params(p->store, size);
    p->run = (ark_run){.space = p->space, .params = p->store, .weights = ARK_COL_STUDENT, .batch = PROBES};
}

static void free_probe(probe *p) {
    ark_space_free(p->space);
    ark_plan_free(p->plan);
    ark_params_free(p->store);
}

static double check_output(
    probe *p, const char *what, const ark_tensor *t, const ark_st_tensor *want, double limit) {
    float *got = ark_calloc((size_t)want->numel, sizeof *got);
    require(got != NULL && ark_numel(t) == want->numel, "%s has %lld elements", want->name,
        (long long)ark_numel(t));
    must(ark_run_read(&p->run, p->plan, t, got));
    double e = expect_close(what, got, want, PROBES, limit);
    ark_free(got);
    return e;
}

static double check_gradients(probe *p, const char *what, int size, double limit) {
    double worst = 0.0;
    int checked = 0;
    for (int i = 0; i < ark_params_count(p->store); i++) {
        const ark_param *param = ark_params_at(p->store, i);
        char name[160];
        snprintf(name, sizeof name, "s%d/grad/%s", size, param->name);
        const ark_st_tensor *want = ark_st_find(golden, name);
        if (want != NULL) {
            float *got = ark_calloc((size_t)param->numel, sizeof *got);
            require(got != NULL && want->numel == param->numel, "%s", name);
            must(ark_params_read(p->store, ARK_COL_GRAD, i, got));
            worst = fmax(worst, expect_close(what, got, want, 1, limit));
            ark_free(got);
            checked++;
        }
    }
    require(size != suite->sizes[0] || checked == ark_params_count(p->store), "only %d gradients in the file",
        checked);
    return worst;
}

static void activations_and_gradients(ark_dev *dev, ark_dtype dt, int size) {
    const limits *lim = &limits_of[dt];
    char what[64];
    snprintf(what, sizeof what, "%s %s %d px", dev->backend->name, ark_dtype_name(dt), size);
    probe p = {.store = NULL};
    build_probe(&p, dev, dt, size);
    float *images = read_images(size), *r = read_floats(find("s%d/r", size));
    must(ark_run_write(&p.run, p.plan, p.image, images));
    must(ark_run_forward(&p.run, p.plan));
    double stage = 0.0;
    for (int s = 0; s < p.n_stages; s++) {
        stage = fmax(stage, check_output(&p, what, p.stages[s], find("s%d/stage%d", size, s), lim->stage));
    }
    double embedding = check_output(&p, what, p.encoder, find("s%d/embedding", size), lim->embedding);
    double projected = check_output(&p, what, p.projected, find("s%d/projected", size), lim->embedding);
    must(ark_run_backward(&p.run, p.plan, &(ark_seed){.t = p.projected, .data = r}, 1));
    double gradient = check_gradients(&p, what, size, lim->gradient);
    float *grad_image = ark_calloc((size_t)ark_numel(p.image), sizeof *grad_image);
    must(ark_run_read_grad(&p.run, p.plan, p.image, grad_image));
    double pixels = expect_close(what, grad_image, find("s%d/grad_image", size), PROBES, lim->gradient);
    must(ark_space_check(p.space, p.plan));
    print_message("           %s: stages %.2g, embedding %.2g, projected %.2g, gradients %.2g, image %.2g\n",
        what, stage, embedding, projected, gradient, pixels);
    ark_free(grad_image);
    ark_free(images);
    ark_free(r);
    free_probe(&p);
}

/* --- ten steps of Ark ------------------------------------------------------------------------- */

typedef struct schedule {
    double *c, *m, *loss, *task, *consistency;
    float *dataset, *n, *student, *teacher, *labels, *mask;
} schedule;

static schedule read_schedule(void) {
    return (schedule){
        .c = read_doubles(find("ark/c")),
        .m = read_doubles(find("ark/m")),
        .loss = read_doubles(find("ark/loss")),
        .task = read_doubles(find("ark/task")),
        .consistency = read_doubles(find("ark/consistency")),
        .dataset = read_floats(find("ark/dataset")),
        .n = read_floats(find("ark/n")),
        .student = read_floats(find("ark/student")),
        .teacher = read_floats(find("ark/teacher")),
        .labels = read_floats(find("ark/labels")),
        .mask = read_floats(find("ark/mask")),
    };
}

static void free_schedule(schedule *s) {
    void *all[] = {s->c, s->m, s->loss, s->task, s->consistency, s->dataset, s->n, s->student, s->teacher,
        s->labels, s->mask};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        ark_free(all[i]);
    }
}

/* Images named by the n indices at `pick`, side by side. */
static void gather_images(float *dst, const float *images, const float *pick, int n) {
    const size_t pixels = (size_t)3 * (size_t)suite->sizes[0] * (size_t)suite->sizes[0];
    for (int i = 0; i < n; i++) {
        memcpy(dst + (size_t)i * pixels, images + (size_t)pick[i] * pixels, pixels * sizeof *dst);
    }
}

/* The schedules in closed form give the c and m that the generator used, at visit t of four. */
static void check_schedules(const schedule *s) {
    int visit = 0;
    for (int i = 0; i < STEPS; i++) {
        assert_true(fabs(ark_consistency_weight(visit, 4, 0.5) - s->c[i]) < 1e-15);
        if (s->m[i] >= 0.0) {
            assert_true(fabs(ark_ema_momentum(visit, 4, 0.875) - s->m[i]) < 1e-15);
            visit++;
        }
    }
    assert_int_equal(visit, 4);
}

static double loss_error(
    const char *what, const char *part, int step, double got, double want, double limit) {
    double e = fabs(got - want) / fabs(want);
    require(e <= limit, "%s, step %d: %s is %.9g, not %.9g: relative error %.3g > %.3g", what, step, part,
        got, want, e, limit);
    return e;
}

/* Train, comparing losses; returns the largest error. */
static double run_steps(
    ark_trainer *t, const schedule *s, const float *images, const char *what, double limit) {
    const size_t pixels = (size_t)BATCH * 3 * (size_t)suite->sizes[0] * (size_t)suite->sizes[0];
    float *student = ark_calloc(pixels, sizeof *student), *teacher = ark_calloc(pixels, sizeof *teacher);
    float labels[BATCH * WIDTH], mask[BATCH * WIDTH], lr;
    double worst = 0.0;
    must(ark_st_read_f32(find("ark/lr"), &lr));
    for (int i = 0; i < STEPS; i++) {
        int n = (int)s->n[i], k = heads[(int)s->dataset[i]].n_classes;
        gather_images(student, images, s->student + (ptrdiff_t)i * BATCH, n);
        gather_images(teacher, images, s->teacher + (ptrdiff_t)i * BATCH, n);
        for (int j = 0; j < n * k; j++) {
            labels[j] = s->labels[(i * BATCH + j / k) * WIDTH + j % k];
            mask[j] = s->mask[(i * BATCH + j / k) * WIDTH + j % k];
        }
        ark_step step = {.task = (int)s->dataset[i],
            .n = n,
            .student = student,
            .teacher = teacher,
            .labels = labels,
            .mask = mask,
            .width = k,
            .consistency = s->c[i],
            .lr = (double)lr,
            .step = (uint64_t)i};
        ark_step_result got;
        must(ark_trainer_step(t, &step, &got));
        worst = fmax(worst, loss_error(what, "loss", i, got.loss, s->loss[i], limit));
        worst = fmax(worst, loss_error(what, "task loss", i, got.task_loss, s->task[i], limit));
        if (s->c[i] > 0.0) { /* before that the teacher is not run */
            worst = fmax(
                worst, loss_error(what, "consistency", i, got.consistency_loss, s->consistency[i], limit));
        }
        if (s->m[i] >= 0.0) {
            must(ark_trainer_ema(t, s->m[i]));
        }
    }
    ark_free(student);
    ark_free(teacher);
    return worst;
}

/* Projected features of the probe images under one column of weights. */
static double check_final(ark_trainer *t, ark_dtype dt, ark_column column, const float *images,
    const char *what, const char *expected, double limit) {
    ark_net net = make_net(suite->sizes[0]);
    ark_plan *plan = NULL;
    ark_space *space = NULL;
    must(ark_plan_new(ark_trainer_params(t), PROBES, dt, &plan));
    ark_net_tensors out = ark_net_trunk(plan, &net);
    must(ark_plan_finish(plan, ark_trainer_device(t), ARK_PLAN_INFER));
    must(ark_space_new(ark_trainer_device(t), &plan, 1, true, &space));
    ark_run run = {.space = space, .params = ark_trainer_params(t), .weights = column, .batch = PROBES};
    float got[PROBES * PROJECTED];
    must(ark_run_write(&run, plan, out.image, images));
    must(ark_run_forward(&run, plan));
    must(ark_run_read(&run, plan, out.projected, got));
    double e = expect_close(what, got, find("ark/%s", expected), PROBES, limit);
    ark_space_free(space);
    ark_plan_free(plan);
    return e;
}

static void ten_steps(ark_dev *dev, ark_dtype dt) {
    const limits *lim = &limits_of[dt];
    char what[64];
    snprintf(what, sizeof what, "%s %s ten steps", dev->backend->name, ark_dtype_name(dt));
    float momentum;
    must(ark_st_read_f32(find("ark/momentum"), &momentum));
    ark_net net = make_net(suite->sizes[0]);
    ark_trainer_opts opts = {
        .batch = BATCH, .cdt = dt, .teacher = true, .optim = {.momentum = (double)momentum}};
    ark_trainer *t = NULL;
    must(ark_trainer_new(&net, &opts, dev, &t));
    load_params(ark_trainer_params(t), suite->sizes[0]);
    must(ark_trainer_loaded(t, true));
    float *images = read_images(suite->sizes[0]);
    schedule s = read_schedule();
    check_schedules(&s);
    double start = check_final(t, dt, ARK_COL_TEACHER, images, what, "start", lim->embedding);
    double loss = run_steps(t, &s, images, what, lim->loss);
    double student = check_final(t, dt, ARK_COL_STUDENT, images, what, "final_student", lim->final);
    double teacher = check_final(t, dt, ARK_COL_TEACHER, images, what, "final_teacher", lim->final);
    print_message("           %s: start %.2g, losses %.2g, student after %.2g, teacher after %.2g\n", what,
        start, loss, student, teacher);
    free_schedule(&s);
    ark_free(images);
    ark_trainer_free(t);
}

/* --- programs --------------------------------------------------------------------------------- */

typedef struct setup {
    const char *backend;
    ark_dtype dt;
} setup;

static void test_activations(void **state) {
    const setup *s = *state;
    ark_dev *dev = open_device(s->backend);
    if (dev == NULL) {
        skip();
    }
    for (int i = 0; i < 2; i++) {
        activations_and_gradients(dev, s->dt, suite->sizes[i]);
    }
    ark_dev_close(dev);
}

static void test_ten_steps(void **state) {
    const setup *s = *state;
    ark_dev *dev = open_device(s->backend);
    if (dev == NULL) {
        skip();
    }
    ten_steps(dev, s->dt);
    ark_dev_close(dev);
}

static int open_golden(void **state) {
    (void)state;
    char path[512];
    snprintf(path, sizeof path, "%s/golden/%s", ARK_TEST_DIR, suite->file);
    return ark_st_open(path, &golden);
}

static int close_golden(void **state) {
    (void)state;
    ark_st_close(golden);
    return 0;
}

#define BOTH(name, dt_name, dt_)                                                                             \
    {name " " dt_name ": activations and gradients", test_activations, NULL, NULL, &(setup){name, dt_}}, {   \
        name " " dt_name ": ten steps of Ark", test_ten_steps, NULL, NULL, &(setup) {                        \
            name, dt_                                                                                        \
        }                                                                                                    \
    }

int encoder_golden_run(const encoder_golden *g) {
    suite = g;
    const struct CMUnitTest tests[] = {
        BOTH("ref", "f32", ARK_F32),
        BOTH("ref", "bf16", ARK_BF16),
        BOTH("cpu", "f32", ARK_F32),
        BOTH("cpu", "bf16", ARK_BF16),
        BOTH("cuda", "f32", ARK_F32),
        BOTH("cuda", "bf16", ARK_BF16),
    };
    return cmocka_run_group_tests_name(suite->file, tests, open_golden, close_golden);
}
