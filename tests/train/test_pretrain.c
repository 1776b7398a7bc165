/* Whole runs on a handful of drawn images: the folder they leave, and that stopping anywhere, resuming, and
 * the number of threads change no byte of the weights. */
#include "base/alloc.h"
#include "base/file.h"
#include "base/rng.h"
#include "io/image.h"
#include "train/pretrain.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = 24, IMAGES = 22 };

/* Bright or dark squares on noise, two datasets with different vocabularies, in ./runs/data. */
static int draw_data(void **state) {
    (void)state;
    assert_int_equal(ark_rmtree("runs"), ARK_OK);
    assert_int_equal(ark_mkdirs("runs/data"), ARK_OK);
    FILE *a = fopen("runs/data/a.csv", "w"), *b = fopen("runs/data/b.csv", "w");
    fprintf(a, "path,patient_id,split,nodule,fluid\n");
    fprintf(b, "path,patient_id,split,label\n");
    for (int i = 0; i < IMAGES; i++) {
        uint8_t px[SIDE * SIDE];
        char name[64];
        ark_rng r = ark_rng_at(9, ARK_RNG_TEST, (uint64_t)i, 0, 0);
        for (int k = 0; k < SIDE * SIDE; k++) {
            bool inside = k % SIDE > 6 && k % SIDE < 16 && k / SIDE > 6 && k / SIDE < 16;
            px[k] = (uint8_t)(60 + ark_rng_below(&r, 40) + (inside ? 60 * (i % 3) : 0));
        }
        snprintf(name, sizeof name, "runs/data/%02d.png", i);
        assert_int_equal(ark_png_write(name, SIDE, SIDE, 1, px), ARK_OK);
        const char *split = i % 5 == 3 ? "val" : i % 5 == 4 ? "test" : "train";
        fprintf(a, "%02d.png,p%d,%s,%d,%s\n", i, i, split, i % 3 == 1, i % 4 == 0 ? "" : i % 2 ? "-1" : "1");
        fprintf(b, "%02d.png,p%d,%s,%s\n", i, i, split, i % 3 == 0 ? "none" : i % 3 == 1 ? "dim" : "bright");
    }
    fclose(a);
    fclose(b);
    const char *yaml =
        "a:\n  format: csv\n  data_dir: .\n  list: a.csv\n  task_type: multi-label\n  classes: [nodule, "
        "fluid]\n"
        "b:\n  format: csv\n  data_dir: .\n  list: b.csv\n  task_type: multi-class\n  label: label\n"
        "  classes: [none, dim, bright]\n";
    assert_int_equal(ark_file_write("runs/data/sets.yaml", yaml, strlen(yaml)), ARK_OK);
    const char *run =
        "data:\n  config: sets.yaml\nmodel:\n  arch: swin:embed=8,depths=1-1,heads=1-2,window=4,size=24\n"
        "  projector_dim: 12\ntrain:\n  epochs: 3\n  batch: 4\n  lr: 0.05\n  warmup_epochs: 1\n  keep_last: "
        "100\n";
    return ark_file_write("runs/data/run.yaml", run, strlen(run)) != ARK_OK;
}

typedef struct stopper {
    int64_t at, seen;
    double last_loss;
} stopper;

static bool stop_at(void *arg) {
    stopper *s = arg;
    return ++s->seen == s->at;
}

static void remember_loss(void *arg, const ark_train_progress *p) {
    stopper *s = arg;
    s->last_loss = p->loss;
}

