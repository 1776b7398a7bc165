/* Grad-CAM against PyTorch's autograd (golden/make_explain.py); heat maps as pictures. */
#include "ark/status.h"
#include "backend/backend.h"
#include "base/err.h"
#include "common/check.h"
#include "eval/explain.h"
#include "golden/explain.h"
#include "io/npy.h"
#include "model/model.h"

#include <math.h>
#include <string.h>

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#define GOLDEN(name) ARK_TEST_DIR "/golden/" name

/* A weight file, its input, and PyTorch's maps of three classes of the first head for the first image. */
typedef struct expected {
    const char *weights, *input, *arch;
    int side;
    const double *map, *logit;
} expected;

static const expected swin = {GOLDEN("embed_new.safetensors"), GOLDEN("embed_new_x.npy"),
    "swin:embed=8,depths=2-2,heads=2-2,window=3,size=28", 4, explain_map, explain_logit};
static const expected vit = {GOLDEN("embed_vit_timm.safetensors"), GOLDEN("embed_vit_timm_x.npy"), NULL, 3,
    explain_vit_map, explain_vit_logit};

static void check_class(ark_explainer *e, const expected *want, const float *image, int k) {
    float map[16], logit;
    double most = 0;
    int n = want->side * want->side;
    const double *right = want->map + n * k;
    must(ark_explain(e, ARK_COL_STUDENT, image, 0, k, map, &logit));
    assert_true(fabs((double)logit - want->logit[k]) <= 1e-5 * (1 + fabs(want->logit[k])));
    for (int i = 0; i < n; i++) {
        most = fmax(most, right[i]);
    }
    for (int i = 0; i < n; i++) {
        assert_true(fabs((double)map[i] - right[i]) <= 2e-5 * most);
    }
}

static void check_maps(const expected *want, const char *backend, int threads) {
    ark_model_opts o = {.arch = want->arch};
    ark_dev *dev;
    ark_model *m;
    ark_npy x;
    ark_explainer *e;
    int rows, cols;
    must(ark_dev_open(backend, threads, &dev));
    must(ark_model_open(want->weights, &o, dev, &m));
    must(ark_npy_read(want->input, &x));
    must(ark_explainer_new(&m->net, m->params, dev, &e));
    ark_explainer_grid(e, &rows, &cols);
    assert_int_equal(rows, want->side);
    assert_int_equal(cols, want->side);
    for (int turn = 0; turn < 6; turn++) { /* the second half finds the explainer used */
        check_class(e, want, x.data, turn % 3);
    }
    float map[16], logit;
    assert_int_equal(ark_explain(e, ARK_COL_STUDENT, x.data, 0, 3, map, &logit), ARK_EINVAL);
    assert_int_equal(ark_explain(e, ARK_COL_STUDENT, x.data, 1, 0, map, &logit), ARK_EINVAL);
    x.data[5] = NAN;
    assert_int_equal(ark_explain(e, ARK_COL_STUDENT, x.data, 0, 0, map, &logit), ARK_EDEVICE);
    ark_explainer_free(e);
    ark_npy_free(&x);
    ark_model_free(m);
    ark_dev_close(dev);
}

static void grad_cam(void **state) {
    (void)state;
    check_maps(&swin, "ref", 1);
    check_maps(&swin, "cpu", 1);
    check_maps(&swin, "cpu", 3);
    check_maps(&vit, "ref", 1);
    check_maps(&vit, "cpu", 2);
}

static void no_head(void **state) {
    (void)state;
    ark_dev *dev;
    ark_net net = {.projector = ARK_PROJECTOR_NONE};
    ark_params *store;
    ark_explainer *e;
    must(ark_arch_parse("swin:embed=8,depths=1-1,heads=2-2,window=2,size=16", &net.arch));
    must(ark_dev_open("cpu", 1, &dev));
    must(ark_params_new(&store));
    assert_int_equal(ark_explainer_new(&net, store, dev, &e), ARK_EINVAL);
    assert_non_null(strstr(ark_err_msg(), "no class to explain"));
    ark_params_free(store);
    ark_dev_close(dev);
}

static void pictures(void **state) {
    (void)state;
    float map[16], wide[9 * 13], flat[4] = {0}, out[4];
    for (int i = 0; i < 16; i++) {
        map[i] = (float)explain_map[i];
    }
    ark_heat_resize(map, 4, 4, wide, 9, 13);
    for (int i = 0; i < 9 * 13; i++) {
        assert_true(fabs((double)wide[i] - explain_wide[i]) < 1e-6);
    }
    ark_heat_resize(flat, 2, 2, out, 2, 2);
    assert_true(out[0] == 0 && out[3] == 0);

    const uint8_t grey[3] = {40, 40, 40};
    const float heat[3] = {0, 0.5f, 1};
    uint8_t rgb[9];
    ark_heat_overlay(grey, heat, 3, 0.6, rgb);
    const uint8_t want[9] = {40, 40, 40, /* .7 * 40 + .3 * (255, 127.5, 0) */ 105, 66, 28,
        /* .4 * 40 + .6 * 255 */ 169, 169, 169};
    assert_memory_equal(rgb, want, 9);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grad_cam),
        cmocka_unit_test(no_head),
        cmocka_unit_test(pictures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
