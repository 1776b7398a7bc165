/* ark/train.h: overrides reach the run, callbacks see it, a run that was told to stop
 * goes on, and its weights open. */
#include "ark/ark.h"
#include "base/alloc.h"
#include "base/file.h"
#include "base/rng.h"
#include "io/image.h"

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

enum { SIDE = 16, IMAGES = 20 }; /* 14 to train on, 3 to validate, 3 to test */

static int draw_data(void **state) {
    (void)state;
    assert_int_equal(ark_rmtree("api-runs"), ARK_OK);
    assert_int_equal(ark_mkdirs("api-runs"), ARK_OK);
    FILE *list = fopen("api-runs/list.csv", "w");
    fprintf(list, "path,patient_id,split,bright\n");
    for (int i = 0; i < IMAGES; i++) {
        uint8_t px[SIDE * SIDE];
        char name[64];
        ark_rng r = ark_rng_at(4, ARK_RNG_TEST, (uint64_t)i, 0, 0);
        for (int k = 0; k < SIDE * SIDE; k++) {
            px[k] = (uint8_t)(40 + 120 * (i % 2) + (int)ark_rng_below(&r, 60));
        }
        snprintf(name, sizeof name, "api-runs/%02d.png", i);
        assert_int_equal(ark_png_write(name, SIDE, SIDE, 1, px), ARK_OK);
        fprintf(list, "%02d.png,p%d,%s,%d\n", i, i, i < 14 ? "train" : i < 17 ? "val" : "test", i % 2);
    }
    fclose(list);
    const char sets[] = "lamp:\n  data_dir: .\n  list: list.csv\n  task_type: binary\n  classes: [bright]\n";
    const char run[] =
        "data:\n  config: sets.yaml\nmodel:\n  arch: swin:embed=8,depths=1-1,heads=1-2,window=4,size=16\n"
        "  projector_dim: 12\ntrain:\n  epochs: 9\n  batch: 4\n  lr: 0.05\n  warmup_epochs: 1\n";
    assert_int_equal(ark_file_write("api-runs/sets.yaml", sets, sizeof sets - 1), ARK_OK);
    return ark_file_write("api-runs/run.yaml", run, sizeof run - 1) != ARK_OK;
}

/* What the callbacks saw. */
typedef struct witness {
    int64_t steps, stop_at;
    int messages;
    double loss;
} witness;

static void on_progress(void *user, const ark_train_progress *p) {
    witness *w = user;
    w->steps++;
    w->loss = p->loss;
    assert_int_equal(p->step, w->steps);
    assert_int_equal(p->steps, 2 * 4);
    assert_int_equal(p->epochs, 2);
    assert_int_equal(p->epoch, (w->steps - 1) / 4 + 1);
    assert_int_equal(p->batch, (w->steps - 1) % 4 + 1);
    assert_int_equal(p->batches, 4);
    assert_string_equal(p->dataset, "lamp");
    /* The loss is made of its parts. */
    double part = p->consistency > 0 ? p->consistency * p->consistency_loss : 0;
    assert_true(fabs(p->loss - ((1 - p->consistency) * p->task_loss + part)) < 1e-6);
    assert_true(p->peak_bytes > 0);
}

static void on_message(void *user, const char *line) {
    witness *w = user;
    w->messages++;
    assert_null(strchr(line, '\n'));
}

static bool should_stop(void *user) {
    const witness *w = user;
    return w->steps == w->stop_at;
}

static ark_status run(const char *dir, bool resume, witness *w, ark_train_result *result) {
    static const char *const set[] = {"train.epochs=2", "train.batch=4"};
    ark_train_opts o = ark_train_default_opts();
    o.set = set;
    o.n_set = 2;
    o.resume = resume;
    o.threads = 1;
    o.on_progress = w ? on_progress : NULL;
    o.on_message = w ? on_message : NULL;
    o.should_stop = w ? should_stop : NULL;
    o.user = w;
    return ark_train_pretrain("api-runs/run.yaml", dir, &o, result);
}

