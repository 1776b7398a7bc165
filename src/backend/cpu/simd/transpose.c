/* A matrix turned: blocks of 4 x 4, what is left over one by one. */
#include "backend/cpu/simd/quad.h"

void ARK_FN(transpose)(
    float *restrict dst, int64_t ldd, const float *restrict src, int64_t lds, int64_t rows, int64_t cols) {
    const int64_t whole_rows = rows / 4 * 4, whole_cols = cols / 4 * 4;
    for (int64_t i = 0; i < whole_rows; i += 4) {
        ark_turn_rows(dst + i, ldd, src + i * lds, lds, (int)(whole_cols / 4));
    }
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = i < whole_rows ? whole_cols : 0; j < cols; j++) {
            dst[j * ldd + i] = src[i * lds + j];
        }
    }
}
