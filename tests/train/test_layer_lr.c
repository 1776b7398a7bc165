/* Learning rates per layer: factors and three AdamW steps against PyTorch and timm in float64
 * (tests/golden/finetune.safetensors, whose encoder starts from swin.safetensors); what frozen parts keep. */
#include "backend/backend.h"
#include "base/alloc.h"
#include "base/str.h"
#include "common/check.h"
#include "io/safetensors.h"
#include "nn/encoder.h"
#include "train/layer_lr.h"
#include "train/trainer.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { K = 5, STEPS = 3, BATCH = 3, SIDE = 56, PIXELS = 3 * SIDE * SIDE };

static ark_st_file *swin, *golden;

static char *class_names[] = {"a", "b", "c", "d", "e"};
static ark_head head = {.dataset = "target", .task = ARK_MULTILABEL, .n_classes = K, .classes = class_names};

static ark_net make_net(ark_projector projector) {
    ark_net net = {.projector = projector, .projector_dim = 24, .n_heads = 1, .heads = &head};
    must(ark_arch_parse(ark_st_meta(swin, "arch56"), &net.arch));
    return net;
}

static const ark_st_tensor *find(const ark_st_file *f, const char *prefix, const char *name) {
    char full[160];
    snprintf(full, sizeof full, "%s%s", prefix, name);
    const ark_st_tensor *t = ark_st_find(f, full);
    require(t != NULL, "no %s in the golden file", full);
    return t;
}

static float *read_floats(const ark_st_tensor *t) {
    float *v = ark_calloc((size_t)t->numel, sizeof *v);
    require(v != NULL, "out of memory");
    must(ark_st_read_f32(t, v));
    return v;
}

static double number(const char *key) {
    double v;
    require(ark_parse_f64(ark_st_meta(golden, key), &v), "no number %s", key);
    return v;
}

/* timm calls the head head.fc. */
static const char *golden_name(const char *name) {
    return strncmp(name, "omni_heads.0.", 13) ? name : name[13] == 'w' ? "head.fc.weight" : "head.fc.bias";
}

static void load_start(ark_params *store) {
    for (int i = 0; i < ark_params_count(store); i++) {
        const ark_param *p = ark_params_at(store, i);
        const ark_st_tensor *t =
            p->group ? find(golden, "head/", p->name + 13) : find(swin, "param/", p->name);
        require(t->numel == p->numel, "%s has %lld elements", p->name, (long long)p->numel);
        float *v = read_floats(t);
        must(ark_params_write(store, ARK_COL_STUDENT, i, v));
        ark_free(v);
    }
}

static float *read_images(int first, int n) {
    float *all = read_floats(find(swin, "images56", "")), *some;
    some = ark_calloc((size_t)n * PIXELS, sizeof *some);
    for (int i = 0; i < n * PIXELS; i++) {
        some[i] = all[first * PIXELS + i] / 32.0f;
    }
    ark_free(all);
    return some;
}

/* --- factors --- */

static void factors_equal_timm(void **state) {
    (void)state;
    ark_net net = make_net(ARK_PROJECTOR_NONE);
    ark_params *store;
    must(ark_params_new(&store));
    must(ark_net_declare(&net, store));
    double scale[256];
    must(ark_layer_lr(&net, store, number("layer_decay"), scale));
    for (int i = 0; i < ark_params_count(store); i++) {
        const ark_st_tensor *t = find(golden, "scale/", golden_name(ark_params_at(store, i)->name));
        double want;
        memcpy(&want, t->data, sizeof want);
        require(fabs(scale[i] - want) < 1e-15, "%s: %.17g, timm has %.17g", ark_params_at(store, i)->name,
            scale[i], want);
    }
    ark_params_free(store);
}

