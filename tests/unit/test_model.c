/* Weight files and sessions: what is written is read back, foreign names and shapes are understood, whatever
 * does not fit is refused by name, and a session's results do not depend on how images are batched. */
#include "backend/backend.h"
#include "base/alloc.h"
#include "base/rng.h"
#include "golden/bias_table.h"
#include "io_check.h"
#include "model/model.h"
#include "model/session.h"
#include "model/weight_file.h"

#include <math.h>

static const char tiny[] = "swin:embed=8,depths=1-2,heads=2-4,window=4,size=32";

/* A network of two heads over the tiny encoder, its parameters drawn from a seed, on the
 * reference backend. */
typedef struct fixture {
    ark_dev *dev;
    ark_net net;
    ark_preproc pre;
    ark_params *params;
} fixture;

static void add_head(ark_head *h, const char *dataset, ark_task task, const char *const *classes, int n) {
    *h = (ark_head){.task = task, .n_classes = n, .dataset = ark_strdup(dataset)};
    h->classes = ark_calloc((size_t)n, sizeof *h->classes);
    for (int k = 0; k < n; k++) {
        h->classes[k] = ark_strdup(classes[k]);
    }
}

static void set_up(fixture *f, const char *arch, ark_projector projector) {
    static const char *const findings[] = {"Edema", "Lung \"Lesion\", left", "R\xc3\xb6ntgen"};
    static const char *const kinds[] = {"normal", "bacterial"};
    *f = (fixture){0};
    check_ok(ark_backend_ref.open(1, &f->dev));
    check_ok(ark_arch_parse(arch, &f->net.arch));
    f->net.drop_path = 0.1f;
    f->net.projector = projector;
    f->net.projector_dim = projector == ARK_PROJECTOR_NONE ? 0 : 6;
    f->net.heads = ark_calloc(2, sizeof *f->net.heads);
    f->net.n_heads = 2;
    add_head(&f->net.heads[0], "NIH", ARK_MULTILABEL, findings, 3);
    add_head(&f->net.heads[1], "kermany", ARK_MULTICLASS, kinds, 2);
    f->pre = ark_preproc_default(f->net.arch.size_px);
    f->pre.filter = ARK_BICUBIC;
    f->pre.mean[1] = 0.5056f;
    check_ok(ark_params_new(&f->params));
    check_ok(ark_net_declare(&f->net, f->params));
    check_ok(ark_params_alloc(f->params, f->dev, 1u << ARK_COL_STUDENT | 1u << ARK_COL_TEACHER, false));
    check_ok(ark_params_init(f->params, ARK_COL_STUDENT, 7));
}

static void tear_down(fixture *f) {
    ark_params_free(f->params);
    ark_net_free(&f->net);
    ark_backend_ref.close(f->dev);
}

static const float *values(const ark_params *s, ark_column c, const char *name) {
    int i = ark_params_find(s, name);
    assert_true(i >= 0);
    return ark_params_column(s, c) + ark_params_at(s, i)->offset;
}

static void same_params(const ark_params *a, ark_column ca, const ark_params *b, ark_column cb) {
    assert_int_equal(ark_params_count(a), ark_params_count(b));
    for (int i = 0; i < ark_params_count(a); i++) {
        const ark_param *p = ark_params_at(a, i);
        assert_memory_equal(values(a, ca, p->name), values(b, cb, p->name), (size_t)p->numel * sizeof(float));
    }
}

static ark_status open_model(fixture *f, const char *path, const char *arch, bool allow, ark_model **m) {
    ark_model_opts o = {.arch = arch, .allow_missing = allow};
    return ark_model_open(path, &o, f->dev, m);
}

/* --- our own files --- */

