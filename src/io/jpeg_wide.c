#include "io/jpeg_wide.h"

#include "base/alloc.h"
#include "base/err.h"
#include "io/jpeg_bits.h"

#include <string.h>

enum { BLOCK = 64, MAX_SCAN = 3 };

typedef struct decoder {
    const char *name;
    const uint8_t *p;
    size_t n, at;
    int width, height, samples, precision;
    bool lossless;
    uint8_t *out;
    ark__huffman huffman[2][4]; /* of DC or differences, of AC */
    uint16_t quant[4][BLOCK];   /* zig-zag order; 0 = no table */
    uint8_t ids[3], tables[3];  /* of the components */
    unsigned restart;           /* units between restart markers, 0 = none */
    ark__jpeg_bits bits;
} decoder;

/* One scan: its components and their tables. */
typedef struct scan {
    int n;
    int component[MAX_SCAN], dc[MAX_SCAN], ac[MAX_SCAN];
    int predictor, shift; /* lossless */
} scan;

static ark_status bad(const decoder *d, const char *what) {
    return ARK_ERR(ARK_EFORMAT, "%s: JPEG: %s", d->name, what);
}

static unsigned be16(const uint8_t *p) {
    return (unsigned)p[0] << 8 | p[1];
}

static void put(const decoder *d, size_t pixel, int component, int value) {
    size_t i = pixel * (size_t)d->samples + (size_t)component;
    if (d->precision <= 8) {
        d->out[i] = (uint8_t)value;
    } else {
        uint16_t v = (uint16_t)value;
        memcpy(d->out + 2 * i, &v, sizeof v);
    }
}

/* --- tables --- */

static ark_status read_huffman(decoder *d, const uint8_t *p, size_t n) {
    while (n > 0) {
        unsigned kind = p[0] >> 4, id = p[0] & 15;
        size_t used = 0;
        if (kind > 1 || id > 3 || !ark__huffman_read(&d->huffman[kind][id], p + 1, n - 1, &used)) {
            return bad(d, "a Huffman table that is none");
        }
        p += 1 + used;
        n -= 1 + used;
    }
    return ARK_OK;
}

static ark_status read_quant(decoder *d, const uint8_t *p, size_t n) {
    while (n > 0) {
        unsigned wide = p[0] >> 4, id = p[0] & 15;
        size_t bytes = BLOCK * (size_t)(wide + 1);
        if (wide > 1 || id > 3 || n < 1 + bytes) {
            return bad(d, "a quantization table that is none");
        }
        for (int i = 0; i < BLOCK; i++) {
            d->quant[id][i] = (uint16_t)(wide ? be16(p + 1 + 2 * i) : p[1 + i]);
            if (!d->quant[id][i]) {
                return bad(d, "a quantization step of 0");
            }
        }
        p += 1 + bytes;
        n -= 1 + bytes;
    }
    return ARK_OK;
}

static ark_status read_frame(decoder *d, unsigned marker, const uint8_t *p, size_t n) {
    d->lossless = marker == 0xc3;
    if (n < 6 || n < 6 + 3 * (size_t)p[5] || p[0] != d->precision || be16(p + 1) != (unsigned)d->height ||
        be16(p + 3) != (unsigned)d->width || p[5] != d->samples || p[5] > 3 ||
        (d->lossless ? p[0] < 2 || p[0] > 16 : p[0] != 12)) {
        return bad(d, "a frame header other than expected");
    }
    for (int c = 0; c < d->samples; c++) {
        const uint8_t *q = p + 6 + 3 * c;
        d->ids[c] = q[0];
        d->tables[c] = q[2];
        if (q[1] != 0x11 || q[2] > 3) {
            return bad(d, "subsampled components");
        }
    }
    return ARK_OK;
}

