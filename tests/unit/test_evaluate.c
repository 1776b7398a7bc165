/* Evaluation: which labels count, in which order classes stand, what a loss and a mean over crops are. Scores
 * are checked against single runs of the session on views made one by one, metrics against values by hand. */
#include "backend/backend.h"
#include "base/alloc.h"
#include "base/file.h"
#include "eval/evaluate.h"
#include "io_check.h"

#include <math.h>

enum { SIDE = 40, SAMPLES = 6, INPUT = 16, PIXELS = 3 * INPUT * INPUT };

/* Two heads; the first knows the dataset's classes and one more, in another order. */
static char *findings[] = {"other", "edema", "nodule"}, *kinds[] = {"x", "y", "z"};
static ark_head heads[] = {
    {.dataset = "d", .task = ARK_MULTILABEL, .n_classes = 3, .classes = findings},
    {.dataset = "kinds", .task = ARK_MULTICLASS, .n_classes = 3, .classes = kinds},
};

typedef struct fixture {
    char dir[256];
    ark_dev *dev;
    ark_net net;
    ark_preproc pre;
    ark_params *params;
    ark_session *session;
    ark_loader *loader;
    ark_datasets *data;
} fixture;

static void write_text(const fixture *f, const char *name, const char *text) {
    char path[300];
    snprintf(path, sizeof path, "%s/%s", f->dir, name);
    check_ok(ark_file_write(path, text, strlen(text)));
}

static void image_path(const fixture *f, int i, char path[300]) {
    snprintf(path, 300, "%s/%d.png", f->dir, i);
}

static void write_images(const fixture *f) {
    for (int i = 0; i < SAMPLES; i++) {
        uint8_t px[SIDE * SIDE];
        char path[300];
        for (int k = 0; k < SIDE * SIDE; k++) {
            px[k] = (uint8_t)((k * (3 + i) + (k / SIDE) * 17 * i) & 255);
        }
        image_path(f, i, path);
        check_ok(ark_png_write(path, SIDE, SIDE, 1, px));
    }
}

static int set_up(void **state) {
    fixture *f = ark_calloc(1, sizeof *f);
    *state = f;
    snprintf(f->dir, sizeof f->dir, "%s", temp_name("evaluate"));
    check_ok(ark_mkdirs(f->dir));
    write_images(f);
    write_text(f, "d.yaml",
        "d: {format: csv, list: d.csv, task_type: multi-label, classes: [nodule, edema], test_classes: "
        "[edema]}\n"
        "k: {format: csv, list: k.csv, task_type: multi-class, label: kind, classes: [y, x, z]}\n"
        "u: {format: csv, list: u.csv, task_type: multi-label, classes: [edema, rust]}\n");
    /* -1 is uncertain, blank is missing: neither counts */
    write_text(f, "d.csv",
        "path,split,nodule,edema\n0.png,val,1,0\n1.png,val,-1,1\n2.png,val,0,\n3.png,test,1,1\n4.png,test,0,"
        "0\n");
    write_text(f, "k.csv", "path,split,kind\n0.png,test,x\n5.png,test,z\n2.png,test,\n3.png,test,x\n");
    write_text(f, "u.csv", "path,split,edema,rust\n0.png,test,1,0\n");
    char path[300];
    snprintf(path, sizeof path, "%s/d.yaml", f->dir);
    check_ok(ark_datasets_read(path, NULL, 0, &f->data));

    check_ok(ark_backend_ref.open(1, &f->dev));
    check_ok(ark_arch_parse("swin:embed=4,depths=1-1,heads=1-2,window=2,size=16", &f->net.arch));
    f->net.heads = heads;
    f->net.n_heads = 2;
    f->pre = ark_preproc_default(INPUT);
    check_ok(ark_params_new(&f->params));
    check_ok(ark_net_declare(&f->net, f->params));
    check_ok(ark_params_alloc(f->params, f->dev, 1u << ARK_COL_TEACHER, false));
    check_ok(ark_params_init(f->params, ARK_COL_TEACHER, 5));
    check_ok(ark_session_new(&f->net, f->params, f->dev, 3, ARK_F32, &f->session));
    ark_loader_opts o = ark_loader_default_opts();
    o.batch = 2;
    o.width = 3;
    o.pre = f->pre;
    check_ok(ark_loader_new(&o, &f->loader));
    return 0;
}

static int tear_down(void **state) {
    fixture *f = *state;
    ark_loader_free(f->loader);
    ark_session_free(f->session);
    ark_params_free(f->params);
    ark_backend_ref.close(f->dev);
    ark_datasets_free(f->data);
    check_ok(ark_rmtree(f->dir));
    ark_free(f);
    return 0;
}