static ark_status run_with(const char *out, bool resume, int threads, int64_t stop, const char *const *sets) {
    ark_train_config c;
    ark_train_result r;
    stopper s = {.at = stop};
    ark_train_opts o = {.resume = resume,
        .threads = threads,
        .should_stop = stop_at,
        .on_progress = remember_loss,
        .user = &s};
    assert_int_equal(ark_config_read("runs/data/run.yaml", &c), ARK_OK);
    if (getenv("ARK_TEST_BACKEND")) {
        char backend[64];
        snprintf(backend, sizeof backend, "train.backend=%s", getenv("ARK_TEST_BACKEND"));
        assert_int_equal(ark_config_set(&c, backend), ARK_OK);
    }
    for (; sets && *sets; sets++) {
        assert_int_equal(ark_config_set(&c, *sets), ARK_OK);
    }
    ark_status st = ark_pretrain(&c, out, &o, &r);
    ark_config_free(&c);
    return st;
}

static void assert_same_file(const char *dir_a, const char *dir_b, const char *name) {
    char pa[256], pb[256], *a, *b;
    size_t na, nb;
    snprintf(pa, sizeof pa, "%s/%s", dir_a, name);
    snprintf(pb, sizeof pb, "%s/%s", dir_b, name);
    assert_int_equal(ark_file_read(pa, 1 << 24, &a, &na), ARK_OK);
    assert_int_equal(ark_file_read(pb, 1 << 24, &b, &nb), ARK_OK);
    assert_int_equal(na, nb);
    assert_memory_equal(a, b, na);
    ark_free(a);
    ark_free(b);
}

static void assert_same_weights(const char *a, const char *b) {
    assert_same_file(a, b, "teacher.safetensors");
    assert_same_file(a, b, "student.safetensors");
    assert_same_file(a, b, "checkpoints/epoch-0003/optimizer.safetensors");
}

static void a_run_leaves_its_folder(void **state) {
    (void)state;
    static const char *const files[] = {"config.yaml", "metrics.jsonl", "tensorboard", "teacher.safetensors",
        "student.safetensors", "model-card.md", "checkpoints/best", "checkpoints/epoch-0001/state.json"};
    assert_int_equal(run_with("runs/whole", false, 1, 0, NULL), ARK_OK);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[256];
        snprintf(path, sizeof path, "runs/whole/%s", files[i]);
        assert_true(ark_path_exists(path));
    }
    assert_int_equal(run_with("runs/whole", false, 1, 0, NULL), ARK_EINVAL);
    assert_non_null(strstr(ark_err_msg(), "--resume"));
}

static void threads_and_workers(void **state) {
    (void)state;
    const char *const sets[] = {
        "data.workers=3", "data.ring=7", "data.cache_mb=4", "train.recompute=true", NULL};
    assert_int_equal(run_with("runs/threads", false, 2, 0, sets), ARK_OK);
    assert_same_weights("runs/whole", "runs/threads");
}

/* 2 datasets x 4 steps (14 training images, the last batch of 2): stop after each of the first nine steps. */
static void stop_anywhere_and_resume(void **state) {
    (void)state;
    for (int64_t stop = 1; stop <= 9; stop++) {
        assert_int_equal(ark_rmtree("runs/stopped"), ARK_OK);
        assert_int_equal(run_with("runs/stopped", false, 1, stop, NULL), ARK_EINTERRUPTED);
        assert_int_equal(run_with("runs/stopped", true, 2, 0, NULL), ARK_OK);
        assert_same_weights("runs/whole", "runs/stopped");
    }
    /* The log has no step twice: the resumed run replaced what it repeated. */
    char *a, *b;
    size_t na, nb, la = 0, lb = 0;
    assert_int_equal(ark_file_read("runs/whole/metrics.jsonl", 1 << 24, &a, &na), ARK_OK);
    assert_int_equal(ark_file_read("runs/stopped/metrics.jsonl", 1 << 24, &b, &nb), ARK_OK);
    for (size_t i = 0; i < na; i++) {
        la += a[i] == '\n';
    }
    for (size_t i = 0; i < nb; i++) {
        lb += b[i] == '\n';
    }
    assert_int_equal(la, lb);
    ark_free(a);
    ark_free(b);
}