static ark_status read_scan_header(const decoder *d, const uint8_t *p, size_t n, scan *s) {
    *s = (scan){.n = n ? p[0] : 0};
    if (s->n < 1 || s->n > d->samples || n != 4 + 2 * (size_t)s->n) {
        return bad(d, "a scan header of a wrong length");
    }
    for (int i = 0; i < s->n; i++) {
        int c = 0;
        while (c < d->samples && d->ids[c] != p[1 + 2 * i]) {
            c++;
        }
        s->component[i] = c;
        s->dc[i] = p[2 + 2 * i] >> 4;
        s->ac[i] = p[2 + 2 * i] & 15;
        bool tables = s->dc[i] < 4 && d->huffman[0][s->dc[i]].known;
        if (c < d->samples && !d->lossless) {
            tables = tables && s->ac[i] < 4 && d->huffman[1][s->ac[i]].known && d->quant[d->tables[c]][0];
        }
        if (c == d->samples || !tables) {
            return bad(d, "a scan without its component or tables");
        }
    }
    const uint8_t *q = p + 1 + 2 * s->n;
    s->predictor = q[0];
    s->shift = q[2] & 15;
    bool known = d->lossless ? q[0] >= 1 && q[0] <= 7 && !(q[2] >> 4) && s->shift < d->precision
                             : !q[0] && q[1] == 63 && !q[2];
    return known ? ARK_OK : bad(d, "a scan of a kind that is not read");
}

/* --- restarts --- */

static void begin_bits(decoder *d) {
    d->bits = (ark__jpeg_bits){.p = d->p + d->at, .end = d->p + d->n};
}

/* Behind the last bits taken: where the next marker is. */
static ark_status end_bits(decoder *d) {
    if (ark__jpeg_overrun(&d->bits)) {
        return bad(d, "the pixels are cut short");
    }
    const uint8_t *p = d->bits.p;
    while (p < d->bits.end && (*p != 0xff || (d->bits.end - p > 1 && p[1] == 0))) {
        p++; /* what is left before a marker is padding, or damage that no one asked for */
    }
    d->at = (size_t)(p - d->p);
    return ARK_OK;
}

/* Called before each unit but the first: past a restart marker where one is due. */
static ark_status restart(decoder *d, unsigned number) {
    ARK_TRY(end_bits(d));
    if (d->n - d->at < 2 || d->p[d->at + 1] != 0xd0 + number % 8) {
        return bad(d, "no restart marker where one belongs");
    }
    d->at += 2;
    begin_bits(d);
    return ARK_OK;
}

/* --- lossless (annex H) --- */

static inline int predict(int kind, int left, int above, int corner) {
    switch (kind) {
    case 1:
        return left;
    case 2:
        return above;
    case 3:
        return corner;
    case 4:
        return left + above - corner;
    case 5:
        return left + ((above - corner) >> 1);
    case 6:
        return above + ((left - corner) >> 1);
    default:
        return (left + above) >> 1;
    }
}

static inline int difference(const ark__huffman *h, ark__jpeg_bits *b) {
    ark__jpeg_fill(b);
    int size = ark__huffman_next(h, b);
    if (size < 0 || size > 16) {
        return INT32_MIN;
    }
    return size == 16 ? 32768 : ark__jpeg_extend(b, size);
}

/* row: (width,n), what the row above holds; becomes this row. first: of the image or behind a restart. */
static bool lossless_row(decoder *d, const scan *s, uint16_t *row, bool first) {
    int start = 1 << (d->precision - s->shift - 1);
    ark__jpeg_bits b = d->bits; /* in registers */
    int left[MAX_SCAN] = {0}, corner[MAX_SCAN] = {0};
    bool ok = true;
    for (int x = 0; x < d->width && ok; x++) {
        for (int i = 0; i < s->n; i++) {
            uint16_t *at = row + (size_t)x * (size_t)s->n + (size_t)i;
            int above = *at, diff = difference(&d->huffman[0][s->dc[i]], &b);
            int p = first ? x ? left[i] : start
                    : x   ? predict(s->predictor, left[i], above, corner[i])
                          : above;
            ok = ok && diff != INT32_MIN;
            *at = ok ? (uint16_t)(p + diff) : 0;
            left[i] = *at;
            corner[i] = above;
        }
    }
    d->bits = b;
    return ok && !ark__jpeg_overrun(&b);
}

