/* UperNet on the tiny Swin against PyTorch (golden/make_decoder.py): logits by running statistics, then one
 * pass as training makes it: loss, logits, every gradient, and the running statistics after it. */
#include "backend/backend.h"
#include "base/alloc.h"
#include "base/str.h"
#include "common/check.h"
#include "core/ops.h"
#include "io/safetensors.h"
#include "nn/encoder.h"
#include "nn/upernet.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

enum { SAMPLES = 3 };

typedef struct net {
    ark_st_file *file;
    ark_dev *dev;
    ark_params *params;
    ark_plan *plan;
    ark_space *space;
    ark_tensor *image, *logits, *target, *mask, *dice, *bce;
} net;

static const ark_st_tensor *part(const net *n, const char *prefix, const char *name) {
    char full[256];
    snprintf(full, sizeof full, "%s%s", prefix, name);
    return ark_st_find(n->file, full);
}

static float *values(const ark_st_tensor *t) {
    float *v = ark_calloc((size_t)t->numel, sizeof *v);
    require(v != NULL, "out of memory");
    must(ark_st_read_f32(t, v));
    return v;
}

static void load_weights(net *n) {
    for (int i = 0; i < ark_params_count(n->params); i++) {
        const ark_param *p = ark_params_at(n->params, i);
        const ark_st_tensor *t = part(n, "w/", p->name);
        require(t && t->numel == p->numel, "%s is not in the golden file", p->name);
        float *v = values(t);
        must(ark_params_write(n->params, ARK_COL_STUDENT, i, v));
        ark_free(v);
    }
    must(ark_params_refresh(n->params, ARK_COL_STUDENT));
}

static void build(net *n, const char *backend, int threads, ark_plan_mode mode) {
    ark_arch arch;
    ark_tensor *maps[ARK_MAX_STAGES];
    must(ark_st_open(ARK_TEST_DIR "/golden/upernet.safetensors", &n->file));
    must(ark_arch_parse(ark_st_meta(n->file, "arch"), &arch));
    must(ark_dev_open(backend, threads, &n->dev));
    must(ark_params_new(&n->params));
    must(ark_plan_new(n->params, SAMPLES, ARK_F32, &n->plan));
    int64_t dims[4] = {SAMPLES, 3, arch.size_px, arch.size_px};
    int64_t pixels[4] = {SAMPLES, arch.size_px, arch.size_px, 2};
    n->image = ark_plan_input(n->plan, "image", 4, dims, false);
    ark_encode_to_maps(n->plan, n->image, &arch, 0, maps);
    int64_t channels;
    require(ark_parse_i64(ark_st_meta(n->file, "channels"), &channels), "channels");
    const ark_upernet_opts o = {.channels = (int)channels, .classes = 2, .norm = true};
    n->logits = ark_upernet(n->plan, maps, ark_encode_maps(&arch), &o, arch.size_px, arch.size_px);
    ark_plan_output(n->plan, n->logits);
    n->target = ark_plan_input(n->plan, "target", 4, pixels, false);
    n->mask = ark_plan_input(n->plan, "mask", 4, pixels, false);
    n->dice = ark_plan_output(n->plan, ark_dice_logits(n->plan, n->logits, n->target, n->mask, 1));
    n->bce = ark_plan_output(n->plan, ark_bce_logits(n->plan, n->logits, n->target, n->mask));
    must(ark_plan_finish(n->plan, n->dev, mode));
    must(ark_params_alloc(n->params, n->dev, 1u << ARK_COL_STUDENT | 1u << ARK_COL_GRAD, false));
    load_weights(n);
    must(ark_space_new(n->dev, &n->plan, 1, true, &n->space));
}

static void release(net *n) {
    ark_space_free(n->space);
    ark_plan_free(n->plan);
    ark_params_free(n->params);
    ark_dev_close(n->dev);
    ark_st_close(n->file);
}

static void write(const net *n, const ark_run *run, const ark_tensor *t, const char *name) {
    float *v = values(part(n, name, ""));
    must(ark_run_write(run, n->plan, t, v));
    ark_free(v);
}