static void round_trip(ark_projector projector) {
    fixture f;
    ark_model *m = NULL;
    const char *path = temp_name("model");
    const char *const extra[] = {"note", "a \"quoted\" note", NULL};
    set_up(&f, tiny, projector);
    check_ok(ark_weights_save(path, &f.net, &f.pre, f.params, ARK_COL_STUDENT, extra));
    check_ok(open_model(&f, path, NULL, false, &m));
    assert_true(m->ours);
    assert_string_equal(m->report, "");
    assert_memory_equal(&m->net.arch, &f.net.arch, sizeof m->net.arch);
    assert_true(m->net.drop_path == 0.1f);
    assert_int_equal(m->net.projector, projector);
    assert_int_equal(m->net.projector_dim, f.net.projector_dim);
    assert_int_equal(m->net.n_heads, 2);
    for (int i = 0; i < 2; i++) {
        const ark_head *a = &m->net.heads[i], *b = &f.net.heads[i];
        assert_string_equal(a->dataset, b->dataset);
        assert_int_equal(a->task, b->task);
        assert_int_equal(a->n_classes, b->n_classes);
        for (int k = 0; k < a->n_classes; k++) {
            assert_string_equal(a->classes[k], b->classes[k]);
        }
    }
    assert_int_equal(m->pre.size_px, 32);
    assert_int_equal(m->pre.resize_px, f.pre.resize_px);
    assert_int_equal(m->pre.filter, ARK_BICUBIC);
    assert_memory_equal(m->pre.mean, f.pre.mean, sizeof f.pre.mean);
    assert_memory_equal(m->pre.std, f.pre.std, sizeof f.pre.std);
    same_params(f.params, ARK_COL_STUDENT, m->params, ARK_COL_STUDENT);
    assert_null(ark_params_column(m->params, ARK_COL_TEACHER));

    check_ok(ark_weights_load(path, f.params, ARK_COL_TEACHER, false));
    same_params(f.params, ARK_COL_STUDENT, f.params, ARK_COL_TEACHER);
    ark_model_free(m);
    tear_down(&f);
    unlink(path);
}

static void files_of_ours_come_back(void **state) {
    (void)state;
    round_trip(ARK_PROJECTOR_NONE);
    round_trip(ARK_PROJECTOR_LINEAR);
    round_trip(ARK_PROJECTOR_MLP);
}

static void convolution_has_its_shape_in_files(void **state) {
    (void)state;
    fixture f;
    ark_st_file *st;
    const char *path = temp_name("conv");
    set_up(&f, tiny, ARK_PROJECTOR_NONE);
    check_ok(ark_weights_save(path, &f.net, &f.pre, f.params, ARK_COL_STUDENT, NULL));
    check_ok(ark_st_open(path, &st));
    const ark_st_tensor *t = ark_st_find(st, "patch_embed.proj.weight");
    assert_int_equal(t->ndim, 4);
    assert_int_equal(t->shape[0], 8);
    assert_int_equal(t->shape[1], 3);
    assert_int_equal(t->shape[3], 4);
    ark_st_close(st);
    tear_down(&f);
    unlink(path);
}

static void encoder_alone_is_loaded(void **state) {
    (void)state;
    fixture f, g;
    const char *path = temp_name("encoder");
    set_up(&f, tiny, ARK_PROJECTOR_LINEAR);
    set_up(&g, tiny, ARK_PROJECTOR_MLP);
    check_ok(ark_params_init(g.params, ARK_COL_STUDENT, 8));
    check_ok(ark_params_init(g.params, ARK_COL_TEACHER, 8));
    check_ok(ark_weights_save(path, &f.net, &f.pre, f.params, ARK_COL_STUDENT, NULL));
    check_error(ark_weights_load(path, g.params, ARK_COL_STUDENT, false), ARK_EFORMAT, path,
        "missing projector.0.weight", "unexpected projector.weight");
    check_ok(ark_weights_load(path, g.params, ARK_COL_STUDENT, true));
    const char *qkv = "layers.1.blocks.1.attn.qkv.weight", *head = "omni_heads.1.weight";
    assert_memory_equal(
        values(g.params, ARK_COL_STUDENT, qkv), values(f.params, ARK_COL_STUDENT, qkv), 48 * 16 * 4);
    assert_memory_equal(
        values(g.params, ARK_COL_STUDENT, head), values(g.params, ARK_COL_TEACHER, head), 2 * 6 * 4);
    tear_down(&f);
    tear_down(&g);
    unlink(path);
}

/* --- files of others --- */

static const char *old_name(const char *name, char buf[256]) {
    int stage, at = 0;
    if (sscanf(name, "layers.%d.downsample.%n", &stage, &at) == 1 && at) {
        snprintf(buf, 256, "module.layers.%d.downsample.%s", stage - 1, name + at);
    } else {
        snprintf(buf, 256, "module.%s", name);
    }
    return buf;
}

/* The fixture's student as a state dict under timm 0.5.4's names with buffers and a classifier, as
 * DataParallel saves it; change(i, ...) may alter one parameter or leave it out. */
