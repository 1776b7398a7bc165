/* The skeleton of a JPEG 2000 code stream (T.800 annex A): main header, tile-parts, end. What is checked here
 * the codec need not stumble over: it complains on stderr, and keeps memory of streams that it gives up. */
#include "base/alloc.h"
#include "base/err.h"
#include "io/dicom_priv.h"

#include <string.h>

enum {
    SOT = 0xff90,
    SOD = 0xff93,
    EOC = 0xffd9,
    SOT_BYTES = 12,
    MAX_LEVELS = 32,
    LEAST_PRECINCT = 4, /* log2 of a side; smaller ones cost more memory than pixels */
};

typedef struct stream {
    const ark__frame *f;
    size_t at, end; /* end: where EOC is */
    bool has_style;
    unsigned levels; /* of the wavelet */
    int steps;       /* kind of quantization, -1 none yet */
    size_t step_bytes;
    unsigned tiles;
    uint8_t *parts; /* of each tile, those seen */
} stream;

static ark_status bad(const stream *s, const char *what) {
    return ARK_ERR(ARK_EFORMAT, "%s: DICOM: JPEG 2000: %s", s->f->name, what);
}

static unsigned be16(const uint8_t *p) {
    return (unsigned)p[0] << 8 | p[1];
}

static uint32_t be32(const uint8_t *p) {
    return (uint32_t)be16(p) << 16 | be16(p + 2);
}

/* The marker at s->at and the bytes of its segment behind the length; s->at moves behind it. */
static ark_status next(stream *s, size_t end, unsigned *marker, const uint8_t **p, size_t *n) {
    const uint8_t *b = s->f->bytes + s->at;
    if (end - s->at < 4 || b[0] != 0xff || be16(b + 2) < 2 || be16(b + 2) > end - s->at - 2) {
        return bad(s, "a marker segment that is cut short or none");
    }
    *marker = be16(b);
    *n = be16(b + 2) - 2u;
    *p = b + 4;
    s->at += 4 + *n;
    return ARK_OK;
}

/* COD */
static ark_status check_style(stream *s, const uint8_t *p, size_t n) {
    if (n < 10) {
        return bad(s, "a short coding style");
    }
    unsigned levels = p[5], precincts = p[0] & 1 ? levels + 1 : 0;
    bool ok = p[0] < 8 && levels <= MAX_LEVELS && n == 10 + (size_t)precincts && p[1] <= 4 &&
              be16(p + 2) > 0 && p[4] <= 1 && !(p[4] && s->f->samples != 3) && p[6] <= 8 && p[7] <= 8 &&
              p[6] + p[7] <= 8 && p[8] < 64 && p[9] <= 1;
    for (unsigned i = 0; ok && i < precincts; i++) {
        ok = (p[10 + i] & 15) >= LEAST_PRECINCT && p[10 + i] >> 4 >= LEAST_PRECINCT;
    }
    s->has_style = true;
    s->levels = levels;
    return ok ? ARK_OK : bad(s, "a coding style that is none, or is not read");
}

/* QCD: a byte for each of 3 x levels + 1 bands, two for all, or two for each. */
static bool fits_steps(const stream *s) {
    size_t bands = 3 * (size_t)s->levels + 1, n = s->step_bytes;
    return s->steps == 0 ? n == bands : s->steps == 1 ? n == 2 : s->steps == 2 && n == 2 * bands;
}

static ark_status main_header(stream *s) {
    unsigned marker;
    const uint8_t *p;
    size_t n;
    while (s->end - s->at >= 2 && be16(s->f->bytes + s->at) != SOT) {
        ARK_TRY(next(s, s->end, &marker, &p, &n));
        switch (marker) {
        case 0xff52:
            ARK_TRY(check_style(s, p, n));
            break;
        case 0xff5c:
            s->steps = n ? p[0] & 31 : -1;
            s->step_bytes = n ? n - 1 : 0;
            break;
        case 0xff53: /* COC and QCC: of one component apart */
        case 0xff5d:
            ARK_TRY(s->f->samples == 3 ? ARK_OK : bad(s, "settings of a component, of which there is one"));
            break;
        case 0xff55: /* TLM, PLM, CRG, COM */
        case 0xff57:
        case 0xff63:
        case 0xff64:
            break;
        default:
            return bad(s, "a marker that is not read");
        }
    }
    return s->has_style && fits_steps(s) ? ARK_OK
                                         : bad(s, "no coding style, or no quantization that fits it");
}

/* SOT and what follows it, as long as it says. */
static ark_status tile_part(stream *s) {
    const uint8_t *p = s->f->bytes + s->at;
    if (s->end - s->at < SOT_BYTES + 2 || be16(p) != SOT || be16(p + 2) != SOT_BYTES - 2) {
        return bad(s, "no tile-part where one belongs");
    }
    unsigned tile = be16(p + 4), part = p[10];
    size_t len = be32(p + 6), left = s->end - s->at;
    len = len ? len : left; /* 0: up to the end */
    if (tile >= s->tiles || part != s->parts[tile] || part == 255 || len < SOT_BYTES + 2 || len > left) {
        return ARK_ERR(ARK_EFORMAT, "%s: DICOM: JPEG 2000: part %u of tile %u of %u, %zu bytes of %zu left",
            s->f->name, part, tile, s->tiles, len, left);
    }
    s->parts[tile]++;
    size_t end = s->at + len;
    s->at += SOT_BYTES;
    while (end - s->at >= 2 && be16(s->f->bytes + s->at) != SOD) {
        unsigned marker;
        size_t n;
        ARK_TRY(next(s, end, &marker, &p, &n));
        if (marker != 0xff58 && marker != 0xff64) { /* PLT, COM */
            return bad(s, "a tile with settings of its own");
        }
    }
    if (end - s->at < 2) {
        return bad(s, "a tile-part without data");
    }
    s->at = end;
    return ARK_OK;
}

ark_status ark__j2k_check(const ark__frame *f, unsigned tiles) {
    stream s = {.f = f, .tiles = tiles, .steps = -1, .at = 4 + (size_t)be16(f->bytes + 4), .end = f->n};
    while (s.end > s.at + 2 && be16(f->bytes + s.end - 2) != EOC && f->n - s.end < 2) {
        s.end--; /* padding */
    }
    if (s.end < s.at + 2 || be16(f->bytes + s.end - 2) != EOC) {
        return bad(&s, "no end of the code stream");
    }
    s.end -= 2;
    ARK_TRY(ARK_NEW(&s.parts, tiles, "JPEG 2000 tiles"));
    ark_status st = main_header(&s);
    while (st == ARK_OK && s.at < s.end) {
        st = tile_part(&s);
    }
    if (st == ARK_OK && memchr(s.parts, 0, tiles)) {
        st = bad(&s, "a tile without data");
    }
    ark_free(s.parts);
    return st;
}
