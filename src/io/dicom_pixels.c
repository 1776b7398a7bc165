/* Stored samples: native, RLE, or from a codec. */
#include "base/alloc.h"
#include "base/err.h"
#include "base/mathsafe.h"
#include "io/dicom_walk.h"
#include "io/image_codec.h"

#include <string.h>

/* --- the frame of encapsulated pixels --- */

typedef struct fragments {
    const uint8_t *first; /* when there is only one, all of the frame */
    size_t count, bytes;
    uint8_t *joined; /* or NULL */
} fragments;

/* Item after item (the first is a table of offsets), up to the end of the sequence. into NULL: only count. */
static ark_status walk_fragments(const ark_dicom *d, fragments *f, uint8_t *into) {
    ark__walker w = {.name = d->name, .p = d->pixels, .n = d->pixel_bytes};
    *f = (fragments){.joined = into};
    for (bool table = true;; table = false) {
        ark__element e;
        ARK_TRY(ark__walk_next(&w, &e));
        if (e.tag == ARK__SEQUENCE_END) {
            return f->count ? ARK_OK : ARK_ERR(ARK_EFORMAT, "%s: DICOM: no compressed pixels", d->name);
        }
        if (e.tag != ARK__ITEM || e.undefined) {
            return ark__walk_bad(&w, e.tag, "where a fragment of compressed pixels belongs");
        }
        if (table && e.len > 4) {
            return ARK_ERR(
                ARK_EFORMAT, "%s: DICOM: the pixels are a table of %zu frames", d->name, e.len / 4);
        }
        if (!table && into) {
            memcpy(into + f->bytes, e.value, e.len);
        }
        if (!table) {
            f->first = f->count++ ? f->first : e.value;
            f->bytes += e.len;
        }
        w.at += e.len;
    }
}

/* The bytes of the frame, joined in *joined (ark_free) if they came in pieces. */
static ark_status frame_bytes(const ark_dicom *d, const uint8_t **bytes, size_t *n, uint8_t **joined) {
    fragments f;
    *joined = NULL;
    ARK_TRY(walk_fragments(d, &f, NULL));
    *bytes = f.first;
    *n = f.bytes;
    if (f.count == 1) {
        return ARK_OK;
    }
    ARK_TRY(ARK_NEW(joined, f.bytes, "compressed pixels"));
    *bytes = *joined;
    return walk_fragments(d, &f, *joined);
}

/* --- samples as they are stored, in memory order: (pixels,samples) of 1 or 2 bytes --- */

static size_t pixels_of(const ark_dicom *d) {
    return (size_t)d->meta.width * (size_t)d->meta.height;
}

static bool halved_colour(const ark_dicom *d) {
    return !strcmp(d->meta.photometric, "YBR_FULL_422");
}

static ark_status check_native_size(const ark_dicom *d) {
    size_t samples = halved_colour(d) ? 2 : (size_t)d->meta.samples;
    size_t want = pixels_of(d) * samples * (size_t)d->meta.bits_allocated / 8;
    if (d->pixel_bytes < want || d->pixel_bytes >= 2 * want + 2 || (d->meta.width % 2 && halved_colour(d))) {
        return ARK_ERR(ARK_EFORMAT, "%s: DICOM: %zu bytes of pixels, %d x %d of them need %zu", d->name,
            d->pixel_bytes, d->meta.width, d->meta.height, want);
    }
    return ARK_OK;
}

static void native_bytes(const ark_dicom *d, size_t n, uint8_t *out) {
    if (!d->swapped_bytes) {
        memcpy(out, d->pixels, n);
        return;
    }
    for (size_t i = 0; i < n; i++) { /* an odd last byte stands behind its padding */
        out[i] = (i ^ 1) < d->pixel_bytes ? d->pixels[i ^ 1] : 0;
    }
}

static void native_words(const ark_dicom *d, size_t n, uint16_t *out) {
    const uint8_t *p = d->pixels;
    if (!d->big_endian) { /* as this machine, see scalar.c */
        memcpy(out, p, 2 * n);
        return;
    }
    for (size_t i = 0; i < n; i++, p += 2) {
        out[i] = (uint16_t)(p[0] << 8 | p[1]);
    }
}