static ark_status read_lossless(decoder *d, const scan *s) {
    unsigned per_row = (unsigned)d->width, rows = d->restart / per_row;
    uint16_t *row;
    if (d->restart % per_row) {
        return bad(d, "restarts within a row");
    }
    ARK_TRY(ARK_NEW(&row, (size_t)d->width * (size_t)s->n, "a row of JPEG"));
    ark_status st = ARK_OK;
    begin_bits(d);
    for (int y = 0; y < d->height && st == ARK_OK; y++) {
        bool again = rows && y && (unsigned)y % rows == 0;
        st = again ? restart(d, (unsigned)y / rows - 1) : ARK_OK;
        if (st == ARK_OK && !lossless_row(d, s, row, y == 0 || again)) {
            st = bad(d, "the pixels are damaged or cut short");
        }
        for (int x = 0; x < d->width && st == ARK_OK; x++) {
            for (int i = 0; i < s->n; i++) {
                put(d, (size_t)y * (size_t)d->width + (size_t)x, s->component[i],
                    row[(size_t)x * (size_t)s->n + (size_t)i] << s->shift);
            }
        }
    }
    ark_free(row);
    return st ? st : end_bits(d);
}

/* --- sequential DCT (annex F) --- */

static const uint8_t zigzag[BLOCK] = {0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33,
    40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44,
    51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63};

/* Coefficients of a block times their steps; false for a code or a place that is none. */
static bool read_block(decoder *d, const scan *s, int i, int *dc, int64_t block[BLOCK]) {
    const uint16_t *q = d->quant[d->tables[s->component[i]]];
    memset(block, 0, BLOCK * sizeof *block);
    int diff = difference(&d->huffman[0][s->dc[i]], &d->bits);
    if (diff == INT32_MIN) {
        return false;
    }
    *dc = (int16_t)(*dc + diff);
    block[0] = (int64_t)*dc * q[0];
    for (int k = 1; k < BLOCK; k++) {
        ark__jpeg_fill(&d->bits);
        int code = ark__huffman_next(&d->huffman[1][s->ac[i]], &d->bits);
        if (code < 0) {
            return false;
        }
        int run = code >> 4, size = code & 15;
        if (!size && run < 15) {
            break; /* the rest is 0 */
        }
        k += run;
        if (k >= BLOCK) {
            return false;
        }
        block[zigzag[k]] = (int64_t)ark__jpeg_extend(&d->bits, size) * q[k];
    }
    return true;
}

/* Eight values, `step` apart, through the inverse transform of Loeffler, Ligtenberg and Moschytz (1989) in
 * 13-bit fixed point, as libjpeg's slow integer transform has it: sums, then down by `shift` bits, rounded.
 */
static void inverse8(int64_t *v, int step, int shift) {
#define FIX(x) ((int64_t)((x)*8192 + 0.5))
    int64_t a = (v[2 * step] + v[6 * step]) * FIX(0.541196100);
    int64_t e2 = a - v[6 * step] * FIX(1.847759065), e3 = a + v[2 * step] * FIX(0.765366865);
    int64_t e0 = (v[0] + v[4 * step]) * 8192, e1 = (v[0] - v[4 * step]) * 8192;
    int64_t even[] = {e0 + e3, e1 + e2, e1 - e2, e0 - e3};
    int64_t o7 = v[7 * step], o5 = v[5 * step], o3 = v[3 * step], o1 = v[step];
    int64_t z = (o7 + o3 + o5 + o1) * FIX(1.175875602);
    int64_t s71 = (o7 + o1) * -FIX(0.899976223), s53 = (o5 + o3) * -FIX(2.562915447);
    int64_t s73 = (o7 + o3) * -FIX(1.961570560) + z, s51 = (o5 + o1) * -FIX(0.390180644) + z;
    int64_t odd[] = {o1 * FIX(1.501321110) + s71 + s51, o3 * FIX(3.072711026) + s53 + s73,
        o5 * FIX(2.053119869) + s53 + s51, o7 * FIX(0.298631336) + s71 + s73};
#undef FIX
    int64_t half = (int64_t)1 << (shift - 1);
    for (int i = 0; i < 4; i++) {
        v[i * step] = (even[i] + odd[i] + half) >> shift;
        v[(7 - i) * step] = (even[i] - odd[i] + half) >> shift;
    }
}

/* Columns first, one bit of fraction kept in between. */
static void put_block(const decoder *d, int component, int64_t block[BLOCK], int x0, int y0) {
    for (int i = 0; i < 8; i++) {
        inverse8(block + i, 8, 12);
    }
    for (int i = 0; i < 8; i++) {
        inverse8(block + 8 * i, 1, 17);
    }
    for (int y = 0; y < 8 && y0 + y < d->height; y++) {
        for (int x = 0; x < 8 && x0 + x < d->width; x++) {
            int64_t v = block[8 * y + x] + 2048;
            put(d, (size_t)(y0 + y) * (size_t)d->width + (size_t)(x0 + x), component,
                v < 0      ? 0
                : v > 4095 ? 4095
                           : (int)v);
        }
    }
}