/* By hand: 2-2-1-1 blocks are depths 1 to 6, the patch embedding 0, projector and head 7. */
static void factors_by_hand(void **state) {
    (void)state;
    static const struct {
        const char *name;
        int below_top;
    } rows[] = {{"patch_embed.proj.weight", 7}, {"patch_embed.norm.bias", 7},
        {"layers.0.blocks.0.attn.qkv.weight", 6}, {"layers.0.blocks.1.mlp.fc2.bias", 5},
        {"layers.1.downsample.reduction.weight", 4}, {"layers.1.blocks.0.norm1.weight", 4},
        {"layers.1.blocks.1.attn.relative_position_bias_table", 3}, {"layers.2.downsample.norm.bias", 2},
        {"layers.3.blocks.0.norm2.bias", 1}, {"norm.weight", 1}, {"projector.weight", 0},
        {"omni_heads.0.bias", 0}};
    ark_net net = make_net(ARK_PROJECTOR_LINEAR);
    ark_params *store;
    must(ark_params_new(&store));
    must(ark_net_declare(&net, store));
    double scale[256];
    must(ark_layer_lr(&net, store, 0.5, scale));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int at = ark_params_find(store, rows[i].name);
        require(at >= 0 && scale[at] == ldexp(1, -rows[i].below_top), "%s: %g", rows[i].name, scale[at]);
    }
    net.freeze = ARK_FREEZE_ENCODER;
    must(ark_layer_lr(&net, store, 1, scale));
    assert_true(scale[ark_params_find(store, "norm.weight")] == 0);
    assert_true(scale[ark_params_find(store, "projector.weight")] == 1);
    net.freeze = ARK_FREEZE_FEATURES;
    must(ark_layer_lr(&net, store, 0, scale));
    assert_true(scale[ark_params_find(store, "projector.bias")] == 0);
    assert_true(scale[ark_params_find(store, "omni_heads.0.weight")] == 1);
    ark_params_free(store);
}

static void family_without_order(void **state) {
    (void)state;
    ark_net net = make_net(ARK_PROJECTOR_NONE);
    ark_encoder other = *net.arch.family;
    ark_params *store;
    double scale[256];
    other.name = "other";
    other.depth = NULL;
    must(ark_params_new(&store));
    must(ark_net_declare(&net, store));
    net.arch.family = &other;
    must(ark_layer_lr(&net, store, 1, scale));
    assert_true(scale[0] == 1);
    assert_int_equal(ark_layer_lr(&net, store, 0.9, scale), ARK_EINVAL);
    assert_non_null(strstr(ark_err_msg(), "other"));
    ark_params_free(store);
}

/* --- steps --- */

static ark_trainer_opts adamw(void) {
    return (ark_trainer_opts){.batch = BATCH,
        .layer_decay = number("layer_decay"),
        .optim = {.adamw = true,
            .decay = number("weight_decay"),
            .beta1 = number("beta1"),
            .beta2 = number("beta2"),
            .eps = number("eps")}};
}

static void run_steps(ark_trainer *t, double *loss) {
    float *images = read_images(0, STEPS * BATCH), *labels = read_floats(find(golden, "labels", "")),
          *mask = read_floats(find(golden, "mask", ""));
    for (int i = 0; i < STEPS; i++) {
        const ptrdiff_t row = (ptrdiff_t)i * BATCH;
        ark_step step = {.n = BATCH,
            .student = images + row * PIXELS,
            .labels = labels + row * K,
            .mask = mask + row * K,
            .width = K,
            .lr = number("lr"),
            .step = (uint64_t)i};
        ark_step_result r;
        must(ark_trainer_step(t, &step, &r));
        loss[i] = r.loss;
    }
    ark_free(images);
    ark_free(labels);
    ark_free(mask);
}

/* How far a parameter got from the reference, over how far it went: AdamW divides gradients by their size,
 * so that float32's error of small ones shows. */
static void check_final(ark_trainer *t) {
    ark_params *store = ark_trainer_params(t);
    double worst = 0;
    int checked = 0;
    for (int i = 0; i < ark_params_count(store); i++) {
        const ark_param *p = ark_params_at(store, i);
        if (p->numel >= 512) {
            continue;
        }
        const ark_st_tensor *want = find(golden, "final/", golden_name(p->name)),
                            *from = p->group ? find(golden, "head/", p->name + 13)
                                             : find(swin, "param/", p->name);
        float *start = read_floats(from), *got = ark_calloc((size_t)p->numel, sizeof *got);
        double off = 0, moved = 0;
        must(ark_params_read(store, ARK_COL_STUDENT, i, got));
        for (int64_t k = 0; k < p->numel; k++) {
            double w;
            memcpy(&w, (const char *)want->data + (size_t)k * sizeof w, sizeof w);
            off += (got[k] - w) * (got[k] - w);
            moved += (w - start[k]) * (w - start[k]);
        }
        require(
            moved > 0 && sqrt(off / moved) < 3e-4, "%s: off by %.3g of its way", p->name, sqrt(off / moved));
        worst = fmax(worst, sqrt(off / moved));
        checked++;
        ark_free(start);
        ark_free(got);
    }
    assert_true(checked > 60);
    print_message("           %d parameters, off by at most %.2g of their way\n", checked, worst);
}

