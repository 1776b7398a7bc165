/* ResNet, DenseNet and ConvNeXt in tiny configurations against timm in float64 (tests/golden/make_conv.py): embeddings by
 * running statistics, features, gradients and running statistics of a pass in training, three steps of Ark with the
 * teacher's averages over parameters and statistics; the same with recomputation, and with 1, 2 and 3 threads. */
#include "backend/backend.h"
#include "base/alloc.h"
#include "common/check.h"
#include "core/ops.h"
#include "io/safetensors.h"
#include "nn/ark_net.h"
#include "nn/encoder.h"
#include "train/trainer.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SIZE = 64, IMAGES = 8, PROBES = 2, BATCH = 4, PROJECTED = 12, CLASSES = 5, STEPS = 3 };

/* Largest relative error of a tensor; per image for features. bf16 is compared in inference and by the losses only: in
 * training with four images the statistics of the deepest layers come from 16 values, and what rounding changes there
 * says nothing about larger batches. */
typedef struct limits {
    double embedding, features, gradient, loss, teacher;
} limits;
static const limits limits_of[2] = {
    {1e-5, 1e-5, 1e-4, 1e-5, 1e-5}, {2e-2, INFINITY, INFINITY, 5e-2, INFINITY}};

static ark_st_file *golden;

static const ark_st_tensor *find(const char *net, const char *key) {
    char name[192];
    snprintf(name, sizeof name, "%s/%s", net, key);
    const ark_st_tensor *t = ark_st_find(golden, name);
    require(t != NULL, "%s is missing", name);
    return t;
}

static float *floats(size_t n) {
    float *v = ark_calloc(n, sizeof *v);
    require(v != NULL, "out of memory");
    return v;
}

static float *values_of(const ark_st_tensor *t) {
    float *v = floats((size_t)t->numel);
    must(ark_st_read_f32(t, v));
    return v;
}

static float *read_images(void) {
    const ark_st_tensor *t = ark_st_find(golden, "images");
    float *v = values_of(t);
    for (int64_t i = 0; i < t->numel; i++) {
        v[i] /= 32.0f;
    }
    return v;
}

/* Relative to each row's own size, or to least if that is larger. */
static double expect_above(
    const char *what, const float *got, const ark_st_tensor *t, int64_t rows, double least, double limit) {
    float *f32 = t->dtype == ARK_ST_F64 ? NULL : values_of(t);
    double worst = 0.0;
    for (int64_t r = 0; r < rows; r++) {
        double diff = 0.0, size = 0.0;
        for (int64_t i = r * t->numel / rows; i < (r + 1) * t->numel / rows; i++) {
            double want;
            if (f32) {
                want = f32[i];
            } else {
                memcpy(&want, (const char *)t->data + i * 8, sizeof want);
            }
            diff += (got[i] - want) * (got[i] - want);
            size += want * want;
        }
        require(!isnan(diff), "%s %s: NaN", what, t->name);
        worst = fmax(worst, sqrt(diff) / fmax(sqrt(size), least));
    }
    require(worst <= limit, "%s %s: relative error %.3g > %.3g", what, t->name, worst, limit);
    ark_free(f32);
    return worst;
}

static double expect(const char *what, const float *got, const ark_st_tensor *t, int64_t rows, double limit) {
    return expect_above(what, got, t, rows, 0.0, limit);
}

/* --- the network ------------------------------------------------------------------------------ */

static char *class_names[] = {"a", "b", "c", "d", "e"};
static ark_head head = {
    .dataset = "findings", .task = ARK_MULTILABEL, .n_classes = CLASSES, .classes = class_names};

static ark_net make_net(const char *name) {
    ark_net net = {
        .projector = ARK_PROJECTOR_LINEAR, .projector_dim = PROJECTED, .n_heads = 1, .heads = &head};
    char key[32];
    snprintf(key, sizeof key, "arch_%s", name);
    must(ark_arch_parse(ark_st_meta(golden, key), &net.arch));
    return net;
}

static void load_params(ark_params *store, const char *net) {
    for (int i = 0; i < ark_params_count(store); i++) {
        const ark_param *p = ark_params_at(store, i);
        char key[160];
        snprintf(key, sizeof key, "param/%s", p->name);
        const ark_st_tensor *t = find(net, key);
        require(t->numel == p->numel, "%s has %lld elements, the file %lld", p->name, (long long)p->numel,
            (long long)t->numel);
        float *v = values_of(t);
        must(ark_params_write(store, ARK_COL_STUDENT, i, v));
        ark_free(v);
    }
    must(ark_params_refresh(store, ARK_COL_STUDENT));
}

