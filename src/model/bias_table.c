/* Relative position bias tables of another window size. */
#include "base/alloc.h"
#include "base/err.h"
#include "model/model.h"
#include "model/weight_file.h"

#include <math.h>
#include <string.h>

int ark_bias_table_window(int64_t rows) {
    for (int m = 1; m <= 64; m++) {
        if ((int64_t)(2 * m - 1) * (2 * m - 1) == rows) {
            return m;
        }
    }
    return 0;
}

/* Keys' cubic kernel with A = -0.75 as in torch: weights of the four taps around a fraction t in [0,1). */
static void cubic_weights(double t, double w[4]) {
    const double A = -0.75;
    for (int k = 0; k < 4; k++) {
        double d = fabs(t - (k - 1));
        w[k] = d <= 1 ? ((A + 2) * d - (A + 3)) * d * d + 1 : ((A * d - 5 * A) * d + 8 * A) * d - 4 * A;
    }
}

/* Where an output position lies in the input (align_corners False): first tap and the taps' weights. */
static int locate(int out, int in_side, int out_side, double w[4]) {
    double x = (out + 0.5) * in_side / out_side - 0.5;
    double base = floor(x);
    cubic_weights(x - base, w);
    return (int)base - 1;
}

static int clamp(int i, int side) {
    return i < 0 ? 0 : i >= side ? side - 1 : i;
}

static void resize_bicubic(const float *src, int m, float *dst, int n, int heads) {
    int in_side = 2 * m - 1, out_side = 2 * n - 1;
    for (int y = 0; y < out_side; y++) {
        double wy[4], wx[4];
        int y0 = locate(y, in_side, out_side, wy);
        for (int x = 0; x < out_side; x++) {
            int x0 = locate(x, in_side, out_side, wx);
            for (int h = 0; h < heads; h++) {
                double sum = 0;
                for (int k = 0; k < 16; k++) {
                    int row = clamp(y0 + k / 4, in_side), col = clamp(x0 + k % 4, in_side);
                    sum += wy[k / 4] * wx[k % 4] * src[((size_t)row * in_side + col) * heads + h];
                }
                dst[((size_t)y * out_side + x) * heads + h] = (float)sum;
            }
        }
    }
}

/* Sum of 1, q, ..., q^(n-1). */
static double geometric_sum(double q, int n) {
    return (1 - pow(q, n)) / (1 - q);
}

/* Where the entries of the old table lie on the axis of the new one: 0 in the middle, then steps that
 * grow by q, such that the outermost lands on the new outermost. Near offsets so keep their meaning in
 * tokens. The bounds of q and the bisection's end are those of the loaders that use this (detection code
 * for Swin, BEiT's, and upstream's). */
static void geometric_places(int in_side, int out_side, double *places) {
    double low = 1.01, high = 1.5, q = 0, at = 0;
    int half = in_side / 2;
    while (high - low > 1e-6) {
        q = (low + high) / 2;
        if (geometric_sum(q, half) > out_side / 2) {
            high = q;
        } else {
            low = q;
        }
    }
    places[half] = 0;
    for (int i = 0; i < half; i++) {
        at += pow(q, i);
        places[half + 1 + i] = at;
        places[half - 1 - i] = -at;
    }
}

/* Solve a x = b for k right sides in place by elimination with row exchanges. a (n,n), b (n,k). */
static void solve(double *a, double *b, int n, int k) {
    for (int c = 0; c < n; c++) {
        int top = c;
        for (int r = c + 1; r < n; r++) {
            top = fabs(a[r * n + c]) > fabs(a[top * n + c]) ? r : top;
        }
        for (int j = 0; j < n; j++) {
            double t = a[c * n + j];
            a[c * n + j] = a[top * n + j];
            a[top * n + j] = t;
        }
        for (int j = 0; j < k; j++) {
            double t = b[c * k + j];
            b[c * k + j] = b[top * k + j];
            b[top * k + j] = t;
        }
        for (int r = 0; r < n; r++) {
            double f = r == c ? 0 : a[r * n + c] / a[c * n + c];
            for (int j = c; j < n && f != 0; j++) {
                a[r * n + j] -= f * a[c * n + j];
            }
            for (int j = 0; j < k && f != 0; j++) {
                b[r * k + j] -= f * b[c * k + j];
            }
        }
    }
    for (int r = 0; r < n; r++) {
        for (int j = 0; j < k; j++) {
            b[r * k + j] /= a[r * n + r];
        }
    }
}

