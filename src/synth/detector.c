/* Exposure and display: scattered light, blur, quantum noise, logarithm, window, collimator, side marker. */
#include "synth/phantom.h"

#include <math.h>
#include <string.h>

/* About normal: four 16-bit uniforms (the tails end at 3.5 standard deviations). */
static float quick_normal(ark_rng *rng) {
    uint32_t a = ark_rng_u32(rng), b = ark_rng_u32(rng);
    float sum = (float)(a & 0xffff) + (float)(a >> 16) + (float)(b & 0xffff) + (float)(b >> 16);
    return (sum * (1 / 65536.0f) - 2) * 1.7320508f;
}

/* exponent -> log signal as the detector measures it, in place. */
static void expose(ark_scene *s, const ark_exam *e, const ark_hospital *h, ark_rng *rng) {
    ark_canvas *c = &s->exponent;
    int n = s->side;
    size_t count = (size_t)n * (size_t)n;
    double sum = 0;
    for (size_t k = 0; k < count; k++) {
        float v = expf(-c->px[k]);
        c->px[k] = v;
        sum += v < 0.35f ? v : 0.35f;
    }
    float veil = (float)(h->veil * (e->ap ? 1.35 : 1) * sum / (double)count);
    ark_canvas_blur(c, h->blur * n, &s->tmp);
    double photons = h->photons * (e->ap ? 0.6 : 1) * 128 * 128 / ((double)n * n);
    float grain = (float)(1 / sqrt(photons));
    for (size_t k = 0; k < count; k++) {
        float v = c->px[k] + veil;
        v += grain * sqrtf(v) * quick_normal(rng);
        c->px[k] = -logf(v > 1e-4f ? v : 1e-4f);
    }
}

/* Two quantiles of the log signal behind the patient, from a histogram of the field's middle. */
static void quantiles(const ark_scene *s, float lo_share, float hi_share, float *lo, float *hi) {
    enum { BINS = 512 };
    const float top = 8;
    uint32_t hist[BINS] = {0}, total = 0;
    int n = s->side, margin = n / 12;
    for (int j = margin; j < n - margin; j++) {
        for (int i = margin; i < n - margin; i++) {
            float v = s->exponent.px[(size_t)j * (size_t)n + (size_t)i];
            if (v > 0.5f) {
                int b = (int)(v * (BINS / top));
                hist[b < BINS ? b : BINS - 1]++;
                total++;
            }
        }
    }
    *lo = 0;
    *hi = top;
    uint32_t seen = 0;
    for (int b = 0; b < BINS; b++) {
        uint32_t before = seen;
        seen += hist[b];
        if ((float)before < lo_share * (float)total) {
            *lo = ((float)b + 0.5f) * (top / BINS);
        }
        if ((float)before < hi_share * (float)total) {
            *hi = ((float)b + 0.5f) * (top / BINS);
        }
    }
}

/* Grey 0..1 of a log signal: the window of the examination, a gamma, and a soft shoulder at both ends. */
static float develop(float v, float lo, float hi, const ark_hospital *h, float offset) {
    float t = (v - lo) / (hi - lo);
    float low = (float)h->lo, high = (float)h->hi;
    if (t <= 0) {
        return low * expf(2.2f * t) + offset * (t > -1 ? 1 + t : 0);
    }
    float g = low + (high - low) * powf(t, (float)h->gamma) + offset;
    return g > 0.9f ? 0.9f + 0.1f * tanhf((g - 0.9f) * 10) : g;
}

