/* The headers of compressed frames: what they declare must be what the DICOM elements say, before a codec
 * allocates for it. */
#include "base/err.h"
#include "io/dicom_priv.h"
#include "io/jpeg_wide.h"

#include <string.h>

/* Samples that one byte may stand for: ten times what the best of these codecs makes of a radiograph, so that
 * small files cannot ask for much. The first million is free. */
enum { SAMPLES_PER_BYTE = 1024, FREE_SAMPLES = 1 << 20 };

enum { MAX_TILES = 4096 }; /* of JPEG 2000; a codec prepares all of them */

static unsigned be16(const uint8_t *p) {
    return (unsigned)p[0] << 8 | p[1];
}

static uint32_t be32(const uint8_t *p) {
    return (uint32_t)be16(p) << 16 | be16(p + 2);
}

static ark_status bad(const ark__frame *f, const char *what) {
    return ARK_ERR(ARK_EFORMAT, "%s: DICOM: the compressed pixels %s", f->name, what);
}

static ark_status check_size(const ark__frame *f, uint32_t width, uint32_t height, unsigned samples) {
    if (width != (uint32_t)f->width || height != (uint32_t)f->height || samples != (unsigned)f->samples) {
        return ARK_ERR(ARK_EFORMAT,
            "%s: DICOM: the compressed pixels are %u x %u x %u, the header says %d x %d x %d", f->name, width,
            height, samples, f->width, f->height, f->samples);
    }
    size_t want = (size_t)width * height * samples;
    if (want > FREE_SAMPLES && (want - FREE_SAMPLES) / SAMPLES_PER_BYTE > f->n) {
        return ARK_ERR(
            ARK_EFORMAT, "%s: DICOM: %u x %u pixels in only %zu bytes", f->name, width, height, f->n);
    }
    return ARK_OK;
}

/* The frame header of JPEG or JPEG-LS: *sof is its marker, *p its content of *len bytes. */
static ark_status find_sof(const ark__frame *f, unsigned *sof, const uint8_t **p, size_t *len) {
    size_t at = 2;
    if (f->n < 4 || be16(f->bytes) != 0xffd8) {
        return bad(f, "do not begin as JPEG does");
    }
    for (;;) {
        while (at < f->n && f->bytes[at] == 0xff && at + 1 < f->n && f->bytes[at + 1] == 0xff) {
            at++; /* fill bytes */
        }
        if (f->n - at < 4 || f->bytes[at] != 0xff) {
            return bad(f, "have no JPEG frame header");
        }
        unsigned marker = f->bytes[at + 1];
        size_t n = be16(f->bytes + at + 2);
        if (marker == 0xd9 || marker == 0xda || n < 2 || n > f->n - at - 2) {
            return bad(f, "have no JPEG frame header");
        }
        bool is_sof =
            (marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc) ||
            marker == 0xf7;
        if (is_sof) {
            *sof = marker;
            *p = f->bytes + at + 4;
            *len = n - 2;
            return *len >= 6 && *len >= 6 + 3 * (size_t)(*p)[5] ? ARK_OK
                                                                : bad(f, "have a short JPEG frame header");
        }
        at += 2 + n;
    }
}

static ark_status check_jpeg(ark__frame *f) {
    unsigned sof = 0;
    const uint8_t *p = NULL;
    size_t len = 0;
    ARK_TRY(find_sof(f, &sof, &p, &len));
    f->precision = p[0];
    ARK_TRY(check_size(f, be16(p + 3), be16(p + 1), p[5]));
    f->lossless = sof == 0xc3 || sof == 0xf7;
    bool known =
        f->encoding == ARK__JPEG_LS ? sof == 0xf7 : sof == 0xc0 || sof == 0xc1 || sof == 0xc2 || sof == 0xc3;
    bool precise = f->lossless ? p[0] >= 2 && p[0] <= 16 : p[0] == 8 || (p[0] == 12 && sof != 0xc2);
    if (!known || !precise) {
        return ARK_ERR(ARK_EFORMAT, "%s: DICOM: a JPEG process (marker FF%02X, %d bits) that is not read",
            f->name, sof, f->precision);
    }
    for (unsigned c = 0; (f->lossless || f->precision == 12) && c < p[5]; c++) {
        if (p[7 + 3 * c] != 0x11) {
            return bad(f, "are subsampled");
        }
    }
    return ARK_OK;
}

