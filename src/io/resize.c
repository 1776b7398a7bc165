/* Resizing as Pillow's Image.resize does it for mode "L" (src/libImaging/Resample.c): a horizontal pass, then
 * a vertical one, each a weighted sum of the pixels under the filter, rounded to 8 bits. */
#include "base/alloc.h"
#include "base/err.h"
#include "base/mathsafe.h"
#include "io/image.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

/* Bits of a fixed-point weight: 8 for the pixel, 2 for sign and overshoot are left. */
enum { PRECISION = 32 - 8 - 2 };

/* Pixels summed side by side, and rows that the horizontal pass takes together. */
enum { LANES = 16 };

enum { CHUNK = LANES * LANES }; /* pixels rounded at a time */

typedef uint8_t u8x16 __attribute__((vector_size(16)));
typedef uint16_t u16x8 __attribute__((vector_size(16)));
typedef int32_t i32x4 __attribute__((vector_size(16)));

enum { MAX_SIDE = 1 << 24 }; /* a side is exact as a float */

/* For every output position the first source position and the weights of the next `taps[i]`. */
typedef struct kernel {
    int *first, *taps;
    int32_t *weights; /* out x width */
    double *exact;    /* one position's weights before rounding */
    int width;
    size_t out_cap, weight_cap, exact_cap;
} kernel;

struct ark_resizer {
    kernel across, down;
    uint8_t *rows; /* what the horizontal pass leaves */
    size_t rows_cap;
    uint8_t *tile; /* LANES source rows, transposed: (x, LANES) */
    size_t tile_cap;
};

typedef struct filter {
    double support; /* the filter is 0 from here on, in output pixels */
    double (*at)(double x);
} filter;

static double box_at(double x) {
    return x > -0.5 && x <= 0.5 ? 1 : 0;
}

static double triangle_at(double x) {
    x = fabs(x);
    return x < 1 ? 1 - x : 0;
}

