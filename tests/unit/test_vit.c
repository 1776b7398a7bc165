/* The ViT family around its arithmetic: names, positions of another grid, what is read off shapes, the
 * plan. */
#include "backend/backend.h"
#include "base/alloc.h"
#include "core/plan.h"
#include "io/safetensors.h"
#include "io_check.h"
#include "model/model.h"
#include "model/state_family.h"
#include "nn/ark_net.h"
#include "nn/vit.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void expect_name(const char *theirs, const char *ours) {
    char out[ARK_WEIGHT_NAME_MAX] = "?";
    assert_int_equal(ark_vit_name(theirs, out), ours != NULL);
    assert_string_equal(out, ours ? ours : "?");
}

/* torchvision/models/vision_transformer.py, facebookresearch/dino and mae. */
static void names_of_other_programs(void **state) {
    (void)state;
    expect_name("class_token", "cls_token");
    expect_name("encoder.pos_embedding", "pos_embed");
    expect_name("conv_proj.weight", "patch_embed.proj.weight");
    expect_name("encoder.ln.bias", "norm.bias");
    expect_name("encoder.layers.encoder_layer_0.ln_1.weight", "blocks.0.norm1.weight");
    expect_name("encoder.layers.encoder_layer_11.self_attention.in_proj_weight", "blocks.11.attn.qkv.weight");
    expect_name("encoder.layers.encoder_layer_2.self_attention.in_proj_bias", "blocks.2.attn.qkv.bias");
    expect_name("encoder.layers.encoder_layer_2.self_attention.out_proj.bias", "blocks.2.attn.proj.bias");
    expect_name("encoder.layers.encoder_layer_2.ln_2.bias", "blocks.2.norm2.bias");
    expect_name("encoder.layers.encoder_layer_2.mlp.0.weight", "blocks.2.mlp.fc1.weight");
    expect_name("encoder.layers.encoder_layer_2.mlp.3.weight", "blocks.2.mlp.fc2.weight");
    expect_name("encoder.layers.encoder_layer_2.mlp.linear_1.bias", "blocks.2.mlp.fc1.bias");
    expect_name("encoder.layers.encoder_layer_2.mlp.linear_2.bias", "blocks.2.mlp.fc2.bias");
    expect_name("backbone.blocks.3.attn.qkv.weight", "blocks.3.attn.qkv.weight");
    expect_name("heads.head.weight", "");
    expect_name("decoder_blocks.0.attn.qkv.weight", NULL); /* pretraining parts are listed, not dropped */
    expect_name("mask_token", NULL);
    expect_name("blocks.0.norm1.weight", NULL);
    expect_name("encoder.layers.encoder_layer_0.surprise", NULL);
    expect_name("layers.0.blocks.0.norm1.weight", NULL);
}

/* timm's resample_abs_pos_embed: 3x3 to 4x4 and to 2x2 (tests/golden/make_vit.py). */
static void positions_are_resampled_as_in_timm(void **state) {
    (void)state;
    static const struct {
        const char *name;
        int side;
    } to[] = {{"param64/pos_embed", 4}, {"pos_embed_2x2", 2}};
    ark_st_file *f;
    check_ok(ark_st_open(ARK_TEST_DIR "/golden/vit.safetensors", &f));
    const ark_st_tensor *from = ark_st_find(f, "param/pos_embed");
    float src[10 * 48], want[17 * 48], got[17 * 48];
    check_ok(ark_st_read_f32(from, src));
    for (int i = 0; i < 2; i++) {
        const ark_st_tensor *t = ark_st_find(f, to[i].name);
        assert_int_equal(t->numel, (to[i].side * to[i].side + 1) * 48);
        check_ok(ark_st_read_f32(t, want));
        ark_pos_embed_resize(src, 3, got, to[i].side, 48);
        for (int k = 0; k < t->numel; k++) {
            assert_true(fabsf(got[k] - want[k]) < 1e-6f);
        }
    }
    ark_st_close(f);
}

/* --- files --- */

static ark_dev *dev;

