/* Depthwise convolution of ARK_DW_COLS channels whose zero border is in memory, so that no tap needs a test.
 *
 * Eight pixels of a row are made at a time, a vector of channels each: eight sums wait for each other long enough to
 * cover the latency of a multiply-add, and every input comes straight from the first-level cache, where k rows of
 * 16 channels fit. */
#include "backend/cpu/simd/level.h"

enum { PIXELS = 8, COLS = ARK_DW_COLS };

/* n <= PIXELS pixels from x, one vector of channels. ldx: floats of a padded row. */
ARK_INLINE void pixels(float *y, int64_t ldy, const float *x, int64_t ldx, const float *w, const float *bias,
    int64_t k, int n, bool acc) {
    ark_vec sum[PIXELS];
    ARK_UNROLL
    for (int j = 0; j < n; j++) {
        sum[j] = bias ? ark_load(bias) : (ark_vec){0};
    }
    for (int64_t ky = 0; ky < k; ky++) {
        const float *row = x + ky * ldx;
        for (int64_t kx = 0; kx < k; kx++, row += COLS, w += COLS) {
            const ark_vec v = ark_load(w);
            ARK_UNROLL
            for (int j = 0; j < n; j++) {
                sum[j] += v * ark_load(row + j * COLS);
            }
        }
    }
    ARK_UNROLL
    for (int j = 0; j < n; j++) {
        ark_store(y + j * ldy, acc ? ark_load(y + j * ldy) + sum[j] : sum[j]);
    }
}

ARK_INLINE void block(const ark_dwconv_block *b, float *y, int64_t ldy, const float *w, const float *bias,
    int64_t k, bool acc) {
    const int64_t ldx = (b->W + k - 1) * COLS;
    for (int64_t row = 0; row < b->H; row++) {
        const float *x = b->x + row * ldx;
        float *to = y + row * b->W * ldy;
        for (int v = 0; v < COLS; v += ARK_LANES) {
            const float *bv = bias ? bias + v : NULL;
            int64_t i = 0;
            for (; i + PIXELS <= b->W; i += PIXELS) {
                pixels(to + i * ldy + v, ldy, x + i * COLS + v, ldx, w + v, bv, k, PIXELS, acc);
            }
            for (; i + 4 <= b->W; i += 4) {
                pixels(to + i * ldy + v, ldy, x + i * COLS + v, ldx, w + v, bv, k, 4, acc);
            }
            for (; i + 3 <= b->W; i += 3) {
                pixels(to + i * ldy + v, ldy, x + i * COLS + v, ldx, w + v, bv, k, 3, acc);
            }
            for (; i < b->W; i++) {
                pixels(to + i * ldy + v, ldy, x + i * COLS + v, ldx, w + v, bv, k, 1, acc);
            }
        }
    }
}

void ARK_FN(dwconv)(
    const ark_dwconv_block *b, float *y, int64_t ldy, const float *w, const float *bias, bool acc) {
    if (b->k == 7) {
        block(b, y, ldy, w, bias, 7, acc);
    } else {
        block(b, y, ldy, w, bias, b->k, acc);
    }
}

enum { TAPS = 7 };

/* n <= TAPS taps of line ky, over one row of the grid. */
ARK_INLINE void taps(float *dw, const float *x, const float *dy, int64_t W, int n) {
    ark_vec sum[TAPS] = {{0}};
    for (int64_t i = 0; i < W; i++) {
        const ark_vec g = ark_load(dy + i * COLS);
        ARK_UNROLL
        for (int t = 0; t < n; t++) {
            sum[t] += g * ark_load(x + (i + t) * COLS);
        }
    }
    ARK_UNROLL
    for (int t = 0; t < n; t++) {
        ark_store(dw + t * COLS, ark_load(dw + t * COLS) + sum[t]);
    }
}

void ARK_FN(dwconv_grad)(const ark_dwconv_block *b, float *dw, const float *dy) {
    const int64_t k = b->k, ldx = (b->W + k - 1) * COLS;
    for (int64_t row = 0; row < b->H; row++) {
        const float *g = dy + row * b->W * COLS;
        for (int64_t ky = 0; ky < k; ky++) {
            const float *x = b->x + (row + ky) * ldx;
            float *to = dw + ky * k * COLS;
            for (int v = 0; v < COLS; v += ARK_LANES) {
                int64_t kx = 0;
                for (; kx + TAPS <= k; kx += TAPS) {
                    taps(to + kx * COLS + v, x + kx * COLS + v, g + v, b->W, TAPS);
                }
                for (; kx < k; kx++) {
                    taps(to + kx * COLS + v, x + kx * COLS + v, g + v, b->W, 1);
                }
            }
        }
    }
}