/* SIZ, which must come first (T.800 A.5.1). */
static ark_status check_jpeg_2000(ark__frame *f) {
    const uint8_t *p = f->bytes;
    if (f->n < 43 || be32(p) != 0xff4fff51 || f->n - 4 < be16(p + 4)) {
        return bad(f, "do not begin as a JPEG 2000 code stream does");
    }
    unsigned samples = be16(p + 40);
    uint32_t width = be32(p + 8), height = be32(p + 12), tile_w = be32(p + 24), tile_h = be32(p + 28);
    if (be16(p + 4) != 38 + 3 * samples || f->n < 42 + 3 * (size_t)samples) {
        return bad(f, "have a JPEG 2000 header of a wrong length");
    }
    ARK_TRY(check_size(f, width, height, samples));
    if (be32(p + 16) || be32(p + 20) || be32(p + 32) || be32(p + 36) || !tile_w || !tile_h) {
        return bad(f, "have an image or tile offset");
    }
    uint64_t tiles = (uint64_t)((width - 1) / tile_w + 1) * ((height - 1) / tile_h + 1);
    if (tiles > MAX_TILES) {
        return ARK_ERR(ARK_EFORMAT, "%s: DICOM: %llu JPEG 2000 tiles, limit %d", f->name,
            (unsigned long long)tiles, MAX_TILES);
    }
    f->precision = (p[42] & 0x7f) + 1;
    f->is_signed = p[42] >> 7;
    for (unsigned c = 0; c < samples; c++) {
        const uint8_t *component = p + 42 + 3 * (size_t)c;
        if (component[0] != p[42] || component[1] != 1 || component[2] != 1) {
            return bad(f, "have components of different kinds");
        }
    }
    return f->precision <= 16 ? ark__j2k_check(f, (unsigned)tiles) : bad(f, "have more than 16 bits");
}

/* A stream that stops early would be filled up with grey: its last marker must be there, padding apart. */
static ark_status check_end(const ark__frame *f) {
    size_t n = f->n;
    while (n > 2 && f->n - n < 2 && f->bytes[n - 1] != 0xd9) {
        n--;
    }
    return be16(f->bytes + n - 2) == 0xffd9 ? ARK_OK : bad(f, "end early: no end marker");
}

ark_status ark__dicom_check_frame(const ark_dicom *d, ark__frame *f) {
    ARK_TRY(f->encoding == ARK__JPEG_2000 ? check_jpeg_2000(f) : check_jpeg(f));
    ARK_TRY(f->encoding == ARK__JPEG_2000 ? ARK_OK : check_end(f));
    if (f->precision > d->meta.bits_allocated || (f->is_signed && !d->meta.is_signed) ||
        (f->samples == 3 && f->is_signed)) {
        return ARK_ERR(ARK_EFORMAT, "%s: DICOM: the compressed pixels have %d%s bits, the header says %d%s",
            d->name, f->precision, f->is_signed ? " signed" : "", d->meta.bits_allocated,
            d->meta.is_signed ? " signed" : "");
    }
    return ARK_OK;
}

ark_status ark__dicom_codec(const ark__frame *f, uint8_t *out, size_t out_bytes) {
    if (f->encoding == ARK__JPEG) {
        return ark__jpeg_wide(f->name, f->bytes, f->n, f->width, f->height, f->samples, f->precision, out);
    }
    switch (ark__gdcm_decode(f, out, out_bytes)) {
    case ARK__DECODED:
        return ARK_OK;
    case ARK__NO_MEMORY:
        return ARK_ERR(
            ARK_ENOMEM, "%s: DICOM: out of memory for %d x %d pixels", f->name, f->width, f->height);
    case ARK__NOT_BUILT:
        return ARK_ERR(ARK_ENOTBUILT,
            "%s: DICOM: JPEG 2000 and JPEG-LS need GDCM, and this was built without it (ARK_DICOM=OFF)",
            f->name);
    case ARK__DAMAGED:
        break;
    }
    return bad(f, "are damaged or cut short");
}

static uint32_t le32(const uint8_t *p) {
    return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

/* One segment: runs (257 - c copies of a byte) and literals (c + 1 bytes); 128 does nothing. */
static bool unpack(const uint8_t *p, const uint8_t *end, uint8_t *out, size_t left) {
    while (left > 0) {
        if (p == end) {
            return false;
        }
        unsigned c = *p++;
        size_t n = c < 128 ? c + 1 : c > 128 ? 257 - c : 0, need = c < 128 ? n : c > 128 ? 1 : 0;
        if (need > (size_t)(end - p) || n > left) {
            return false;
        }
        if (c < 128) {
            memcpy(out, p, n);
        } else if (n) {
            memset(out, *p, n);
        }
        p += need;
        out += n;
        left -= n;
    }
    return true;
}

ark_status ark__dicom_unrle(
    const char *name, const uint8_t *bytes, size_t n, size_t pixels, int planes, uint8_t *out) {
    enum { HEADER = 64 };
    if (n < HEADER || le32(bytes) != (uint32_t)planes) {
        return ARK_ERR(ARK_EFORMAT, "%s: DICOM: RLE of %u segments in %zu bytes, expected %d", name,
            n < HEADER ? 0 : le32(bytes), n, planes);
    }
    for (int i = 0; i < planes; i++) {
        size_t from = le32(bytes + 4 + 4 * i), to = i + 1 < planes ? le32(bytes + 8 + 4 * i) : n;
        if (from < HEADER || to < from || to > n) {
            return ARK_ERR(ARK_EFORMAT, "%s: DICOM: RLE segment %d at %zu to %zu of %zu bytes", name, i + 1,
                from, to, n);
        }
        if (!unpack(bytes + from, bytes + to, out + (size_t)i * pixels, pixels)) {
            return ARK_ERR(ARK_EFORMAT, "%s: DICOM: RLE segment %d is damaged or cut short", name, i + 1);
        }
    }
    return ARK_OK;
}