typedef struct change {
    const char *drop, *add, *reshape, *spoil;
    bool no_buffers;
} change;

static void write_old(const fixture *f, const char *path, const change *c) {
    static const float zeros[256 * 16];
    static const int64_t index[256];
    ark_st_writer *w;
    char name[256];
    check_ok(ark_st_writer_new(&w));
    for (int i = 0; i < ark_params_count(f->params); i++) {
        const ark_param *p = ark_params_at(f->params, i);
        const float *data = ark_params_column(f->params, ARK_COL_STUDENT) + p->offset;
        int64_t flat = p->numel;
        bool reshape = c->reshape && !strcmp(c->reshape, p->name);
        if (c->drop && !strcmp(c->drop, p->name)) {
            continue;
        }
        if (c->spoil && !strcmp(c->spoil, p->name)) {
            ((float *)(uintptr_t)data)[2] = NAN;
        }
        check_ok(ark_st_writer_add(w, old_name(p->name, name), ARK_ST_F32,
            reshape ? 1 : (p->file_ndim ? p->file_ndim : p->ndim),
            reshape ? &flat : (p->file_ndim ? p->file_dims : p->dims), data));
    }
    int64_t mask[3] = {1, 16, 16}, square[2] = {16, 16}, row = 8;
    if (!c->no_buffers) {
        check_ok(ark_st_writer_add(w, "module.layers.0.blocks.1.attn_mask", ARK_ST_F32, 3, mask, zeros));
        check_ok(ark_st_writer_add(
            w, "module.layers.1.blocks.0.attn.relative_position_index", ARK_ST_I64, 2, square, index));
        check_ok(ark_st_writer_add(w, "module.head.weight", ARK_ST_F32, 1, &row, zeros));
    }
    if (c->add) {
        check_ok(ark_st_writer_add(w, c->add, ARK_ST_F32, 1, &row, zeros));
    }
    check_ok(ark_st_writer_save(w, path));
    ark_st_writer_free(w);
}

static void old_names_are_understood(void **state) {
    (void)state;
    fixture f;
    ark_model *m;
    change none = {0};
    const char *path = temp_name("old");
    set_up(&f, tiny, ARK_PROJECTOR_MLP);
    write_old(&f, path, &none);
    ark_model_opts o = {.size_px = 32};
    check_ok(ark_model_open(path, &o, f.dev, &m));
    assert_false(m->ours);
    assert_false(m->size_assumed);
    assert_memory_equal(&m->net.arch, &f.net.arch, sizeof m->net.arch);
    assert_int_equal(m->net.projector, ARK_PROJECTOR_MLP);
    assert_int_equal(m->net.n_heads, 2);
    assert_int_equal(m->net.heads[0].n_classes, 3);
    assert_int_equal(m->net.heads[1].n_classes, 2);
    same_params(f.params, ARK_COL_STUDENT, m->params, ARK_COL_STUDENT);
    ark_model_free(m);
    tear_down(&f);
    unlink(path);
}

static void expect_name(const char *from, bool at_end, const char *to) {
    char name[ARK_WEIGHT_NAME_MAX];
    ark_name_rule rule = {at_end ? ARK_NAMES_STAGE_END : ARK_NAMES_TIMM, ""};
    assert_true(ark_weight_name(from, rule, name));
    assert_string_equal(name, to);
}