typedef struct setup {
    const char *net, *backend;
    ark_dtype dt;
} setup;

typedef struct probe {
    ark_params *store;
    ark_plan *plan;
    ark_space *space;
    ark_tensor *image;
    ark_net_tensors t;
    ark_run run;
} probe;

static void open_probe(
    probe *p, ark_dev *dev, const setup *s, ark_plan_mode mode, int batch, bool recompute) {
    ark_net net = make_net(s->net);
    int64_t dims[4] = {batch, 3, SIZE, SIZE};
    must(ark_params_new(&p->store));
    must(ark_net_declare(&net, p->store));
    must(ark_plan_new(p->store, batch, s->dt, &p->plan));
    if (mode == ARK_PLAN_INFER) {
        p->t = ark_net_trunk(p->plan, &net);
        p->image = p->t.image;
    } else { /* as ark_net_trunk, with a gradient for the image */
        p->image = ark_plan_input(p->plan, "image", 4, dims, true);
        p->t.encoder = ark_encode(p->plan, p->image, &net.arch, 0.0f, NULL);
        int64_t wd[2] = {PROJECTED, ark_arch_features(&net.arch)}, bd = PROJECTED;
        ark_tensor *w = ark_plan_param(p->plan, "projector.weight", 2, wd, ARK_INIT_ZEROS);
        ark_tensor *b = ark_plan_param(p->plan, "projector.bias", 1, &bd, ARK_INIT_ZEROS);
        p->t.projected =
            ark_plan_output(p->plan, ark_linear(p->plan, p->t.encoder, w, b, ARK_ACT_NONE, ARK_F32));
    }
    if (recompute) {
        ark_plan_recompute(p->plan);
    }
    must(ark_plan_finish(p->plan, dev, mode));
    must(ark_params_alloc(p->store, dev, 1u << ARK_COL_STUDENT | 1u << ARK_COL_GRAD, s->dt == ARK_BF16));
    must(ark_space_new(dev, &p->plan, 1, true, &p->space));
    load_params(p->store, s->net);
    p->run = (ark_run){.space = p->space, .params = p->store, .weights = ARK_COL_STUDENT, .batch = batch};
}

static void close_probe(probe *p) {
    must(ark_space_check(p->space, p->plan));
    ark_space_free(p->space);
    ark_plan_free(p->plan);
    ark_params_free(p->store);
}

static ark_dev *open_device(const char *name, int threads) {
    ark_dev *dev = NULL;
    must(ark_dev_open(name, threads, &dev));
    return dev;
}

/* --- by running statistics --------------------------------------------------------------------- */

static void test_inference(void **state) {
    const setup *s = *state;
    ark_dev *dev = open_device(s->backend, 2);
    const limits *lim = &limits_of[s->dt];
    probe p = {0};
    open_probe(&p, dev, s, ARK_PLAN_INFER, PROBES, false);
    ark_net net = make_net(s->net);
    const int features = ark_arch_features(&net.arch), widest = features > PROJECTED ? features : PROJECTED;
    float *images = read_images(), *out = floats((size_t)PROBES * (size_t)widest);
    must(ark_run_write(&p.run, p.plan, p.image, images));
    must(ark_run_forward(&p.run, p.plan));
    must(ark_run_read(&p.run, p.plan, p.t.encoder, out));
    double e = expect(s->backend, out, find(s->net, "embedding"), PROBES, lim->embedding);
    must(ark_run_read(&p.run, p.plan, p.t.projected, out));
    double z = expect(s->backend, out, find(s->net, "projected"), PROBES, lim->embedding);
    print_message("           embedding %.2g, projected %.2g\n", e, z);
    ark_free(images);
    ark_free(out);
    close_probe(&p);
    ark_dev_close(dev);
}

/* --- one pass in training ---------------------------------------------------------------------- */

typedef struct pass {
    float *features, *image, *grads, *weights; /* the last two: whole columns */
    int64_t elems;
} pass;

static void free_pass(pass *p) {
    ark_free(p->features);
    ark_free(p->image);
    ark_free(p->grads);
    ark_free(p->weights);
}

