/* Rows of a times one packed panel of b, and the packing.
 *
 * A panel is two vectors wide and k long, contiguous: it is read once per tile of rows, from the first-
 * level cache when k is a few hundred. A tile of c stays in registers while k runs: 6 x 2 vectors of 16
 * registers, 12 x 2 of 32, the rest being the panel's two vectors and one element of a in all lanes.
 * That is 12 or 24 independent sums, enough to cover the latency of a multiply-add, for 8 or 14 loads. */
#include "backend/cpu/simd/math.h"

enum { COLS = 2, ARK_PANEL = COLS * ARK_LANES };

#if defined(__AVX512F__) || defined(__aarch64__)
enum { ROWS = 12 };
#else
enum { ROWS = 6 };
#endif

typedef struct {
    float *c;
    const float *start; /* the row that sums start from, or NULL for zero */
    const float *a, *b;
    int64_t ldc, a_row, a_col, k;
    bool accumulate;
} tile;

#define ARK_TILE_ROWS 1
#include "backend/cpu/simd/panel_tile.inc"
#define ARK_TILE_ROWS 2
#include "backend/cpu/simd/panel_tile.inc"
#define ARK_TILE_ROWS 3
#include "backend/cpu/simd/panel_tile.inc"
#define ARK_TILE_ROWS 4
#include "backend/cpu/simd/panel_tile.inc"
#define ARK_TILE_ROWS 5
#include "backend/cpu/simd/panel_tile.inc"
#define ARK_TILE_ROWS 6
#include "backend/cpu/simd/panel_tile.inc"
#if defined(__AVX512F__) || defined(__aarch64__)
#define ARK_TILE_ROWS 8
#include "backend/cpu/simd/panel_tile.inc"
#define ARK_TILE_ROWS 10
#include "backend/cpu/simd/panel_tile.inc"
#define ARK_TILE_ROWS 12
#include "backend/cpu/simd/panel_tile.inc"
#endif

static int64_t run_tile(const tile *t, int64_t rows) {
    switch (rows) {
#if defined(__AVX512F__) || defined(__aarch64__)
    case 12:
        tile_12(t);
        return 12;
    case 11:
    case 10:
        tile_10(t);
        return 10;
    case 9:
    case 8:
        tile_8(t);
        return 8;
    case 7:
#endif
    case 6:
        tile_6(t);
        return 6;
    case 5:
        tile_5(t);
        return 5;
    case 4:
        tile_4(t);
        return 4;
    case 3:
        tile_3(t);
        return 3;
    case 2:
        tile_2(t);
        return 2;
    default:
        tile_1(t);
        return 1;
    }
}

void ARK_FN(panel_size)(int *rows, int *cols) {
    *rows = ROWS;
    *cols = ARK_PANEL;
}

enum { LINE_FLOATS = 16 };

/* Rows of a that the next tile will read; they may come from memory the first time. */
static void fetch_rows(const ark_panel_product *p, int64_t i) {
    for (int64_t r = i; r < i + ROWS && r < p->m; r++) {
        const float *row = p->a + r / ROWS * p->a_group + r % ROWS * p->a_row;
        for (int64_t l = 0; l < p->k; l += LINE_FLOATS) {
            __builtin_prefetch(row + l, 0, 2);
        }
    }
}

/* A tile's share of the panel after this one. */
static void fetch_next(const ark_panel_product *p, int64_t i) {
    int64_t tiles = (p->m + ROWS - 1) / ROWS, floats = p->k * ARK_PANEL, at = i / ROWS * floats / tiles,
            end = (i / ROWS + 1) * floats / tiles;
    for (; at < end; at += LINE_FLOATS) {
        __builtin_prefetch(p->next + at, 0, 2);
    }
}

/* y = act(c) for some rows, just written and still in the nearest cache. One loop instead of calls of the
 * flat kernels, whose constants would be loaded anew for every row. */
static void activate(const ark_panel_product *p, int64_t i, int64_t rows) {
    if (p->act == ARK_ACT_RELU) {
        for (int64_t r = i; r < i + rows; r++) {
            ARK_FN(relu)(p->y + r * p->ldc, p->c + r * p->ldc, ARK_PANEL);
        }
        return;
    }
    for (int64_t r = i; r < i + rows; r++) {
        const float *c = p->c + r * p->ldc;
        float *y = p->y + r * p->ldc;
#pragma omp simd
        for (int j = 0; j < ARK_PANEL; j++) {
            y[j] = ark_gelu1(c[j]);
        }
    }
}

