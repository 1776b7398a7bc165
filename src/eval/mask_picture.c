#include "eval/mask_picture.h"

#include "base/alloc.h"
#include "base/err.h"
#include "eval/explain.h"
#include "io/image.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { PATH_BYTES = 4096 };

/* Okabe and Ito's colours, told apart by eyes of every kind. */
static const uint8_t palette[][3] = {{0, 158, 115}, {230, 159, 0}, {86, 180, 233}, {204, 121, 167},
    {240, 228, 66}, {213, 94, 0}, {0, 114, 178}};
enum { COLOURS = sizeof palette / sizeof palette[0] };

typedef struct picture {
    const char *dir, *image;
    ark_image im;
    float *map, *wide; /* one class at the network's size and the image's */
    uint8_t *mask, *rgb;
} picture;

static ark_status path_of(const picture *p, const char *what, char out[PATH_BYTES]) {
    const char *slash = strrchr(p->image, '/'), *name = slash ? slash + 1 : p->image;
    const char *dot = strrchr(name, '.');
    int stem = dot && dot > name ? (int)(dot - name) : (int)strlen(name);
    int n = snprintf(out, PATH_BYTES, "%s/%.*s.", p->dir, stem, name);
    for (; *what && n >= 0 && n + 8 < PATH_BYTES; what++) {
        out[n++] = isalnum((unsigned char)*what) || *what == '-' ? *what : '_';
    }
    if (n < 0 || n + 8 >= PATH_BYTES) {
        return ARK_ERR(ARK_EINVAL, "%s: path too long", p->dir);
    }
    memcpy(out + n, ".png", 5);
    return ARK_OK;
}

static bool inside(const picture *p, int x, int y) {
    return x >= 0 && y >= 0 && x < p->im.width && y < p->im.height &&
           p->mask[(size_t)y * (size_t)p->im.width + (size_t)x] != 0;
}

/* Outline: pixels of the mask with a neighbour outside of it. */
static void paint(const picture *p, const uint8_t colour[3]) {
    for (int y = 0; y < p->im.height; y++) {
        for (int x = 0; x < p->im.width; x++) {
            if (!inside(p, x, y)) {
                continue;
            }
            bool edge =
                !inside(p, x - 1, y) || !inside(p, x + 1, y) || !inside(p, x, y - 1) || !inside(p, x, y + 1);
            uint8_t *px = p->rgb + 3 * ((size_t)y * (size_t)p->im.width + (size_t)x);
            for (int c = 0; c < 3; c++) {
                px[c] = edge ? colour[c] : (uint8_t)((3 * px[c] + colour[c]) / 4);
            }
        }
    }
}

static ark_status draw_class(
    picture *p, const float *prob, int side, int K, int k, const char *name, double threshold) {
    char path[PATH_BYTES];
    const size_t pixels = (size_t)p->im.width * (size_t)p->im.height;
    for (int i = 0; i < side * side; i++) {
        p->map[i] = prob[(size_t)i * (size_t)K + (size_t)k];
    }
    ark_map_resize(p->map, side, side, p->wide, p->im.height, p->im.width);
    for (size_t i = 0; i < pixels; i++) {
        p->mask[i] = (double)p->wide[i] >= threshold ? 255 : 0;
    }
    ARK_TRY(path_of(p, name, path));
    ARK_TRY(ark_png_write(path, p->im.width, p->im.height, 1, p->mask));
    paint(p, palette[k % COLOURS]);
    return ARK_OK;
}

static ark_status draw(
    picture *p, const float *prob, int side, int K, const char *const *classes, double threshold) {
    char path[PATH_BYTES];
    const size_t pixels = (size_t)p->im.width * (size_t)p->im.height;
    ARK_TRY(ARK_NEW(&p->map, (size_t)side * (size_t)side, "a mask"));
    ARK_TRY(ARK_NEW(&p->wide, pixels, "a mask"));
    ARK_TRY(ARK_NEW(&p->mask, pixels, "a mask"));
    ARK_TRY(ARK_NEW(&p->rgb, 3 * pixels, "an overlay"));
    for (size_t i = 0; i < 3 * pixels; i++) {
        p->rgb[i] = p->im.px8[i / 3];
    }
    for (int k = 0; k < K; k++) {
        ARK_TRY(draw_class(p, prob, side, K, k, classes[k], threshold));
    }
    ARK_TRY(path_of(p, "overlay", path));
    return ark_png_write(path, p->im.width, p->im.height, 3, p->rgb);
}

ark_status ark_mask_pictures_write(const char *dir, const char *image, const float *prob, int side, int K,
    const char *const *classes, double threshold) {
    picture p = {.dir = dir, .image = image};
    ARK_TRY(ark_image_read8(image, NULL, NULL, NULL, &p.im));
    ark_status st = draw(&p, prob, side, K, classes, threshold);
    ark_image_free(&p.im);
    ark_free(p.map);
    ark_free(p.wide);
    ark_free(p.mask);
    ark_free(p.rgb);
    return st;
}
