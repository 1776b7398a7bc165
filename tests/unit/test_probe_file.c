/* A probe written and read back predicts the same; files that are not what they claim are refused. */
#include "base/alloc.h"
#include "base/file.h"
#include "golden/readout.h"
#include "io/safetensors.h"
#include "io_check.h"
#include "study/probe_file.h"

#include <math.h>

enum { N = GOLDEN_TRAIN, M = GOLDEN_VAL, D = GOLDEN_D, K = GOLDEN_K };
static const char *const names[K] = {"one", "two \xc3\xa4", "three"};

static void fit(ark_readout *r, double *label) {
    memcpy(label, golden_train_label, N * K * sizeof *label);
    for (size_t i = 0; i < N; i++) {
        label[i * K + 2] = 0; /* left out */
    }
    ark_labelled t = {.f32 = golden_train, .label = label, .n = N, .d = D, .K = K};
    ark_labelled v = {.f32 = golden_val, .label = golden_val_label, .n = M, .d = D, .K = K};
    ark_readout_opts o = ark_readout_default_opts();
    check_ok(ark_readout_fit(&t, &v, &o, r));
}

static void what_is_written_is_read(void **state) {
    (void)state;
    ark_readout r;
    ark_probe p;
    double label[N * K], a[M * K], b[M * K];
    ark_operating_point points[K] = {{.rule = ARK_OP_SENSITIVITY, .target = 0.9, .threshold = 0.25},
        {.rule = ARK_OP_YOUDEN, .threshold = 0.1 + 0.2}, {.threshold = NAN, .why = "no positive row"}};
    const char *path = temp_name("probe.safetensors");
    fit(&r, label);
    check_ok(ark_probe_save(path, &r, names, points, "weights.safetensors", "projector"));
    check_ok(ark_probe_load(path, &p));
    assert_true(p.readout.d == D && p.readout.K == K && p.C == r.C[r.best]);
    assert_string_equal(p.classes[1], names[1]);
    assert_string_equal(p.source, "weights.safetensors");
    assert_string_equal(p.layer, "projector");
    assert_true(p.points[0].rule == ARK_OP_SENSITIVITY && p.points[0].target == 0.9);
    assert_true(p.points[1].threshold == 0.1 + 0.2 && isnan(p.points[2].threshold) && p.points[2].why);
    assert_string_equal(p.readout.left_out[2], "no positive row in train");
    ark_labelled v = {.f32 = golden_val, .n = M, .d = D, .K = K};
    check_ok(ark_readout_predict(&r, &v, 1, a));
    check_ok(ark_readout_predict(&p.readout, &v, 1, b));
    assert_memory_equal(a, b, sizeof a);
    ark_probe_free(&p);
    ark_readout_free(&r);
    unlink(path);
}

/* A file with these parts of a probe of one feature and one class. */
static ark_status load(const char *about, double scale, double weight, int64_t d) {
    const char *path = temp_name("bad.safetensors");
    ark_st_writer *w;
    ark_probe p;
    double mean[2] = {0, 0}, scales[2] = {scale, 1}, weights[2] = {weight, 1}, bias = 0;
    int64_t one = 1, matrix[2] = {1, 1};
    check_ok(ark_st_writer_new(&w));
    check_ok(ark_st_writer_meta(w, "format", "arkfm-probe"));
    if (about) {
        check_ok(ark_st_writer_meta(w, "probe", about));
    }
    check_ok(ark_st_writer_add(w, "mean", ARK_ST_F64, 1, &d, mean));
    check_ok(ark_st_writer_add(w, "scale", ARK_ST_F64, 1, &one, scales));
    check_ok(ark_st_writer_add(w, "weight", ARK_ST_F64, 2, matrix, weights));
    check_ok(ark_st_writer_add(w, "bias", ARK_ST_F64, 1, &one, &bias));
    check_ok(ark_st_writer_save(w, path));
    ark_st_writer_free(w);
    ark_status st = ark_probe_load(path, &p);
    if (st == ARK_OK) {
        ark_probe_free(&p);
    }
    unlink(path);
    return st;
}

static void bad_files_are_named(void **state) {
    (void)state;
    static const char good[] =
        "{\"task\":\"multi-label\",\"source\":\"s\",\"layer\":\"l\",\"C\":1,\"classes\":[{\"name\":\"a\"}]}";
    check_ok(load(good, 1, 1, 1));
    check_error(load(NULL, 1, 1, 1), ARK_EFORMAT, "not a probe");
    check_error(load("{", 1, 1, 1), ARK_EFORMAT, "not a probe");
    check_error(load("{}", 1, 1, 1), ARK_EFORMAT, "lacks task");
    check_error(load("{\"task\":\"x\",\"source\":\"s\",\"layer\":\"l\",\"classes\":[{}]}", 1, 1, 1),
        ARK_EFORMAT, "class 0 has no name");
    check_error(load(good, 0, 1, 1), ARK_EFORMAT, "scale of feature 0 is 0");
    check_error(load(good, -1, 1, 1), ARK_EFORMAT, "scale of feature 0 is -1");
    check_error(load(good, 1, NAN, 1), ARK_EFORMAT, "tensor weight, element 0 is not finite");
    check_error(load(good, 1, 1, 2), ARK_EFORMAT, "tensor scale is not F64 of 2");
    ark_probe p;
    check_error(ark_probe_load("missing.safetensors", &p), ARK_EIO, "missing.safetensors");
}

static void out_of_memory_leaks_nothing(void **state) {
    (void)state;
    ark_readout r;
    double label[N * K];
    const char *path = temp_name("oom.safetensors");
    fit(&r, label);
    uint64_t live = ark_alloc_get_stats().live_bytes;
    ark_status st = ARK_ENOMEM;
    for (uint64_t nth = 1; st != ARK_OK; nth++) {
        ark_probe p;
        assert_true(nth < 400);
        ark_alloc_fail_after(nth);
        st = ark_probe_save(path, &r, names, NULL, "s", "l");
        st = st ? st : ark_probe_load(path, &p);
        ark_alloc_fail_after(0);
        assert_true(st == ARK_OK || st == ARK_ENOMEM);
        if (st == ARK_OK) {
            ark_probe_free(&p);
        }
        assert_int_equal(ark_alloc_get_stats().live_bytes, live);
    }
    ark_readout_free(&r);
    unlink(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(bad_files_are_named), cmocka_unit_test(out_of_memory_leaks_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