static ark_status read_dct(decoder *d, const scan *s) {
    int across = (d->width + 7) / 8, down = (d->height + 7) / 8, dc[MAX_SCAN] = {0};
    int64_t block[BLOCK];
    begin_bits(d);
    for (int unit = 0; unit < across * down; unit++) {
        if (d->restart && unit && (unsigned)unit % d->restart == 0) {
            ARK_TRY(restart(d, (unsigned)unit / d->restart - 1));
            memset(dc, 0, sizeof dc);
        }
        for (int i = 0; i < s->n; i++) {
            if (!read_block(d, s, i, &dc[i], block) || ark__jpeg_overrun(&d->bits)) {
                return bad(d, "the pixels are damaged or cut short");
            }
            put_block(d, s->component[i], block, unit % across * 8, unit / across * 8);
        }
    }
    return end_bits(d);
}

/* --- markers --- */

/* The segment behind the next marker; *n = 0 where the marker has none. */
static ark_status next_segment(decoder *d, unsigned *marker, const uint8_t **p, size_t *n) {
    while (d->n - d->at > 2 && d->p[d->at] == 0xff && d->p[d->at + 1] == 0xff) {
        d->at++;
    }
    if (d->n - d->at < 2 || d->p[d->at] != 0xff) {
        return bad(d, "no marker where one belongs");
    }
    *marker = d->p[d->at + 1];
    d->at += 2;
    *n = 0;
    if (*marker == 0xd8 || *marker == 0xd9) {
        return ARK_OK;
    }
    size_t len = d->n - d->at < 2 ? 0 : be16(d->p + d->at);
    if (len < 2 || len > d->n - d->at) {
        return bad(d, "a segment that is cut short");
    }
    *p = d->p + d->at + 2;
    *n = len - 2;
    d->at += len;
    return ARK_OK;
}

static ark_status read_scan(decoder *d, const uint8_t *p, size_t n, unsigned *seen) {
    scan s;
    ARK_TRY(read_scan_header(d, p, n, &s));
    for (int i = 0; i < s.n; i++) {
        if (*seen & 1u << s.component[i]) {
            return bad(d, "a component in two scans");
        }
        *seen |= 1u << s.component[i];
    }
    return d->lossless ? read_lossless(d, &s) : read_dct(d, &s);
}

static ark_status decode(decoder *d) {
    bool framed = false;
    unsigned seen = 0, marker = 0, all = (1u << d->samples) - 1;
    const uint8_t *p = NULL;
    size_t n;
    ARK_TRY(next_segment(d, &marker, &p, &n));
    if (marker != 0xd8) {
        return bad(d, "no start of image");
    }
    while (seen != all) {
        ARK_TRY(next_segment(d, &marker, &p, &n));
        ark_status st = ARK_OK;
        if (marker == 0xc4) {
            st = read_huffman(d, p, n);
        } else if (marker == 0xdb) {
            st = read_quant(d, p, n);
        } else if (marker == 0xdd) {
            st = n == 2 ? ARK_OK : bad(d, "a restart interval of a wrong length");
            d->restart = n == 2 ? be16(p) : 0;
        } else if (marker == 0xc0 || marker == 0xc1 || marker == 0xc3) {
            st = framed ? bad(d, "a second frame") : read_frame(d, marker, p, n);
            framed = true;
        } else if (marker == 0xda) {
            st = framed ? read_scan(d, p, n, &seen) : bad(d, "a scan before its frame");
        } else if (marker == 0xd9 || (marker >= 0xc0 && marker <= 0xcf)) {
            st = bad(d, "an end, or a process that is not read, before the pixels");
        }
        ARK_TRY(st);
    }
    return ARK_OK;
}

ark_status ark__jpeg_wide(const char *name, const uint8_t *bytes, size_t n, int width, int height,
    int samples, int precision, uint8_t *out) {
    decoder *d;
    ARK_TRY(ARK_NEW(&d, 1, "JPEG tables"));
    d->name = name;
    d->p = bytes;
    d->n = n;
    d->width = width;
    d->height = height;
    d->samples = samples;
    d->precision = precision;
    d->out = out;
    ark_status st = decode(d);
    ark_free(d);
    return st;
}
