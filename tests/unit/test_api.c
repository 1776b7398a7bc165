/* The public headers: what they promise of models, sessions and metrics, against values worked out here. */
#include "ark/ark.h"

#include "backend/backend.h"
#include "base/alloc.h"
#include "base/rng.h"
#include "io_check.h"
#include "model/model.h"

#include <math.h>
#include <pthread.h>
#include <unistd.h>

enum { SIDE = 32, N = 5, PROJECTED = 6, OUTPUTS = 5 };

static char *findings[] = {"Edema", "Nodule"};
static char *kinds[] = {"normal", "bacterial", "viral"};
static ark_head heads[] = {
    {.dataset = "nih", .task = ARK_MULTILABEL, .n_classes = 2, .classes = findings},
    {.dataset = "kermany", .task = ARK_MULTICLASS, .n_classes = 3, .classes = kinds},
};
static const float mean[3] = {0.4f, 0.5f, 0.6f}, deviation[3] = {0.2f, 0.25f, 0.3f};
static const char with_heads[] = "api.safetensors", without_heads[] = "api-none.safetensors";

/* The file's values of the linear heads, to work out probabilities from features. */
static float head_w[2][3 * PROJECTED], head_b[2][3];

static void copy_param(const ark_params *p, const char *name, float *dst) {
    int i = ark_params_find(p, name);
    assert_true(i >= 0);
    const ark_param *q = ark_params_at(p, i);
    memcpy(dst, ark_params_column(p, ARK_COL_STUDENT) + q->offset, (size_t)q->numel * sizeof *dst);
}

static void write_model(const char *path, int n_heads) {
    ark_net net = {.drop_path = 0.1f,
        .projector = n_heads ? ARK_PROJECTOR_LINEAR : ARK_PROJECTOR_NONE,
        .projector_dim = n_heads ? PROJECTED : 0,
        .n_heads = n_heads,
        .heads = n_heads ? heads : NULL};
    ark_dev *dev;
    ark_params *params;
    check_ok(ark_arch_parse("swin:embed=8,depths=1-2,heads=2-4,window=4,size=32", &net.arch));
    ark_preproc pre = ark_preproc_default(SIDE);
    memcpy(pre.mean, mean, sizeof mean);
    memcpy(pre.std, deviation, sizeof deviation);
    pre.filter = ARK_BICUBIC;
    check_ok(ark_dev_open("ref", 1, &dev));
    check_ok(ark_params_new(&params));
    check_ok(ark_net_declare(&net, params));
    check_ok(ark_params_alloc(params, dev, 1u << ARK_COL_STUDENT, false));
    check_ok(ark_params_init(params, ARK_COL_STUDENT, 11));
    check_ok(ark_weights_save(path, &net, &pre, params, ARK_COL_STUDENT, NULL));
    if (n_heads) {
        copy_param(params, "omni_heads.0.weight", head_w[0]);
        copy_param(params, "omni_heads.0.bias", head_b[0]);
        copy_param(params, "omni_heads.1.weight", head_w[1]);
        copy_param(params, "omni_heads.1.bias", head_b[1]);
    }
    ark_params_free(params);
    ark_dev_close(dev);
}

static int write_models(void **state) {
    (void)state;
    write_model(with_heads, 2);
    write_model(without_heads, 0);
    return 0;
}

static ark_infer_model *open_model(const char *path) {
    ark_infer_model *m;
    check_ok(ark_infer_open(path, NULL, &m));
    return m;
}

static ark_infer_session *open_session(const ark_infer_model *m, int threads, int batch) {
    ark_infer_session_opts o = ark_infer_session_default_opts();
    ark_infer_session *s;
    o.threads = threads;
    o.batch = batch;
    check_ok(ark_infer_session_new(m, &o, &s));
    return s;
}

static void draw(uint8_t *px, size_t n) {
    ark_rng r = ark_rng_at(3, ARK_RNG_TEST, 0, 0, 0);
    for (size_t i = 0; i < n; i++) {
        px[i] = (uint8_t)ark_rng_below(&r, 256);
    }
}

