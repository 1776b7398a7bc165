/* Rendering of views: resize, mirror, affine warp on 8-bit planes, then normalised floats. */
#include "data/augment.h"

#include "base/alloc.h"
#include "base/err.h"

#include <math.h>
#include <string.h>

struct ark_viewer {
    ark_preproc pre;
    ark_resizer *resizer;
    uint8_t *plane;      /* (S,S) resized */
    uint8_t *warped;     /* (S,S) after the affine map */
    uint8_t *squashed;   /* (R,R) for crops of the whole image */
    float table[3][256]; /* normalised value of each grey level */
};

ark_status ark_viewer_new(const ark_preproc *pre, ark_viewer **out) {
    ARK_TRY(ark_preproc_check(pre));
    ark_viewer *v;
    ARK_TRY(ARK_NEW(&v, 1, "viewer"));
    v->pre = *pre;
    size_t s = (size_t)pre->size_px, r = (size_t)pre->resize_px;
    ark_status st = ark_resizer_new(&v->resizer);
    if (st == ARK_OK) {
        st = ARK_NEW(&v->plane, 2 * s * s + r * r, "image planes");
    }
    if (st != ARK_OK) {
        ark_viewer_free(v);
        return st;
    }
    v->warped = v->plane + s * s;
    v->squashed = v->warped + s * s;
    for (int c = 0; c < 3; c++) {
        for (int level = 0; level < 256; level++) { /* float32 steps as ToTensor and Normalize take them */
            v->table[c][level] = ((float)level / 255.0f - pre->mean[c]) / pre->std[c];
        }
    }
    *out = v;
    return ARK_OK;
}

void ark_viewer_free(ark_viewer *v) {
    if (v) {
        ark_resizer_free(v->resizer);
        ark_free(v->plane);
        ark_free(v);
    }
}

static void mirror(uint8_t *px, int side) {
    for (int y = 0; y < side; y++) {
        uint8_t *row = px + (size_t)y * (size_t)side;
        for (int a = 0, b = side - 1; a < b; a++, b--) {
            uint8_t t = row[a];
            row[a] = row[b];
            row[b] = t;
        }
    }
}

/* Index outside of 0..n-1 reflected without repeating the edge: cba|abcd -> dcb|abcd. */
static int64_t reflect(int64_t i, int64_t n) {
    int64_t period = n > 1 ? 2 * (n - 1) : 1;
    i %= period;
    i = i < 0 ? i + period : i;
    return i < n ? i : period - i;
}

static int at_border(const uint8_t *px, int n, int64_t x, int64_t y, bool fill_zero) {
    bool inside = x >= 0 && x < n && y >= 0 && y < n;
    if (!inside && fill_zero) {
        return 0;
    }
    return px[reflect(y, n) * n + reflect(x, n)];
}

/* Bilinear warp of an (n,n) plane. A source point p shows up at c + zoom R(angle) (p - c) + n shift, c the
 * centre of the plane, R counter-clockwise on the screen; here its inverse is walked, in fixed point with 32
 * bits of fraction. */
static void warp(const uint8_t *src, uint8_t *dst, int n, const ark_view *view) {
    const double one = 4294967296.0; /* 2^32 */
    double angle = view->angle_deg * (3.14159265358979323846 / 180);
    double a = cos(angle) / view->zoom, b = sin(angle) / view->zoom;
    double c = (n - 1) / 2.0;
    int64_t du = llround(a * one), dv = llround(b * one);
    for (int y = 0; y < n; y++) {
        double qx = -c - n * view->shift[0], qy = y - c - n * view->shift[1];
        int64_t u = llround((c + a * qx - b * qy) * one), v = llround((c + b * qx + a * qy) * one);
        for (int x = 0; x < n; x++, u += du, v += dv) {
            int64_t ix = u >> 32, iy = v >> 32;
            int fx = (int)(u >> 24 & 255), fy = (int)(v >> 24 & 255);
            int p00, p01, p10, p11;
            if (ix >= 0 && ix < n - 1 && iy >= 0 && iy < n - 1) {
                const uint8_t *p = src + iy * n + ix;
                p00 = p[0];
                p01 = p[1];
                p10 = p[n];
                p11 = p[n + 1];
            } else {
                p00 = at_border(src, n, ix, iy, view->fill_zero);
                p01 = at_border(src, n, ix + 1, iy, view->fill_zero);
                p10 = at_border(src, n, ix, iy + 1, view->fill_zero);
                p11 = at_border(src, n, ix + 1, iy + 1, view->fill_zero);
            }
            int top = (p00 << 8) + (p01 - p00) * fx, bottom = (p10 << 8) + (p11 - p10) * fx;
            dst[(size_t)y * (size_t)n + (size_t)x] =
                (uint8_t)(((top << 8) + (bottom - top) * fy + 32768) >> 16);
        }
    }
}

