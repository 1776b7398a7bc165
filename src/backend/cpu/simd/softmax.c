/* Rows of softmax, forward and backward. Weights are not divided by their sum: what they are multiplied with
 * gets the factor. */
#include "backend/cpu/simd/attn.h"

enum { SUMS = 4 }; /* independent ones, so that a row does not wait for itself */

ARK_INLINE float sum_of(const ark_vec s[SUMS]) {
    return ark_lanes_sum((s[0] + s[1]) + (s[2] + s[3]));
}

void ARK_FN(softmax_row)(float *e, float *inverse, int64_t n, int64_t ld) {
    ark_vec top[SUMS], sum[SUMS];
    for (int64_t j = n; j < ld; j++) {
        e[j] = -1e30f;
    }
    ARK_UNROLL
    for (int s = 0; s < SUMS; s++) {
        top[s] = (ark_vec){0} - INFINITY;
        sum[s] = (ark_vec){0};
    }
    const int64_t whole = ld / (SUMS * ARK_LANES) * (SUMS * ARK_LANES);
    for (int64_t j = 0; j < whole; j += SUMS * ARK_LANES) {
        ARK_UNROLL
        for (int s = 0; s < SUMS; s++) {
            top[s] = ark_larger(ark_load(e + j + s * ARK_LANES), top[s]);
        }
    }
    for (int64_t j = whole; j < ld; j += ARK_LANES) {
        top[0] = ark_larger(ark_load(e + j), top[0]);
    }
    const float largest = ark_lanes_max(ark_larger(ark_larger(top[0], top[1]), ark_larger(top[2], top[3])));
    for (int64_t j = 0; j < whole; j += SUMS * ARK_LANES) {
        ARK_UNROLL
        for (int s = 0; s < SUMS; s++) {
            const ark_vec v = ark_exp_falling(ark_load(e + j + s * ARK_LANES) - largest);
            ark_store(e + j + s * ARK_LANES, v);
            sum[s] += v;
        }
    }
    for (int64_t j = whole; j < ld; j += ARK_LANES) {
        const ark_vec v = ark_exp_falling(ark_load(e + j) - largest);
        ark_store(e + j, v);
        sum[0] += v;
    }
    *inverse = 1.0f / sum_of(sum);
}

void ARK_FN(softmax_row_grad)(float *ds, const float *e, float inverse, int64_t ld) {
    ark_vec dot[SUMS];
    ARK_UNROLL
    for (int s = 0; s < SUMS; s++) {
        dot[s] = (ark_vec){0};
    }
    const int64_t whole = ld / (SUMS * ARK_LANES) * (SUMS * ARK_LANES);
    for (int64_t j = 0; j < whole; j += SUMS * ARK_LANES) {
        ARK_UNROLL
        for (int s = 0; s < SUMS; s++) {
            dot[s] += ark_load(ds + j + s * ARK_LANES) * ark_load(e + j + s * ARK_LANES);
        }
    }
    for (int64_t j = whole; j < ld; j += ARK_LANES) {
        dot[0] += ark_load(ds + j) * ark_load(e + j);
    }
    const float mean = inverse * sum_of(dot);
    for (int64_t j = 0; j < ld; j += ARK_LANES) {
        ark_store(ds + j, ark_load(e + j) * (ark_load(ds + j) - mean));
    }
}
