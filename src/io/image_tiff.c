/* TIFF through libtiff, from memory: one page of 8- or 16-bit grey, colour or palette, in strips or tiles. */
#include "base/alloc.h"
#include "base/err.h"
#include "base/mathsafe.h"
#include "io/image_codec.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <tiffio.h>

enum {
    MAX_PAGES = 64,        /* directories looked through: thumbnails, pyramid levels */
    BYTES_PER_BYTE = 1100, /* that a compressed byte can stand for: deflate 1032, the others less */
    FREE_BYTES = 1 << 20,
    MAX_BLOCK = 256 << 20, /* of libtiff, at once */
};

/* What libtiff reads from, and where its first complaint goes. */
typedef struct source {
    const uint8_t *bytes;
    size_t n, at;
    const char *name;
    char reason[200];
} source;

static tmsize_t read_bytes(thandle_t h, void *to, tmsize_t n) {
    source *s = h;
    size_t left = s->n - s->at, take = n < 0 ? 0 : (size_t)n < left ? (size_t)n : left;
    memcpy(to, s->bytes + s->at, take);
    s->at += take;
    return (tmsize_t)take;
}

static tmsize_t write_nothing(thandle_t h, void *from, tmsize_t n) {
    (void)h;
    (void)from;
    (void)n;
    return 0;
}

static toff_t seek(thandle_t h, toff_t to, int whence) {
    source *s = h;
    toff_t base = whence == SEEK_CUR ? s->at : whence == SEEK_END ? s->n : 0;
    s->at = to > s->n - base ? s->n : (size_t)(base + to);
    return s->at;
}

static int keep_open(thandle_t h) {
    (void)h;
    return 0;
}

static toff_t size_of(thandle_t h) {
    return ((source *)h)->n;
}

/* 1: handled, nothing is printed. */
static int on_error(TIFF *t, void *user, const char *module, const char *fmt, va_list ap) {
    source *s = user;
    (void)t;
    (void)module;
    if (!s->reason[0]) {
        vsnprintf(s->reason, sizeof s->reason, fmt, ap);
    }
    return 1;
}

static int on_warning(TIFF *t, void *user, const char *module, const char *fmt, va_list ap) {
    (void)t;
    (void)user;
    (void)module;
    (void)fmt;
    (void)ap;
    return 1;
}

static ark_status fail(const source *s, const char *otherwise) {
    return ARK_ERR(ARK_EFORMAT, "%s: TIFF: %s", s->name, s->reason[0] ? s->reason : otherwise);
}

/* How a page stores its samples. */
typedef struct page {
    uint32_t width, height;
    uint16_t bits, samples, photometric, planar, compression;
    bool tiled;
    uint32_t block_w, block_h; /* of a tile, or width x rows of a strip */
    size_t block_bytes;
    uint16_t *palette[3]; /* libtiff's */
} page;

static ark_status refuse(const source *s, const char *what, unsigned got, const char *expected) {
    return ARK_ERR(ARK_EFORMAT, "%s: TIFF: %s %u, expected %s", s->name, what, got, expected);
}

static ark_status check_kind(const source *s, TIFF *t, page *p) {
    uint16_t format = SAMPLEFORMAT_UINT, orientation = ORIENTATION_TOPLEFT;
    TIFFGetFieldDefaulted(t, TIFFTAG_SAMPLEFORMAT, &format);
    TIFFGetFieldDefaulted(t, TIFFTAG_ORIENTATION, &orientation);
    if (format != SAMPLEFORMAT_UINT && format != SAMPLEFORMAT_VOID) {
        return refuse(s, "sample format", format, "unsigned integers (1)");
    }
    if (orientation != ORIENTATION_TOPLEFT) {
        return refuse(s, "orientation", orientation, "rows from the top left (1)");
    }
    if (p->bits != 8 && p->bits != 16) {
        return refuse(s, "bits per sample", p->bits, "8 or 16");
    }
    bool one = p->photometric == PHOTOMETRIC_MINISBLACK || p->photometric == PHOTOMETRIC_MINISWHITE;
    bool palette = p->photometric == PHOTOMETRIC_PALETTE && p->bits == 8 &&
                   TIFFGetField(t, TIFFTAG_COLORMAP, &p->palette[0], &p->palette[1], &p->palette[2]);
    if (!one && !palette && p->photometric != PHOTOMETRIC_RGB) {
        return refuse(
            s, "photometric interpretation", p->photometric, "grey (0, 1), RGB (2) or 8-bit palette (3)");
    }
    unsigned least = p->photometric == PHOTOMETRIC_RGB ? 3 : 1;
    if (p->samples < least || p->samples > least + 1) {
        return refuse(s, "samples per pixel", p->samples, least == 3 ? "3 or 4" : "1 or 2");
    }
    return ARK_OK;
}