static ark_params *random_weights(const ark_net *net) {
    ark_params *params;
    check_ok(ark_params_new(&params));
    check_ok(ark_net_declare(net, params));
    check_ok(ark_params_alloc(params, dev, 1u << ARK_COL_STUDENT, false));
    check_ok(ark_params_init(params, ARK_COL_STUDENT, 7));
    return params;
}

/* A file as another program leaves it: the tensors alone. */
static void save_foreign(const char *path, const ark_params *params, const char *without) {
    ark_st_writer *w;
    check_ok(ark_st_writer_new(&w));
    for (int i = 0; i < ark_params_count(params); i++) {
        const ark_param *p = ark_params_at(params, i);
        const float *v = ark_params_column(params, ARK_COL_STUDENT) + p->offset;
        if (strcmp(p->name, without)) {
            check_ok(ark_st_writer_add(w, p->name, ARK_ST_F32, p->file_ndim ? p->file_ndim : p->ndim,
                p->file_ndim ? p->file_dims : p->dims, v));
        }
    }
    check_ok(ark_st_writer_save(w, path));
    ark_st_writer_free(w);
}

static void expect_arch(const char *path, int size_px, const char *arch) {
    ark_model *m;
    char text[ARK_ARCH_TEXT];
    check_ok(ark_model_describe(path, &(ark_model_opts){.size_px = size_px}, &m));
    assert_string_equal(ark_arch_print(&m->net.arch, text, sizeof text), arch);
    assert_false(m->size_assumed);
    ark_model_free(m);
}

static void shapes_tell_the_architecture(void **state) {
    (void)state;
    const char *path = temp_name("vit");
    ark_net net = {0};
    ark_model *m;
    check_ok(ark_arch_parse("vit:embed=128,depth=3,heads=2,patch=8,size=24", &net.arch));
    ark_params *params = random_weights(&net);
    save_foreign(path, params, "");
    expect_arch(path, 0, "vit:embed=128,depth=3,heads=2,patch=8,size=24");
    expect_arch(path, 40, "vit:embed=128,depth=3,heads=2,patch=8,size=40");

    /* A grid of 5 x 5 instead of 3 x 3: positions are resampled, the rest is as it was. */
    check_ok(ark_model_open(path, &(ark_model_opts){.size_px = 40}, dev, &m));
    const ark_param *pos = ark_params_at(m->params, ark_params_find(m->params, "pos_embed"));
    const ark_param *old = ark_params_at(params, ark_params_find(params, "pos_embed"));
    float *want = ark_calloc(26 * 128, sizeof *want);
    ark_pos_embed_resize(ark_params_column(params, ARK_COL_STUDENT) + old->offset, 3, want, 5, 128);
    assert_memory_equal(
        ark_params_column(m->params, ARK_COL_STUDENT) + pos->offset, want, 26 * 128 * sizeof *want);
    assert_false(pos->decay);
    ark_free(want);
    ark_model_free(m);

    save_foreign(path, params, "pos_embed");
    check_error(
        ark_model_describe(path, &(ark_model_opts){0}, &m), ARK_EFORMAT, path, "pos_embed is missing");
    save_foreign(path, params, "blocks.1.attn.proj.bias");
    check_error(ark_model_open(path, &(ark_model_opts){0}, dev, &m), ARK_EFORMAT, path,
        "missing blocks.1.attn.proj.bias");
    ark_params_free(params);
    unlink(path);
}

static void mean_pooling_and_heads(void **state) {
    (void)state;
    const char *path = temp_name("vit");
    ark_net net = {0};
    ark_model *m;
    check_ok(ark_arch_parse("vit:embed=64,depth=1,heads=1,patch=8,size=16,pool=avg", &net.arch));
    ark_params *params = random_weights(&net);
    assert_true(ark_params_find(params, "norm.weight") < 0);
    save_foreign(path, params, "");
    expect_arch(path, 0, "vit:embed=64,depth=1,heads=1,patch=8,size=16,pool=avg");
    ark_params_free(params);

    check_ok(ark_arch_parse("vit:embed=48,depth=1,heads=3,patch=8,size=16", &net.arch));
    params = random_weights(&net);
    save_foreign(path, params, "");
    check_error(ark_model_describe(path, &(ark_model_opts){0}, &m), ARK_EFORMAT, path,
        "the number of heads is not told");
    check_ok(ark_model_open(
        path, &(ark_model_opts){.arch = "vit:embed=48,depth=1,heads=3,patch=8,size=16"}, dev, &m));
    ark_model_free(m);

    /* A file of ours says it. */
    ark_preproc pre = ark_preproc_default(16);
    check_ok(ark_weights_save(path, &net, &pre, params, ARK_COL_STUDENT, NULL));
    expect_arch(path, 0, "vit:embed=48,depth=1,heads=3,patch=8,size=16");
    ark_params_free(params);
    unlink(path);
}

