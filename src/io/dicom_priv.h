/* Inside of the DICOM reader: dicom_header.c finds the values (with dicom_walk.c), dicom_check.c refuses
 * what is not understood, dicom_pixels.c gets the samples (of a compressed frame with dicom_frame.c),
 * dicom.c makes grey levels of them. */
#ifndef ARK_IO_DICOM_PRIV_H
#define ARK_IO_DICOM_PRIV_H

#ifdef __cplusplus
extern "C" {
#endif

#include "io/dicom.h"

typedef enum ark__encoding {
    ARK__NATIVE,
    ARK__RLE,
    ARK__JPEG, /* baseline, extended, lossless */
    ARK__JPEG_LS,
    ARK__JPEG_2000,
} ark__encoding;

/* A lookup table of the file: values of entry 0, 1, ... for inputs first, first + 1, ... */
typedef struct ark__dicom_lut {
    const uint8_t *data; /* NULL = none */
    size_t bytes;
    int entries, first, bits;
    bool first_is_signed, described;
} ark__dicom_lut;

struct ark_dicom {
    const char *name;
    ark_image_limits limits;
    ark_dicom_meta meta;
    ark__encoding encoding;
    bool big_endian, swapped_bytes; /* bytes stored as big-endian words of two */
    uint8_t *inflated;              /* data set of the deflated syntax, or NULL */
    const uint8_t *pixels;          /* native samples, or the first item of the encapsulated ones */
    size_t pixel_bytes;             /* to the end of these */
    ark__dicom_lut modality_lut, voi_lut;
};

/** Refuse what is not a single radiograph, or has levels and samples that do not fit together: ARK_EFORMAT.
 * Fills in what follows from the rest of the header. */
ark_status ark__dicom_check(ark_dicom *d) ARK_MUST_CHECK;

/** Value of an entry, clipped to the table's ends. */
unsigned ark__dicom_lut_at(const ark_dicom *d, const ark__dicom_lut *lut, double input);

/* One compressed frame, whose header says what the DICOM elements say. */
typedef struct ark__frame {
    const char *name; /* for messages */
    ark__encoding encoding;
    const uint8_t *bytes;
    size_t n;
    int width, height, samples;
    int precision;  /* bits of a decoded sample, 1..16 */
    bool is_signed; /* JPEG 2000 alone */
    bool lossless;  /* JPEG: a lossless process */
} ark__frame;

/** Check the header of a code stream against the DICOM elements and fill precision and the two flags. */
ark_status ark__dicom_check_frame(const ark_dicom *d, ark__frame *f) ARK_MUST_CHECK;
/** Check markers, lengths and order of a JPEG 2000 code stream, whose SIZ is known to be sound. */
ark_status ark__j2k_check(const ark__frame *f, unsigned tiles) ARK_MUST_CHECK;
/** Decode a checked frame: out (height,width,samples) interleaved, bytes where precision <= 8, else uint16_t.
 */
ark_status ark__dicom_codec(const ark__frame *f, uint8_t *out, size_t out_bytes) ARK_MUST_CHECK;

typedef enum ark__codec_result {
    ARK__DECODED,
    ARK__DAMAGED,
    ARK__NO_MEMORY,
    ARK__NOT_BUILT
} ark__codec_result;
/** The same by GDCM (dicom_gdcm.cpp), or not at all (none/dicom_codec.c). */
ark__codec_result ark__gdcm_decode(const ark__frame *f, uint8_t *out, size_t out_bytes);

/** One RLE frame (PS3.5 annex G): out (planes,pixels), of each sample the most significant byte first. */
ark_status ark__dicom_unrle(
    const char *name, const uint8_t *bytes, size_t n, size_t pixels, int planes, uint8_t *out) ARK_MUST_CHECK;

#ifdef __cplusplus
}
#endif

#endif