static ark_status describe(const source *s, TIFF *t, const ark_image_limits *limits, page *p) {
    if (!TIFFGetField(t, TIFFTAG_IMAGEWIDTH, &p->width) ||
        !TIFFGetField(t, TIFFTAG_IMAGELENGTH, &p->height) ||
        !TIFFGetField(t, TIFFTAG_PHOTOMETRIC, &p->photometric)) {
        return fail(s, "no width, height or photometric interpretation");
    }
    TIFFGetFieldDefaulted(t, TIFFTAG_BITSPERSAMPLE, &p->bits);
    TIFFGetFieldDefaulted(t, TIFFTAG_SAMPLESPERPIXEL, &p->samples);
    TIFFGetFieldDefaulted(t, TIFFTAG_PLANARCONFIG, &p->planar);
    TIFFGetFieldDefaulted(t, TIFFTAG_COMPRESSION, &p->compression);
    ARK_TRY(ark_image_check_size(s->name, p->width, p->height, limits));
    if (p->compression == COMPRESSION_JPEG && p->photometric == PHOTOMETRIC_YCBCR) {
        TIFFSetField(t, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB); /* libjpeg converts */
        p->photometric = PHOTOMETRIC_RGB;
    }
    ARK_TRY(check_kind(s, t, p));
    size_t bytes;
    if (ark_mul((size_t)p->width * p->height, (size_t)p->samples * p->bits / 8, &bytes) ||
        (bytes > FREE_BYTES && (bytes - FREE_BYTES) / BYTES_PER_BYTE > s->n)) {
        return ARK_ERR(
            ARK_EFORMAT, "%s: TIFF: %u x %u pixels in only %zu bytes", s->name, p->width, p->height, s->n);
    }
    p->tiled = TIFFIsTiled(t);
    p->block_w = p->width;
    if (p->tiled) {
        TIFFGetField(t, TIFFTAG_TILEWIDTH, &p->block_w);
        TIFFGetField(t, TIFFTAG_TILELENGTH, &p->block_h);
    } else {
        TIFFGetFieldDefaulted(t, TIFFTAG_ROWSPERSTRIP, &p->block_h);
        p->block_h = p->block_h < p->height ? p->block_h : p->height;
    }
    tmsize_t block = p->tiled ? TIFFTileSize(t) : TIFFStripSize(t);
    /* a tile may reach beyond the image, but not be many times as large */
    if (block <= 0 || !p->block_w || !p->block_h || (size_t)block > 4 * bytes + FREE_BYTES) {
        return fail(s, "strips or tiles of an impossible size");
    }
    p->block_bytes = (size_t)block;
    return ARK_OK;
}

/* A pixel of a block to a sample of the image: its first value, or the luma of three. */
static void convert(const page *p, const uint8_t *block, uint32_t x0, uint32_t y0, ark_image *out) {
    uint32_t w = p->width - x0 < p->block_w ? p->width - x0 : p->block_w;
    uint32_t h = p->height - y0 < p->block_h ? p->height - y0 : p->block_h;
    size_t step = p->planar == PLANARCONFIG_CONTIG ? p->samples : 1;
    for (uint32_t y = 0; y < h; y++) {
        size_t from = (size_t)y * p->block_w * step, to = (size_t)(y0 + y) * p->width + x0;
        for (uint32_t x = 0; x < w; x++, from += step, to++) {
            const uint8_t *p8 = block + from;
            const uint16_t *p16 = (const uint16_t *)(const void *)block + from;
            if (p->photometric == PHOTOMETRIC_RGB) {
                out->px8[to] = p->bits == 16 ? ark_luma(p16[0] >> 8, p16[1] >> 8, p16[2] >> 8)
                                             : ark_luma(p8[0], p8[1], p8[2]);
            } else if (p->photometric == PHOTOMETRIC_PALETTE) {
                out->px8[to] =
                    ark_luma(p->palette[0][p8[0]] >> 8, p->palette[1][p8[0]] >> 8, p->palette[2][p8[0]] >> 8);
            } else if (p->bits == 16) {
                out->px16[to] = p->photometric == PHOTOMETRIC_MINISWHITE ? (uint16_t)~p16[0] : p16[0];
            } else {
                out->px8[to] = p->photometric == PHOTOMETRIC_MINISWHITE ? (uint8_t)~p8[0] : p8[0];
            }
        }
    }
}

static tmsize_t read_block(TIFF *t, const page *p, uint32_t x, uint32_t y, uint16_t sample, uint8_t *to) {
    return p->tiled
               ? TIFFReadEncodedTile(t, TIFFComputeTile(t, x, y, 0, sample), to, (tmsize_t)p->block_bytes)
               : TIFFReadEncodedStrip(t, TIFFComputeStrip(t, y, sample), to, (tmsize_t)p->block_bytes);
}