static ark_status evaluate(
    fixture *f, const char *dataset, int head, ark_split split, bool ten, ark_scores *s) {
    ark_eval_opts o = {.split = split, .ten_crop = ten, .batch = 2};
    const ark_dataset *d = ark_datasets_find(f->data, dataset);
    return ark_evaluate(f->session, ARK_COL_TEACHER, &f->net, head, f->loader, d, 0, &o, s);
}

/* Logits of a head for one image, on its centre crop or its ten crops. */
static void logits_of(fixture *f, int image, int head, bool ten, double out[10][3]) {
    static float views[10 * PIXELS];
    float z[30], *logits[2] = {NULL, NULL};
    ark_outputs outputs = {.logits = logits};
    ark_viewer *v;
    ark_image im;
    char path[300];
    image_path(f, image, path);
    check_ok(ark_image_read(path, NULL, &im));
    check_ok(ark_viewer_new(&f->pre, &v));
    check_ok(ten ? ark_viewer_ten(v, &im, views) : ark_viewer_centre(v, &im, views));
    logits[head] = z;
    check_ok(ark_session_run(f->session, ARK_COL_TEACHER, views, ten ? 10 : 1, &outputs));
    for (int i = 0; i < (ten ? 30 : 3); i++) {
        out[i / 3][i % 3] = z[i];
    }
    ark_viewer_free(v);
    ark_image_free(&im);
}

static double sigmoid(double z) {
    return 1 / (1 + exp(-z));
}

static void check_row(const float *got, double a, double b, double c) {
    const double want[] = {a, b, c};
    for (int k = 0; k < 3; k++) {
        assert_float_equal(got[k], want[k], 1e-6);
    }
}

static void uncertain_missing_and_foreign_classes_are_masked(void **state) {
    fixture *f = *state;
    ark_scores s;
    check_ok(evaluate(f, "d", 0, ARK_VAL, false, &s));
    assert_int_equal(s.n, 3);
    assert_int_equal(s.k, 3);
    check_row(s.mask, 0, 1, 1); /* other, edema, nodule */
    check_row(s.label, 0, 0, 1);
    check_row(s.mask + 3, 0, 1, 0);
    check_row(s.label + 3, 0, 1, 0);
    check_row(s.mask + 6, 0, 0, 1);
    check_row(s.label + 6, 0, 0, 0);
    double loss = 0;
    for (int i = 0; i < 3; i++) {
        double z[10][3];
        logits_of(f, i, 0, false, z);
        check_row(s.prob + 3 * i, sigmoid(z[0][0]), sigmoid(z[0][1]), sigmoid(z[0][2]));
        for (int k = 0; k < 3; k++) {
            double p = sigmoid(z[0][k]);
            loss -= s.mask[3 * i + k] > 0 ? log(s.label[3 * i + k] > 0 ? p : 1 - p) : 0;
        }
    }
    assert_float_equal(s.loss, loss / 4, 1e-6);
    ark_scores_free(&s);
}

static void test_split_counts_its_own_classes(void **state) {
    fixture *f = *state;
    ark_scores s;
    ark_summary sum;
    check_ok(evaluate(f, "d", 0, ARK_TEST, false, &s));
    assert_int_equal(s.n, 2);
    check_row(s.mask, 0, 1, 0);
    check_row(s.mask + 3, 0, 1, 0);
    check_ok(ark_summarize(&s, &heads[0], &sum));
    assert_int_equal(sum.defined, 1);
    assert_true(sum.mean_auroc == sum.classes[1].auroc);
    assert_true(isnan(sum.classes[2].auroc));
    ark_summary_free(&sum);
    ark_scores_free(&s);
}

static void ten_crops_average_probabilities(void **state) {
    fixture *f = *state;
    ark_scores s;
    check_ok(evaluate(f, "d", 0, ARK_VAL, true, &s));
    for (int i = 0; i < 3; i++) {
        double z[10][3], mean = 0;
        logits_of(f, i, 0, true, z);
        for (int c = 0; c < 10; c++) {
            mean += sigmoid(z[c][1]) / 10;
        }
        assert_float_equal(s.prob[3 * i + 1], mean, 1e-6);
    }
    ark_scores_free(&s);
}

