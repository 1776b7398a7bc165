/* The common PNG, inflated in one call by libdeflate, which is twice as fast as zlib. What the format allows
 * and few write, and every file with a fault, is left to libspng, which decides what is refused and words
 * the reason. */
#include "io/png_fast.h"

#include "base/alloc.h"
#include "base/mathsafe.h"
#include "io/image_codec.h"

#include <libdeflate.h>
#include <string.h>

enum { SIGNATURE = 8, CHUNK_HEAD = 8, CHUNK_CRC = 4 };

enum { DEFLATE_MOST = 1032 }; /* bytes that one byte of deflate can stand for */

/* --- chunks --- */

typedef struct chunk {
    const uint8_t *data;
    size_t len;
} chunk;

static uint32_t be32(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* The chunk that begins at *at, which moves behind it; false where the file ends before it does. */
static bool next_chunk(const uint8_t *bytes, size_t n, size_t *at, chunk *c) {
    size_t left = n - *at;
    if (left < CHUNK_HEAD + CHUNK_CRC || be32(bytes + *at) > left - CHUNK_HEAD - CHUNK_CRC) {
        return false;
    }
    *c = (chunk){bytes + *at + CHUNK_HEAD, be32(bytes + *at)};
    *at += CHUNK_HEAD + c->len + CHUNK_CRC;
    return true;
}

static bool is(chunk c, const char *type) {
    return !memcmp(c.data - 4, type, 4);
}

static bool intact(chunk c) {
    return libdeflate_crc32(0, c.data - 4, c.len + 4) == be32(c.data + c.len);
}

/* The IDAT chunks, which IEND must follow: where the first begins, how many bytes of zlib stream they hold,
 * and whether that is in one piece. */
typedef struct idat {
    size_t first, len;
    bool single;
} idat;

static bool find_idat(const uint8_t *bytes, size_t n, idat *out) {
    size_t at = SIGNATURE;
    chunk c;
    do {
        out->first = at;
        if (!next_chunk(bytes, n, &at, &c)) {
            return false;
        }
    } while (!is(c, "IDAT"));
    *out = (idat){.first = out->first, .single = true};
    while (is(c, "IDAT")) {
        out->single = out->len == 0;
        out->len += c.len;
        if (!intact(c) || !next_chunk(bytes, n, &at, &c)) {
            return false;
        }
    }
    return is(c, "IEND") && c.len == 0 && intact(c);
}

static void join(const uint8_t *bytes, size_t n, const idat *d, uint8_t *to) {
    size_t at = d->first;
    for (chunk c; next_chunk(bytes, n, &at, &c) && is(c, "IDAT"); to += c.len) {
        memcpy(to, c.data, c.len);
    }
}

/* Exactly n bytes from exactly this stream. libdeflate takes 12 kB of its own from malloc: another allocator
 * could be set for the whole process only, which is not a library's to do. */
static bool inflate_all(const uint8_t *stream, size_t len, uint8_t *out, size_t n) {
    struct libdeflate_decompressor *d = libdeflate_alloc_decompressor();
    size_t used = 0;
    bool ok = d && libdeflate_zlib_decompress_ex(d, stream, len, out, n, &used, NULL) == LIBDEFLATE_SUCCESS &&
              used == len;
    libdeflate_free_decompressor(d);
    return ok;
}

/* --- filters: from is a row as stored, to may be the same bytes, above is the finished row above --- */

typedef enum filter { NONE, SUB, UP, AVERAGE, PAETH, FILTERS } filter;

/* What is added to a stored byte of a row that is not of NONE or UP; left, up, corner: finished neighbours,
 * 0 outside. */
static inline __attribute__((always_inline)) uint8_t predict(filter f, int left, int up, int corner) {
    switch (f) {
    case SUB:
        return (uint8_t)left;
    case AVERAGE:
        return (uint8_t)((left + up) / 2);
    default:
        break;
    }
    /* Paeth's choice of the neighbour nearest to left + up - corner, as comparisons that wait for `left`
     * briefly: the corner lies outside of [lo,hi], or so far inside that it is itself the nearest. */
    int lo = left < up ? left : up, hi = left < up ? up : left, three = 3 * corner - up - left;
    int low = three >= hi ? lo : corner;
    return (uint8_t)(three <= lo ? hi : low);
}

enum { BPP_MOST = 8 };

static inline __attribute__((always_inline)) void undo(
    filter f, const uint8_t *from, uint8_t *to, const uint8_t *above, size_t n, size_t bpp) {
    int left[BPP_MOST] = {0}, corner[BPP_MOST] = {0}; /* registers: what is stored is slow to read back */
    for (size_t i = 0; i < n; i += bpp) {
        for (size_t c = 0; c < bpp; c++) {
            int up = above[i + c];
            left[c] = (uint8_t)(from[i + c] + predict(f, left[c], up, corner[c]));
            corner[c] = up;
            to[i + c] = (uint8_t)left[c];
        }
    }
}

static void undo_up(const uint8_t *from, uint8_t *to, const uint8_t *above, size_t n) {
    for (size_t i = 0; i < n; i++) {
        to[i] = (uint8_t)(from[i] + above[i]);
    }
}

/* Two rows of one byte a pixel: while one waits for its neighbour on the left, the other gets on. */
static inline __attribute__((always_inline)) void undo_two(
    filter f, filter g, const uint8_t *from, uint8_t *to, const uint8_t *above, size_t n) {
    const uint8_t *from2 = from + n + 1;
    uint8_t *to2 = to + n;
    int corner = 0, left = 0, left2 = 0;
    for (size_t i = 0; i < n; i++) {
        int up = above[i], left_was = left;
        left = (uint8_t)(from[i] + predict(f, left, up, corner));
        left2 = (uint8_t)(from2[i] + predict(g, left2, left, left_was));
        corner = up;
        to[i] = (uint8_t)left;
        to2[i] = (uint8_t)left2;
    }
}

/* The two rows at once where both are slow by themselves; false: nothing done. */
static bool undo_slow_two(const uint8_t *from, uint8_t *to, const uint8_t *above, size_t n) {
    filter f = from[-1], g = from[n];
    if (f == PAETH && g == PAETH) {
        undo_two(PAETH, PAETH, from, to, above, n);
    } else if (f == PAETH && g == AVERAGE) {
        undo_two(PAETH, AVERAGE, from, to, above, n);
    } else if (f == AVERAGE && g == PAETH) {
        undo_two(AVERAGE, PAETH, from, to, above, n);
    } else if (f == AVERAGE && g == AVERAGE) {
        undo_two(AVERAGE, AVERAGE, from, to, above, n);
    } else {
        return false;
    }
    return true;
}

static inline __attribute__((always_inline)) void undo_any(
    filter f, const uint8_t *from, uint8_t *to, const uint8_t *above, size_t n, size_t bpp) {
    switch (f) {
    case SUB:
        undo(SUB, from, to, above, n, bpp);
        break;
    case UP:
        undo_up(from, to, above, n);
        break;
    case AVERAGE:
        undo(AVERAGE, from, to, above, n, bpp);
        break;
    case PAETH:
        undo(PAETH, from, to, above, n, bpp);
        break;
    default:
        memmove(to, from, n);
    }
}

/* bpp: bytes of a pixel, a constant in each copy of the loops. */
static void undo_row(filter f, const uint8_t *from, uint8_t *to, const uint8_t *above, size_t n, size_t bpp) {
    switch (bpp) {
    case 1:
        undo_any(f, from, to, above, n, 1);
        break;
    case 2:
        undo_any(f, from, to, above, n, 2);
        break;
    case 3:
        undo_any(f, from, to, above, n, 3);
        break;
    case 4:
        undo_any(f, from, to, above, n, 4);
        break;
    default:
        undo_any(f, from, to, above, n, bpp);
    }
}

/* --- pixels --- */

static inline void luma_row(const uint8_t *px, size_t n, size_t bpp, size_t sample, uint8_t *out) {
    for (size_t i = 0; i < n; i++, px += bpp) {
        out[i] = ark_luma(px[0], px[sample], px[2 * sample]);
    }
}

/* A finished row of n pixels to row y of im: the high bytes of colour, all bits of grey, no alpha. */
static void store_row(const uint8_t *px, size_t n, int channels, int bits, size_t y, ark_image *im) {
    size_t sample = (size_t)bits / 8, bpp = (size_t)channels * sample;
    if (bpp == 3) {
        luma_row(px, n, 3, 1, im->px8 + y * n); /* constants make vectors */
        return;
    }
    if (channels > 2) {
        luma_row(px, n, bpp, sample, im->px8 + y * n);
        return;
    }
    for (size_t i = 0; i < n; i++, px += bpp) {
        if (bits == 16) {
            im->px16[y * n + i] = (uint16_t)(px[0] << 8 | px[1]);
        } else {
            im->px8[y * n + i] = px[0];
        }
    }
}

/* raw: rows of a filter's number and n bytes, finished in place, or in im where these are its pixels. */
static bool undo_all(uint8_t *raw, size_t n, int channels, int bits, ark_image *im) {
    size_t height = (size_t)im->height, width = (size_t)im->width;
    bool direct = channels == 1 && bits == 8;
    uint8_t *zeros = ark_calloc(n, 1);
    if (!zeros) {
        return false;
    }
    const uint8_t *above = zeros;
    size_t y = 0;
    for (; y < height && raw[0] < FILTERS; y++, raw += 1 + n) {
        uint8_t *to = direct ? im->px8 + y * n : raw + 1;
        if (direct && y + 1 < height && undo_slow_two(raw + 1, to, above, n)) {
            y++;
            raw += 1 + n;
            above = to + n;
            continue;
        }
        undo_row(raw[0], raw + 1, to, above, n, (size_t)channels * (size_t)bits / 8);
        if (!direct) {
            store_row(to, width, channels, bits, y, im);
        }
        above = to;
    }
    ark_free(zeros);
    return y == height;
}

bool ark__png_fast(const uint8_t *bytes, size_t n, int channels, int bits, ark_image *im) {
    idat d;
    size_t row, size, most, pixels = (size_t)im->width * (size_t)im->height * (size_t)im->depth / 8;
    if (ark_mul((size_t)im->width, (size_t)channels * (size_t)bits / 8, &row) ||
        ark_mul(row + 1, (size_t)im->height, &size) || !find_idat(bytes, n, &d) ||
        ark_mul(d.len, DEFLATE_MOST, &most) || size > most) {
        return false;
    }
    /* several pieces are joined where the pixels will be, if they fit: fresh memory costs more than the copy
     * */
    const uint8_t *stream = bytes + d.first + CHUNK_HEAD;
    uint8_t *raw = ark_malloc(size), *joined = NULL;
    if (!d.single) {
        joined = d.len <= pixels ? NULL : ark_malloc(d.len);
        uint8_t *to = d.len <= pixels ? im->px8 : joined;
        if (to) {
            join(bytes, n, &d, to);
        }
        stream = to;
    }
    bool ok =
        raw && stream && inflate_all(stream, d.len, raw, size) && undo_all(raw, row, channels, bits, im);
    ark_free(raw);
    ark_free(joined);
    return ok;
}