static ark_status resize(ark_viewer *v, const ark_image *im, const double box[4], uint8_t *dst, int side) {
    ARK_ASSERT(im->depth == 8);
    return ark_resize8(
        v->resizer, im->px8, im->width, im->height, (size_t)im->width, box, dst, side, side, v->pre.filter);
}

ark_status ark_viewer_render(ark_viewer *v, const ark_image *im, const ark_view *view, const uint8_t **px) {
    int n = v->pre.size_px;
    double box[4] = {view->box[0] * im->width, view->box[1] * im->height, view->box[2] * im->width,
        view->box[3] * im->height};
    ARK_TRY(resize(v, im, box, v->plane, n));
    if (view->flip) {
        mirror(v->plane, n);
    }
    *px = v->plane;
    if (view->affine) {
        warp(v->plane, v->warped, n, view);
        *px = v->warped;
    }
    return ARK_OK;
}

/* n x n levels, rows `stride` apart, through one table per channel. */
static void look_up(const float table[3][256], const uint8_t *px, size_t stride, size_t n, float *out) {
    for (size_t y = 0; y < n; y++) {
        const uint8_t *row = px + y * stride;
        float *r = out + y * n, *g = r + n * n, *b = g + n * n;
        for (size_t x = 0; x < n; x++) {
            uint8_t level = row[x];
            r[x] = table[0][level];
            g[x] = table[1][level];
            b[x] = table[2][level];
        }
    }
}

void ark_viewer_normalise(const ark_viewer *v, const uint8_t *px, const uint8_t curve[256], float *out) {
    size_t n = (size_t)v->pre.size_px;
    if (!curve) {
        look_up(v->table, px, n, n, out);
        return;
    }
    float table[3][256];
    for (int c = 0; c < 3; c++) {
        for (int level = 0; level < 256; level++) {
            table[c][level] = v->table[c][curve[level]];
        }
    }
    look_up(table, px, n, n, out);
}

ark_status ark_viewer_plain(ark_viewer *v, const ark_image *im, float *out) {
    ARK_TRY(resize(v, im, NULL, v->plane, v->pre.size_px));
    ark_viewer_normalise(v, v->plane, NULL, out);
    return ARK_OK;
}

/* Crop of the squashed plane with its corner at (x,y). */
static void crop(const ark_viewer *v, int x, int y, float *out) {
    size_t r = (size_t)v->pre.resize_px;
    look_up(v->table, v->squashed + (size_t)y * r + (size_t)x, r, (size_t)v->pre.size_px, out);
}

/* Offset of torchvision's CenterCrop: Python's round, half to even. */
static int centre_offset(const ark_viewer *v) {
    return (int)nearbyint((v->pre.resize_px - v->pre.size_px) / 2.0);
}

ark_status ark_viewer_centre(ark_viewer *v, const ark_image *im, float *out) {
    ARK_TRY(resize(v, im, NULL, v->squashed, v->pre.resize_px));
    crop(v, centre_offset(v), centre_offset(v), out);
    return ARK_OK;
}

ark_status ark_viewer_ten(ark_viewer *v, const ark_image *im, float *out) {
    ARK_TRY(resize(v, im, NULL, v->squashed, v->pre.resize_px));
    int far = v->pre.resize_px - v->pre.size_px, mid = centre_offset(v);
    size_t one = 3 * (size_t)v->pre.size_px * (size_t)v->pre.size_px;
    for (int side = 0; side < 2; side++) {
        crop(v, 0, 0, out);
        crop(v, far, 0, out + one);
        crop(v, 0, far, out + 2 * one);
        crop(v, far, far, out + 3 * one);
        crop(v, mid, mid, out + 4 * one);
        out += 5 * one;
        mirror(v->squashed, v->pre.resize_px);
    }
    return ARK_OK;
}