/* Planes of colour in one block, pixel by pixel. */
static void weave(const page *p, const uint8_t *plane, uint16_t sample, uint8_t *block) {
    size_t n = (size_t)p->block_w * p->block_h, bytes = p->bits / 8;
    for (size_t i = 0; i < n; i++) {
        memcpy(block + (i * p->samples + sample) * bytes, plane + i * bytes, bytes);
    }
}

static ark_status read_blocks(const source *s, TIFF *t, const page *p, uint8_t *block, ark_image *out) {
    bool woven = p->planar == PLANARCONFIG_SEPARATE && p->photometric == PHOTOMETRIC_RGB;
    page view = *p;
    uint8_t *plane = woven ? block + p->block_bytes * p->samples : block;
    view.planar = woven ? PLANARCONFIG_CONTIG : p->planar;
    for (uint32_t y = 0; y < p->height; y += p->block_h) {
        for (uint32_t x = 0; x < p->width; x += p->block_w) {
            uint32_t rows = p->tiled || p->height - y > p->block_h ? p->block_h : p->height - y;
            size_t want = p->block_bytes / p->block_h * rows;
            for (int c = 0; c < (woven ? 3 : 1); c++) {
                tmsize_t got = read_block(t, p, x, y, (uint16_t)c, plane);
                if (got < 0 || (size_t)got < want) {
                    return fail(s, "the pixels are damaged or cut short");
                }
                if (woven) {
                    weave(p, plane, (uint16_t)c, block);
                }
            }
            convert(&view, block, x, y, out);
        }
    }
    return ARK_OK;
}

/* One full-size page, others only as reduced versions of it: which of several is meant nobody can tell. */
static ark_status check_single(const source *s, TIFF *t) {
    for (int i = 1; TIFFReadDirectory(t); i++) {
        uint32_t kind = 0;
        TIFFGetFieldDefaulted(t, TIFFTAG_SUBFILETYPE, &kind);
        if (!(kind & FILETYPE_REDUCEDIMAGE) || i >= MAX_PAGES) {
            return ARK_ERR(ARK_EFORMAT, "%s: TIFF: more than one page, only single images are read", s->name);
        }
    }
    return s->reason[0] ? fail(s, "damaged") : ARK_OK;
}

static ark_status decode(
    const source *s, TIFF *t, const ark_image_limits *limits, ark_image_info *info, ark_image *im) {
    page p = {.planar = PLANARCONFIG_CONTIG};
    ARK_TRY(describe(s, t, limits, &p));
    bool colour = p.photometric == PHOTOMETRIC_RGB || p.photometric == PHOTOMETRIC_PALETTE;
    if (info) {
        info->depth = p.bits;
        info->photometric = colour                                    ? "colour"
                            : p.photometric == PHOTOMETRIC_MINISWHITE ? "inverted grey"
                                                                      : "grey";
    }
    size_t planes =
        p.planar == PLANARCONFIG_SEPARATE && p.photometric == PHOTOMETRIC_RGB ? p.samples + 1u : 1;
    uint8_t *block;
    ARK_TRY(ARK_NEW(&block, p.block_bytes * planes, "a block of a TIFF"));
    ark_status st = ark_image_new((int)p.width, (int)p.height, colour ? 8 : p.bits, im);
    st = st ? st : read_blocks(s, t, &p, block, im);
    st = st ? st : check_single(s, t);
    ark_free(block);
    return st;
}

ark_status ark_tiff_decode(const void *bytes, size_t n, const char *name, const ark_image_limits *limits,
    ark_image_info *info, ark_image *out) {
    source s = {.bytes = bytes, .n = n, .name = name};
    TIFFOpenOptions *o = TIFFOpenOptionsAlloc();
    if (!o) {
        return ARK_ERR(ARK_ENOMEM, "%s: out of memory", name);
    }
    TIFFOpenOptionsSetMaxSingleMemAlloc(o, MAX_BLOCK);
    TIFFOpenOptionsSetErrorHandlerExtR(o, on_error, &s);
    TIFFOpenOptionsSetWarningHandlerExtR(o, on_warning, &s);
    /* m: no memory map */
    TIFF *t =
        TIFFClientOpenExt(name, "rm", &s, read_bytes, write_nothing, seek, keep_open, size_of, NULL, NULL, o);
    TIFFOpenOptionsFree(o);
    if (!t) {
        return fail(&s, "damaged");
    }
    ark_image im = {0};
    ark_status st = decode(&s, t, limits, info, &im);
    TIFFClose(t);
    if (st != ARK_OK) {
        ark_image_free(&im);
        return st;
    }
    *out = im;
    return ARK_OK;
}
