/* Views: draws against torchvision's statistics, geometry on images whose result is
 * known, pixels against Pillow. */
#include "base/alloc.h"
#include "data/augment.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static ark_viewer *viewer(int size_px, int resize_px) {
    ark_preproc pre = ark_preproc_default(size_px);
    pre.resize_px = resize_px;
    ark_viewer *v;
    assert_int_equal(ark_viewer_new(&pre, &v), ARK_OK);
    return v;
}

/* px(x,y) = (37 x + 91 y + 5 x y) mod 256 */
static ark_image pattern(int w, int h) {
    ark_image im;
    assert_int_equal(ark_image_new(w, h, 8, &im), ARK_OK);
    for (int y = 0; y < h; y++) {
        for (int x = 0; x < w; x++) {
            im.px8[y * w + x] = (uint8_t)(x * 37 + y * 91 + x * y * 5);
        }
    }
    return im;
}

static const uint8_t *render(ark_viewer *v, const ark_image *im, const ark_view *view) {
    const uint8_t *px;
    assert_int_equal(ark_viewer_render(v, im, view, &px), ARK_OK);
    return px;
}

static void default_sizes(void **state) {
    (void)state;
    assert_int_equal(ark_preproc_default(224).resize_px, 256);
    assert_int_equal(ark_preproc_default(768).resize_px, 896);
    assert_int_equal(ark_preproc_default(384).resize_px, 448);
    assert_int_equal(ark_preproc_default(112).resize_px, 128);
    assert_int_equal(ark_preproc_default(64).resize_px, 73);
    ark_preproc p = ark_preproc_default(64);
    p.std[1] = 0;
    assert_int_equal(ark_preproc_check(&p), ARK_EINVAL);
    p = ark_preproc_default(64);
    p.resize_px = 63;
    assert_int_equal(ark_preproc_check(&p), ARK_EINVAL);
    p = ark_preproc_default(0);
    assert_int_equal(ark_preproc_check(&p), ARK_EINVAL);
    ark_augment a = ark_augment_pretrain();
    assert_int_equal(ark_augment_check(&a), ARK_OK);
    a.crop_scale[0] = NAN;
    assert_int_equal(ark_augment_check(&a), ARK_EINVAL);
    assert_non_null(strstr(ark_err_msg(), "crop_scale"));
    a = ark_augment_finetune();
    assert_int_equal(ark_augment_check(&a), ARK_OK);
    a.flip_p = 1.5;
    assert_int_equal(ark_augment_check(&a), ARK_EINVAL);
}

/* torchvision 0.29: Normalize(mean, std)(ToTensor()(level)) in float32. */
static void normalised_levels(void **state) {
    (void)state;
    static const struct {
        uint8_t level;
        float rgb[3];
    } want[] = {
        {0, {-2.1179039478302f, -2.0357141494750977f, -1.804444432258606f}},
        {1, {-2.1007792949676514f, -2.018207311630249f, -1.7870151996612549f}},
        {128, {0.07406462728977203f, 0.20518219470977783f, 0.4264925718307495f}},
        {255, {2.248908281326294f, 2.4285714626312256f, 2.640000104904175f}},
    };
    ark_viewer *v = viewer(2, 2);
    uint8_t px[4], curve[256];
    float out[12], curved[12];
    for (int i = 0; i < 4; i++) {
        px[i] = want[i].level;
    }
    for (int i = 0; i < 256; i++) {
        curve[i] = (uint8_t)(255 - i);
    }
    ark_viewer_normalise(v, px, NULL, out);
    ark_viewer_normalise(v, px, curve, curved);
    for (int c = 0; c < 3; c++) {
        for (int i = 0; i < 4; i++) {
            assert_true(out[4 * c + i] == want[i].rgb[c]);
        }
        assert_true(curved[4 * c] == out[4 * c + 3] && curved[4 * c + 3] == out[4 * c]);
    }
    ark_viewer_free(v);
}

/* Pillow 13: Image.resize((5, 5), BILINEAR) of the 19 x 13 pattern, whole and with box =
 * (4.75, 6.5, 14.25, 13). */