static void names_are_mapped(void **state) {
    (void)state;
    expect_name("layers.0.downsample.norm.weight", true, "layers.1.downsample.norm.weight");
    expect_name("module.layers.2.downsample.reduction.weight", true, "layers.3.downsample.reduction.weight");
    expect_name("layers.1.downsample.norm.bias", false, "layers.1.downsample.norm.bias");
    expect_name("layers.1.blocks.0.norm1.bias", true, "layers.1.blocks.0.norm1.bias");
    expect_name("module.module.norm.weight", false, "module.norm.weight");
    assert_true(ark_weight_ignored("head.fc.weight"));
    assert_true(ark_weight_ignored("head.bias"));
    assert_true(ark_weight_ignored("layers.0.blocks.1.attn_mask"));
    assert_true(ark_weight_ignored("layers.0.blocks.1.attn.relative_position_index"));
    assert_false(ark_weight_ignored("layers.0.blocks.1.attn.relative_position_bias_table"));
    assert_false(ark_weight_ignored("omni_heads.0.weight"));
    char name[ARK_WEIGHT_NAME_MAX], longer[ARK_WEIGHT_NAME_MAX + 8];
    memset(longer, 'x', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    assert_false(ark_weight_name(longer, (ark_name_rule){.prefix = ""}, name));
}

static void expect_size(const char *arch, bool masks, int size_px) {
    fixture f;
    ark_model *m;
    ark_model_opts o = {0};
    change c = {.no_buffers = !masks};
    const char *path = temp_name("size");
    set_up(&f, arch, ARK_PROJECTOR_NONE);
    write_old(&f, path, &c);
    check_ok(ark_model_describe(path, &o, &m));
    assert_int_equal(m->net.arch.size_px, size_px);
    assert_int_equal(m->size_assumed, !masks);
    ark_model_free(m);
    tear_down(&f);
    unlink(path);
}

static void size_is_read_off_masks_and_windows(void **state) {
    (void)state;
    /* The mask (1,16,16) says one window of 4 tokens of 4 pixels. */
    expect_size("swin:embed=4,depths=2-1,heads=1-1,window=4,size=64", true, 16);
    /* Liu et al.: 224 for window 7, 384 for window 12. */
    expect_size("swin:embed=4,depths=1-1-1-1,heads=1-1-1-1,window=7,size=224", false, 224);
    expect_size("swin:embed=4,depths=1-1-1-1,heads=1-1-1-1,window=12,size=384", false, 384);
    /* Grids of 16, 8, 4, 2 tokens cut the last two windows; of 11, 6, 3, 2 as well (44 pixels or less). */
    expect_size("swin:embed=4,depths=1-1-1-1,heads=1-1-1-1,window=7,size=64", false, 64);
    expect_size("swin:embed=4,depths=1-1-1-1,heads=1-1-1-1,window=5,size=44", false, 48);
}

static void what_does_not_fit_is_named(void **state) {
    (void)state;
    fixture f;
    ark_model *m = NULL;
    const char *path = temp_name("misfit");
    set_up(&f, tiny, ARK_PROJECTOR_LINEAR);
    change c = {.drop = "layers.1.blocks.0.mlp.fc1.bias",
        .add = "layers.9.surprise",
        .reshape = "layers.1.downsample.reduction.weight"};
    write_old(&f, path, &c);
    check_error(open_model(&f, path, tiny, false, &m), ARK_EFORMAT, path,
        "missing layers.1.blocks.0.mlp.fc1.bias", "unexpected layers.9.surprise",
        "layers.1.downsample.reduction.weight is (512), the model has (16,32)");
    assert_null(m);
    check_ok(open_model(&f, path, tiny, true, &m));
    assert_non_null(strstr(m->report, "missing layers.1.blocks.0.mlp.fc1.bias"));
    const char *qkv = "layers.1.blocks.1.attn.qkv.weight";
    assert_memory_equal(
        values(m->params, ARK_COL_STUDENT, qkv), values(f.params, ARK_COL_STUDENT, qkv), 48 * 16 * 4);
    ark_model_free(m);

    change many = {.drop = "norm.weight"};
    write_old(&f, path, &many);
    check_error(open_model(&f, path, "swin:embed=8,depths=2-2,heads=2-4,window=4,size=32", false, &m),
        ARK_EFORMAT, "missing layers.0.blocks.1.norm1.weight", "; and 6 more");

    change nan = {.spoil = "layers.0.blocks.0.attn.proj.weight"};
    write_old(&f, path, &nan);
    check_error(open_model(&f, path, tiny, true, &m), ARK_EFORMAT, "layers.0.blocks.0.attn.proj.weight",
        "element 2 is", "nan");
    tear_down(&f);
    unlink(path);
}

static void two_names_for_one_tensor_are_refused(void **state) {
    (void)state;
    fixture f;
    ark_model *m;
    change twice = {.add = "norm.bias"}; /* beside module.norm.bias */
    const char *path = temp_name("twice");
    set_up(&f, tiny, ARK_PROJECTOR_NONE);
    write_old(&f, path, &twice);
    check_error(open_model(&f, path, tiny, false, &m), ARK_EFORMAT, "norm.bias", "are the same tensor");
    tear_down(&f);
    unlink(path);
}

/* --- hostile files --- */

/* Tables of eight stages and a wide patch embedding in a file of 50 kB: refused by what is missing, before
 * memory is taken for the 100 GB that such a network would need. */
static void claims_are_checked_before_memory_is_taken(void **state) {
    (void)state;
    static const float zeros[256 * 48];
    const char *path = temp_name("claim");
    ark_st_writer *w;
    ark_dev *dev;
    ark_model *m;
    ark_model_opts o = {0};
    int64_t conv[4] = {256, 3, 4, 4}, table[2] = {1, 1};
    check_ok(ark_st_writer_new(&w));
    check_ok(ark_st_writer_add(w, "patch_embed.proj.weight", ARK_ST_F32, 4, conv, zeros));
    for (int s = 0; s < 8; s++) {
        char name[96];
        snprintf(name, sizeof name, "layers.%d.blocks.0.attn.relative_position_bias_table", s);
        check_ok(ark_st_writer_add(w, name, ARK_ST_F32, 2, table, zeros));
    }
    check_ok(ark_st_writer_save(w, path));
    ark_st_writer_free(w);
    check_ok(ark_backend_ref.open(1, &dev));
    uint64_t before = ark_alloc_get_stats().peak_bytes;
    check_error(ark_model_open(path, &o, dev, &m), ARK_EFORMAT, path, "missing patch_embed.proj.bias");
    assert_true(ark_alloc_get_stats().peak_bytes - before < 1 << 20);
    ark_backend_ref.close(dev);
    unlink(path);
}

static void expect_bad_meta(const char *key, const char *value, const char *text) {
    fixture f;
    ark_model *m;
    const char *path = temp_name("meta");
    const char *const good[][2] = {{"format", "arkfm"}, {"version", "1"},
        {"config", "{\"arch\":\"swin_tiny\",\"drop_path\":0.1,\"projector\":\"mlp\",\"projector_dim\":8}"},
        {"heads", "[{\"dataset\":\"d\",\"task\":\"binary\",\"classes\":[\"c\"]}]"},
        {"preprocessing", "{\"size\":224,\"resize\":256,\"filter\":\"bilinear\",\"mean\":[0,0,0],"
                          "\"std\":[1,1,1]}"}};
    ark_st_writer *w;
    set_up(&f, tiny, ARK_PROJECTOR_NONE);
    check_ok(ark_st_writer_new(&w));
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        bool changed = !strcmp(good[i][0], key);
        if (!changed || value) {
            check_ok(ark_st_writer_meta(w, good[i][0], changed ? value : good[i][1]));
        }
    }
    check_ok(ark_st_writer_save(w, path));
    ark_st_writer_free(w);
    check_error(open_model(&f, path, NULL, false, &m), ARK_EFORMAT, path, text);
    tear_down(&f);
    unlink(path);
}