static void multi_class_is_softmax_and_cross_entropy(void **state) {
    fixture *f = *state;
    const int images[] = {0, 5, 2, 3}, truth[] = {0, 2, -1, 0}; /* in the head's order x, y, z */
    ark_scores s;
    double loss = 0;
    check_ok(evaluate(f, "k", 1, ARK_TEST, false, &s));
    assert_int_equal(s.n, 4);
    for (int i = 0; i < 4; i++) {
        double z[10][3], sum = 0;
        logits_of(f, images[i], 1, false, z);
        for (int k = 0; k < 3; k++) {
            sum += exp(z[0][k]);
            assert_true(s.label[3 * i + k] == (float)(truth[i] == k));
            assert_true(s.mask[3 * i + k] == (float)(truth[i] >= 0));
        }
        check_row(s.prob + 3 * i, exp(z[0][0]) / sum, exp(z[0][1]) / sum, exp(z[0][2]) / sum);
        loss -= truth[i] >= 0 ? log(exp(z[0][truth[i]]) / sum) : 0;
    }
    assert_float_equal(s.loss, loss / 3, 1e-6);
    ark_scores_free(&s);
}

static void classes_must_be_the_heads(void **state) {
    fixture *f = *state;
    ark_scores s;
    check_error(evaluate(f, "u", 0, ARK_TEST, false, &s), ARK_EINVAL, "dataset u", "[edema, rust]", "head d",
        "[other, edema, nodule]", "no 'rust'");
}

static void summary_by_hand(void **state) {
    (void)state;
    /* Class 1: positives 0.5 and 0.9 against 0.1 and 0.5: (2 + 1.5) / 4 of the pairs. Class 0 has none. */
    float prob[] = {0.6f, 0.1f, 0.2f, 0.5f, 0.4f, 0.5f, 0.7f, 0.9f}, label[] = {0, 0, 0, 1, 0, 0, 0, 1};
    float mask[] = {1, 1, 1, 1, 1, 1, 0, 1};
    char *names[] = {"a", "b"};
    ark_head h = {.task = ARK_MULTILABEL, .n_classes = 2, .classes = names};
    ark_scores s = {.n = 4, .k = 2, .prob = prob, .label = label, .mask = mask, .loss = 0.25};
    ark_summary sum;
    check_ok(ark_summarize(&s, &h, &sum));
    assert_int_equal(sum.k, 2);
    assert_int_equal(sum.defined, 1);
    assert_true(isnan(sum.classes[0].auroc));
    assert_int_equal(sum.classes[0].n, 3);
    assert_int_equal(sum.classes[0].positives, 0);
    assert_float_equal(sum.classes[0].accuracy, 2.0 / 3, 1e-12); /* 0.6 is called positive */
    assert_float_equal(sum.classes[1].auroc, 0.875, 1e-12);
    assert_float_equal(sum.classes[1].accuracy, 0.75, 1e-12); /* so is the negative 0.5 */
    assert_float_equal(sum.mean_auroc, 0.875, 1e-12);
    assert_float_equal(sum.accuracy, 5.0 / 7, 1e-12);
    assert_true(sum.loss == 0.25);
    ark_summary_free(&sum);
    /* As two exclusive classes: the likeliest are 0, 1, 1, 1, the true ones 0, 1, 0, 1. */
    float exclusive[] = {1, 0, 0, 1, 1, 0, 0, 1}, all[] = {1, 1, 1, 1, 1, 1, 1, 1};
    h.task = ARK_MULTICLASS;
    s.label = exclusive;
    s.mask = all;
    check_ok(ark_summarize(&s, &h, &sum));
    assert_float_equal(sum.accuracy, 0.75, 1e-12);
    ark_summary_free(&sum);
}

static void an_unreadable_image_is_counted_or_named(void **state) {
    fixture *f = *state;
    ark_scores s;
    char path[300];
    image_path(f, 1, path);
    check_ok(ark_file_write(path, "nothing", 7));
    check_error(evaluate(f, "d", 0, ARK_VAL, false, &s), ARK_EFORMAT, "1.png");
    ark_loader_opts o = ark_loader_default_opts();
    o.pre = f->pre;
    o.width = 3;
    o.on_bad = ARK_BAD_SKIP;
    ark_loader_free(f->loader);
    check_ok(ark_loader_new(&o, &f->loader));
    check_ok(evaluate(f, "d", 0, ARK_VAL, false, &s));
    assert_int_equal(s.n, 2);
    assert_int_equal(s.skipped, 1);
    assert_int_equal(s.sample[1], 2);
    ark_scores_free(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(uncertain_missing_and_foreign_classes_are_masked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_split_counts_its_own_classes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(ten_crops_average_probabilities, set_up, tear_down),
        cmocka_unit_test_setup_teardown(multi_class_is_softmax_and_cross_entropy, set_up, tear_down),
        cmocka_unit_test_setup_teardown(classes_must_be_the_heads, set_up, tear_down),
        cmocka_unit_test(summary_by_hand),
        cmocka_unit_test_setup_teardown(an_unreadable_image_is_counted_or_named, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
