/* Relative position bias tables of another window size. */
#include "model/model.h"
#include "model/weight_file.h"

#include <math.h>

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

void ark_bias_table_resize(const float *src, int m, float *dst, int n, int heads) {
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