/* The same promises for another encoder, with drop-path: threads, recomputing, stopping anywhere. */
static void a_vit_run(void **state) {
    (void)state;
    const char *const one[] = {
        "model.arch=vit:embed=12,depth=2,heads=2,patch=8,size=24", "model.drop_path=0.3", NULL};
    const char *const other[] = {one[0], one[1], "train.recompute=true", "data.workers=2", NULL};
    assert_int_equal(run_with("runs/vit", false, 1, 0, one), ARK_OK);
    assert_int_equal(run_with("runs/vit_threads", false, 3, 0, other), ARK_OK);
    assert_same_weights("runs/vit", "runs/vit_threads");
    for (int64_t stop = 2; stop <= 8; stop += 3) {
        assert_int_equal(ark_rmtree("runs/vit_stopped"), ARK_OK);
        assert_int_equal(run_with("runs/vit_stopped", false, 1, stop, one), ARK_EINTERRUPTED);
        assert_int_equal(run_with("runs/vit_stopped", true, 2, 0, one), ARK_OK);
        assert_same_weights("runs/vit", "runs/vit_stopped");
    }
}

/* A crash leaves a half-written folder and a torn last log line: both are ignored. */
static void crash_leftovers(void **state) {
    (void)state;
    const char *const steps[] = {"train.checkpoint_steps=3", NULL};
    assert_int_equal(ark_rmtree("runs/crashed"), ARK_OK);
    assert_int_equal(run_with("runs/crashed", false, 1, 5, steps), ARK_EINTERRUPTED);
    assert_int_equal(ark_mkdirs("runs/crashed/checkpoints/.writing"), ARK_OK);
    assert_int_equal(
        ark_file_write("runs/crashed/checkpoints/.writing/student.safetensors", "xx", 2), ARK_OK);
    assert_int_equal(ark_mkdirs("runs/crashed/checkpoints/step-000000099"), ARK_OK);
    FILE *f = fopen("runs/crashed/metrics.jsonl", "a");
    fputs("{\"event\":\"tr", f);
    fclose(f);
    assert_int_equal(run_with("runs/crashed", true, 1, 0, NULL), ARK_OK);
    assert_same_weights("runs/whole", "runs/crashed");
}

static void resume_of_another_run_is_refused(void **state) {
    (void)state;
    const char *const lr[] = {"train.lr=0.06", NULL};
    assert_int_equal(run_with("runs/whole", true, 1, 0, lr), ARK_EINVAL);
    assert_non_null(strstr(ark_err_msg(), "train.lr: 0.05, now 0.06"));
    assert_int_equal(run_with("runs/fresh", true, 1, 0, NULL), ARK_OK); /* an empty folder starts afresh */
    assert_same_weights("runs/whole", "runs/fresh");
}

static void every_option_runs(void **state) {
    (void)state;
    static const char *const options[][4] = {
        {"train.mode=concurrent"},
        {"train.union_head=true"},
        {"train.union_head=true", "train.mode=concurrent"},
        {"train.teacher=false"},
        {"train.consistency=false"},
        {"train.ema_mode=iteration"},
        {"train.teacher_start=independent"},
        {"train.teacher_view=student"},
        {"train.optimizer=adamw", "train.lr=1e-3", "train.weight_decay=0.05", "train.clip_grad=1"},
        {"train.schedule=constant", "train.multiclass_loss=bce"},
        {"train.schedule=cosine-epoch", "train.drop_last=true"},
        {"train.schedule=as-released", "data.uncertain=zeros", "data.missing=zero"},
        {"model.projector=mlp", "preprocess.normalization=chestxray"},
        {"model.projector=none", "preprocess.filter=bicubic"},
        {"train.dtype=bf16", "model.drop_path=0.3"},
    };
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        const char *sets[6] = {"train.epochs=2"};
        memcpy(sets + 1, options[i], sizeof options[i]);
        assert_int_equal(ark_rmtree("runs/option"), ARK_OK);
        ark_status st = run_with("runs/option", false, 2, 0, sets);
        if (st != ARK_OK) {
            fail_msg("%s: %s", options[i][0], ark_err_msg());
        }
        /* Interrupted and resumed under the same options: the same bytes again. */
        assert_int_equal(ark_rmtree("runs/option2"), ARK_OK);
        assert_int_equal(run_with("runs/option2", false, 1, 3, sets), ARK_EINTERRUPTED);
        assert_int_equal(run_with("runs/option2", true, 1, 0, sets), ARK_OK);
        assert_same_file("runs/option", "runs/option2", "student.safetensors");
    }
}