static void bad_metadata_is_refused(void **state) {
    (void)state;
    expect_bad_meta("none", NULL, "missing patch_embed.proj.weight"); /* all metadata good, no tensors */
    expect_bad_meta("version", "2", "weight file version 2, this program reads version 1");
    expect_bad_meta("version", NULL, "version (none)");
    expect_bad_meta("config", NULL, "no metadata config");
    expect_bad_meta("config", "{", "metadata config: ");
    expect_bad_meta("config", "{\"arch\":\"swin_tinny\"}", "did you mean swin_tiny");
    expect_bad_meta(
        "config", "{\"arch\":\"swin_tiny\",\"drop_path\":2}", "drop_path is not a number in [0,1)");
    expect_bad_meta("config",
        "{\"arch\":\"swin_tiny\",\"drop_path\":0,\"projector\":\"mlp\",\"projector_dim\":1e9}",
        "projector_dim is not a whole number in 1..65536");
    expect_bad_meta("config", "{\"arch\":\"swin_base\",\"arch\":\"swin_tiny\"}", "duplicate object key");
    expect_bad_meta("heads", "{}", "not a list of at most 1024 heads");
    expect_bad_meta("heads", "[{\"dataset\":\"d\",\"task\":\"binary\",\"classes\":[]}]", "classes is not");
    expect_bad_meta(
        "heads", "[{\"dataset\":\"d\",\"task\":\"guess\",\"classes\":[\"c\"]}]", "unknown task 'guess'");
    expect_bad_meta("heads", "[{\"dataset\":\"d\",\"task\":\"binary\",\"classes\":[7]}]", "a list of names");
    expect_bad_meta("preprocessing",
        "{\"size\":112,\"resize\":256,\"filter\":\"bilinear\",\"mean\":[0,0,0],\"std\":[1,1,1]}",
        "images of 112 px for a network of 224 px");
    expect_bad_meta("preprocessing",
        "{\"size\":224,\"resize\":256,\"filter\":\"bilinear\",\"mean\":[0,0],\"std\":[1,1,1]}",
        "mean is not a list of three numbers");
}

