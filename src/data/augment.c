#include "data/augment.h"

#include "base/err.h"

#include <math.h>
#include <stdint.h>

ark_augment ark_augment_pretrain(void) {
    return (ark_augment){
        .crop_scale = {0.08, 1},
        .crop_ratio = {3.0 / 4, 4.0 / 3},
        .affine_p = 0.5,
        .shift = 0.0625,
        .scale = 0.1,
        .rotate_deg = 10,
        .intensity_p = 0.3,
        .brightness = 0.2,
        .contrast = 0.2,
        .gamma = {0.8, 1.2},
    };
}

ark_augment ark_augment_finetune(void) {
    return (ark_augment){
        .crop_scale = {0.08, 1},
        .crop_ratio = {3.0 / 4, 4.0 / 3},
        .flip_p = 0.5,
        .affine_p = 1,
        .rotate_deg = 7,
        .fill_zero = true,
        .gamma = {1, 1},
    };
}

static ark_status in_range(const char *name, double v, double lo, double hi) {
    if (v >= lo && v <= hi) {
        return ARK_OK;
    }
    return ARK_ERR(ARK_EINVAL, "augment: %s is %g, expected %g to %g", name, v, lo, hi);
}

static ark_status range_in_range(const char *name, const double v[2], double lo, double hi) {
    if (v[0] >= lo && v[1] <= hi && v[0] <= v[1]) {
        return ARK_OK;
    }
    return ARK_ERR(
        ARK_EINVAL, "augment: %s is %g to %g, expected an interval in %g to %g", name, v[0], v[1], lo, hi);
}

ark_status ark_augment_check(const ark_augment *a) {
    ARK_TRY(range_in_range("crop_scale", a->crop_scale, 1e-4, 1));
    ARK_TRY(range_in_range("crop_ratio", a->crop_ratio, 0.01, 100));
    ARK_TRY(in_range("flip_p", a->flip_p, 0, 1));
    ARK_TRY(in_range("affine_p", a->affine_p, 0, 1));
    ARK_TRY(in_range("shift", a->shift, 0, 1));
    ARK_TRY(in_range("scale", a->scale, 0, 0.9));
    ARK_TRY(in_range("rotate_deg", a->rotate_deg, 0, 180));
    ARK_TRY(in_range("intensity_p", a->intensity_p, 0, 1));
    ARK_TRY(in_range("brightness", a->brightness, 0, 1));
    ARK_TRY(in_range("contrast", a->contrast, 0, 1));
    return range_in_range("gamma", a->gamma, 0.01, 100);
}

/* RandomResizedCrop of torchvision on a square of side n: ten tries of a random area and a log-uniform ratio,
 * then the largest centred crop whose ratio is allowed. */
static void draw_crop(const ark_augment *a, ark_rng *r, int n, double box[4]) {
    double log_lo = log(a->crop_ratio[0]), log_hi = log(a->crop_ratio[1]);
    int w = 0, h = 0;
    bool found = false;
    for (int i = 0; i < 10 && !found; i++) {
        double area = ark_rng_range(r, a->crop_scale[0], a->crop_scale[1]) * n * n;
        double ratio = exp(ark_rng_range(r, log_lo, log_hi));
        w = (int)nearbyint(sqrt(area * ratio)); /* to even, as Python's round */
        h = (int)nearbyint(sqrt(area / ratio));
        found = w > 0 && w <= n && h > 0 && h <= n;
    }
    int x, y;
    if (found) {
        y = (int)ark_rng_below(r, (uint32_t)(n - h) + 1);
        x = (int)ark_rng_below(r, (uint32_t)(n - w) + 1);
    } else {
        w = h = n;
        if (a->crop_ratio[0] > 1) {
            h = (int)nearbyint(n / a->crop_ratio[0]);
        } else if (a->crop_ratio[1] < 1) {
            w = (int)nearbyint(n * a->crop_ratio[1]);
        }
        h = h < 1 ? 1 : h;
        w = w < 1 ? 1 : w;
        y = (n - h) / 2;
        x = (n - w) / 2;
    }
    box[0] = (double)x / n;
    box[1] = (double)y / n;
    box[2] = (double)(x + w) / n;
    box[3] = (double)(y + h) / n;
}

static uint8_t to_level(double v) {
    return v <= 0 ? 0 : v >= 255 ? 255 : (uint8_t)(v + 0.5);
}

/* albumentations' RandomBrightnessContrast (brightness as a share of full white) and RandomGamma. */
static void draw_curve(const ark_augment *a, ark_rng *r, uint8_t curve[256]) {
    if (ark_rng_f64(r) < 0.5) {
        double gain = 1 + ark_rng_range(r, -a->contrast, a->contrast);
        double offset = 255 * ark_rng_range(r, -a->brightness, a->brightness);
        for (int v = 0; v < 256; v++) {
            curve[v] = to_level(gain * v + offset);
        }
    } else {
        double gamma = ark_rng_range(r, a->gamma[0], a->gamma[1]);
        for (int v = 0; v < 256; v++) {
            curve[v] = to_level(255 * pow(v / 255.0, gamma));
        }
    }
}

ark_view ark_view_whole(void) {
    return (ark_view){.box = {0, 0, 1, 1}, .zoom = 1};
}

ark_view ark_view_draw(const ark_augment *a, ark_rng *r, int side) {
    ark_view v = ark_view_whole();
    draw_crop(a, r, side, v.box);
    v.flip = ark_rng_f64(r) < a->flip_p;
    v.fill_zero = a->fill_zero;
    if (ark_rng_f64(r) < a->affine_p) {
        v.affine = true;
        v.angle_deg = ark_rng_range(r, -a->rotate_deg, a->rotate_deg);
        v.zoom = 1 + ark_rng_range(r, -a->scale, a->scale);
        v.shift[0] = ark_rng_range(r, -a->shift, a->shift);
        v.shift[1] = ark_rng_range(r, -a->shift, a->shift);
    }
    if (ark_rng_f64(r) < a->intensity_p) {
        v.intensity = true;
        draw_curve(a, r, v.curve);
    }
    return v;
}