typedef struct results {
    float encoder[N * 16], projected[N * PROJECTED], p[N * OUTPUTS];
} results;

static ark_infer_out into(results *r) {
    return (ark_infer_out){.encoder = r->encoder, .projected = r->projected, .probabilities = r->p};
}

/* --- models --- */

static void description_is_the_files(void **state) {
    (void)state;
    ark_infer_model *m = open_model(with_heads);
    const ark_infer_info *i = ark_infer_describe(m);
    assert_string_equal(i->arch, "swin:embed=8,depths=1-2,heads=2-4,window=4,size=32");
    assert_int_equal(i->size_px, SIDE);
    assert_false(i->size_assumed);
    assert_string_equal(i->filter, "bicubic");
    assert_memory_equal(i->mean, mean, sizeof mean);
    assert_memory_equal(i->std, deviation, sizeof deviation);
    assert_int_equal(i->encoder_dim, 16);
    assert_int_equal(i->projected_dim, PROJECTED);
    assert_int_equal(i->outputs, OUTPUTS);
    assert_int_equal(i->n_heads, 2);
    assert_string_equal(i->heads[0].dataset, "nih");
    assert_string_equal(i->heads[0].task, "multi-label");
    assert_string_equal(i->heads[1].task, "multi-class");
    assert_int_equal(i->heads[0].first, 0);
    assert_int_equal(i->heads[1].first, 2);
    assert_int_equal(i->heads[1].n_classes, 3);
    assert_string_equal(i->heads[1].classes[2], "viral");
    assert_true(i->parameters > 16 * PROJECTED);
    ark_infer_close(m);
    ark_infer_close(NULL);
    ark_infer_session_free(NULL);
}

static void model_without_heads_embeds(void **state) {
    (void)state;
    ark_infer_model *m = open_model(without_heads);
    const ark_infer_info *i = ark_infer_describe(m);
    assert_int_equal(i->outputs, 0);
    assert_null(i->heads);
    assert_int_equal(i->projected_dim, 16);
    ark_infer_session *s = open_session(m, 1, 2);
    static uint8_t px[SIDE * SIDE];
    float encoder[16], projected[16], none[1];
    draw(px, sizeof px);
    ark_infer_out out = {.encoder = encoder, .projected = projected, .probabilities = none};
    check_ok(ark_infer_pixels(s, px, 1, SIDE, SIDE, &out));
    assert_memory_equal(encoder, projected, sizeof encoder);
    ark_infer_session_free(s);
    ark_infer_close(m);
}

static void wrong_arguments_are_refused(void **state) {
    (void)state;
    ark_infer_model *m = NULL, *good = open_model(with_heads);
    ark_infer_session *s = NULL;
    ark_infer_opts o = ark_infer_default_opts();
    ark_infer_session_opts so = ark_infer_session_default_opts();
    check_error(ark_infer_open("none.safetensors", NULL, &m), ARK_EIO, "none.safetensors");
    o.backend = "cpuu";
    check_error(ark_infer_open(with_heads, &o, &m), ARK_EINVAL, "did you mean cpu");
    assert_null(m);
    so.batch = 0;
    check_error(ark_infer_session_new(good, &so, &s), ARK_EINVAL, "batch 0");
    assert_null(s);
    s = open_session(good, 1, 2);
    results r;
    ark_infer_out out = into(&r);
    const char *paths[] = {"api.png", "absent.png"};
    uint8_t px[4] = {0};
    check_ok(ark_png_write(paths[0], 2, 2, 1, px));
    check_error(ark_infer_files(s, paths, 2, &out), ARK_EIO, "absent.png");
    check_error(ark_infer_files(s, &(const char *){with_heads}, 1, &out), ARK_EFORMAT, with_heads);
    check_error(ark_infer_pixels(s, px, 1, 0, 2, &out), ARK_EINVAL, "2 x 0");
    check_error(ark_infer_pixels(s, px, 1, 2, 100000, &out), ARK_EINVAL, "100000 x 2");
    check_ok(ark_infer_files(s, paths, 0, &out));
    check_ok(ark_infer_files(s, paths, 1, &out)); /* the session survives what failed */
    ark_infer_session_free(s);
    ark_infer_close(good);
}

