/* Grey levels of a DICOM radiograph as PS3.3 C.11 makes them: modality LUT, VOI LUT or window, and what
 * MONOCHROME1 means. One table from stored values to 8 bits, one pass. */
#include "io/dicom.h"

#include "base/err.h"
#include "io/dicom_priv.h"
#include "io/window.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

unsigned ark__dicom_lut_at(const ark_dicom *d, const ark__dicom_lut *lut, double input) {
    double at = floor(input + 0.5) - lut->first;
    size_t i = !(at > 0) ? 0 : at < lut->entries ? (size_t)at : (size_t)lut->entries - 1;
    if (lut->bytes < 2 * (size_t)lut->entries) {
        return lut->data[i];
    }
    const uint8_t *p = lut->data + 2 * i;
    return d->big_endian ? (unsigned)p[0] << 8 | p[1] : (unsigned)p[1] << 8 | p[0];
}

/* A stored value in the units of the modality. */
static double modality(const ark_dicom *d, double stored) {
    return d->modality_lut.data ? ark__dicom_lut_at(d, &d->modality_lut, stored)
                                : stored * d->meta.slope + d->meta.intercept;
}

typedef struct levels {
    ark_voi voi;
    double centre, width; /* of a window */
    double low, high;     /* of ARK_VOI_NONE: what becomes 0 and 1 */
} levels;

/* A value of the modality to [0,1]. */
static double voi(const ark_dicom *d, const levels *l, double v) {
    switch (l->voi) {
    case ARK_VOI_LINEAR:
        return ark_window_linear(v, l->centre, l->width);
    case ARK_VOI_LINEAR_EXACT:
        return ark_ramp(v, l->centre - l->width / 2, l->centre + l->width / 2);
    case ARK_VOI_SIGMOID:
        return 1 / (1 + exp(-4 * (v - l->centre) / l->width));
    case ARK_VOI_LUT:
        return ark__dicom_lut_at(d, &d->voi_lut, v) / (double)((1u << d->voi_lut.bits) - 1);
    case ARK_VOI_NONE:
        break;
    }
    return ark_ramp(v, l->low, l->high);
}

/* Stored value of a sample. */
static inline int stored_at(const ark_dicom *d, const ark_image *im, size_t i) {
    if (im->depth == 8) {
        return d->meta.is_signed ? (int8_t)im->px8[i] : im->px8[i];
    }
    return d->meta.is_signed ? (int16_t)im->px16[i] : im->px16[i];
}

static void stored_range(const ark_dicom *d, const ark_image *im, int *low, int *high) {
    size_t n = (size_t)im->width * (size_t)im->height;
    int lo = stored_at(d, im, 0), hi = lo;
    for (size_t i = 1; i < n; i++) {
        int v = stored_at(d, im, i);
        lo = v < lo ? v : lo;
        hi = v > hi ? v : hi;
    }
    *low = lo;
    *high = hi;
}

/* The ends of what the values [a,b] become: a LUT need not keep their order, a negative slope does not. */
static void modality_range(const ark_dicom *d, int a, int b, levels *l) {
    l->low = l->high = modality(d, a);
    for (int v = a; v <= b; v++) {
        double m = modality(d, v);
        l->low = m < l->low ? m : l->low;
        l->high = m > l->high ? m : l->high;
    }
}

static levels choose(const ark_dicom *d, const ark_window *w, int low, int high) {
    const ark_dicom_meta *m = &d->meta;
    levels l = {.voi = ARK_VOI_NONE};
    switch (w ? w->kind : ARK_WINDOW_AUTO) {
    case ARK_WINDOW_FIXED:
        l = (levels){ARK_VOI_LINEAR, w->centre, w->width, 0, 0};
        break;
    case ARK_WINDOW_AUTO:
        l = (levels){m->voi, m->centre, m->window, 0, 0};
        break;
    case ARK_WINDOW_FULL:
        low = m->is_signed ? -(1 << (m->bits_stored - 1)) : 0;
        high = low + (1 << m->bits_stored) - 1;
        break;
    case ARK_WINDOW_DATA:
        break;
    }
    if (l.voi == ARK_VOI_NONE) {
        modality_range(d, low, high, &l);
    }
    return l;
}

static void describe(const ark_dicom *d, const ark_window *w, const levels *l, ark_image_info *info) {
    static const char *const names[] = {[ARK_VOI_LINEAR] = "linear",
        [ARK_VOI_LINEAR_EXACT] = "linear exact",
        [ARK_VOI_SIGMOID] = "sigmoid",
        [ARK_VOI_LUT] = "lut",
        [ARK_VOI_NONE] = "data"};
    const ark_dicom_meta *m = &d->meta;
    bool inverted = !strcmp(m->photometric, "MONOCHROME1");
    info->format = "DICOM";
    info->width = m->width;
    info->height = m->height;
    info->depth = m->bits_stored;
    info->photometric = m->samples == 3 ? "colour" : inverted ? "inverted grey" : "grey";
    info->view = m->view;
    snprintf(info->view_position, sizeof info->view_position, "%s", m->view_position);
    snprintf(info->modality, sizeof info->modality, "%s", m->modality);
    snprintf(info->body_part, sizeof info->body_part, "%s", m->body_part);
    info->window = "none";
    info->centre = info->width_levels = NAN;
    if (l) {
        ark_window_kind kind = w ? w->kind : ARK_WINDOW_AUTO;
        info->window = kind == ARK_WINDOW_FIXED ? "fixed" : kind == ARK_WINDOW_FULL ? "full" : names[l->voi];
        if (l->voi == ARK_VOI_NONE) {
            info->centre = (l->low + l->high + 1) / 2;
            info->width_levels = l->high - l->low + 1;
        } else if (l->voi != ARK_VOI_LUT) {
            info->centre = l->centre;
            info->width_levels = l->width;
        }
    }
}

/* Stored samples to levels in place: reads stay ahead of writes. */
static void apply(const uint8_t table[65536], ark_image *im) {
    size_t n = (size_t)im->width * (size_t)im->height;
    unsigned char *bytes = im->px;
    for (size_t i = 0; i < n && im->depth == 8; i++) {
        bytes[i] = table[bytes[i]];
    }
    for (size_t i = 0; i < n && im->depth == 16; i++) {
        uint16_t v;
        memcpy(&v, bytes + 2 * i, sizeof v);
        bytes[i] = table[v];
    }
    im->depth = 8;
}

ark_status ark_dicom_grey(
    const ark_dicom *d, const ark_window *window, ark_image_info *info, ark_image *out) {
    ark_image im;
    ARK_TRY(ark_dicom_stored(d, &im));
    if (d->meta.samples == 3) {
        if (info) {
            describe(d, window, NULL, info);
        }
        *out = im;
        return ARK_OK;
    }
    int low, high;
    stored_range(d, &im, &low, &high);
    levels l = choose(d, window, low, high);
    bool inverted = !strcmp(d->meta.photometric, "MONOCHROME1");
    unsigned mask = im.depth == 8 ? 0xff : 0xffff;
    uint8_t table[65536];
    for (int v = low; v <= high; v++) {
        uint8_t level = ark_level8(voi(d, &l, modality(d, v)));
        table[(unsigned)v & mask] = inverted ? 255 - level : level;
    }
    apply(table, &im);
    if (info) {
        describe(d, window, &l, info);
    }
    *out = im;
    return ARK_OK;
}