static void pixels_equal_pillow(void **state) {
    (void)state;
    static const uint8_t whole[25] = {111, 121, 135, 132, 123, 118, 134, 140, 130, 134, 117, 143, 128, 122,
        138, 126, 129, 124, 120, 142, 137, 132, 128, 143, 126};
    static const uint8_t boxed[25] = {143, 145, 91, 115, 117, 116, 158, 119, 116, 120, 131, 138, 109, 129,
        120, 119, 142, 126, 151, 162, 108, 154, 108, 121, 124};
    ark_viewer *v = viewer(5, 5);
    ark_image im = pattern(19, 13);
    ark_view view = ark_view_whole();
    const uint8_t *px = render(v, &im, &view);
    float out[75];
    for (int i = 0; i < 25; i++) {
        assert_in_range(px[i] + 1, whole[i], whole[i] + 2);
    }
    assert_int_equal(ark_viewer_plain(v, &im, out), ARK_OK);
    float again[75];
    ark_viewer_normalise(v, px, NULL, again);
    assert_memory_equal(out, again, sizeof out);
    view = (ark_view){.box = {0.25, 0.5, 0.75, 1}, .zoom = 1};
    px = render(v, &im, &view);
    for (int i = 0; i < 25; i++) {
        assert_in_range(px[i] + 1, boxed[i], boxed[i] + 2);
    }
    view.flip = true;
    px = render(v, &im, &view);
    for (int i = 0; i < 25; i++) {
        assert_in_range(px[i] + 1, boxed[i / 5 * 5 + 4 - i % 5], boxed[i / 5 * 5 + 4 - i % 5] + 2);
    }
    ark_image_free(&im);
    ark_viewer_free(v);
}

typedef struct moments {
    double sum, sq;
} moments;

static void add(moments *m, double x) {
    m->sum += x;
    m->sq += x * x;
}

static void assert_moments(const moments *m, int n, double mean, double sd) {
    double got = m->sum / n, got_sd = sqrt(m->sq / n - got * got);
    if (fabs(got - mean) > 5 * sd / sqrt(n) || fabs(got_sd - sd) > 5 * sd / sqrt(n)) {
        fail_msg("mean %g sd %g, expected %g %g", got, got_sd, mean, sd);
    }
}

/* Means and deviations of 200,000 RandomResizedCrop.get_params on 256 x 256 (torchvision 0.29, seed 0). */
static void crops_like_torchvision(void **state) {
    (void)state;
    enum { N = 40000 };
    ark_augment a = ark_augment_pretrain();
    moments area = {0}, log_ratio = {0}, x = {0}, y = {0}, width = {0};
    int affine = 0, intensity = 0, flip = 0;
    for (uint32_t i = 0; i < N; i++) {
        ark_rng r = ark_rng_at(1, ARK_RNG_AUGMENT, 0, 0, i);
        ark_view v = ark_view_draw(&a, &r, 256);
        double w = v.box[2] - v.box[0], h = v.box[3] - v.box[1];
        assert_true(v.box[0] >= 0 && v.box[1] >= 0 && v.box[2] <= 1 && v.box[3] <= 1);
        for (int k = 0; k < 4; k++) { /* whole pixels of the squashed image */
            assert_true(fabs(v.box[k] * 256 - nearbyint(v.box[k] * 256)) < 1e-9);
        }
        add(&area, w * h);
        add(&log_ratio, log(w / h));
        add(&x, v.box[0] + w / 2);
        add(&y, v.box[1] + h / 2);
        add(&width, w);
        affine += v.affine;
        intensity += v.intensity;
        flip += v.flip;
        if (v.affine) {
            assert_true(fabs(v.shift[0]) <= 0.0625 && fabs(v.shift[1]) <= 0.0625);
            assert_true(fabs(v.zoom - 1) <= 0.1 && fabs(v.angle_deg) <= 10);
        }
    }
    assert_moments(&area, N, 0.479523, 0.234303);
    assert_moments(&log_ratio, N, 0, 0.159178);
    assert_moments(&x, N, 0.5, 0.110787);
    assert_moments(&y, N, 0.5, 0.110787);
    assert_moments(&width, N, 0.670367, 0.189372);
    assert_in_range(affine, N * 0.5 - 500, N * 0.5 + 500);
    assert_in_range(intensity, N * 0.3 - 500, N * 0.3 + 500);
    assert_int_equal(flip, 0);
}