/* --- results --- */

/* Probabilities from features by their definition, in double. */
static void expect_probabilities(const results *r, int row) {
    for (int h = 0; h < 2; h++) {
        double e[3], sum = 0;
        int K = heads[h].n_classes;
        for (int k = 0; k < K; k++) {
            double z = (double)head_b[h][k];
            for (int d = 0; d < PROJECTED; d++) {
                z += (double)head_w[h][k * PROJECTED + d] * (double)r->projected[row * PROJECTED + d];
            }
            e[k] = exp(z);
            sum += e[k];
        }
        for (int k = 0; k < K; k++) {
            double expected = h == 0 ? e[k] / (1 + e[k]) : e[k] / sum;
            double got = (double)r->p[row * OUTPUTS + (h ? 2 : 0) + k];
            assert_true(fabs(got - expected) < 1e-5);
        }
    }
}

/* One set of images as files, as pixels and as a tensor normalised by hand, in batches of three sizes. */
static void inputs_agree(void **state) {
    (void)state;
    enum { PX = SIDE * SIDE };
    static const int batches[] = {1, 3, 8};
    static uint8_t px[N * PX];
    static float tensor[N * 3 * PX];
    static results first, r;
    char names[N][32];
    const char *paths[N];
    draw(px, sizeof px);
    for (int i = 0; i < N; i++) {
        snprintf(names[i], sizeof names[i], "api%d.png", i);
        paths[i] = names[i];
        check_ok(ark_png_write(paths[i], SIDE, SIDE, 1, px + i * PX));
        for (int c = 0; c < 3; c++) {
            for (int k = 0; k < PX; k++) {
                tensor[(i * 3 + c) * PX + k] = ((float)px[i * PX + k] / 255.0f - mean[c]) / deviation[c];
            }
        }
    }
    ark_infer_model *m = open_model(with_heads);
    for (int b = 0; b < 3; b++) {
        ark_infer_session *s = open_session(m, 1 + b, batches[b]);
        ark_infer_out out = into(&r);
        memset(&r, 0, sizeof r);
        check_ok(ark_infer_files(s, paths, N, &out));
        if (b == 0) {
            first = r;
        }
        assert_memory_equal(&r, &first, sizeof r);
        memset(&r, 0, sizeof r);
        check_ok(ark_infer_pixels(s, px, N, SIDE, SIDE, &out));
        assert_memory_equal(&r, &first, sizeof r);
        memset(&r, 0, sizeof r);
        check_ok(ark_infer_tensor(s, tensor, N, &out));
        assert_memory_equal(&r, &first, sizeof r);
        ark_infer_session_free(s);
    }
    for (int i = 0; i < N; i++) {
        expect_probabilities(&first, i);
    }
    ark_infer_close(m);
}

static void unwanted_results_are_left_alone(void **state) {
    (void)state;
    static uint8_t px[SIDE * SIDE];
    static results all, one;
    draw(px, sizeof px);
    ark_infer_model *m = open_model(with_heads);
    ark_infer_session *s = open_session(m, 1, 4);
    ark_infer_out out = into(&all);
    check_ok(ark_infer_pixels(s, px, 1, SIDE, SIDE, &out));
    out = (ark_infer_out){.projected = one.projected};
    check_ok(ark_infer_pixels(s, px, 1, SIDE, SIDE, &out));
    assert_memory_equal(one.projected, all.projected, PROJECTED * sizeof(float));
    ark_infer_session_free(s);
    ark_infer_close(m);
}

typedef struct worker {
    const ark_infer_model *model;
    const uint8_t *px;
    results r;
    ark_status st;
} worker;