static void three_steps(void **state) {
    const char *backend = *state;
    ark_net net = make_net(ARK_PROJECTOR_NONE);
    ark_trainer_opts o = adamw();
    ark_dev *dev;
    ark_trainer *t;
    double loss[STEPS], want[STEPS];
    must(ark_dev_open(backend, 2, &dev));
    must(ark_trainer_new(&net, &o, dev, &t));
    load_start(ark_trainer_params(t));
    must(ark_trainer_loaded(t, false));
    run_steps(t, loss);
    memcpy(want, find(golden, "loss", "")->data, sizeof want);
    for (int i = 0; i < STEPS; i++) {
        require(fabs(loss[i] - want[i]) < 1e-5, "step %d: loss %.9g, not %.9g", i, loss[i], want[i]);
    }
    check_final(t);
    ark_trainer_free(t);
    ark_dev_close(dev);
}

/* Frozen parts keep every bit, and a frozen encoder leaves no gradient and hence no backward pass. */
static void frozen_parts_stay(void **state) {
    (void)state;
    static const ark_freeze kinds[] = {ARK_FREEZE_ENCODER, ARK_FREEZE_FEATURES};
    ark_dev *dev;
    must(ark_dev_open("cpu", 2, &dev));
    double flops_all = 0;
    for (int kind = -1; kind < 2; kind++) {
        ark_net net = make_net(ARK_PROJECTOR_LINEAR);
        net.freeze = kind < 0 ? ARK_FREEZE_NONE : kinds[kind];
        ark_trainer_opts o = adamw();
        ark_trainer *t;
        double loss[STEPS];
        must(ark_trainer_new(&net, &o, dev, &t));
        ark_params *store = ark_trainer_params(t);
        size_t bytes = (size_t)ark_params_elems(store) * sizeof(float);
        float *before = ark_calloc(bytes, 1);
        memcpy(before, ark_params_column(store, ARK_COL_STUDENT), bytes); /* the cpu's memory is the host's */
        run_steps(t, loss);
        const float *after = ark_params_column(store, ARK_COL_STUDENT);
        for (int i = 0; i < ark_params_count(store); i++) {
            const ark_param *p = ark_params_at(store, i);
            bool projector = !strncmp(p->name, "projector.", 10);
            bool keeps = p->group == 0 && (projector ? net.freeze == ARK_FREEZE_FEATURES : kind >= 0);
            bool same = !memcmp(before + p->offset, after + p->offset, (size_t)p->numel * sizeof(float));
            require(same == keeps, "freeze %d: %s %s", (int)net.freeze, p->name, same ? "stayed" : "moved");
        }
        double flops = ark_trainer_flops_per_image(t);
        flops_all = kind < 0 ? flops : flops_all;
        assert_true(kind < 0 || flops < 0.4 * flops_all);
        assert_true(loss[STEPS - 1] != loss[0]);
        ark_free(before);
        ark_trainer_free(t);
    }
    ark_dev_close(dev);
}

static int open_golden(void **state) {
    (void)state;
    must(ark_st_open(ARK_TEST_DIR "/golden/swin.safetensors", &swin));
    return ark_st_open(ARK_TEST_DIR "/golden/finetune.safetensors", &golden);
}

static int close_golden(void **state) {
    (void)state;
    ark_st_close(golden);
    ark_st_close(swin);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(factors_equal_timm),
        cmocka_unit_test(factors_by_hand),
        cmocka_unit_test(family_without_order),
        {"three AdamW steps, ref", three_steps, NULL, NULL, "ref"},
        {"three AdamW steps, cpu", three_steps, NULL, NULL, "cpu"},
        cmocka_unit_test(frozen_parts_stay),
    };
    return cmocka_run_group_tests_name("layers", tests, open_golden, close_golden);
}