/* The marker: a lead letter on the cassette, in shades of white. */
static void marker(ark_scene *s, const ark_hospital *h, ark_rng *rng) {
    static const double L[2][4] = {{0, 0, 0, 1}, {0, 1, 0.55, 1}};
    static const double R[4][4] = {
        {0, 0, 0, 1}, {0, 0.04, 0.55, 0.26}, {0.55, 0.26, 0, 0.5}, {0.15, 0.5, 0.6, 1}};
    const double(*strokes)[4] = h->marker == 3 ? R : L;
    int n = h->marker == 3 ? 4 : 2;
    double size = h->marker == 2 ? 0.034 : 0.048;
    double x = (h->marker == 3 ? 0.085 : 0.915) + 0.010 * ark_rng_normal(rng),
           y = 0.075 + 0.02 * ark_rng_f64(rng);
    double tilt = 0.1 * ark_rng_normal(rng), si = sin(tilt), co = cos(tilt);
    ark_canvas_fill(&s->tmp, 0);
    for (int k = 0; k < n; k++) {
        ark_waypoint w[2];
        for (int q = 0; q < 2; q++) {
            double u = size * (strokes[k][2 * q] - 0.28), v = size * (strokes[k][2 * q + 1] - 0.5);
            w[q] = (ark_waypoint){x + u * co - v * si, y + u * si + v * co, q ? 1 : 0};
        }
        w[1].length = hypot(w[1].x - w[0].x, w[1].y - w[0].y);
        ark_canvas_tube(&s->tmp, w, 2, 0.0048, 0.0048, 1 / 0.0078);
    }
    if (h->marker == 2) {
        ark_waypoint w[25];
        for (int k = 0; k < 25; k++) {
            double th = k * 2 * 3.14159265358979 / 24;
            w[k] = (ark_waypoint){x + 0.034 * cos(th), y + 0.034 * sin(th), 0.034 * 0.2618};
        }
        ark_canvas_tube(&s->tmp, w, 25, 0.004, 0.004, 1 / 0.0066);
    }
}

static float edge(double v, double soft) {
    double t = 0.5 + v / soft;
    return (float)(t < 0 ? 0 : t > 1 ? 1 : t);
}

void ark_detector_read(ark_scene *s, const ark_exam *e, const ark_hospital *h, const ark_synth_id *id) {
    ark_rng rng = ark_synth_rng(id, id->image, ARK_SYNTH_DETECTOR);
    int n = s->side;
    size_t count = (size_t)n * (size_t)n;
    expose(s, e, h, &rng);
    float lo, hi;
    quantiles(s, 0.03f, 0.97f, &lo, &hi);
    if (h->edge > 0) { // unsharp mask: keep the signal, subtract its blur
        memcpy(s->extra.px, s->exponent.px, count * sizeof(float));
        ark_canvas_blur(&s->extra, 0.03 * n, &s->tmp);
        for (size_t k = 0; k < count; k++) {
            s->exponent.px[k] += (float)h->edge * (s->exponent.px[k] - s->extra.px[k]);
        }
    }
    double margin[4], slant = 0.02 * ark_rng_normal(&rng);
    for (int k = 0; k < 4; k++) {
        double wide = ark_rng_f64(&rng);
        margin[k] = e->collimated ? 0.005 + 0.055 * wide * wide : -1;
    }
    if (h->marker) {
        marker(s, h, &rng);
    }
    float offset = (float)(h->jitter * e->exposure);
    for (int j = 0; j < n; j++) {
        for (int i = 0; i < n; i++) {
            size_t k = (size_t)j * (size_t)n + (size_t)i;
            double x = (i + 0.5) / n, y = (j + 0.5) / n, u = x + slant * (y - 0.5), v = y - slant * (x - 0.5);
            float g = develop(s->exponent.px[k], lo, hi, h, offset);
            if (h->marker) {
                float m = s->tmp.px[k] > 1 ? 1 : s->tmp.px[k];
                g += m * (0.97f - g);
            }
            float open = edge(u - margin[0], 0.012) * edge(1 - margin[1] - u, 0.012) *
                         edge(v - margin[2], 0.012) * edge(1 - margin[3] - v, 0.012);
            g = open * g + (1 - open) * 0.015f;
            s->grey[k] = (uint8_t)(255 * (g < 0 ? 0 : g > 1 ? 1 : g) + 0.5f);
        }
    }
}