/* |got - want| <= tol * (largest |want|). */
static void expect_near(const char *what, const float *got, const ark_st_tensor *t, double tol) {
    float *want = values(t);
    double most = 1e-6, worst = 0;
    for (int64_t i = 0; i < t->numel; i++) {
        most = fmax(most, fabs((double)want[i]));
        worst = fmax(worst, fabs((double)got[i] - (double)want[i]));
        require(isfinite(got[i]), "%s: element %lld is not finite", what, (long long)i);
    }
    require(worst <= tol * most, "%s: off by %g of %g", what, worst, most);
    ark_free(want);
}

static void read_and_compare(const net *n, const ark_run *run, const char *name, double tol) {
    const ark_st_tensor *t = part(n, name, "");
    float *got = ark_calloc((size_t)t->numel, sizeof *got);
    must(ark_run_read(run, n->plan, n->logits, got));
    expect_near(name, got, t, tol);
    ark_free(got);
}

static ark_run make_run(const net *n, bool stochastic) {
    return (ark_run){.space = n->space,
        .params = n->params,
        .weights = ARK_COL_STUDENT,
        .batch = SAMPLES,
        .stochastic = stochastic};
}

static void infer(const char *backend, int threads) {
    net n;
    build(&n, backend, threads, ARK_PLAN_INFER);
    ark_run run = make_run(&n, false);
    write(&n, &run, n.image, "x");
    must(ark_run_forward(&run, n.plan));
    read_and_compare(&n, &run, "eval_logits", 2e-5);
    must(ark_space_check(n.space, n.plan));
    release(&n);
}

static void compare_parameters(
    const net *n, ark_column column, const char *prefix, bool buffers, double tol) {
    int compared = 0;
    for (int i = 0; i < ark_params_count(n->params); i++) {
        const ark_param *p = ark_params_at(n->params, i);
        const ark_st_tensor *t = part(n, prefix, p->name);
        if (p->buffer != buffers || !strncmp(p->name, "norm.", 5)) { /* no decoder reads the last norm */
            continue;
        }
        require(t != NULL, "%s%s is not in the golden file", prefix, p->name);
        float *got = ark_calloc((size_t)p->numel, sizeof *got);
        must(ark_params_read(n->params, column, i, got));
        expect_near(p->name, got, t, tol);
        ark_free(got);
        compared++;
    }
    require(compared > 10, "%s: %d tensors compared", prefix, compared);
}

static void train(const char *backend, int threads) {
    net n;
    float dice, bce;
    build(&n, backend, threads, ARK_PLAN_TRAIN);
    ark_run run = make_run(&n, true);
    write(&n, &run, n.image, "x");
    write(&n, &run, n.target, "target");
    write(&n, &run, n.mask, "mask");
    must(ark_run_forward(&run, n.plan));
    read_and_compare(&n, &run, "train_logits", 2e-4); /* the 1 x 1 bins normalise by three values */
    must(ark_run_read(&run, n.plan, n.dice, &dice));
    must(ark_run_read(&run, n.plan, n.bce, &bce));
    float loss = dice + bce;
    expect_near("loss", &loss, part(&n, "loss", ""), 1e-5);
    const ark_seed seeds[] = {{.t = n.dice, .scale = 1}, {.t = n.bce, .scale = 1}};
    must(ark_run_backward(&run, n.plan, seeds, 2));
    must(ark_space_check(n.space, n.plan));
    compare_parameters(&n, ARK_COL_GRAD, "grad/", false, 2e-3);
    compare_parameters(&n, ARK_COL_STUDENT, "after/", true, 1e-5);
    release(&n);
}

static void by_running_statistics(void **state) {
    (void)state;
    infer("ref", 1);
    infer("cpu", 1);
    infer("cpu", 3);
}

static void as_training(void **state) {
    (void)state;
    train("ref", 1);
    train("cpu", 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_running_statistics),
        cmocka_unit_test(as_training),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