static pass run_pass(ark_dev *dev, const setup *s, probe *p, bool recompute) {
    open_probe(p, dev, s, ARK_PLAN_TRAIN, BATCH, recompute);
    p->run.stochastic = true;
    pass out = {.features = floats(BATCH * PROJECTED),
        .image = floats((size_t)BATCH * 3 * SIZE * SIZE),
        .elems = ark_params_elems(p->store)};
    out.grads = floats((size_t)out.elems);
    out.weights = floats((size_t)out.elems);
    float *images = read_images(), *r = values_of(find(s->net, "r"));
    must(ark_run_write(&p->run, p->plan, p->image, images));
    must(ark_run_forward(&p->run, p->plan));
    must(ark_run_read(&p->run, p->plan, p->t.projected, out.features));
    must(ark_run_backward(&p->run, p->plan, &(ark_seed){.t = p->t.projected, .data = r}, 1));
    must(ark_run_read_grad(&p->run, p->plan, p->image, out.image));
    const size_t bytes = (size_t)out.elems * sizeof(float);
    must(dev->backend->to_host(dev, out.grads, ark_params_column(p->store, ARK_COL_GRAD), bytes));
    must(dev->backend->to_host(dev, out.weights, ark_params_column(p->store, ARK_COL_STUDENT), bytes));
    ark_free(images);
    ark_free(r);
    return out;
}

/* Size of the largest gradient. What a batch norm undoes, the scale of what comes before it, has gradients that are small
 * differences of large sums: a hundredth of the largest is what their error is measured by. */
static double largest_gradient(const probe *p, const pass *got) {
    double largest = 0.0;
    for (int i = 0; i < ark_params_count(p->store); i++) {
        const ark_param *param = ark_params_at(p->store, i);
        double size = 0.0;
        for (int64_t k = 0; k < param->numel; k++) {
            size += (double)got->grads[param->offset + k] * got->grads[param->offset + k];
        }
        largest = fmax(largest, sqrt(size));
    }
    return largest;
}

static void test_training(void **state) {
    const setup *s = *state;
    const limits *lim = &limits_of[s->dt];
    ark_dev *dev = open_device(s->backend, 2);
    probe p = {0};
    pass got = run_pass(dev, s, &p, false);
    double features = expect(s->backend, got.features, find(s->net, "features"), BATCH, lim->features);
    double image = expect(s->backend, got.image, find(s->net, "grad_image"), BATCH, lim->gradient);
    double gradient = 0.0, running = 0.0, least = 0.01 * largest_gradient(&p, &got);
    for (int i = 0; i < ark_params_count(p.store); i++) {
        const ark_param *param = ark_params_at(p.store, i);
        char key[160];
        if (param->group > 0) {
            continue; /* the head is not in this pass */
        }
        snprintf(key, sizeof key, param->buffer ? "after/%s" : "grad/%s", param->name);
        const float *v = (param->buffer ? got.weights : got.grads) + param->offset;
        double e = expect_above(s->backend, v, find(s->net, key), 1, param->buffer ? 0.0 : least,
            param->buffer ? lim->features : lim->gradient);
        *(param->buffer ? &running : &gradient) = fmax(param->buffer ? running : gradient, e);
    }
    print_message("           features %.2g, gradients %.2g, image %.2g, running statistics %.2g\n", features,
        gradient, image, running);
    free_pass(&got);
    close_probe(&p);
    ark_dev_close(dev);
}

/* The same bytes with segments replayed, and for any number of threads. */
static void test_same_bytes(void **state) {
    const setup *s = *state;
    pass first = {0};
    for (int i = 0; i < 4; i++) {
        ark_dev *dev = open_device(s->backend, i < 3 ? i + 1 : 2);
        probe p = {0};
        pass got = run_pass(dev, s, &p, i == 3);
        if (i > 0) {
            assert_memory_equal(first.features, got.features, BATCH * PROJECTED * sizeof(float));
            assert_memory_equal(first.image, got.image, (size_t)BATCH * 3 * SIZE * SIZE * sizeof(float));
            assert_memory_equal(first.grads, got.grads, (size_t)got.elems * sizeof(float));
            assert_memory_equal(first.weights, got.weights, (size_t)got.elems * sizeof(float));
            free_pass(&got);
        } else {
            first = got;
        }
        close_probe(&p);
        ark_dev_close(dev);
    }
    free_pass(&first);
}

/* --- three steps ------------------------------------------------------------------------------- */

static double close_to(const char *part, int step, double got, const ark_st_tensor *want, double limit) {
    double w;
    memcpy(&w, (const char *)want->data + step * 8, sizeof w);
    double e = fabs(got - w) / fabs(w);
    require(e <= limit, "step %d: %s is %.9g, not %.9g: relative error %.3g > %.3g", step, part, got, w, e,
        limit);
    return e;
}

