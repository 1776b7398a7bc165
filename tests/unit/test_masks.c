/* Segmentation data and overlap: lists, views of masks beside the views of images, batches, Dice and IoU. */
#include "base/alloc.h"
#include "base/err.h"
#include "common/check.h"
#include "data/masks.h"
#include "eval/overlap.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

static char folder[] = "masks-XXXXXX";

static const char *at(const char *name) {
    static char path[4][256];
    static int turn;
    char *p = path[turn++ % 4];
    snprintf(p, 256, "%s/%s", folder, name);
    return p;
}

static void write_text(const char *path, const char *text) {
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

/* A picture whose grey level is `on` inside the box, `off` outside. */
static void write_box(
    const char *name, int w, int h, int x0, int y0, int x1, int y1, uint8_t off, uint8_t on) {
    uint8_t *px = ark_calloc((size_t)w * (size_t)h, 1);
    assert_non_null(px);
    for (int i = 0; i < w * h; i++) {
        int x = i % w, y = i / w;
        px[i] = x >= x0 && x < x1 && y >= y0 && y < y1 ? on : off;
    }
    must(ark_png_write(at(name), w, h, 1, px));
    ark_free(px);
}

static ark_mask_spec spec_of(const char *list, const char *const *classes, int n) {
    return (ark_mask_spec){.list = list,
        .classes = classes,
        .n_classes = n,
        .column = "mask_{class}",
        .image = "path",
        .patient = "patient_id",
        .split = "split",
        .only = ARK_TEST,
        .foreground = 128,
        .ignore = -1};
}

static void lists(void **state) {
    (void)state;
    static const char *const two[] = {"lungs", "heart"};
    ark_mask_set s;
    write_text(at("list.csv"), "path,patient_id,split,mask_lungs,mask_heart\n"
                               "a.png,p1,train,ma.png,\n"
                               "b.png,p2,val,mb.png,hb.png\n"
                               "c.png,p1,test,mc.png,hc.png\n"
                               "d.png,,train,md.png,hd.png\n");
    ark_mask_spec spec = spec_of(at("list.csv"), two, 2);
    must(ark_mask_set_read(&spec, &s));
    assert_int_equal(s.n, 4);
    assert_int_equal(s.patients, 3);
    assert_int_equal(s.patient[0], s.patient[2]);
    assert_int_not_equal(s.patient[3], s.patient[0]);
    assert_null(s.masks[1]); /* blank: not annotated */
    assert_string_equal(s.masks[3], at("hb.png"));
    assert_int_equal(s.rows_n[ARK_TRAIN], 2);
    assert_int_equal(s.rows[ARK_TEST][0], 2);
    ark_mask_set_free(&s);

    write_text(at("bad.csv"), "path,split,mask_lungs,mask_heart\na.png,train,,\n");
    spec.list = at("bad.csv");
    assert_int_equal(ark_mask_set_read(&spec, &s), ARK_EFORMAT);
    assert_non_null(strstr(ark_err_msg(), "bad.csv:2: no mask of any class"));
    write_text(at("bad.csv"), "path,split,mask_lungs,mask_heart\na.png,dev,m.png,h.png\n");
    assert_int_equal(ark_mask_set_read(&spec, &s), ARK_EFORMAT);
    assert_non_null(strstr(ark_err_msg(), "'dev' is not train, val or test"));
    write_text(at("bad.csv"), "path,split,mask_lungs\na.png,train,m.png\n");
    assert_int_equal(ark_mask_set_read(&spec, &s), ARK_EFORMAT);
    assert_non_null(strstr(ark_err_msg(), "mask_heart"));
    write_text(at("bad.csv"), "path,mask_lungs,mask_heart\na.png,m.png,h.png\n");
    must(ark_mask_set_read(&spec, &s)); /* no split column: all of it is a test set */
    assert_int_equal(s.rows_n[ARK_TEST], 1);
    ark_mask_set_free(&s);
}

static void thinning(void **state) {
    (void)state;
    static const char *const one[] = {"lungs"};
    char text[4096] = "path,split,mask_lungs\n";
    for (int i = 0; i < 40; i++) {
        snprintf(text + strlen(text), sizeof text - strlen(text), "%d.png,train,m%d.png\n", i, i);
    }
    write_text(at("many.csv"), text);
    ark_mask_spec spec = spec_of(at("many.csv"), one, 1);
    ark_mask_set few, more, all;
    must(ark_mask_set_read(&spec, &few));
    must(ark_mask_set_read(&spec, &more));
    must(ark_mask_set_read(&spec, &all));
    must(ark_mask_set_thin(&few, 0.05, 7));
    must(ark_mask_set_thin(&more, 0.25, 7));
    must(ark_mask_set_thin(&all, 1, 7));
    assert_int_equal(few.rows_n[ARK_TRAIN], 2);
    assert_int_equal(more.rows_n[ARK_TRAIN], 10);
    assert_int_equal(all.rows_n[ARK_TRAIN], 40);
    for (size_t i = 0; i < 2; i++) {
        bool found = false;
        for (size_t k = 0; k < 10; k++) {
            found |= more.rows[ARK_TRAIN][k] == few.rows[ARK_TRAIN][i];
        }
        assert_true(found);
    }
    assert_true(few.rows[ARK_TRAIN][0] < few.rows[ARK_TRAIN][1]);
    assert_int_equal(ark_mask_set_thin(&all, 0, 7), ARK_EINVAL);
    assert_int_equal(ark_mask_set_thin(&all, NAN, 7), ARK_EINVAL);
    ark_mask_set_free(&few);
    ark_mask_set_free(&more);
    ark_mask_set_free(&all);
}

/* A picture that is its own mask, seen through random views: wherever the resampled picture is clearly in or
 * out, the nearest-neighbour mask says the same. */
static void views_agree(void **state) {
    (void)state;
    enum { SIDE = 64, W = 150, H = 110 };
    ark_preproc pre = ark_preproc_default(SIDE);
    ark_viewer *v;
    ark_image im;
    uint8_t *mask = ark_malloc(SIDE * SIDE);
    must(ark_viewer_new(&pre, &v));
    write_box("own.png", W, H, 30, 20, 95, 90, 0, 255);
    must(ark_image_read(at("own.png"), NULL, &im));
    size_t clear = 0, in = 0;
    for (uint32_t k = 0; k < 60; k++) {
        ark_augment a = k % 2 ? ark_augment_finetune() : ark_augment_pretrain();
        ark_rng r = ark_rng_at(3, ARK_RNG_TEST, k, 0, 0);
        const uint8_t *px;
        a.intensity_p = 0;
        ark_view view = ark_view_draw(&a, &r, pre.resize_px);
        must(ark_viewer_render(v, &im, &view, &px));
        ark_mask_render(&im, &view, SIDE, 0, mask);
        for (int i = 0; i < SIDE * SIDE; i++) {
            if (px[i] <= 2 || px[i] >= 253) {
                assert_int_equal(mask[i] >= 128, px[i] >= 128);
                clear++;
                in += px[i] >= 128;
            }
        }
    }
    assert_true(clear > 50 * SIDE * SIDE && in > 10 * SIDE * SIDE && in < clear);
    ark_image_free(&im);
    ark_viewer_free(v);
    ark_free(mask);
}

static void batches(void **state) {
    (void)state;
    enum { SIDE = 32, PIXELS = SIDE * SIDE };
    static const char *const two[] = {"lungs", "heart"};
    write_text(at("batch.csv"),
        "path,split,mask_lungs,mask_heart\nx.png,train,l.png,\ny.png,train,l.png,h.png\n"
        "x.png,train,small.png,\nx.png,train,gone.png,\n");
    write_box("x.png", 64, 64, 0, 0, 64, 64, 9, 100);
    write_box("y.png", 64, 64, 0, 0, 64, 64, 9, 200);
    write_box("l.png", 64, 64, 0, 0, 32, 64, 0, 255);    /* the left half */
    write_box("h.png", 64, 64, 0, 32, 64, 64, 127, 255); /* the lower half; above it is not judged */
    write_box("small.png", 32, 64, 0, 0, 1, 1, 0, 255);
    ark_mask_spec spec = spec_of(at("batch.csv"), two, 2);
    ark_preproc pre = ark_preproc_default(SIDE);
    ark_mask_set s;
    ark_mask_loader *l;
    const ark_mask_batch *b;
    const uint32_t rows[] = {0, 1};
    spec.ignore = 127;
    must(ark_mask_set_read(&spec, &s));
    must(ark_mask_loader_new(&pre, 2, 2, 2, &l));
    must(ark_mask_loader_read(l, &s, rows, 2, NULL, 1, 0, 0, &b));
    for (int i = 0; i < 2 * PIXELS; i++) {
        int x = i % SIDE, y = i / SIDE % SIDE, second = i / PIXELS;
        assert_true(b->target[2 * i] == (x < SIDE / 2) && b->count[2 * i] == 1);
        bool judged = second && y >= SIDE / 2;
        assert_true(b->count[2 * i + 1] == judged && b->target[2 * i + 1] == judged);
    }
    assert_true(fabsf(b->image[0] - (100 / 255.0f - pre.mean[0]) / pre.std[0]) < 1e-6f);

    /* Drawn views depend on epoch and seed, not on the place in the batch nor on threads. */
    ark_augment a = ark_augment_finetune();
    float *first = ark_malloc(2 * PIXELS * sizeof *first);
    const uint32_t turned[] = {1, 0};
    ark_mask_loader *serial;
    must(ark_mask_loader_read(l, &s, rows, 2, &a, 5, 3, 0, &b));
    memcpy(first, b->target, 2 * PIXELS * sizeof *first);
    must(ark_mask_loader_new(&pre, 2, 2, 1, &serial));
    must(ark_mask_loader_read(serial, &s, turned, 2, &a, 5, 3, 0, &b));
    assert_memory_equal(first, b->target + 2 * PIXELS, 2 * PIXELS * sizeof *first);
    must(ark_mask_loader_read(serial, &s, rows, 1, &a, 5, 4, 0, &b));
    assert_true(memcmp(first, b->target, 2 * PIXELS * sizeof *first) != 0);

    const uint32_t bad[] = {2}, gone[] = {3};
    assert_int_equal(ark_mask_loader_read(l, &s, bad, 1, NULL, 1, 0, 0, &b), ARK_EFORMAT);
    assert_non_null(strstr(ark_err_msg(), "mask of 32 x 64 for an image of 64 x 64"));
    assert_int_equal(ark_mask_loader_read(l, &s, gone, 1, NULL, 1, 0, 0, &b), ARK_EIO);
    assert_non_null(strstr(ark_err_msg(), "gone.png"));
    assert_int_equal(ark_mask_loader_read(l, &s, rows, 3, NULL, 1, 0, 0, &b), ARK_EINVAL);
    ark_free(first);
    ark_mask_loader_free(serial);
    ark_mask_loader_free(l);
    ark_mask_set_free(&s);
}

static void overlap(void **state) {
    (void)state;
    /* Two channels side by side; the second has an empty truth, its last pixel does not count. */
    const float prob[] = {.9f, .1f, .6f, .7f, .2f, .4f, .5f, NAN};
    const float truth[] = {1, 0, 0, 0, 1, 0, 1, 1}, count[] = {1, 1, 1, 1, 1, 1, 1, 0};
    ark_overlap o;
    must(ark_overlap_count(prob, truth, count, 4, 2, 0.5, &o));
    assert_int_equal(o.both, 2);
    assert_int_equal(o.predicted, 3);
    assert_int_equal(o.truth, 3);
    assert_true(fabs(ark_dice(&o).value - 4.0 / 6) < 1e-15 && fabs(ark_iou(&o).value - 2.0 / 4) < 1e-15);
    must(ark_overlap_count(prob + 1, truth + 1, count + 1, 4, 2, 0.5, &o));
    assert_int_equal(o.counted, 3);
    assert_true(isnan(ark_dice(&o).value));
    assert_string_equal(ark_dice(&o).why, "the true mask is empty");
    assert_int_equal(ark_overlap_count(prob + 7, truth, count, 1, 1, 0.5, &o), ARK_EINVAL);
    const float none[] = {0};
    must(ark_overlap_count(prob, truth, none, 1, 1, 0.5, &o));
    assert_string_equal(ark_iou(&o).why, "no pixel counts");
}

static void mean_interval(void **state) {
    (void)state;
    enum { N = 200 };
    double v[N];
    uint32_t group[N];
    for (int i = 0; i < N; i++) { /* four equal values a patient: as sure as fifty, not as two hundred */
        group[i] = (uint32_t)i / 4;
        v[i] = (group[i] * 7 % 50) / 49.0;
    }
    ark_bootstrap_opts o = {.replicates = 4000, .seed = 1, .level = 0.95};
    ark_mean_stat rows, patients;
    must(ark_bootstrap_mean(v, N, &o, &rows));
    o.group = group;
    o.groups = 50;
    must(ark_bootstrap_mean(v, N, &o, &patients));
    assert_true(fabs(rows.mean.estimate.value - 0.5) < 1e-12 && rows.defined == N);
    /* The deviation of a mean of n values is sd / sqrt(n). */
    double wide = patients.mean.ci.high - patients.mean.ci.low, narrow = rows.mean.ci.high - rows.mean.ci.low;
    assert_true(fabs(wide / (2 * 1.96 * rows.sd / sqrt(50)) - 1) < 0.06);
    assert_true(fabs(narrow / (2 * 1.96 * rows.sd / sqrt(200)) - 1) < 0.06);
    v[0] = v[1] = NAN;
    must(ark_bootstrap_mean(v, N, &o, &rows));
    assert_int_equal(rows.undefined, 2);
    const double nothing[] = {NAN};
    o.group = NULL;
    must(ark_bootstrap_mean(nothing, 1, &o, &rows));
    assert_true(isnan(rows.mean.estimate.value));
    assert_string_equal(rows.mean.ci.why, "no image has a value");
    o.level = 1;
    assert_int_equal(ark_bootstrap_mean(v, N, &o, &rows), ARK_EINVAL);
}

static int make_folder(void **state) {
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists),
        cmocka_unit_test(thinning),
        cmocka_unit_test(views_agree),
        cmocka_unit_test(batches),
        cmocka_unit_test(overlap),
        cmocka_unit_test(mean_interval),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