/* --- bias tables --- */

static void check_resize(bool geometric, int m, int n, int heads, const float *expected) {
    float src[81 * 3], dst[225 * 3];
    for (int i = 0; i < (2 * m - 1) * (2 * m - 1) * heads; i++) {
        src[i] = (float)(sin(0.7 * i) + 0.01 * i);
    }
    check_ok(ark_bias_table_resize(geometric, src, m, dst, n, heads));
    for (int i = 0; i < (2 * n - 1) * (2 * n - 1) * heads; i++) {
        assert_float_equal(dst[i], expected[i], 2e-6);
    }
}

static void tables_are_resized_as_torch_does(void **state) {
    (void)state;
    check_resize(false, 3, 5, 2, table_3_to_5);
    check_resize(false, 5, 3, 3, table_5_to_3);
    check_resize(false, 1, 2, 1, table_1_to_2);
    check_resize(false, 4, 2, 2, table_4_to_2);
}

static void tables_are_resized_by_distance_as_scipy_does(void **state) {
    (void)state;
    check_resize(true, 3, 5, 2, far_3_to_5);
    check_resize(true, 4, 6, 1, far_4_to_6);
    check_resize(true, 5, 3, 3, far_5_to_3);
    check_resize(true, 3, 8, 1, far_3_to_8); /* the ratio ends at 1.5: outer entries are the nearest ones */
    check_resize(true, 1, 2, 1, table_1_to_2);
}

static void another_window_resizes_tables_only(void **state) {
    (void)state;
    fixture f;
    ark_model *m;
    const char *path = temp_name("window");
    const char *table = "layers.0.blocks.0.attn.relative_position_bias_table";
    float expected[9 * 9 * 2];
    set_up(&f, tiny, ARK_PROJECTOR_LINEAR);
    check_ok(ark_weights_save(path, &f.net, &f.pre, f.params, ARK_COL_STUDENT, NULL));
    check_ok(open_model(&f, path, "swin:embed=8,depths=1-2,heads=2-4,window=5,size=64", false, &m));
    assert_int_equal(m->pre.size_px, 64);
    assert_int_equal(m->pre.filter, ARK_BICUBIC);
    check_ok(ark_bias_table_resize(false, values(f.params, ARK_COL_STUDENT, table), 4, expected, 5, 2));
    assert_memory_equal(values(m->params, ARK_COL_STUDENT, table), expected, sizeof expected);
    const char *fc = "layers.0.blocks.0.mlp.fc1.weight";
    assert_memory_equal(
        values(m->params, ARK_COL_STUDENT, fc), values(f.params, ARK_COL_STUDENT, fc), 32 * 8 * 4);
    check_error(ark_weights_load(path, m->params, ARK_COL_STUDENT, false), ARK_EFORMAT,
        "relative_position_bias_table is (49,2), the model has (81,2)");
    ark_model_free(m);
    tear_down(&f);
    unlink(path);
}

/* --- sessions --- */

enum { IMAGES = 5, PIXELS = 3 * 32 * 32 };