static void bad_images(void **state) {
    (void)state;
    char *bytes;
    size_t n;
    assert_int_equal(ark_file_read("runs/data/01.png", 1 << 20, &bytes, &n), ARK_OK);
    assert_int_equal(ark_file_write("runs/data/01.png", bytes, n / 2), ARK_OK);
    assert_int_equal(run_with("runs/bad", false, 1, 0, NULL), ARK_EFORMAT);
    assert_non_null(strstr(ark_err_msg(), "01.png"));
    const char *const skip[] = {"data.on_bad_sample=skip", NULL};
    assert_int_equal(ark_rmtree("runs/bad"), ARK_OK);
    assert_int_equal(run_with("runs/bad", false, 1, 0, skip), ARK_OK);
    assert_int_equal(ark_file_write("runs/data/01.png", bytes, n), ARK_OK);
    ark_free(bytes);
}

/* The longest list costs its table of labels and paths, not images; and more epochs cost nothing. */
static void memory_is_bounded(void **state) {
    (void)state;
    const char *const long_run[] = {"train.epochs=6", NULL};
    const char *const one_epoch[] = {"train.epochs=1", NULL};
    char *text;
    size_t n;
    uint64_t before = ark_alloc_reset_peak();
    assert_int_equal(run_with("runs/short", false, 1, 0, one_epoch), ARK_OK);
    uint64_t small = ark_alloc_get_stats().peak_bytes - before;
    before = ark_alloc_reset_peak();
    assert_int_equal(run_with("runs/long", false, 1, 0, long_run), ARK_OK);
    uint64_t many_epochs = ark_alloc_get_stats().peak_bytes - before;
    /* The image threads' buffers grow to what each happened to get; one view kept per image would be 3 MB. */
    assert_true(many_epochs < small + 65536);

    assert_int_equal(ark_file_read("runs/data/a.csv", 1 << 20, &text, &n), ARK_OK);
    char *rows = strchr(text, '\n') + 1;
    FILE *f = fopen("runs/data/a.csv", "w");
    fwrite(text, 1, (size_t)(rows - text), f);
    for (int i = 0; i < 40; i++) {
        fputs(rows, f);
    }
    fclose(f);
    before = ark_alloc_reset_peak();
    assert_int_equal(run_with("runs/wide", false, 1, 0, one_epoch), ARK_OK);
    uint64_t many_images = ark_alloc_get_stats().peak_bytes - before;
    /* 858 more images: under 600 bytes each, while one decoded image is 576 and one view 6912. */
    assert_true(many_images < small + 65536 + (uint64_t)39 * IMAGES * 600);
    assert_int_equal(ark_file_write("runs/data/a.csv", text, n), ARK_OK);
    ark_free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_leaves_its_folder),
        cmocka_unit_test(threads_and_workers),
        cmocka_unit_test(stop_anywhere_and_resume),
        cmocka_unit_test(a_vit_run),
        cmocka_unit_test(crash_leftovers),
        cmocka_unit_test(resume_of_another_run_is_refused),
        cmocka_unit_test(every_option_runs),
        cmocka_unit_test(bad_images),
        cmocka_unit_test(memory_is_bounded),
    };
    return cmocka_run_group_tests(tests, draw_data, NULL);
}
