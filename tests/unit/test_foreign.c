/* Weights of others: names of torchvision and of larger models, heads of the released sizes, the teacher
 * in a checkpoint of upstream's, conversion between formats. Files of make_pth.py. */
#include "backend/backend.h"
#include "base/alloc.h"
#include "base/file.h"
#include "io_check.h"
#include "model/convert.h"
#include "model/weight_file.h"

#define GOLDEN ARK_TEST_DIR "/golden/pth/"

static void expect_name(const char *from, ark_name_style style, const char *prefix, const char *to) {
    char name[ARK_WEIGHT_NAME_MAX];
    assert_true(ark_weight_name(from, (ark_name_rule){style, prefix}, name));
    assert_string_equal(name, to);
}

static void torchvision_names_are_spelt_out(void **state) {
    (void)state;
    static const char *const pairs[][2] = {
        {"features.0.0.weight", "patch_embed.proj.weight"},
        {"features.0.2.bias", "patch_embed.norm.bias"},
        {"features.0.3.bias", "features.0.3.bias"},
        {"module.features.1.1.norm1.weight", "layers.0.blocks.1.norm1.weight"},
        {"features.1.0.mlp.0.bias", "layers.0.blocks.0.mlp.fc1.bias"},
        {"features.5.17.mlp.3.weight", "layers.2.blocks.17.mlp.fc2.weight"},
        {"features.2.reduction.weight", "layers.1.downsample.reduction.weight"},
        {"features.6.norm.weight", "layers.3.downsample.norm.weight"},
        {"features.7.1.attn.relative_position_bias_table",
            "layers.3.blocks.1.attn.relative_position_bias_table"},
        {"features.x", "features.x"},
        {"features.3.y", "features.3.y"},
        {"norm.weight", "norm.weight"},
        {"head.weight", "head.weight"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        expect_name(pairs[i][0], ARK_NAMES_TORCHVISION, "", pairs[i][1]);
    }
    expect_name("backbone.layers.0.downsample.norm.bias", ARK_NAMES_STAGE_END, "backbone.",
        "layers.1.downsample.norm.bias");
    expect_name("module.encoder.norm.bias", ARK_NAMES_TIMM, "encoder.", "norm.bias");
    expect_name("layers.1x.downsample.norm.bias", ARK_NAMES_STAGE_END, "", "layers.1x.downsample.norm.bias");
    expect_name("layers.-1.downsample.norm.bias", ARK_NAMES_STAGE_END, "", "layers.-1.downsample.norm.bias");
}

static ark_name_rule rule_of(const char *path) {
    ark_tensor_file *f;
    check_ok(ark_tensor_file_open(path, NULL, &f));
    ark_name_rule rule = ark_weight_rule(f);
    ark_tensor_file_close(f);
    return rule;
}

static void a_files_own_naming_is_found(void **state) {
    (void)state;
    ark_name_rule rule = rule_of(GOLDEN "torchvision.pth");
    assert_int_equal(rule.style, ARK_NAMES_TORCHVISION);
    assert_string_equal(rule.prefix, "");
    rule = rule_of(GOLDEN "simmim.pth");
    assert_int_equal(rule.style, ARK_NAMES_STAGE_END);
    assert_string_equal(rule.prefix, "encoder.");
    rule = rule_of(GOLDEN "ark.pth.tar");
    assert_int_equal(rule.style, ARK_NAMES_STAGE_END);
    assert_string_equal(rule.prefix, "");
    assert_int_equal(rule_of(ARK_TEST_DIR "/golden/embed_new.safetensors").style, ARK_NAMES_TIMM);
}

/* What an encoder's pretraining leaves beside it is listed, one by one, not dropped. */
static void what_stands_beside_the_encoder_is_listed(void **state) {
    (void)state;
    ark_dev *dev;
    ark_model *m;
    ark_model_opts o = {0};
    check_ok(ark_backend_ref.open(1, &dev));
    check_error(ark_model_open(GOLDEN "simmim.pth", &o, dev, &m), ARK_EFORMAT, "unexpected decoder.0.bias",
        "unexpected decoder.0.weight", "unexpected mask_token");
    o.allow_missing = true;
    check_ok(ark_model_open(GOLDEN "simmim.pth", &o, dev, &m));
    assert_int_equal(m->n_unmatched, 3);
    assert_string_equal(m->unmatched[2], "unexpected mask_token");
    ark_model_free(m);
    ark_backend_ref.close(dev);
}

static void every_key_that_does_not_fit_is_listed(void **state) {
    (void)state;
    ark_dev *dev;
    ark_model *m;
    ark_model_opts o = {.arch = "swin:embed=4,depths=2-3,heads=1-2,window=4,size=32", .allow_missing = true};
    check_ok(ark_backend_ref.open(1, &dev));
    check_ok(ark_model_open(GOLDEN "microsoft.pth", &o, dev, &m));
    assert_int_equal(m->n_unmatched, 26); /* two blocks of 13 tensors */
    assert_non_null(strstr(m->report, "; and 18 more"));
    for (size_t i = 0; i < m->n_unmatched; i++) {
        assert_non_null(
            strstr(m->unmatched[i], i < 13 ? "missing layers.1.blocks.1." : "missing layers.1.blocks.2."));
    }
    ark_model_free(m);
    ark_backend_ref.close(dev);
}

/* --- heads --- */

static void released_heads_get_their_names(void **state) {
    (void)state;
    static const char *const datasets[] = {
        "MIMIC", "CheXpert", "ChestXray14", "RSNAPneumonia", "VinDrCXR", "Shenzhen"};
    static const char *const last[] = {
        "Support Devices", "Support Devices", "Hernia", "Lung Opacity", "No finding", "TB"};
    ark_model *m;
    ark_model_opts o = {0};
    check_ok(ark_model_describe(GOLDEN "ark.pth.tar", &o, &m));
    assert_true(m->heads_known);
    assert_false(m->ours);
    assert_int_equal(m->net.n_heads, 6);
    assert_int_equal(m->net.projector, ARK_PROJECTOR_MLP);
    for (int i = 0; i < 6; i++) {
        const ark_head *h = &m->net.heads[i];
        assert_string_equal(h->dataset, datasets[i]);
        assert_string_equal(h->classes[h->n_classes - 1], last[i]);
        assert_int_equal(h->task, i == 3 ? ARK_MULTICLASS : i == 5 ? ARK_BINARY : ARK_MULTILABEL);
    }
    assert_string_equal(m->net.heads[1].classes[2], "Cardiomegaly");
    assert_string_equal(m->net.heads[2].classes[5], "Nodule");
    assert_string_equal(m->net.heads[4].classes[3], "Tuberculosis");
    assert_non_null(strstr(m->note, "reads key teacher (also there: state_dict)"));
    ark_model_free(m);
}

static void write_text(const char *path, const char *text) {
    check_ok(ark_file_write(path, text, strlen(text)));
}

static void heads_can_be_named(void **state) {
    (void)state;
    char yaml[256];
    ark_model *m;
    snprintf(yaml, sizeof yaml, "%s", temp_name("heads.yaml"));
    ark_model_opts o = {.heads = yaml};
    const char *path = ARK_TEST_DIR "/golden/embed_new.safetensors"; /* one head of three */
    write_text(yaml, "ward:\n  diseases: [fluid, air, none]\n  task_type: multi-class classification\n");
    check_ok(ark_model_describe(path, &o, &m));
    assert_string_equal(m->net.heads[0].dataset, "ward");
    assert_string_equal(m->net.heads[0].classes[1], "air");
    assert_int_equal(m->net.heads[0].task, ARK_MULTICLASS);
    ark_model_free(m);
    write_text(yaml, "ward:\n  classes: [fluid, air]\n");
    check_error(ark_model_describe(path, &o, &m), ARK_EINVAL, yaml, "2 classes, head 0 has 3 outputs");
    write_text(yaml, "ward:\n  classes: [fluid, air, none]\n  task: both\n");
    check_error(ark_model_describe(path, &o, &m), ARK_EINVAL, yaml, "task 'both'");
    write_text(yaml, "a:\n  classes: [b]\nc:\n  classes: [d]\n");
    check_error(ark_model_describe(path, &o, &m), ARK_EINVAL, yaml, "2 heads", path, "has 1");
    write_text(yaml, "a: 3\n");
    check_error(ark_model_describe(path, &o, &m), ARK_EINVAL, yaml, "no list 'diseases'");
    unlink(yaml);
    o.heads = "ark6";
    check_error(
        ark_model_describe(path, &o, &m), ARK_EINVAL, path, "its 1 heads are not of 14, 14, 14, 3, 6 and 1");
}

/* --- conversion --- */

static void convert(const char *in, const ark_model_opts *o, const char *out, ark_weights_format format,
    size_t tensors, size_t left_out) {
    ark_converted r;
    check_ok(ark_weights_convert(in, o, out, format, &r));
    assert_int_equal(r.tensors, tensors);
    assert_int_equal(r.left_out, left_out);
    ark_converted_free(&r);
}

static void same_files(const char *a, const char *b) {
    char *x, *y;
    size_t n, m;
    check_ok(ark_file_read(a, 1 << 20, &x, &n));
    check_ok(ark_file_read(b, 1 << 20, &y, &m));
    assert_int_equal(n, m);
    assert_memory_equal(x, y, n);
    ark_free(x);
    ark_free(y);
}

static void conversion_there_and_back_changes_no_byte(void **state) {
    (void)state;
    char ours[256], pth[256], again[256], timm[256];
    ark_model_opts o = {0};
    snprintf(ours, sizeof ours, "%s", temp_name("a.safetensors"));
    snprintf(pth, sizeof pth, "%s", temp_name("b.pth"));
    snprintf(again, sizeof again, "%s", temp_name("c.safetensors"));
    snprintf(timm, sizeof timm, "%s", temp_name("d.safetensors"));
    convert(GOLDEN "ark.pth.tar", &o, ours, ARK_WEIGHTS_ARK, 64, 0);
    convert(ours, &o, pth, ARK_WEIGHTS_PTH, 64, 0);
    convert(pth, &o, again, ARK_WEIGHTS_ARK, 64, 0);
    same_files(ours, again);
    convert(ours, &o, again, ARK_WEIGHTS_PTH, 64, 0);
    same_files(pth, again);

    convert(pth, &o, timm, ARK_WEIGHTS_TIMM, 48, 16);
    ark_st_file *f;
    check_ok(ark_st_open(timm, &f));
    assert_null(ark_st_find(f, "projector.0.weight"));
    assert_non_null(ark_st_find(f, "layers.1.downsample.reduction.weight"));
    assert_string_equal(ark_st_meta(f, "format"), "pt");
    ark_st_close(f);

    check_ok(ark_st_open(ours, &f));
    assert_string_equal(ark_st_meta(f, "converted_from"), "ark.pth.tar, key teacher");
    ark_st_close(f);
    unlink(ours);
    unlink(pth);
    unlink(again);
    unlink(timm);
}

/* A parameter that was missing stays missing, so that the new file is refused as the old one was. */
static void missing_parameters_stay_missing(void **state) {
    (void)state;
    const char *path = temp_name("gap.safetensors");
    ark_model_opts o = {.arch = "swin:embed=4,depths=2-2,heads=1-2,window=4,size=32", .allow_missing = true};
    ark_dev *dev;
    ark_model *m;
    ark_converted r;
    check_ok(ark_weights_convert(GOLDEN "microsoft.pth", &o, path, ARK_WEIGHTS_ARK, &r));
    assert_int_equal(r.model.n_unmatched, 13);
    ark_converted_free(&r);
    ark_model_opts plain = {0};
    check_ok(ark_backend_ref.open(1, &dev));
    check_error(ark_model_open(path, &plain, dev, &m), ARK_EFORMAT, "missing layers.1.blocks.1.norm1.weight");
    ark_backend_ref.close(dev);
    unlink(path);
    check_error(
        ark_weights_convert(GOLDEN "microsoft.pth", &plain, "/nonexistent/x.pth", ARK_WEIGHTS_PTH, &r),
        ARK_EIO, "/nonexistent/x.pth");
    ark_converted_free(&r);
}

/* What pretraining does with model.init: encoder only, projector and heads keep their values. */
static void a_pth_starts_an_encoder(void **state) {
    (void)state;
    ark_dev *dev;
    ark_params *p;
    ark_net net = {.projector = ARK_PROJECTOR_LINEAR, .projector_dim = 5};
    check_ok(ark_arch_parse("swin:embed=4,depths=2-1,heads=1-2,window=4,size=32", &net.arch));
    check_ok(ark_backend_ref.open(1, &dev));
    check_ok(ark_params_new(&p));
    check_ok(ark_net_declare(&net, p));
    check_ok(ark_params_alloc(p, dev, 1u << ARK_COL_STUDENT, false));
    check_ok(ark_weights_load_key(GOLDEN "ark.pth.tar", "state_dict", p, ARK_COL_STUDENT, true));
    ark_tensor_file *f;
    float want[4], got[4], projector[40];
    check_ok(ark_tensor_file_open(GOLDEN "ark.pth.tar", "state_dict", &f));
    check_ok(ark_st_read_f32(ark_tensor_file_find(f, "module.patch_embed.proj.bias"), want));
    check_ok(ark_params_read(p, ARK_COL_STUDENT, ark_params_find(p, "patch_embed.proj.bias"), got));
    assert_memory_equal(got, want, sizeof want);
    check_ok(ark_params_read(p, ARK_COL_STUDENT, ark_params_find(p, "projector.weight"), projector));
    assert_true(projector[7] == 0);
    ark_tensor_file_close(f);
    check_error(ark_weights_load_key(GOLDEN "ark.pth.tar", "ema", p, ARK_COL_STUDENT, true), ARK_EINVAL,
        "no key 'ema'");
    ark_params_free(p);
    ark_backend_ref.close(dev);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(torchvision_names_are_spelt_out),
        cmocka_unit_test(a_files_own_naming_is_found),
        cmocka_unit_test(what_stands_beside_the_encoder_is_listed),
        cmocka_unit_test(every_key_that_does_not_fit_is_listed),
        cmocka_unit_test(released_heads_get_their_names),
        cmocka_unit_test(heads_can_be_named),
        cmocka_unit_test(conversion_there_and_back_changes_no_byte),
        cmocka_unit_test(missing_parameters_stay_missing),
        cmocka_unit_test(a_pth_starts_an_encoder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