static void a_whole_run(void **state) {
    (void)state;
    witness w = {0};
    ark_train_result r;
    assert_int_equal(run("api-runs/whole", false, &w, &r), ARK_OK);
    assert_int_equal(w.steps, 8);
    assert_true(w.messages > 0 && w.loss > 0);
    assert_int_equal(r.epochs, 2);
    assert_int_equal(r.steps, 8);
    assert_int_equal(r.images, 2 * 14);
    assert_int_equal(r.skipped, 0);
    assert_true(r.best_loss <= r.val_loss && r.best_epoch >= 1 && r.best_epoch <= 2);
    ark_infer_model *m;
    assert_int_equal(ark_infer_open("api-runs/whole/teacher.safetensors", NULL, &m), ARK_OK);
    const ark_infer_info *info = ark_infer_describe(m);
    assert_int_equal(info->n_heads, 1);
    assert_string_equal(info->heads[0].dataset, "lamp");
    assert_string_equal(info->heads[0].classes[0], "bright");
    ark_infer_close(m);
}

static void stopped_and_gone_on_with(void **state) {
    (void)state;
    witness w = {.stop_at = 3};
    ark_train_result r = {.steps = -7};
    char *a, *b;
    size_t na, nb;
    assert_int_equal(run("api-runs/stopped", false, &w, &r), ARK_EINTERRUPTED);
    assert_int_equal(r.steps, -7);
    assert_int_equal(w.steps, 3);
    w.stop_at = 0;
    assert_int_equal(run("api-runs/stopped", true, &w, &r), ARK_OK); /* on_progress goes on counting from 4 */
    assert_int_equal(r.steps, 8);
    assert_int_equal(run("api-runs/silent", false, NULL, NULL), ARK_OK);
    assert_int_equal(ark_file_read("api-runs/stopped/teacher.safetensors", 1 << 24, &a, &na), ARK_OK);
    assert_int_equal(ark_file_read("api-runs/silent/teacher.safetensors", 1 << 24, &b, &nb), ARK_OK);
    assert_int_equal(na, nb);
    assert_memory_equal(a, b, na);
    ark_free(a);
    ark_free(b);
}

static void count_step(void *user, const ark_train_progress *p) {
    witness *w = user;
    w->steps++;
    assert_true(isnan(p->momentum) && isnan(p->consistency_loss));
    assert_true(p->step >= 1 && p->step <= p->steps);
}

static void finetuned(void **state) {
    (void)state;
    static const char *const set[] = {
        "data.config=api-runs/sets.yaml", "train.epochs=2", "train.batch=4", "train.trials=2"};
    witness w = {.stop_at = 11}; /* in the second trial */
    ark_train_opts o = ark_train_default_opts();
    o.set = set;
    o.n_set = 4;
    o.on_progress = count_step;
    o.should_stop = should_stop;
    o.user = &w;
    const char *from = "api-runs/whole/teacher.safetensors";
    assert_int_equal(ark_train_finetune(NULL, from, "api-runs/tuned", &o), ARK_EINTERRUPTED);
    o.resume = true;
    w.stop_at = 0;
    assert_int_equal(ark_train_finetune(NULL, from, "api-runs/tuned", &o), ARK_OK);
    assert_int_equal(w.steps, 2 * 2 * 4); /* nothing twice */
    ark_infer_model *m;
    assert_int_equal(ark_infer_open("api-runs/tuned/model.safetensors", NULL, &m), ARK_OK);
    assert_string_equal(ark_infer_describe(m)->heads[0].classes[0], "bright");
    ark_infer_close(m);
    assert_int_equal(ark_train_finetune(NULL, "random", "api-runs/none", &o), ARK_EINVAL);
    assert_non_null(strstr(ark_err_msg(), "model.arch"));
}

static void mistakes_are_named(void **state) {
    (void)state;
    const char *const set[] = {"train.epocs=2"};
    ark_train_opts o = ark_train_default_opts();
    o.set = set;
    o.n_set = 1;
    assert_int_equal(ark_train_pretrain("api-runs/run.yaml", "api-runs/bad", &o, NULL), ARK_EINVAL);
    assert_non_null(strstr(ark_err_msg(), "train.epochs"));
    assert_int_equal(ark_train_pretrain("api-runs/none.yaml", "api-runs/bad", NULL, NULL), ARK_EIO);
    assert_non_null(strstr(ark_err_msg(), "none.yaml"));
    assert_int_equal(run("api-runs/whole", false, NULL, NULL), ARK_EINVAL); /* holds a run already */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_run),
        cmocka_unit_test(stopped_and_gone_on_with),
        cmocka_unit_test(finetuned),
        cmocka_unit_test(mistakes_are_named),
    };
    return cmocka_run_group_tests(tests, draw_data, NULL);
}
