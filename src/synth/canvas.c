#include "synth/canvas.h"

#include "base/alloc.h"
#include "base/err.h"

#include <math.h>
#include <string.h>

ark_status ark_canvas_new(int side, ark_canvas *c) {
    float *px;
    ARK_TRY(ARK_NEW(&px, (size_t)side * (size_t)side, "canvas"));
    *c = (ark_canvas){side, px};
    return ARK_OK;
}

void ark_canvas_free(ark_canvas *c) {
    ark_free(c->px);
    *c = (ark_canvas){0};
}

void ark_canvas_fill(ark_canvas *c, float v) {
    size_t n = (size_t)c->side * (size_t)c->side;
    for (size_t i = 0; i < n; i++) {
        c->px[i] = v;
    }
}

void ark_canvas_disc(ark_canvas *c, double x, double y, double radius, double amount) {
    double wanted = radius * c->side;
    double r = wanted > 0.5 ? wanted : 0.5;
    // A disc with a linear edge of one pixel weighs pi (r^2 + 1/12).
    float gain = (float)(amount * wanted * wanted / (r * r + 1.0 / 12));
    float cx = (float)(x * c->side - 0.5), cy = (float)(y * c->side - 0.5), reach = (float)(r + 0.5);
    if (!(fabsf(cx) < 2e4f && fabsf(cy) < 2e4f)) {
        return;
    }
    int x0 = (int)ceilf(cx - reach), x1 = (int)floorf(cx + reach);
    int y0 = (int)ceilf(cy - reach), y1 = (int)floorf(cy + reach);
    x0 = x0 < 0 ? 0 : x0;
    y0 = y0 < 0 ? 0 : y0;
    x1 = x1 >= c->side ? c->side - 1 : x1;
    y1 = y1 >= c->side ? c->side - 1 : y1;
    for (int j = y0; j <= y1; j++) {
        float *row = c->px + (size_t)j * (size_t)c->side;
        float dy2 = ((float)j - cy) * ((float)j - cy);
        for (int i = x0; i <= x1; i++) {
            float cover = reach - sqrtf(((float)i - cx) * ((float)i - cx) + dy2);
            row[i] += gain * (cover <= 0 ? 0 : cover >= 1 ? 1 : cover);
        }
    }
}

void ark_canvas_tube(ark_canvas *c, const ark_waypoint *path, int n, double r0, double r1, double density) {
    double total = 0, done = 0;
    for (int i = 1; i < n; i++) {
        total += path[i].length;
    }
    if (total <= 0) {
        return;
    }
    for (int i = 1; i < n; i++) {
        const ark_waypoint *a = &path[i - 1], *b = &path[i];
        double radius = (r0 + (r1 - r0) * (done + 0.5 * b->length) / total) * c->side;
        double spacing = (radius < 1 ? 0.5 : radius < 2 ? 0.5 * radius : 1) / c->side; // at most one pixel
        int steps = (int)ceil(b->length / spacing);
        double weight = steps > 0 ? density * b->length / steps : 0;
        for (int k = 0; k < steps; k++) {
            double t = (k + 0.5) / steps;
            double r = r0 + (r1 - r0) * (done + t * b->length) / total;
            ark_canvas_disc(c, a->x + t * (b->x - a->x), a->y + t * (b->y - a->y), r, weight);
        }
        done += b->length;
    }
}

enum { TAPS_MAX = 65 };

void ark_canvas_blur(ark_canvas *c, double sigma, ark_canvas *tmp) {
    float w[TAPS_MAX] = {1};
    int reach = (int)ceil(2.5 * sigma);
    if (sigma <= 0.15) {
        return; // less than half a grey level at any edge
    }
    reach = reach > TAPS_MAX - 1 ? TAPS_MAX - 1 : reach;
    float sum = 0;
    for (int k = 0; k <= reach; k++) {
        w[k] = (float)exp(-0.5 * k * k / (sigma * sigma));
        sum += k ? 2 * w[k] : w[k];
    }
    for (int k = 0; k <= reach; k++) {
        w[k] /= sum;
    }
    int n = c->side;
    for (int j = 0; j < n; j++) { // rows into tmp, walking whole rows so that both passes vectorise
        const float *src = c->px + (size_t)j * (size_t)n;
        float *dst = tmp->px + (size_t)j * (size_t)n;
        for (int i = 0; i < n; i++) {
            float v = w[0] * src[i];
            for (int k = 1; k <= reach; k++) {
                v += w[k] * (src[i - k < 0 ? 0 : i - k] + src[i + k >= n ? n - 1 : i + k]);
            }
            dst[i] = v;
        }
    }
    for (int j = 0; j < n; j++) { // columns back
        float *dst = c->px + (size_t)j * (size_t)n;
        const float *mid = tmp->px + (size_t)j * (size_t)n;
        for (int i = 0; i < n; i++) {
            dst[i] = w[0] * mid[i];
        }
        for (int k = 1; k <= reach; k++) {
            const float *up = tmp->px + (size_t)(j - k < 0 ? 0 : j - k) * (size_t)n;
            const float *down = tmp->px + (size_t)(j + k >= n ? n - 1 : j + k) * (size_t)n;
            for (int i = 0; i < n; i++) {
                dst[i] += w[k] * (up[i] + down[i]);
            }
        }
    }
}

void ark_lattice_fill(ark_lattice *l, ark_rng *rng) {
    for (int i = 0; i < ARK_LATTICE * ARK_LATTICE; i++) {
        l->v[i] = 2 * ark_rng_f32(rng) - 1;
    }
}

static float lattice_one(const ark_lattice *l, float x, float y) {
    float fx = floorf(x), fy = floorf(y);
    unsigned i = (unsigned)(int)fx % ARK_LATTICE, j = (unsigned)(int)fy % ARK_LATTICE;
    unsigned i1 = (i + 1) % ARK_LATTICE, j1 = (j + 1) % ARK_LATTICE;
    float u = x - fx, v = y - fy;
    u = u * u * (3 - 2 * u);
    v = v * v * (3 - 2 * v);
    const float *a = l->v + j * ARK_LATTICE, *b = l->v + j1 * ARK_LATTICE;
    float top = a[i] + u * (a[i1] - a[i]), bottom = b[i] + u * (b[i1] - b[i]);
    return top + v * (bottom - top);
}

float ark_lattice_at(const ark_lattice *l, float x, float y, int octaves) {
    float sum = 0, gain = 1;
    for (int o = 0; o < octaves; o++) {
        sum += gain * lattice_one(l, x, y);
        x = 2 * x + 17.31f; // shift, so that the octaves' cells do not share corners
        y = 2 * y + 5.77f;
        gain *= 0.55f;
    }
    return sum;
}