void ARK_FN(panel)(const ark_panel_product *p) {
    for (int64_t i = 0; i < p->m; i += ROWS) {
        int64_t rows = p->m - i < ROWS ? p->m - i : ROWS, done = 0;
        for (int64_t r = 0; r < rows; r++) {
            __builtin_prefetch(p->c + (i + r) * p->ldc, 1, 3);
            if (p->y) {
                __builtin_prefetch(p->y + (i + r) * p->ldc, 1, 3);
            }
        }
        if (p->first_use) {
            fetch_rows(p, i + ROWS);
        }
        if (p->next) {
            fetch_next(p, i);
        }
        while (done < rows) {
            tile t = {.c = p->c + (i + done) * p->ldc,
                .start = p->start,
                .a = p->a + i / ROWS * p->a_group + done * p->a_row,
                .b = p->b,
                .ldc = p->ldc,
                .a_row = p->a_row,
                .a_col = p->a_col,
                .k = p->k,
                .accumulate = p->accumulate};
            done += run_tile(&t, rows - done);
        }
        if (p->y) {
            activate(p, i, rows);
        }
    }
}

/* Rows to be packed are short pieces of long ones: too short for the processor to guess what comes. */
enum { AHEAD = 12 };

ARK_INLINE void fetch_row(const float *s, int64_t n) {
    for (int64_t i = 0; i < n; i += LINE_FLOATS) {
        __builtin_prefetch(s + i, 0, 3);
    }
}

enum { CHUNK = 8, SPILL = (ARK_LANES - ROWS % ARK_LANES) % ARK_LANES };

/* Rows [l,end) of src into one group. Whole vectors are stored, which spill into what the next row
 * overwrites. */
ARK_INLINE void pack_group(float *restrict d, const float *restrict s, int64_t lds, int64_t l, int64_t end) {
    for (; l < end; l++) {
        memcpy(d + l * ROWS, s + l * lds, (ROWS + SPILL) * sizeof *d);
    }
}

/* The same exactly, for up to ROWS columns. */
ARK_INLINE void pack_exactly(
    float *restrict d, const float *restrict s, int64_t lds, int64_t l, int64_t end, int64_t cols) {
    for (; l < end; l++) {
        for (int64_t i = 0; i < cols; i++) {
            d[l * ROWS + i] = s[l * lds + i];
        }
    }
}

/* A few rows at a time, group after group: rows alone would write to as many places as there are groups,
 * which lie a multiple of a power of two apart and push each other out of the cache. Meanwhile the next
 * rows are fetched. */
void ARK_FN(pack_rows)(
    float *restrict dst, int64_t ldd, const float *restrict src, int64_t lds, int64_t m, int64_t k) {
    for (int64_t from = 0; from < k; from += CHUNK) {
        const int64_t to = from + CHUNK < k ? from + CHUNK : k, ahead = to + CHUNK < k ? to + CHUNK : k;
        const int64_t spilling = to < k ? to : k - 1; /* the last row of all has no next one */
        for (int64_t i = 0, g = 0; i < m; i += ROWS, g++) {
            for (int64_t l = to; l < ahead && i % LINE_FLOATS < ROWS; l++) {
                __builtin_prefetch(src + l * lds + i, 0, 3);
            }
            float *d = dst + g * ldd;
            if (i + ROWS + SPILL <= m) {
                pack_group(d, src + i, lds, from, spilling);
                pack_exactly(d, src + i, lds, spilling, to, ROWS);
            } else {
                pack_exactly(d, src + i, lds, from, to, m - i < ROWS ? m - i : ROWS);
            }
        }
    }
}

void ARK_FN(pack_panels)(
    float *restrict dst, int64_t apart, const float *restrict src, int64_t lds, int64_t n, int64_t k) {
    const int64_t whole = n / ARK_PANEL * ARK_PANEL;
    for (int64_t l = 0; l < k; l++) {
        const float *s = src + l * lds;
        float *d = dst + l * ARK_PANEL;
        if (l + AHEAD < k) {
            fetch_row(s + AHEAD * lds, n);
        }
        for (int64_t j = 0; j < whole; j += ARK_PANEL, d += apart) {
            memcpy(d, s + j, ARK_PANEL * sizeof *d);
        }
        for (int64_t j = whole; whole < n && j < whole + ARK_PANEL; j++) {
            d[j - whole] = j < n ? s[j] : 0.0f;
        }
    }
}

void ARK_FN(pack_panel_turned)(
    float *restrict dst, const float *restrict src, int64_t lds, int64_t n, int64_t k) {
    ARK_FN(transpose)(dst, ARK_PANEL, src, lds, n, k);
    for (int64_t l = 0; l < k && n < ARK_PANEL; l++) {
        memset(dst + l * ARK_PANEL + n, 0, (size_t)(ARK_PANEL - n) * sizeof *dst);
    }
}