static void *work(void *arg) {
    worker *w = arg;
    ark_infer_session_opts o = {.threads = 1, .batch = 2};
    ark_infer_session *s = NULL;
    ark_infer_out out = into(&w->r);
    w->st = ark_infer_session_new(w->model, &o, &s);
    for (int i = 0; i < 3 && w->st == ARK_OK; i++) {
        w->st = ark_infer_pixels(s, w->px, N, SIDE, SIDE, &out);
    }
    ark_infer_session_free(s);
    return NULL;
}

static void threads_share_a_model(void **state) {
    (void)state;
    enum { THREADS = 4 };
    static uint8_t px[N * SIDE * SIDE];
    static worker w[THREADS];
    pthread_t t[THREADS];
    draw(px, sizeof px);
    ark_infer_model *m = open_model(with_heads);
    for (int i = 0; i < THREADS; i++) {
        w[i] = (worker){.model = m, .px = px};
        assert_int_equal(pthread_create(&t[i], NULL, work, &w[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(t[i], NULL), 0);
        assert_int_equal(w[i].st, ARK_OK);
        assert_memory_equal(&w[i].r, &w[0].r, sizeof w[0].r);
    }
    expect_probabilities(&w[0].r, N - 1);
    ark_infer_close(m);
}

static void memory_failures_leave_nothing(void **state) {
    (void)state;
    uint64_t before = ark_alloc_get_stats().live_bytes;
    for (uint64_t nth = 1;; nth++) {
        ark_infer_model *m = NULL;
        ark_infer_session *s = NULL;
        ark_infer_opts o = {.backend = "ref"};
        ark_infer_session_opts so = {.threads = 1, .batch = 1};
        ark_alloc_fail_after(nth);
        ark_status st = ark_infer_open(with_heads, &o, &m);
        st = st ? st : ark_infer_session_new(m, &so, &s);
        ark_alloc_fail_after(0);
        ark_infer_session_free(s);
        ark_infer_close(m);
        assert_int_equal(ark_alloc_get_stats().live_bytes, before);
        if (st == ARK_OK) {
            break;
        }
        assert_int_equal(st, ARK_ENOMEM);
    }
}

/* --- metrics --- */

static void close_to(double got, double expected) {
    if (!(fabs(got - expected) < 1e-12)) {
        fail_msg("got %.17g, expected %.17g", got, expected);
    }
}

/* Positives 0.9 and 0.5, negatives 0.5 and 0.1: AUROC 3.5/4. DeLong's components are 1 and 3/4 on either
 * side, variance 1/32 each; over 2 + 2 rows the AUROC's is 1/32. z(0.95) is scipy.stats.norm.ppf(0.95). */
static void auroc_by_hand(void **state) {
    (void)state;
    const double score[] = {0.1, 0.9, 0.5, 0.5}, label[] = {0, 1, 1, 0}, one[] = {1, 1, 1, 1};
    ark_estimate a, ap;
    check_ok(ark_metrics_auroc(score, label, 4, 0.9, &a));
    close_to(a.value, 0.875);
    close_to(a.low, 0.875 - 1.6448536269514722 * sqrt(1 / 32.0));
    close_to(a.high, 1);
    assert_null(a.why);
    check_ok(ark_metrics_ap(score, label, 4, &ap));
    close_to(ap.value, 5 / 6.0);
    assert_true(isnan(ap.low) && isnan(ap.high));
    assert_null(ap.why);
    check_ok(ark_metrics_auroc(score, one, 4, 0.9, &a));
    assert_true(isnan(a.value) && isnan(a.low));
    assert_string_equal(a.why, "no negative row");
    a.value = 7;
    check_error(ark_metrics_auroc(score, score, 4, 0.9, &a), ARK_EINVAL, "row 0");
    check_error(ark_metrics_auroc(score, label, 4, 95, &a), ARK_EINVAL, "95");
    close_to(a.value, 7);
}

/* Against score b = 1 - a the components' differences are 1 and 1/2 on either side: variance 1/8 each, and of
 * the difference 1/8 too. */
static void comparison_by_hand(void **state) {
    (void)state;
    const double a[] = {0.1, 0.9, 0.5, 0.5}, b[] = {0.9, 0.1, 0.5, 0.5}, label[] = {0, 1, 1, 0};
    ark_comparison c;
    check_ok(ark_metrics_compare(a, b, label, 4, 0.9, &c));
    close_to(c.difference.value, 0.75);
    close_to(c.difference.low, 0.75 - 1.6448536269514722 * sqrt(1 / 8.0));
    close_to(c.p, erfc(0.75 / sqrt(1 / 8.0) / sqrt(2.0)));
    check_ok(ark_metrics_compare(a, a, label, 4, 0.9, &c));
    close_to(c.difference.value, 0);
    close_to(c.p, 1);
}

/* Class 0 as above with a row left out, class 1 without a negative: left out of the means, with a reason. */
static void classes_by_bootstrap(void **state) {
    (void)state;
    const double score[] = {0.1, 1, 0.9, 2, 0.5, 3, 0.5, 4, 0.7, 5},
                 label[] = {0, 1, 1, 1, 1, 1, 0, 1, NAN, 1};
    ark_estimate auroc[2], ap[2];
    ark_macro_estimate m, again;
    ark_metrics_opts o = ark_metrics_default_opts();
    o.threads = 1;
    check_ok(ark_metrics_bootstrap(score, label, 5, 2, &o, auroc, ap, &m));
    close_to(auroc[0].value, 0.875);
    close_to(ap[0].value, 5 / 6.0);
    assert_true(auroc[0].low >= 0.5 && auroc[0].low < 0.875);
    close_to(auroc[0].high, 1);
    assert_true(isnan(auroc[1].value));
    assert_string_equal(ap[1].why, "no negative row");
    assert_int_equal(m.classes, 1);
    close_to(m.auroc.value, 0.875);
    close_to(m.auroc.low, auroc[0].low);
    o.threads = 3;
    check_ok(ark_metrics_bootstrap(score, label, 5, 2, &o, NULL, NULL, &again));
    close_to(again.ap.low, m.ap.low);
    check_ok(
        ark_metrics_bootstrap(score, label, 5, 2, NULL, NULL, NULL, &again)); /* the defaults are these */
    close_to(again.ap.high, m.ap.high);
    /* Patients {0,1} and {2,3,4} have both labels each: no resample loses one. */
    const uint32_t patient[] = {0, 0, 1, 1, 1};
    o.group = patient;
    o.groups = 2;
    check_ok(ark_metrics_bootstrap(score, label, 5, 2, &o, auroc, NULL, &m));
    close_to(auroc[0].low, 0.5); /* patient 1 alone: a tie */
    close_to(auroc[0].high, 1);
    o.groups = 1;
    check_error(ark_metrics_bootstrap(score, label, 5, 2, &o, NULL, NULL, &m), ARK_EINVAL, "group");
    ark_comparison c;
    check_ok(ark_metrics_bootstrap_compare(score, score, label, 5, 2, NULL, &c));
    close_to(c.difference.value, 0);
    close_to(c.p, 1);
}

static void version_is_known(void **state) {
    (void)state;
    assert_true(strchr(ark_version(), '.') != NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(description_is_the_files),
        cmocka_unit_test(model_without_heads_embeds),
        cmocka_unit_test(wrong_arguments_are_refused),
        cmocka_unit_test(inputs_agree),
        cmocka_unit_test(unwanted_results_are_left_alone),
        cmocka_unit_test(threads_share_a_model),
        cmocka_unit_test(memory_failures_leave_nothing),
        cmocka_unit_test(auroc_by_hand),
        cmocka_unit_test(comparison_by_hand),
        cmocka_unit_test(classes_by_bootstrap),
        cmocka_unit_test(version_is_known),
    };
    return cmocka_run_group_tests(tests, write_models, NULL);
}
