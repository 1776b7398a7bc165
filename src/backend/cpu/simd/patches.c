/* Patches of an image as rows of a matrix, and back. Of one row of a patch what lies inside the image is one run of
 * memory, whatever the stride; the rest is zero. */
#include "backend/cpu/simd/level.h"

/* Columns [l,end) of a patch at pixel (y,x) of sample b, handed out run by run. */
typedef struct {
    const ark_patches *p;
    int64_t b, y, x; /* of the output */
} place;

static place place_of(const ark_patches *p, int64_t row) {
    row += p->first;
    return (place){.p = p, .b = row / (p->OH * p->OW), .y = row / p->OW % p->OH, .x = row % p->OW};
}

ARK_INLINE void step(place *at) {
    if (++at->x == at->p->OW) {
        at->x = 0;
        if (++at->y == at->p->OH) {
            at->y = 0;
            at->b++;
        }
    }
}

ARK_INLINE void copy(float *restrict d, const float *restrict s, int64_t n) {
    int64_t i = 0;
    for (; i + ARK_LANES <= n; i += ARK_LANES) {
        ark_store(d + i, ark_load(s + i));
    }
    for (; i < n; i++) {
        d[i] = s[i];
    }
}

ARK_INLINE void zero(float *d, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        d[i] = 0.0f;
    }
}

ARK_INLINE int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

ARK_INLINE int64_t most(int64_t a, int64_t b) {
    return a > b ? a : b;
}

/* One line of a patch: `line` counts (ky), or (i,ky) when planar. inner: elements of a pixel that lie together.
 * Columns of the line [0,k inner); those of [from,to) are inside the image and lie from *src on. */
typedef struct {
    int64_t from, to, src;
} run;

ARK_INLINE run run_of(const place *at, int64_t line) {
    const ark_patches *p = at->p;
    const int64_t inner = p->planar ? 1 : p->I, plane = p->planar ? line / p->k : 0;
    const int64_t iy = at->y * p->stride + line % p->k - p->pad, ix = at->x * p->stride - p->pad;
    run r = {0, 0, 0};
    if (iy < 0 || iy >= p->H) {
        return r;
    }
    const int64_t from = most(0, -ix), to = most(from, least(p->k, p->W - ix));
    const int64_t image = p->planar ? (at->b * p->I + plane) * p->H + iy : at->b * p->H + iy;
    r.from = from * inner;
    r.to = to * inner;
    r.src = (image * p->W + ix + from) * inner;
    return r;
}

/* Columns [l,end) of one line into d. */
ARK_INLINE void gather_line(const place *at, float *d, int64_t line, int64_t l, int64_t end) {
    const run r = run_of(at, line);
    const int64_t from = most(l, least(r.from, end)), to = most(from, least(r.to, end));
    zero(d, from - l);
    if (at->p->dtype == ARK_F32) {
        copy(d + from - l, (const float *)at->p->x + r.src + from - r.from, to - from);
    } else if (to > from) {
        ARK_FN(widen)(d + from - l, (const uint16_t *)at->p->x + r.src + from - r.from, to - from);
    }
    zero(d + to - l, end - to);
}

void ARK_FN(patches)(
    const ark_patches *p, float *dst, int64_t ldd, int64_t i, int64_t rows, int64_t l, int64_t cols) {
    const int64_t width = p->k * (p->planar ? 1 : p->I);
    place at = place_of(p, i);
    for (int64_t r = 0; r < rows; r++, step(&at)) {
        float *d = dst + r * ldd;
        int64_t line = l / width, column = l % width;
        for (int64_t done = 0; done < cols; line++, column = 0) {
            const int64_t end = least(width, column + cols - done);
            gather_line(&at, d + done, line, column, end);
            done += end - column;
        }
    }
}

void ARK_FN(patches_grad)(
    const ark_patches *p, float *image, const float *src, int64_t lds, int64_t i, int64_t rows) {
    const int64_t width = p->k * (p->planar ? 1 : p->I), lines = p->k * (p->planar ? p->I : 1);
    place at = place_of(p, i);
    for (int64_t r = 0; r < rows; r++, step(&at)) {
        for (int64_t line = 0; line < lines; line++) {
            const run n = run_of(&at, line);
            if (n.to > n.from) {
                ARK_FN(add)(image + n.src, src + r * lds + line * width + n.from, n.to - n.from);
            }
        }
    }
}
