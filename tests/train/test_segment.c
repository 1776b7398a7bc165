/* Segmentation runs on drawn rectangles: they are learned; a run that was stopped and resumed, or that had
 * other threads, leaves the same bytes; a model opens again; what cannot be scored is named. */
#include "backend/backend.h"
#include "base/alloc.h"
#include "base/err.h"
#include "base/file.h"
#include "base/rng.h"
#include "common/check.h"
#include "io/image.h"
#include "model/seg_model.h"
#include "train/segment.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

enum { SIDE = 40, IMAGES = 24 };

static char folder[] = "segment-XXXXXX";

static const char *at(const char *name) {
    static char path[8][256];
    static int turn;
    char *p = path[turn++ % 8];
    snprintf(p, 256, "%s/%s", folder, name);
    return p;
}

/* A bright rectangle on a darker, noisy ground, and its mask; empty: the mask is all zero. */
static void draw(int i, bool empty) {
    uint8_t image[SIDE * SIDE], mask[SIDE * SIDE];
    char name[64];
    ark_rng r = ark_rng_at(1, ARK_RNG_TEST, (uint64_t)i, 0, 0);
    int x0 = 4 + (int)ark_rng_below(&r, 12), y0 = 4 + (int)ark_rng_below(&r, 12);
    int x1 = x0 + 10 + (int)ark_rng_below(&r, 10), y1 = y0 + 10 + (int)ark_rng_below(&r, 10);
    for (int p = 0; p < SIDE * SIDE; p++) {
        int x = p % SIDE, y = p / SIDE;
        bool in = x >= x0 && x < x1 && y >= y0 && y < y1;
        image[p] = (uint8_t)((in ? 170 : 60) + ark_rng_below(&r, 40));
        mask[p] = in && !empty ? 255 : 0;
    }
    snprintf(name, sizeof name, "i%d.png", i);
    must(ark_png_write(at(name), SIDE, SIDE, 1, image));
    snprintf(name, sizeof name, "%s%d.png", empty ? "e" : "m", i);
    must(ark_png_write(at(name), SIDE, SIDE, 1, mask));
}

static void write_text(const char *path, const char *text) {
    must(ark_file_write(path, text, strlen(text)));
}

/* 16 training images, 4 for validation, 4 for the test. */
static void write_lists(void) {
    char text[4096] = "path,patient_id,split,mask_box\n", empty[4096] = "path,patient_id,split,mask_box\n";
    for (int i = 0; i < IMAGES; i++) {
        const char *split = i < 16 ? "train" : i < 20 ? "val" : "test";
        draw(i, false);
        draw(i, true);
        snprintf(
            text + strlen(text), sizeof text - strlen(text), "i%d.png,p%d,%s,m%d.png\n", i, i / 2, split, i);
        snprintf(empty + strlen(empty), sizeof empty - strlen(empty), "i%d.png,p%d,%s,%c%d.png\n", i, i / 2,
            split, i >= 16 && i < 20 ? 'e' : 'm', i);
    }
    write_text(at("list.csv"), text);
    write_text(at("empty.csv"), empty);
    write_text(at("run.yaml"),
        "data:\n  list: list.csv\n  classes: [box]\n"
        "model:\n  arch: swin:embed=8,depths=1-1,heads=1-2,window=5,size=40\n  channels: 8\n"
        "train:\n  epochs: 20\n  batch: 5\n  optimizer: adamw\n  lr: 1e-2\n  warmup_epochs: 1\n"
        "  bce: 0.5\ntest:\n  pictures: 1\n  bootstrap: 200\n");
}

static void configure(ark_segment_config *c, const char *const *sets) {
    must(ark_segment_config_read(at("run.yaml"), c));
    for (int i = 0; sets && sets[i]; i++) {
        must(ark_segment_config_set(c, sets[i]));
    }
}

static json_t *run(const char *out, int threads, const char *const *sets) {
    ark_segment_config c;
    json_t *results = NULL;
    ark_train_opts o = ark_train_default_opts();
    o.threads = threads;
    configure(&c, sets);
    must(ark_segment(&c, at(out), &o, &results));
    ark_segment_config_free(&c);
    return results;
}

static void same_file(const char *a, const char *b) {
    char *x, *y;
    size_t n, m;
    must(ark_file_read(a, 1 << 26, &x, &n));
    must(ark_file_read(b, 1 << 26, &y, &m));
    assert_int_equal(n, m);
    assert_memory_equal(x, y, n);
    ark_free(x);
    ark_free(y);
}

static double dice_of(const json_t *results, const char *split) {
    const json_t *class = json_array_get(json_object_get(json_object_get(results, split), "classes"), 0);
    return json_real_value(json_object_get(json_object_get(class, "dice"), "mean"));
}

static void rectangles_are_learned(void **state) {
    (void)state;
    ark_dev *dev;
    ark_seg_model *m;
    json_t *results = run("learned", 2, NULL);
    assert_true(dice_of(results, "val") > 0.85); /* everything called box: 0.25 */
    assert_true(dice_of(results, "test") > 0.8);
    assert_int_equal(json_integer_value(json_object_get(results, "train_images")), 16);
    json_decref(results);
    assert_true(ark_path_exists(at("learned/pictures/i20.box.png")));
    assert_true(ark_path_exists(at("learned/pictures/i20.overlay.png")));
    assert_true(!ark_path_exists(at("learned/checkpoint.safetensors")));
    must(ark_dev_open("cpu", 1, &dev));
    must(ark_seg_model_open(at("learned/model.safetensors"), dev, &m));
    assert_int_equal(m->net.channels, 8);
    assert_string_equal(m->classes[0], "box");
    assert_true(m->threshold == 0.5 && m->pre.size_px == 40);
    ark_seg_model_free(m);
    ark_dev_close(dev);
}

