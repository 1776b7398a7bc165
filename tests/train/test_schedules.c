/* Schedules against closed forms and published values; the run configuration's parsing and origins. */
#include "base/alloc.h"
#include "base/file.h"
#include "train/config.h"
#include "train/sched.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Values of the Ark-6 run, T = 1200: t = 0, 300, 600, 1199 -> m 0.9, 0.9146, 0.95,
 * 0.99999983; c 0, 0.0732, 0.25, 0.5. */
static void published_momentum_and_consistency(void **state) {
    (void)state;
    assert_true(ark_ema_momentum(0, 1200, 0.9) == 0.9);
    assert_true(fabs(ark_ema_momentum(300, 1200, 0.9) - 0.9146) < 5e-5);
    assert_true(fabs(ark_ema_momentum(600, 1200, 0.9) - 0.95) < 1e-12);
    assert_true(fabs(ark_ema_momentum(1199, 1200, 0.9) - 0.99999983) < 5e-9);
    assert_true(ark_consistency_weight(0, 1200, 0.5) == 0);
    assert_true(fabs(ark_consistency_weight(300, 1200, 0.5) - 0.0732) < 5e-5);
    assert_true(fabs(ark_consistency_weight(600, 1200, 0.5) - 0.25) < 1e-12);
    assert_true(fabs(ark_consistency_weight(1200, 1200, 0.5) - 0.5) < 1e-12);
    /* Ark+ writes c = 5 (m - 0.9): the same curve. */
    for (int t = 0; t < 1200; t += 97) {
        assert_true(
            fabs(ark_consistency_weight(t, 1200, 0.5) - 5 * (ark_ema_momentum(t, 1200, 0.9) - 0.9)) < 1e-12);
    }
}

/* timm 0.5.4 CosineLRScheduler(t_initial=200, lr_min=1e-5, warmup_t=20, warmup_lr_init=1e-6), base lr 0.3, by
 * hand: epoch 10: 1e-6 + (0.3-1e-6)/20*10; epoch 100: 1e-5 + 0.5 (0.3-1e-5)(1+cos(pi/2)). */
static void learning_rate(void **state) {
    (void)state;
    ark_lr s = {.peak = 0.3, .floor = 1e-5, .warmup_start = 1e-6, .warmup = 20, .total = 200};
    assert_true(ark_lr_cosine(&s, 0) == 1e-6);
    assert_true(fabs(ark_lr_cosine(&s, 10) - 0.1500005) < 1e-12);
    assert_true(fabs(ark_lr_cosine(&s, 100) - (1e-5 + 0.5 * (0.3 - 1e-5))) < 1e-12);
    assert_true(ark_lr_cosine(&s, 200) == 1e-5);
    /* As released: 0.0030, 0.0045, 0.0060 for validation losses 0.2, 0.3, 0.4. */
    assert_true(fabs(ark_lr_as_released(&s, 0.2) - 0.0030) < 1e-5);
    assert_true(fabs(ark_lr_as_released(&s, 0.4) - 0.0060) < 1e-5);
    assert_true(ark_lr_as_released(&s, NAN) == 1e-6);
}

static ark_status read_text(const char *text, ark_train_config *c) {
    const char *path = "config-test.yaml";
    assert_int_equal(ark_file_write(path, text, strlen(text)), ARK_OK);
    return ark_config_read(path, c);
}

static void config_origins_and_errors(void **state) {
    (void)state;
    ark_train_config c;
    assert_int_equal(
        read_text("data:\n  config: sets.yaml\n  datasets: [a, b]\ntrain:\n  epochs: 3\n", &c), ARK_OK);
    assert_int_equal(c.epochs, 3);
    assert_string_equal(c.datasets, "a,b");
    assert_string_equal(c.data_config, "./sets.yaml");
    assert_int_equal(c.batch, 200);
    assert_int_equal(ark_config_set(&c, "train.epochs=5"), ARK_OK);
    assert_int_equal(c.epochs, 5);
    assert_int_equal(ark_config_set(&c, "train.epoch=5"), ARK_EINVAL);
    assert_non_null(strstr(ark_err_msg(), "train.epochs"));
    assert_int_equal(ark_config_set(&c, "train.optimizer=sdg"), ARK_EINVAL);
    assert_non_null(strstr(ark_err_msg(), "did you mean 'sgd'"));
    assert_int_equal(ark_config_set(&c, "train.epochs=0"), ARK_EINVAL);
    ark_config_free(&c);

    assert_int_equal(read_text("train:\n  epochs: 3\n  bacth: 4\n", &c), ARK_EINVAL);
    assert_non_null(strstr(ark_err_msg(), "config-test.yaml:3"));
    assert_non_null(strstr(ark_err_msg(), "train.batch"));
    ark_config_free(&c);
}

/* The resolved copy reads back to the same values. */
static void config_round_trip(void **state) {
    (void)state;
    ark_train_config a, b;
    assert_int_equal(
        read_text("data:\n  config: s.yaml\n  datasets: [x]\ntrain:\n  lr: 0.1\n  mode: concurrent\n", &a),
        ARK_OK);
    assert_int_equal(ark_config_write(&a, "config-copy.yaml"), ARK_OK);
    assert_int_equal(ark_config_read("config-copy.yaml", &b), ARK_OK);
    for (size_t i = 0; i < ark_config_count(); i++) {
        char va[4096], vb[4096];
        ark_config_value(&a, i, va, sizeof va);
        ark_config_value(&b, i, vb, sizeof vb);
        if (strcmp(ark_config_key(i), "data.config")) {
            assert_string_equal(va, vb);
        } else {
            assert_int_equal(vb[0], '/'); /* made absolute */
        }
    }
    ark_config_free(&a);
    ark_config_free(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_momentum_and_consistency),
        cmocka_unit_test(learning_rate),
        cmocka_unit_test(config_origins_and_errors),
        cmocka_unit_test(config_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