static double train_steps(ark_trainer *t, const setup *s, const float *images) {
    const size_t pixels = (size_t)3 * SIZE * SIZE;
    const limits *lim = &limits_of[s->dt];
    float *views = floats(2 * BATCH * pixels), *pick = values_of(find(s->net, "ark/pick"));
    float *labels = values_of(find(s->net, "ark/labels")), *mask = values_of(find(s->net, "ark/mask"));
    double worst = 0.0;
    for (int i = 0; i < STEPS; i++) {
        for (int k = 0; k < 2 * BATCH; k++) {
            memcpy(views + (size_t)k * pixels, images + (size_t)pick[i * 2 * BATCH + k] * pixels,
                pixels * sizeof *views);
        }
        ark_step step = {.n = BATCH,
            .student = views,
            .teacher = views + BATCH * pixels,
            .labels = labels + (ptrdiff_t)i * BATCH * CLASSES,
            .mask = mask + (ptrdiff_t)i * BATCH * CLASSES,
            .width = CLASSES,
            .consistency = 0.25,
            .lr = 1.0 / 128,
            .step = (uint64_t)i};
        ark_step_result got;
        must(ark_trainer_step(t, &step, &got));
        worst = fmax(worst, close_to("loss", i, got.loss, find(s->net, "ark/loss"), lim->loss));
        worst = fmax(worst, close_to("task loss", i, got.task_loss, find(s->net, "ark/task"), lim->loss));
        worst = fmax(worst,
            close_to("consistency", i, got.consistency_loss, find(s->net, "ark/consistency"), 4 * lim->loss));
        must(ark_trainer_ema(t, 0.75));
    }
    ark_free(views);
    ark_free(pick);
    ark_free(labels);
    ark_free(mask);
    return worst;
}

/* The teacher's running statistics are averages of the student's. */
static double check_teacher(ark_trainer *t, const setup *s) {
    ark_params *store = ark_trainer_params(t);
    double worst = 0.0;
    for (int i = 0; i < ark_params_count(store); i++) {
        const ark_param *p = ark_params_at(store, i);
        char key[160];
        if (p->buffer) {
            float *v = floats((size_t)p->numel);
            snprintf(key, sizeof key, "ark/%s", p->name);
            must(ark_params_read(store, ARK_COL_TEACHER, i, v));
            worst = fmax(worst, expect("teacher", v, find(s->net, key), 1, limits_of[s->dt].teacher));
            ark_free(v);
        }
    }
    return worst;
}

static void test_steps(void **state) {
    const setup *s = *state;
    ark_dev *dev = open_device(s->backend, 2);
    ark_net net = make_net(s->net);
    ark_trainer_opts opts = {.batch = BATCH, .cdt = s->dt, .teacher = true, .optim = {.momentum = 0.875}};
    ark_trainer *t = NULL;
    must(ark_trainer_new(&net, &opts, dev, &t));
    load_params(ark_trainer_params(t), s->net);
    must(ark_trainer_loaded(t, true));
    float *images = read_images();
    double loss = train_steps(t, s, images), statistics = check_teacher(t, s);
    print_message("           losses %.2g, teacher's statistics %.2g\n", loss, statistics);
    ark_free(images);
    ark_trainer_free(t);
    ark_dev_close(dev);
}

static int open_golden(void **state) {
    (void)state;
    return ark_st_open(ARK_TEST_DIR "/golden/conv.safetensors", &golden);
}

static int close_golden(void **state) {
    (void)state;
    ark_st_close(golden);
    return 0;
}

#define TEST(text, f, net_, be, dt_)                                                                         \
    {                                                                                                        \
        net_ " " be " " text, f, NULL, NULL, &(setup) {                                                      \
            net_, be, dt_                                                                                    \
        }                                                                                                    \
    }
#define NET(net_)                                                                                            \
    TEST("f32 inference", test_inference, net_, "ref", ARK_F32),                                             \
        TEST("f32 inference", test_inference, net_, "cpu", ARK_F32),                                         \
        TEST("bf16 inference", test_inference, net_, "ref", ARK_BF16),                                       \
        TEST("bf16 inference", test_inference, net_, "cpu", ARK_BF16),                                       \
        TEST("f32 training", test_training, net_, "ref", ARK_F32),                                           \
        TEST("f32 training", test_training, net_, "cpu", ARK_F32),                                           \
        TEST("f32 same bytes", test_same_bytes, net_, "cpu", ARK_F32),                                       \
        TEST("bf16 same bytes", test_same_bytes, net_, "cpu", ARK_BF16),                                     \
        TEST("f32 three steps", test_steps, net_, "ref", ARK_F32),                                           \
        TEST("f32 three steps", test_steps, net_, "cpu", ARK_F32),                                           \
        TEST("bf16 three steps", test_steps, net_, "cpu", ARK_BF16)

int main(void) {
    const struct CMUnitTest tests[] = {
        NET("resnet"),
        NET("densenet"),
        NET("convnext"),
    };
    return cmocka_run_group_tests_name("tiny convolutional networks", tests, open_golden, close_golden);
}