/* --- the plan --- */

/* timm: drop-path grows linearly over the blocks and both halves of a block have its rate. */
static void drop_path_grows_over_blocks(void **state) {
    (void)state;
    ark_arch a;
    ark_params *params;
    ark_plan *p;
    check_ok(ark_arch_parse("vit:embed=8,depth=5,heads=2,patch=8,size=16", &a));
    check_ok(ark_params_new(&params));
    check_ok(ark_plan_new(params, 2, ARK_F32, &p));
    ark_tensor *image = ark_plan_input(p, "image", 4, (int64_t[4]){2, 3, 16, 16}, false);
    ark_plan_output(p, ark_encode(p, image, &a, 0.2f, NULL));
    check_ok(ark_plan_finish(p, dev, ARK_PLAN_TRAIN));
    static const float want[] = {0, 0.05f, 0.1f, 0.15f, 0.2f};
    int n = 0;
    for (int i = 0; i < ark_plan_node_count(p); i++) {
        const ark_node *node = ark_plan_node(p, i);
        if (node->op == ARK_OP_RESIDUAL) {
            assert_true(fabsf(node->a.residual.rate - want[n / 2]) < 1e-7f);
            /* the last block goes on with the class token alone */
            assert_int_equal(node->out->ndim, n / 2 == 4 ? 2 : 3);
            n++;
        }
    }
    assert_int_equal(n, 10);
    ark_plan_free(p);
    ark_params_free(params);
}

/* Feature maps come at evenly spaced depths, and there are fewer where there are fewer blocks. */
static void expect_maps(const char *arch, int n, int side) {
    ark_arch a;
    ark_params *params;
    ark_plan *p;
    ark_tensor *maps[ARK_MAX_STAGES] = {0};
    check_ok(ark_arch_parse(arch, &a));
    check_ok(ark_params_new(&params));
    check_ok(ark_plan_new(params, 1, ARK_F32, &p));
    ark_tensor *image = ark_plan_input(p, "image", 4, (int64_t[4]){1, 3, a.size_px, a.size_px}, false);
    ark_plan_output(p, ark_encode(p, image, &a, 0, maps));
    check_ok(ark_plan_error(p));
    assert_int_equal(ark_encode_maps(&a), n);
    for (int i = 0; i < n; i++) {
        assert_int_equal(maps[i]->ndim, 4);
        assert_int_equal(maps[i]->dims[1], side);
        assert_int_equal(maps[i]->dims[3], a.vit.embed);
        assert_true(i == 0 || maps[i]->id > maps[i - 1]->id);
    }
    ark_plan_free(p);
    ark_params_free(params);
}

static void feature_maps(void **state) {
    (void)state;
    expect_maps("vit:embed=8,depth=12,heads=2,patch=8,size=32", 4, 4);
    expect_maps("vit:embed=8,depth=6,heads=2,patch=8,size=16", 4, 2);
    expect_maps("vit:embed=8,depth=2,heads=2,patch=8,size=16,pool=avg", 2, 2);
}

static int open_device(void **state) {
    (void)state;
    return ark_dev_open("ref", 1, &dev);
}

static int close_device(void **state) {
    (void)state;
    ark_dev_close(dev);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_other_programs),
        cmocka_unit_test(positions_are_resampled_as_in_timm),
        cmocka_unit_test(shapes_tell_the_architecture),
        cmocka_unit_test(mean_pooling_and_heads),
        cmocka_unit_test(drop_path_grows_over_blocks),
        cmocka_unit_test(feature_maps),
    };
    return cmocka_run_group_tests_name("ViT", tests, open_device, close_device);
}