/* A ratio that never fits: torchvision falls back to the largest centred crop of the
 * nearest allowed ratio. */
static void crop_fallback(void **state) {
    (void)state;
    ark_augment a = ark_augment_pretrain();
    a.crop_scale[0] = 1;
    a.crop_ratio[0] = 2;
    a.crop_ratio[1] = 3;
    ark_rng r = ark_rng_at(1, ARK_RNG_TEST, 0, 0, 0);
    ark_view v = ark_view_draw(&a, &r, 256);
    const double wide[4] = {0, 0.25, 1, 0.75};
    assert_memory_equal(v.box, wide, sizeof wide);
    a.crop_ratio[0] = 0.1;
    a.crop_ratio[1] = 0.5;
    v = ark_view_draw(&a, &r, 256);
    const double tall[4] = {0.25, 0, 0.75, 1};
    assert_memory_equal(v.box, tall, sizeof tall);
}

static void draws_of_finetuning(void **state) {
    (void)state;
    enum { N = 20000 };
    ark_augment a = ark_augment_finetune();
    moments angle = {0};
    int flip = 0;
    for (uint32_t i = 0; i < N; i++) {
        ark_rng r = ark_rng_at(2, ARK_RNG_AUGMENT, 0, 0, i);
        ark_view v = ark_view_draw(&a, &r, 256);
        assert_true(v.affine && v.fill_zero && !v.intensity);
        assert_true(v.zoom == 1 && v.shift[0] == 0 && v.shift[1] == 0);
        flip += v.flip;
        add(&angle, v.angle_deg);
    }
    assert_moments(&angle, N, 0, 14 / sqrt(12));
    assert_in_range(flip, N / 2 - 400, N / 2 + 400);
}

static bool is_identity(const ark_view *v) {
    for (int k = 0; k < 256; k++) {
        if (v->curve[k] != k) {
            return false;
        }
    }
    return true;
}

/* albumentations: level * (1 + U(-.2,.2)) + 255 U(-.2,.2), or 255 (level/255)^U(.8,1.2), half and half. Each
 * is tested with the other one made harmless. */
static void intensity_curves(void **state) {
    (void)state;
    enum { N = 4000 };
    ark_augment linear = ark_augment_pretrain(), power = linear;
    linear.intensity_p = power.intensity_p = 1;
    linear.gamma[0] = linear.gamma[1] = 1;
    power.brightness = power.contrast = 0;
    int linears = 0, powers = 0;
    moments offset = {0}, gain = {0}, exponent = {0};
    for (uint32_t i = 0; i < N; i++) {
        ark_rng r = ark_rng_at(3, ARK_RNG_AUGMENT, 0, 0, i), same = r;
        ark_view a = ark_view_draw(&linear, &r, 256), b = ark_view_draw(&power, &same, 256);
        assert_true(a.intensity && b.intensity);
        for (int k = 1; k < 256; k++) {
            assert_true(a.curve[k] >= a.curve[k - 1] && b.curve[k] >= b.curve[k - 1]);
        }
        if (!is_identity(&a)) { /* 96 to 160 never saturates */
            double slope = (a.curve[160] - a.curve[96]) / 64.0;
            linears++;
            add(&gain, slope);
            add(&offset, (a.curve[128] - 128 * slope) / 255);
        }
        if (!is_identity(&b)) {
            powers++;
            add(&exponent, log(b.curve[64] / 255.0) / log(64 / 255.0));
        }
    }
    assert_in_range(linears, N / 2 - 160, N / 2 + 160);
    assert_in_range(powers, N / 2 - 180, N / 2 + 140); /* exponents next to 1 change nothing */
    assert_moments(&gain, linears, 1, 0.4 / sqrt(12));
    assert_moments(&offset, linears, 0, 0.4 / sqrt(12));
    assert_moments(&exponent, powers, 1, 0.4 / sqrt(12));
    power.gamma[0] = power.gamma[1] = 2;
    for (uint32_t i = 0; i < 20; i++) {
        ark_rng r = ark_rng_at(4, ARK_RNG_AUGMENT, 0, 0, i);
        ark_view v = ark_view_draw(&power, &r, 256);
        for (int k = 0; k < 256; k++) { /* nothing, or the square */
            assert_true(is_identity(&v) || v.curve[k] == (int)(k * k / 255.0 + 0.5));
        }
    }
}

