/* DICOM radiographs: header, stored samples, grey levels. docs/adr/0019 says what is read here and what by
 * GDCM.
 *
 * Untrusted bytes. The header is walked within its bounds and nothing is allocated for a size that the pixel
 * data could not fill. Messages name the file, the element and what was expected of it; values that identify
 * a person (patient, sex, age) are in ark_dicom_meta and nowhere else. */
#ifndef ARK_IO_DICOM_H
#define ARK_IO_DICOM_H

#include "io/image.h"

#include <stdbool.h>

typedef enum ark_voi {
    ARK_VOI_NONE,
    ARK_VOI_LINEAR,
    ARK_VOI_LINEAR_EXACT,
    ARK_VOI_SIGMOID,
    ARK_VOI_LUT
} ark_voi;

/* Texts are trimmed, the first of several values, "" when absent. */
typedef struct ark_dicom_meta {
    char transfer_syntax[65];
    char modality[17], photometric[17];
    char body_part[33], view_position[33]; /* as much as fits */
    char view;                             /* 'P' PA, 'A' AP, 'L' lateral, 'O' another, 0 unknown */
    char laterality;                       /* 'L', 'R', 'U' unpaired, 'B' both, 0 unknown */

    /* of a person: not for logs, messages or results */
    char patient_id[257]; /* as much as fits */
    char sex;             /* 'M', 'F', 'O' or 0 */
    double age;           /* years, NaN unknown */

    int width, height; /* pixels */
    int samples;       /* per pixel: 1 or 3 */
    int bits_allocated, bits_stored, high_bit;
    bool is_signed;
    bool planar; /* three planes, not interleaved pixels */
    double slope, intercept;
    bool modality_lut;     /* instead of slope and intercept */
    ark_voi voi;           /* what makes grey levels by default: the VOI LUT, else the first window */
    double centre, window; /* first window, NaN none */
} ark_dicom_meta;

typedef struct ark_dicom ark_dicom;

/** Whether bytes are DICOM: "DICM" after 128 bytes, or elements of group 2 or 8 from the start on. */
bool ark_dicom_is(const void *bytes, size_t n);
/** Read the header; bytes and name must live as long as *out. limits NULL = defaults. ARK_EFORMAT: truncated
 * or damaged, a transfer syntax that is not supported, not a radiograph, several frames, a palette, samples
 * other than 8 or 16 bits allocated. */
ark_status ark_dicom_open(const void *bytes, size_t n, const char *name, const ark_image_limits *limits,
    ark_dicom **out) ARK_MUST_CHECK;
void ark_dicom_free(ark_dicom *d);
const ark_dicom_meta *ark_dicom_describe(const ark_dicom *d);

/** Stored samples of grey, shifted down to bit 0, sign-extended where they are signed (two's complement in
 * the 16 or 8 bits): depth 8 or 16 as bits_allocated. Of colour the luma, 8 bits. */
ark_status ark_dicom_stored(const ark_dicom *d, ark_image *out) ARK_MUST_CHECK;
/** 8-bit grey: modality LUT, window, inversion of MONOCHROME1; luma of colour, which has no window. */
ark_status ark_dicom_grey(
    const ark_dicom *d, const ark_window *window, ark_image_info *info, ark_image *out) ARK_MUST_CHECK;

#endif