/* Second derivatives at the knots x of the cubic spline through unit values: m (n,n), column j for value
 * j. The ends are "not a knot", as FITPACK's interpolating splines have them. work (n,n). */
static void spline_curvatures(const double *x, int n, double *m, double *work) {
    memset(work, 0, (size_t)n * n * sizeof *work);
    memset(m, 0, (size_t)n * n * sizeof *m);
    for (int i = 1; i < n - 1; i++) {
        double h0 = x[i] - x[i - 1], h1 = x[i + 1] - x[i];
        work[i * n + i - 1] = h0 / 6;
        work[i * n + i] = (h0 + h1) / 3;
        work[i * n + i + 1] = h1 / 6;
        m[i * n + i - 1] = 1 / h0;
        m[i * n + i] = -1 / h0 - 1 / h1;
        m[i * n + i + 1] = 1 / h1;
    }
    for (int end = 0; end < 2;
         end++) { /* the third derivative does not jump at the second and last but one knot */
        int row = end ? n - 1 : 0, at = end ? n - 3 : 0;
        double h0 = x[at + 1] - x[at], h1 = x[at + 2] - x[at + 1];
        work[row * n + at] = 1 / h0;
        work[row * n + at + 1] = -1 / h0 - 1 / h1;
        work[row * n + at + 2] = 1 / h1;
    }
    solve(work, m, n, n);
}

/* w (out_side,in_side): each new entry as a sum over the old ones along one axis. */
static void geometric_weights(int in_side, int out_side, double *w, double *m, double *work) {
    double x[2 * 64 - 1];
    geometric_places(in_side, out_side, x);
    spline_curvatures(x, in_side, m, work);
    for (int o = 0; o < out_side; o++) {
        double at = o - out_side / 2;
        at = at < x[0] ? x[0] : at > x[in_side - 1] ? x[in_side - 1] : at;
        int k = 0;
        while (k < in_side - 2 && at > x[k + 1]) {
            k++;
        }
        double h = x[k + 1] - x[k], a = (x[k + 1] - at) / h, b = (at - x[k]) / h;
        double ca = (a * a * a - a) * h * h / 6, cb = (b * b * b - b) * h * h / 6;
        for (int j = 0; j < in_side; j++) {
            w[o * in_side + j] = ca * m[k * in_side + j] + cb * m[(k + 1) * in_side + j];
        }
        w[o * in_side + k] += a;
        w[o * in_side + k + 1] += b;
    }
}

static ark_status resize_geometric(const float *src, int m, float *dst, int n, int heads) {
    size_t in_side = 2 * (size_t)m - 1, out_side = 2 * (size_t)n - 1;
    double *room, *rows;
    ARK_TRY(ARK_NEW(&room, out_side * in_side + 2 * in_side * in_side + out_side * in_side, "a bias table"));
    double *w = room + out_side * in_side;
    rows = room;
    geometric_weights(
        (int)in_side, (int)out_side, w, w + out_side * in_side, w + out_side * in_side + in_side * in_side);
    for (int h = 0; h < heads; h++) {
        for (size_t y = 0; y < out_side; y++) { /* rows (out_side,in_side): along the first axis */
            for (size_t x = 0; x < in_side; x++) {
                double sum = 0;
                for (size_t k = 0; k < in_side; k++) {
                    sum += w[y * in_side + k] * src[(k * in_side + x) * (size_t)heads + (size_t)h];
                }
                rows[y * in_side + x] = sum;
            }
        }
        for (size_t y = 0; y < out_side; y++) {
            for (size_t x = 0; x < out_side; x++) {
                double sum = 0;
                for (size_t k = 0; k < in_side; k++) {
                    sum += w[x * in_side + k] * rows[y * in_side + k];
                }
                dst[(y * out_side + x) * (size_t)heads + (size_t)h] = (float)sum;
            }
        }
    }
    ark_free(room);
    return ARK_OK;
}

ark_status ark_bias_table_resize(bool geometric, const float *src, int m, float *dst, int n, int heads) {
    if (geometric && m >= 3) { /* a cubic needs four points, and a step to grow */
        return resize_geometric(src, m, dst, n, heads);
    }
    resize_bicubic(src, m, dst, n, heads);
    return ARK_OK;
}