static ark_view affine(double angle_deg, double zoom, double dx, double dy) {
    ark_view v = ark_view_whole();
    v.affine = true;
    v.angle_deg = angle_deg;
    v.zoom = zoom;
    v.shift[0] = dx;
    v.shift[1] = dy;
    return v;
}

/* A quarter turn is numpy.rot90 (counter-clockwise); a shift by whole pixels moves pixels
 * and reflects the border. */
static void exact_maps(void **state) {
    (void)state;
    enum { S = 8 };
    ark_viewer *v = viewer(S, S);
    ark_image im = pattern(S, S);
    ark_view view = affine(90, 1, 0, 0);
    const uint8_t *px = render(v, &im, &view);
    for (int y = 0; y < S; y++) {
        for (int x = 0; x < S; x++) { /* rot90: out[y][x] = in[x][S-1-y] */
            assert_int_equal(px[y * S + x], im.px8[x * S + S - 1 - y]);
        }
    }
    static const int reflected[S] = {2, 1, 0, 1, 2, 3, 4, 5}; /* source of each pixel after a shift by 2 */
    view = affine(0, 1, 2.0 / S, 0);
    px = render(v, &im, &view);
    for (int i = 0; i < S * S; i++) {
        assert_int_equal(px[i], im.px8[i / S * S + reflected[i % S]]);
    }
    view = affine(0, 1, 0, 2.0 / S);
    view.fill_zero = true;
    px = render(v, &im, &view);
    for (int i = 0; i < S * S; i++) {
        assert_int_equal(px[i], i / S < 2 ? 0 : im.px8[i - 2 * S]);
    }
    view = affine(0, 1, -0.5 / S, 0); /* half a pixel to the left: the mean of two neighbours */
    px = render(v, &im, &view);
    for (int i = 0; i < S * S; i++) {
        int a = im.px8[i], b = im.px8[i % S < S - 1 ? i + 1 : i - 1];
        assert_true(abs(2 * px[i] - a - b) <= 1);
    }
    view = affine(0, 1, 0, 0);
    px = render(v, &im, &view);
    assert_memory_equal(px, im.px8, S * S);
    ark_image_free(&im);
    ark_viewer_free(v);
}

/* Centre of gravity of a bright spot under zoom, rotation and shift, against the formula of
 * cv2.getRotationMatrix2D about the centre of the plane. */
static void mapped_points(void **state) {
    (void)state;
    enum { S = 65 };
    static const double cases[][4] = {
        {10, 1, 0, 0}, {-10, 1, 0, 0}, {30, 1.1, 0.05, -0.03}, {-7, 0.9, -0.0625, 0.0625}};
    ark_viewer *v = viewer(S, S);
    ark_image im;
    assert_int_equal(ark_image_new(S, S, 8, &im), ARK_OK);
    double sx = 44, sy = 25, c = (S - 1) / 2.0;
    for (int i = 0; i < S * S; i++) {
        double dx = i % S - sx, dy = i / S - sy;
        im.px8[i] = (uint8_t)(250 * exp(-(dx * dx + dy * dy) / 8));
    }
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        ark_view view = affine(cases[k][0], cases[k][1], cases[k][2], cases[k][3]);
        const uint8_t *px = render(v, &im, &view);
        double sum = 0, mx = 0, my = 0, t = cases[k][0] * acos(-1) / 180, z = cases[k][1];
        for (int i = 0; i < S * S; i++) {
            sum += px[i];
            mx += px[i] * (double)(i % S);
            my += px[i] * (double)(i / S);
        }
        double dx = sx - c, dy = sy - c; /* y points down, so counter-clockwise has +sin above */
        double wx = c + z * (cos(t) * dx + sin(t) * dy) + S * cases[k][2];
        double wy = c + z * (-sin(t) * dx + cos(t) * dy) + S * cases[k][3];
        assert_true(fabs(mx / sum - wx) < 0.06 && fabs(my / sum - wy) < 0.06);
    }
    ark_image_free(&im);
    ark_viewer_free(v);
}

