/* Windows on 8- and 16-bit images: one table of 8-bit levels, one pass. */
#include "io/window.h"

#include "io/image.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Sample i of an image that is being turned into bytes in place: reads stay ahead of writes. */
static inline unsigned sample(const unsigned char *bytes, int depth, size_t i) {
    uint16_t v;
    if (depth == 8) {
        return bytes[i];
    }
    memcpy(&v, bytes + 2 * i, sizeof v);
    return v;
}

static void range_of(const ark_image *im, unsigned *low, unsigned *high) {
    size_t n = (size_t)im->width * (size_t)im->height;
    unsigned lo = im->depth == 8 ? im->px8[0] : im->px16[0], hi = lo;
    for (size_t i = 0; i < n; i++) {
        unsigned v = im->depth == 8 ? im->px8[i] : im->px16[i];
        lo = v < lo ? v : lo;
        hi = v > hi ? v : hi;
    }
    *low = lo;
    *high = hi;
}

static void tell(ark_image_info *info, const char *window, double centre, double width) {
    if (info) {
        info->window = window;
        info->centre = centre;
        info->width_levels = width;
    }
}

void ark_image_window(ark_image *im, const ark_window *window, ark_image_info *info) {
    ark_window w = window ? *window : (ark_window){0};
    if (w.kind == ARK_WINDOW_AUTO) {
        w.kind = im->depth == 8 ? ARK_WINDOW_FULL : ARK_WINDOW_DATA;
    }
    if (w.kind == ARK_WINDOW_FULL && im->depth == 8) {
        tell(info, "none", NAN, NAN);
        return;
    }
    static const char *const names[] = {"", "data", "full", "fixed"};
    uint8_t table[65536];
    unsigned low = 0, high = im->depth == 8 ? 255 : 65535, least, most;
    range_of(im, &least, &most);
    if (w.kind == ARK_WINDOW_DATA) {
        low = least;
        high = most;
    }
    bool fixed = w.kind == ARK_WINDOW_FIXED;
    for (unsigned v = least; v <= most; v++) {
        table[v] = ark_level8(fixed ? ark_window_linear(v, w.centre, w.width) : ark_ramp(v, low, high));
    }
    size_t n = (size_t)im->width * (size_t)im->height;
    unsigned char *bytes = im->px;
    for (size_t i = 0; i < n; i++) {
        bytes[i] = table[sample(bytes, im->depth, i)];
    }
    im->depth = 8;
    /* the window of DICOM that has these ends */
    tell(info, names[w.kind], fixed ? w.centre : (low + high + 1) / 2.0,
        fixed ? w.width : (double)high - low + 1);
}

void ark_image_to8(ark_image *im) {
    ark_image_window(im, NULL, NULL);
}