static void results_do_not_depend_on_batching(void **state) {
    (void)state;
    fixture f;
    float *images = ark_calloc(IMAGES * PIXELS, sizeof *images);
    float encoder[2][IMAGES * 16], projected[2][IMAGES * 6], findings[2][IMAGES * 3], kinds[2][IMAGES * 2];
    ark_rng r = ark_rng_at(3, ARK_RNG_TEST, 0, 0, 0);
    set_up(&f, tiny, ARK_PROJECTOR_MLP);
    for (int i = 0; i < IMAGES * PIXELS; i++) {
        images[i] = (float)ark_rng_normal(&r);
    }
    for (int pass = 0; pass < 2; pass++) {
        ark_session *s;
        float *logits[2] = {findings[pass], kinds[pass]};
        ark_outputs out = {.encoder = encoder[pass], .projected = projected[pass], .logits = logits};
        check_ok(ark_session_new(&f.net, f.params, f.dev, pass ? 2 : 8, ARK_F32, &s));
        check_ok(ark_session_run(s, ARK_COL_STUDENT, images, IMAGES, &out));
        ark_session_free(s);
    }
    assert_memory_equal(encoder[0], encoder[1], sizeof encoder[0]);
    assert_memory_equal(projected[0], projected[1], sizeof projected[0]);
    assert_memory_equal(findings[0], findings[1], sizeof findings[0]);
    assert_memory_equal(kinds[0], kinds[1], sizeof kinds[0]);
    /* The head is a linear map of the projected features. */
    const float *w = values(f.params, ARK_COL_STUDENT, "omni_heads.1.weight");
    const float *b = values(f.params, ARK_COL_STUDENT, "omni_heads.1.bias");
    double sum = b[1];
    for (int d = 0; d < 6; d++) {
        sum += (double)w[6 + d] * projected[0][4 * 6 + d];
    }
    assert_float_equal(kinds[0][4 * 2 + 1], sum, 1e-6);
    ark_free(images);
    tear_down(&f);
}

/* Every allocation fails once: the status says so, nothing is handed out, nothing is left behind. */
static void running_out_of_memory_is_an_error(void **state) {
    (void)state;
    fixture f;
    const char *path = temp_name("oom");
    set_up(&f, tiny, ARK_PROJECTOR_LINEAR);
    check_ok(ark_weights_save(path, &f.net, &f.pre, f.params, ARK_COL_STUDENT, NULL));
    bool done = false;
    for (uint64_t nth = 1; !done; nth++) {
        ark_model *m = NULL;
        ark_session *s = NULL;
        ark_alloc_fail_after(nth);
        ark_status st = open_model(&f, path, NULL, false, &m);
        st = st ? st : ark_session_new(&m->net, m->params, f.dev, 2, ARK_F32, &s);
        ark_alloc_fail_after(0);
        done = st == ARK_OK;
        assert_true(done || st == ARK_ENOMEM);
        assert_true(done || !s);
        ark_session_free(s);
        ark_model_free(m);
    }
    done = false;
    for (uint64_t nth = 1; !done; nth++) {
        ark_alloc_fail_after(nth);
        ark_status st = ark_weights_save(path, &f.net, &f.pre, f.params, ARK_COL_STUDENT, NULL);
        ark_alloc_fail_after(0);
        done = st == ARK_OK;
        assert_true(done || st == ARK_ENOMEM);
    }
    tear_down(&f);
    unlink(path);
}

static void logits_become_probabilities(void **state) {
    (void)state;
    float z[] = {0, 1, 2, 1000, 999, -1000}, s[] = {0, -800, 2, 800};
    ark_logits_to_probabilities(ARK_MULTICLASS, z, 2, 3);
    /* numpy: exp([0,1,2]) / sum; 1 / (1 + e^-1) */
    assert_float_equal(z[0], 0.09003057, 1e-7);
    assert_float_equal(z[2], 0.66524096, 1e-7);
    assert_float_equal(z[3], 0.73105858, 1e-7);
    assert_true(z[5] == 0);
    ark_logits_to_probabilities(ARK_MULTILABEL, s, 2, 2);
    assert_true(s[0] == 0.5f && s[1] == 0 && s[3] == 1);
    assert_float_equal(s[2], 0.88079708, 1e-7);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_of_ours_come_back),
        cmocka_unit_test(convolution_has_its_shape_in_files),
        cmocka_unit_test(encoder_alone_is_loaded),
        cmocka_unit_test(old_names_are_understood),
        cmocka_unit_test(names_are_mapped),
        cmocka_unit_test(size_is_read_off_masks_and_windows),
        cmocka_unit_test(what_does_not_fit_is_named),
        cmocka_unit_test(two_names_for_one_tensor_are_refused),
        cmocka_unit_test(claims_are_checked_before_memory_is_taken),
        cmocka_unit_test(bad_metadata_is_refused),
        cmocka_unit_test(tables_are_resized_as_torch_does),
        cmocka_unit_test(tables_are_resized_by_distance_as_scipy_does),
        cmocka_unit_test(another_window_resizes_tables_only),
        cmocka_unit_test(results_do_not_depend_on_batching),
        cmocka_unit_test(running_out_of_memory_is_an_error),
        cmocka_unit_test(logits_become_probabilities),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