/* Keys' cubic with a = -1/2. */
static double cubic_at(double x) {
    const double a = -0.5;
    x = fabs(x);
    if (x < 1) {
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    }
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

static double sinc(double x) {
    return x == 0 ? 1 : sin(M_PI * x) / (M_PI * x);
}

static double lanczos_at(double x) {
    return x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0;
}

static const filter filters[] = {
    [ARK_BILINEAR] = {1, triangle_at},
    [ARK_BICUBIC] = {2, cubic_at},
    [ARK_BOX] = {0.5, box_at},
    [ARK_LANCZOS] = {3, lanczos_at},
};

ark_status ark_resizer_new(ark_resizer **out) {
    return ARK_NEW(out, 1, "a resizer");
}

static void free_kernel(kernel *k) {
    ark_free(k->first);
    ark_free(k->taps);
    ark_free(k->weights);
    ark_free(k->exact);
}

void ark_resizer_free(ark_resizer *r) {
    if (r) {
        free_kernel(&r->across);
        free_kernel(&r->down);
        ark_free(r->rows);
        ark_free(r->tile);
        ark_free(r);
    }
}

/* Make *block (a pointer to any object pointer) hold at least count items; its content is lost. */
static ark_status ensure(void *block, size_t *cap, size_t count, size_t size) {
    if (count <= *cap) {
        return ARK_OK;
    }
    size_t bytes;
    void *p = NULL;
    if (!ark_mul(count, size, &bytes)) {
        p = ark_malloc(bytes);
    }
    if (!p) {
        return ARK_ERR(ARK_ENOMEM, "out of memory for resizing: %zu x %zu bytes", count, size);
    }
    void *old;
    memcpy(&old, block, sizeof old);
    ark_free(old);
    memcpy(block, &p, sizeof p);
    *cap = count;
    return ARK_OK;
}

static int32_t fixed_point(double w) {
    return (int32_t)(w * (1 << PRECISION) + (w < 0 ? -0.5 : 0.5));
}

/* Weights for `out` positions over [from,to) of a line of `in` pixels. When it shrinks, the filter widens by
 * the same factor (antialiasing). from and to are float because Pillow's are. */
static ark_status make_kernel(kernel *k, int in, float from, float to, int out, const filter *f) {
    double scale = (double)(to - from) / out, stretch = scale < 1 ? 1 : scale;
    double support = f->support * stretch;
    k->width = (int)ceil(support) * 2 + 1;
    size_t weights;
    if (ark_mul((size_t)out, (size_t)k->width, &weights)) {
        return ARK_ERR(ARK_EINVAL, "cannot resize %d pixels to %d", in, out);
    }
    size_t first_cap = k->out_cap;
    ARK_TRY(ensure(&k->first, &first_cap, (size_t)out, sizeof *k->first));
    ARK_TRY(ensure(&k->taps, &k->out_cap, (size_t)out, sizeof *k->taps));
    ARK_TRY(ensure(&k->weights, &k->weight_cap, weights, sizeof *k->weights));
    ARK_TRY(ensure(&k->exact, &k->exact_cap, (size_t)k->width, sizeof *k->exact));
    for (int i = 0; i < out; i++) {
        double centre = from + (i + 0.5) * scale, sum = 0;
        int lo = (int)(centre - support + 0.5), hi = (int)(centre + support + 0.5);
        lo = lo < 0 ? 0 : lo;
        hi = hi > in ? in : hi;
        for (int j = 0; j < hi - lo; j++) {
            k->exact[j] = f->at((j + lo - centre + 0.5) / stretch);
            sum += k->exact[j];
        }
        int32_t *w = k->weights + (size_t)i * (size_t)k->width;
        for (int j = 0; j < hi - lo; j++) {
            w[j] = fixed_point(sum != 0 ? k->exact[j] / sum : k->exact[j]);
        }
        k->first[i] = lo;
        k->taps[i] = hi - lo;
    }
    return ARK_OK;
}

static inline u8x16 load(const uint8_t *p) {
    u8x16 v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* Elements of the lower (upper) halves of a and b in turn. */
#define INTERLEAVE8_LO(a, b)                                                                                 \
    __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define INTERLEAVE8_HI(a, b)                                                                                 \
    __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
#define INTERLEAVE16_LO(a, b) __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define INTERLEAVE16_HI(a, b) __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15)

/* For LANES neighbouring l: out[l] = sum over j of src[j*stride + l] * w[j]. Both passes rest on it. Bytes
 * are widened by zeros between them, low byte first. */
static inline void weigh(const uint8_t *src, size_t stride, const int32_t *w, int taps, int32_t *out) {
    i32x4 s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0};
    for (int j = 0; j < taps; j++, src += stride) {
        u8x16 v = load(src);
        u16x8 lo = (u16x8)INTERLEAVE8_LO(v, (u8x16){0}), hi = (u16x8)INTERLEAVE8_HI(v, (u8x16){0});
        s0 += (i32x4)INTERLEAVE16_LO(lo, (u16x8){0}) * w[j];
        s1 += (i32x4)INTERLEAVE16_HI(lo, (u16x8){0}) * w[j];
        s2 += (i32x4)INTERLEAVE16_LO(hi, (u16x8){0}) * w[j];
        s3 += (i32x4)INTERLEAVE16_HI(hi, (u16x8){0}) * w[j];
    }
    memcpy(out, &s0, sizeof s0);
    memcpy(out + 4, &s1, sizeof s1);
    memcpy(out + 8, &s2, sizeof s2);
    memcpy(out + 12, &s3, sizeof s3);
}

/* Rounded and clipped; apart from weigh, because many at a time are taken by vectors. */
static inline void round_all(const int32_t *sum, size_t n, uint8_t *out) {
    int16_t level[CHUNK]; /* 10 bits; SSE2 has minimum and maximum of these */
    for (size_t i = 0; i < n; i++) {
        level[i] = (int16_t)((sum[i] + (1 << (PRECISION - 1))) >> PRECISION);
    }
    for (size_t i = 0; i < n; i++) {
        int16_t v = level[i] < 0 ? 0 : level[i];
        out[i] = (uint8_t)(v > 255 ? 255 : v);
    }
}

/* row[l][x] -> row[x][l]: interleaving each row with the one 8 further on, four times. */
static inline void transpose(u8x16 row[LANES]) {
    for (int round = 0; round < 4; round++) {
        u8x16 next[LANES];
        for (int l = 0; l < 8; l++) {
            next[2 * l] = INTERLEAVE8_LO(row[l], row[l + 8]);
            next[2 * l + 1] = INTERLEAVE8_HI(row[l], row[l + 8]);
        }
        memcpy(row, next, sizeof next);
    }
}

/* tile[x][l] = src[l][x] for x in [x0,x1); the lanes behind the last row repeat it. */
static void fill_tile(
    const uint8_t *src, size_t stride, int width, int x0, int x1, int lanes, uint8_t *tile) {
    if (width < LANES) {
        for (int x = x0; x < x1; x++) {
            for (int l = 0; l < LANES; l++) {
                tile[x * LANES + l] = src[(size_t)(l < lanes ? l : lanes - 1) * stride + (size_t)x];
            }
        }
        return;
    }
    for (int x = x0; x < x1; x += LANES) {
        int at = x + LANES <= width ? x : width - LANES; /* the last block overlaps the one before */
        u8x16 row[LANES];
        for (int l = 0; l < LANES; l++) {
            row[l] = load(src + (size_t)(l < lanes ? l : lanes - 1) * stride + (size_t)at);
        }
        transpose(row);
        memcpy(tile + (size_t)at * LANES, row, sizeof row);
    }
}

/* rows [0,n) of src, each to `out` pixels. */
static ark_status pass_across(
    ark_resizer *r, const uint8_t *src, int width, size_t stride, int n, uint8_t *dst, int out) {
    const kernel *k = &r->across;
    size_t tile_bytes;
    if (ark_mul((size_t)width, LANES, &tile_bytes)) {
        return ARK_ERR(ARK_EINVAL, "cannot resize rows of %d pixels", width);
    }
    ARK_TRY(ensure(&r->tile, &r->tile_cap, tile_bytes, 1));
    int x0 = k->first[0], x1 = k->first[out - 1] + k->taps[out - 1];
    for (int y = 0; y < n; y += LANES) {
        int lanes = n - y < LANES ? n - y : LANES;
        fill_tile(src + (size_t)y * stride, stride, width, x0, x1, lanes, r->tile);
        for (int x = 0; x < out; x += LANES) {
            int columns = out - x < LANES ? out - x : LANES;
            int32_t sum[CHUNK];
            uint8_t rounded[CHUNK] = {0};
            u8x16 column[LANES];
            for (int c = 0; c < columns; c++) {
                weigh(r->tile + (size_t)k->first[x + c] * LANES, LANES,
                    k->weights + (size_t)(x + c) * (size_t)k->width, k->taps[x + c], sum + c * LANES);
            }
            round_all(sum, (size_t)columns * LANES, rounded);
            memcpy(column, rounded, sizeof column);
            transpose(column);
            for (int l = 0; l < lanes; l++) {
                uint8_t *to = dst + (size_t)(y + l) * (size_t)out + x;
                if (columns == LANES) {
                    memcpy(to, &column[l], LANES);
                } else {
                    memcpy(to, &column[l], (size_t)columns);
                }
            }
        }
    }
    return ARK_OK;
}

/* weigh for any number of l up to CHUNK. */
static void weigh_some(const uint8_t *src, size_t stride, const int32_t *w, int taps, int n, int32_t *out) {
    for (int l = 0; l < n && n >= LANES; l += LANES) {
        int at = l + LANES <= n ? l : n - LANES; /* the last ones overlap those before */
        weigh(src + at, stride, w, taps, out + at);
    }
    for (int l = 0; l < n && n < LANES; l++) {
        out[l] = 0;
        for (int j = 0; j < taps; j++) {
            out[l] += src[(size_t)j * stride + (size_t)l] * w[j];
        }
    }
}

/* src row 0 is row `top` of the image that the kernel was made for. */
static void pass_down(
    const kernel *k, const uint8_t *src, size_t stride, int top, uint8_t *dst, int width, int out) {
    for (int y = 0; y < out; y++, dst += width) {
        const uint8_t *from = src + (size_t)(k->first[y] - top) * stride;
        const int32_t *w = k->weights + (size_t)y * (size_t)k->width;
        for (int x = 0; x < width; x += CHUNK) {
            int n = width - x < CHUNK ? width - x : CHUNK;
            int32_t sum[CHUNK];
            weigh_some(from + x, stride, w, k->taps[y], n, sum);
            round_all(sum, (size_t)n, dst + x);
        }
    }
}

static ark_status check(int width, int height, const float box[4], int out_w, int out_h, ark_filter f) {
    const int sides[] = {width, height, out_w, out_h};
    bool ok = (unsigned)f < sizeof filters / sizeof *filters;
    for (int i = 0; i < 4; i++) {
        ok = ok && sides[i] > 0 && sides[i] <= MAX_SIDE;
    }
    if (!ok) {
        return ARK_ERR(ARK_EINVAL, "cannot resize %d x %d to %d x %d pixels", width, height, out_w, out_h);
    }
    /* written so that NaN fails */
    if (!(box[0] >= 0 && box[1] >= 0 && box[2] <= (float)width && box[3] <= (float)height &&
            box[0] < box[2] && box[1] < box[3])) {
        return ARK_ERR(ARK_EINVAL, "cannot resize the box (%g, %g, %g, %g) of %d x %d pixels", (double)box[0],
            (double)box[1], (double)box[2], (double)box[3], width, height);
    }
    return ARK_OK;
}

ark_status ark_resize8(ark_resizer *r, const uint8_t *src, int width, int height, size_t stride,
    const double box[4], uint8_t *dst, int out_w, int out_h, ark_filter filter_id) {
    float b[4] = {0, 0, (float)width, (float)height};
    for (int i = 0; box && i < 4; i++) {
        b[i] = (float)box[i];
    }
    ARK_TRY(check(width, height, b, out_w, out_h, filter_id));
    const filter *f = &filters[filter_id];
    bool across = out_w != width || b[0] != 0 || b[2] != (float)width;
    bool down = out_h != height || b[1] != 0 || b[3] != (float)height;
    int top = 0, rows = height; /* the source rows that matter */
    if (down) {
        ARK_TRY(make_kernel(&r->down, height, b[1], b[3], out_h, f));
        top = r->down.first[0];
        rows = r->down.first[out_h - 1] + r->down.taps[out_h - 1] - top;
    }
    src += (size_t)top * stride;
    if (across) {
        uint8_t *to = dst;
        ARK_TRY(make_kernel(&r->across, width, b[0], b[2], out_w, f));
        if (down) {
            size_t bytes;
            if (ark_mul((size_t)rows, (size_t)out_w, &bytes)) {
                return ARK_ERR(ARK_EINVAL, "cannot resize to %d x %d pixels", out_w, out_h);
            }
            ARK_TRY(ensure(&r->rows, &r->rows_cap, bytes, 1));
            to = r->rows;
        }
        ARK_TRY(pass_across(r, src, width, stride, rows, to, out_w));
        src = to;
        stride = (size_t)out_w;
    }
    if (down) {
        pass_down(&r->down, src, stride, top, dst, out_w, out_h);
    } else if (!across) {
        for (int y = 0; y < height; y++) {
            memcpy(dst + (size_t)y * (size_t)width, src + (size_t)y * stride, (size_t)width);
        }
    }
    return ARK_OK;
}