static ark_status native(const ark_dicom *d, size_t n, void *out) {
    if (halved_colour(d)) {
        n = n / 3 * 2;
    }
    if (d->meta.bits_allocated == 8) {
        native_bytes(d, n, out);
    } else {
        native_words(d, n, out);
    }
    return ARK_OK;
}

/* The byte planes of RLE to samples. */
static ark_status from_rle(const ark_dicom *d, const uint8_t *bytes, size_t len, void *out) {
    size_t pixels = pixels_of(d), width = (size_t)d->meta.bits_allocated / 8;
    int planes = d->meta.samples * (int)width;
    uint8_t *p;
    if (pixels / 64 * (size_t)planes > len) { /* two bytes make 128 at most */
        return ARK_ERR(ARK_EFORMAT, "%s: DICOM: %zu bytes of RLE for %d x %d pixels", d->name, len,
            d->meta.width, d->meta.height);
    }
    ARK_TRY(ARK_NEW(&p, pixels * (size_t)planes, "pixels"));
    ark_status st = ark__dicom_unrle(d->name, bytes, len, pixels, planes, p);
    size_t samples = (size_t)d->meta.samples;
    for (size_t s = 0; s < samples && st == ARK_OK; s++) {
        const uint8_t *high = p + s * width * pixels, *low = high + pixels;
        uint8_t *to8 = out;
        uint16_t *to16 = out;
        for (size_t i = 0; i < pixels && width == 1; i++) {
            to8[i * samples + s] = high[i];
        }
        for (size_t i = 0; i < pixels && width == 2; i++) {
            to16[i * samples + s] = (uint16_t)(high[i] << 8 | low[i]);
        }
    }
    ark_free(p);
    return st;
}

/* A code stream of at most 8 bits makes bytes, even where 16 are allocated. */
static ark_status from_codec(const ark_dicom *d, ark__frame *f, size_t n, void *out) {
    size_t bytes = n * (f->precision > 8 ? 2 : 1);
    ARK_TRY(ark__dicom_codec(f, out, bytes));
    if (f->precision <= 8 && d->meta.bits_allocated == 16) {
        const uint8_t *from = out;
        uint16_t *to = out;
        for (size_t i = n; i-- > 0;) { /* from behind, in place */
            to[i] = f->is_signed ? (uint16_t)(int8_t)from[i] : from[i];
        }
    }
    return ARK_OK;
}

/* 8-bit JPEG by libjpeg-turbo, straight to grey: of colour the luma. */
static ark_status from_jpeg8(const ark_dicom *d, const ark__frame *f, ark_image *out) {
    ark_image im;
    ARK_TRY(ark_jpeg_decode(f->bytes, f->n, d->name, &d->limits, NULL, &im));
    if (d->meta.bits_allocated == 8 || f->samples == 3) {
        *out = im;
        return ARK_OK;
    }
    ark_status st = ark_image_new(im.width, im.height, 16, out);
    for (size_t i = 0; i < pixels_of(d) && st == ARK_OK; i++) {
        out->px16[i] = im.px8[i];
    }
    ark_image_free(&im);
    return st;
}

/* --- to one grey plane --- */

/* Y is the luma that other colours are weighted to. */
static void luma(const ark_dicom *d, bool planar, const void *from, ark_image *out) {
    size_t n = pixels_of(d), step = planar ? 1 : 3, plane = planar ? n : 1;
    bool first_only = !strcmp(d->meta.photometric, "YBR_FULL") || halved_colour(d);
    unsigned down = d->meta.bits_allocated == 16 ? 8 : 0;
    const uint8_t *p8 = from;
    const uint16_t *p16 = from;
    for (size_t i = 0; i < n; i++) {
        size_t at = i * step;
        if (halved_colour(d) && d->encoding == ARK__NATIVE) {
            at = i / 2 * 4 + i % 2; /* Y Y Cb Cr */
        }
        unsigned c[3];
        for (size_t k = 0; k < 3; k++) {
            size_t j = first_only ? at : at + k * plane;
            c[k] = down ? (unsigned)p16[j] >> down : p8[j];
        }
        out->px8[i] = first_only ? (uint8_t)c[0] : ark_luma(c[0], c[1], c[2]);
    }
}