/* Level of a crop's pixel, from its first channel. */
static int level_of(float value) {
    return (int)lrintf((value * 0.229f + 0.485f) * 255);
}

/* torchvision's CenterCrop offset is round((R - S) / 2) to even: 2 for 7 and 4, 0 for 5 and 4. */
static void centre_and_ten_crops(void **state) {
    (void)state;
    enum { S = 4, R = 7 };
    ark_viewer *v = viewer(S, R);
    ark_image im = pattern(R, R); /* squashing to R changes nothing */
    float one[3 * S * S], ten[10 * 3 * S * S];
    assert_int_equal(ark_viewer_centre(v, &im, one), ARK_OK);
    assert_int_equal(ark_viewer_ten(v, &im, ten), ARK_OK);
    static const int corner[5][2] = {{0, 0}, {3, 0}, {0, 3}, {3, 3}, {2, 2}}; /* x, y */
    for (int k = 0; k < 10; k++) {
        for (int i = 0; i < S * S; i++) {
            int x = corner[k % 5][0] + i % S, y = corner[k % 5][1] + i / S;
            int want = im.px8[y * R + (k < 5 ? x : R - 1 - x)];
            assert_int_equal(level_of(ten[k * 3 * S * S + i]), want);
        }
    }
    assert_memory_equal(one, ten + 4 * 3 * S * S, sizeof one);
    ark_viewer_free(v);
    v = viewer(S, 5);
    ark_image five = pattern(5, 5);
    assert_int_equal(ark_viewer_centre(v, &five, one), ARK_OK);
    assert_int_equal(level_of(one[0]), five.px8[0]);
    ark_viewer_free(v);
    ark_image_free(&im);
    ark_image_free(&five);
}

/* Images of one pixel and extreme shapes render without harm; nothing is allocated once sizes were seen. */
static void odd_images(void **state) {
    (void)state;
    static const int sizes[][2] = {{1, 1}, {1, 300}, {300, 1}, {2, 3}, {640, 480}};
    ark_viewer *v = viewer(32, 37);
    ark_augment a = ark_augment_pretrain();
    float out[10 * 3 * 32 * 32];
    for (int round = 0; round < 2; round++) {
        uint64_t calls = ark_alloc_get_stats().calls;
        for (size_t k = 0; k < 5; k++) {
            ark_image im = pattern(sizes[k][0], sizes[k][1]);
            for (uint32_t i = 0; i < 20; i++) {
                ark_rng r = ark_rng_at(5, ARK_RNG_AUGMENT, 0, 0, i);
                ark_view view = ark_view_draw(&a, &r, 37);
                render(v, &im, &view);
            }
            assert_int_equal(ark_viewer_ten(v, &im, out), ARK_OK);
            ark_image_free(&im);
        }
        assert_true(round == 0 || ark_alloc_get_stats().calls == calls + 5); /* the five images */
    }
    ark_viewer_free(v);
    v = viewer(1, 1); /* a model of one pixel */
    ark_image im = pattern(9, 9);
    ark_view view = affine(20, 0.9, 0.3, 0.3);
    render(v, &im, &view);
    ark_image_free(&im);
    ark_viewer_free(v);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(default_sizes),
        cmocka_unit_test(normalised_levels),
        cmocka_unit_test(pixels_equal_pillow),
        cmocka_unit_test(crops_like_torchvision),
        cmocka_unit_test(crop_fallback),
        cmocka_unit_test(draws_of_finetuning),
        cmocka_unit_test(intensity_curves),
        cmocka_unit_test(exact_maps),
        cmocka_unit_test(mapped_points),
        cmocka_unit_test(centre_and_ten_crops),
        cmocka_unit_test(odd_images),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