static void threads_change_nothing(void **state) {
    (void)state;
    static const char *const few[] = {"train.epochs=2", NULL};
    json_decref(run("one", 1, few));
    json_decref(run("three", 3, few));
    same_file(at("one/model.safetensors"), at("three/model.safetensors"));
    same_file(at("one/results.json"), at("three/results.json"));
    same_file(at("one/test.csv"), at("three/test.csv"));
}

static int steps_left;

static bool stop_after(void *user) {
    (void)user;
    return --steps_left == 0;
}

/* Stopped in mid-epoch, twice, and resumed. */
static void a_stopped_run_goes_on(void **state) {
    (void)state;
    static const char *const few[] = {"train.epochs=3", NULL};
    ark_segment_config c;
    ark_train_opts o = ark_train_default_opts();
    o.should_stop = stop_after;
    json_decref(run("whole", 2, few));
    configure(&c, few);
    steps_left = 3;
    assert_int_equal(ark_segment(&c, at("parts"), &o, NULL), ARK_EINTERRUPTED);
    assert_int_equal(ark_segment(&c, at("parts"), &o, NULL), ARK_EINVAL); /* not without being asked */
    o.resume = true;
    steps_left = 4;
    assert_int_equal(ark_segment(&c, at("parts"), &o, NULL), ARK_EINTERRUPTED);
    must(ark_segment_config_set(&c, "train.lr=0.5"));
    assert_int_equal(ark_segment(&c, at("parts"), &o, NULL), ARK_EINVAL);
    assert_non_null(strstr(ark_err_msg(), "train.lr was '0.01' and is now '0.5'"));
    must(ark_segment_config_set(&c, "train.lr=1e-2"));
    o.should_stop = NULL;
    must(ark_segment(&c, at("parts"), &o, NULL));
    ark_segment_config_free(&c);
    same_file(at("whole/model.safetensors"), at("parts/model.safetensors"));
    same_file(at("whole/results.json"), at("parts/results.json"));
}

/* A frozen encoder keeps its bytes; a segmentation model serves as weights. */
static void a_frozen_encoder_stays(void **state) {
    (void)state;
    char from[300];
    snprintf(from, sizeof from, "model.from=%s", at("one/model.safetensors"));
    const char *const sets[] = {"train.epochs=1", "train.freeze=true", from, NULL};
    ark_dev *dev;
    ark_seg_model *before, *after;
    int kept = 0, learned = 0;
    json_decref(run("frozen", 1, sets));
    must(ark_dev_open("cpu", 1, &dev));
    must(ark_seg_model_open(at("one/model.safetensors"), dev, &before));
    must(ark_seg_model_open(at("frozen/model.safetensors"), dev, &after));
    for (int i = 0; i < ark_params_count(before->params); i++) {
        const ark_param *p = ark_params_at(before->params, i);
        size_t bytes = (size_t)p->numel * sizeof(float);
        bool same = !memcmp(ark_params_column(before->params, ARK_COL_STUDENT) + p->offset,
            ark_params_column(after->params, ARK_COL_STUDENT) + p->offset, bytes);
        kept += !ark_is_decoder(p->name) && same;
        learned += ark_is_decoder(p->name) && !same;
        assert_true(ark_is_decoder(p->name) || same);
    }
    assert_true(kept > 20 && learned > 20);
    ark_seg_model_free(before);
    ark_seg_model_free(after);
    ark_dev_close(dev);
}

static void refuse(const char *const *sets, const char *words) {
    ark_segment_config c;
    ark_train_opts o = ark_train_default_opts();
    configure(&c, sets);
    assert_int_equal(ark_segment(&c, at("refused"), &o, NULL), ARK_EINVAL);
    require(strstr(ark_err_msg(), words) != NULL, "'%s' lacks '%s'", ark_err_msg(), words);
    ark_segment_config_free(&c);
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s/refused", folder);
    assert_int_equal(system(command), 0);
}

static void what_cannot_be_is_named(void **state) {
    (void)state;
    char empty[300];
    snprintf(empty, sizeof empty, "data.list=%s", at("empty.csv"));
    refuse(
        (const char *const[]){empty, "train.epochs=1", NULL}, "every mask of the validation split is empty");
    refuse((const char *const[]){"train.dice=0", "train.bce=0", NULL}, "there is no loss");
    refuse((const char *const[]){"model.arch=", NULL}, "from scratch the architecture must be given");
    refuse((const char *const[]){"train.freeze=true", NULL}, "nothing worth keeping");
    refuse((const char *const[]){"data.classes=", NULL}, "must be named");
    ark_dev *dev;
    ark_seg_model *m;
    must(ark_dev_open("cpu", 1, &dev));
    assert_int_equal(ark_seg_model_open(ARK_TEST_DIR "/golden/embed_new.safetensors", dev, &m), ARK_EFORMAT);
    assert_non_null(strstr(ark_err_msg(), "holds no segmentation model"));
    ark_dev_close(dev);
}

static int make_folder(void **state) {
    (void)state;
    if (!mkdtemp(folder)) {
        return -1;
    }
    write_lists();
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rectangles_are_learned),
        cmocka_unit_test(threads_change_nothing),
        cmocka_unit_test(a_stopped_run_goes_on),
        cmocka_unit_test(a_frozen_encoder_stays),
        cmocka_unit_test(what_cannot_be_is_named),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