/* Bits that were stored, down to bit 0, with their sign. */
static void align(const ark_dicom *d, ark_image *im) {
    const ark_dicom_meta *m = &d->meta;
    int unused = m->bits_allocated - m->bits_stored, shift = m->high_bit + 1 - m->bits_stored;
    size_t n = pixels_of(d);
    if (!unused) {
        return;
    }
    unsigned mask = (1u << m->bits_stored) - 1, sign = m->is_signed ? 1u << (m->bits_stored - 1) : 0;
    for (size_t i = 0; i < n; i++) {
        unsigned v = im->depth == 8 ? im->px8[i] : im->px16[i];
        v = (((v >> shift) & mask) ^ sign) - sign;
        if (im->depth == 8) {
            im->px8[i] = (uint8_t)v;
        } else {
            im->px16[i] = (uint16_t)v;
        }
    }
}

/* From a frame (NULL: native) to out, which is new. */
static ark_status samples_of(const ark_dicom *d, ark__frame *f, ark_image *out) {
    size_t n = pixels_of(d) * (size_t)d->meta.samples, bytes;
    void *raw = NULL;
    bool colour = d->meta.samples == 3;
    ark_status st = ark_image_new(d->meta.width, d->meta.height, colour ? 8 : d->meta.bits_allocated, out);
    if (st == ARK_OK && colour) {
        bytes = ark_mul(n, (size_t)d->meta.bits_allocated / 8, &bytes) ? 0 : bytes;
        st = ARK_NEW((uint8_t **)&raw, bytes, "colour samples");
    }
    void *to = colour ? raw : out->px;
    if (st == ARK_OK) {
        st = !f                        ? native(d, n, to)
             : f->encoding == ARK__RLE ? from_rle(d, f->bytes, f->n, to)
                                       : from_codec(d, f, n, to);
    }
    if (st == ARK_OK && colour) {
        luma(d, !f && d->meta.planar, raw, out);
    }
    ark_free(raw);
    if (st != ARK_OK) {
        ark_image_free(out);
    }
    return st;
}

/* A photometric interpretation of RGB that the JPEG does not state itself would be taken for Y Cb Cr. */
static ark_status check_jpeg8_colour(const ark_dicom *d, const ark__frame *f) {
    if (f->samples == 3 && strcmp(d->meta.photometric, "YBR_FULL") && !halved_colour(d)) {
        return ARK_ERR(ARK_EFORMAT, "%s: DICOM: JPEG colour that is %s and not YBR_FULL_422", d->name,
            d->meta.photometric);
    }
    return ARK_OK;
}

ark_status ark_dicom_stored(const ark_dicom *d, ark_image *out) {
    ark_image im = {0};
    if (d->encoding == ARK__NATIVE) {
        ARK_TRY(check_native_size(d));
        ARK_TRY(samples_of(d, NULL, &im));
        align(d, &im);
        *out = im;
        return ARK_OK;
    }
    uint8_t *joined;
    ark__frame f = {.name = d->name,
        .encoding = d->encoding,
        .width = d->meta.width,
        .height = d->meta.height,
        .samples = d->meta.samples};
    ark_status st = frame_bytes(d, &f.bytes, &f.n, &joined);
    if (st == ARK_OK && f.encoding != ARK__RLE) {
        st = ark__dicom_check_frame(d, &f);
    }
    if (st == ARK_OK && f.encoding == ARK__JPEG && !f.lossless && f.precision == 8) {
        st = check_jpeg8_colour(d, &f);
        st = st ? st : from_jpeg8(d, &f, &im);
    } else if (st == ARK_OK) {
        st = samples_of(d, &f, &im);
    }
    ark_free(joined);
    ARK_TRY(st);
    if (d->meta.samples == 1) {
        align(d, &im);
    }
    *out = im;
    return ARK_OK;
}
