/* Fingerprints of images: equal files, equal pixels, and pictures that are the same but for size,
 * compression, brightness or a crop to the central square.
 *
 * The picture hash is the sign of the 255 lowest frequencies of a two-dimensional cosine transform (16 x 16
 * without the mean) of the image averaged to 64 x 64. A change of brightness and contrast changes no sign,
 * resampling and compression change few. docs/leakage.md has the measured distances. */
#ifndef ARK_DATA_PHASH_H
#define ARK_DATA_PHASH_H

#include "io/image.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    ARK_THUMB = 64,      /* side of a thumbnail */
    ARK_PHASH_BITS = 256 /* bit 255 marks a picture without structure, which resembles nothing */
};

typedef struct ark_phash {
    uint64_t w[ARK_PHASH_BITS / 64];
} ark_phash;

/* How a copy may be turned: not at all, black for white (DICOM's two polarities), left for right. */
typedef enum ark_turn { ARK_TURN_NONE, ARK_TURN_NEGATIVE, ARK_TURN_MIRROR, ARK_TURNS } ark_turn;

/* 80 bytes an image. */
typedef struct ark_fingerprint {
    uint64_t file, pixels; /* hashes of the bytes; of size, depth and grey levels */
    ark_phash whole;       /* of the image squashed to a square */
    ark_phash square;      /* of its central square; equal to whole where the image is one */
} ark_fingerprint;

/* The transform's cosines; made once, read by any thread. */
typedef struct ark_dct {
    float cos[16][ARK_THUMB];
} ark_dct;
void ark_dct_init(ark_dct *t);

/** Read and decode a file as training does. Errors as ark_image_read. */
ark_status ark_fingerprint_read(const ark_dct *t, const char *path, ark_fingerprint *out) ARK_MUST_CHECK;
void ark_fingerprint_image(const ark_dct *t, const ark_image *im, ark_fingerprint *out); /* file stays */

/** Mean grey of the cells of a 64 x 64 grid over the image, or over its central square. */
void ark_thumb(const ark_image *im, bool square, float out[ARK_THUMB * ARK_THUMB]);
/** The hash of a thumbnail. */
ark_phash ark_phash_of(const ark_dct *t, const float thumb[ARK_THUMB * ARK_THUMB]);
/** Keep what is finer than an eighth of the side (minus the mean of 9 x 9 around), scaled to length 1: the
 *  scalar product of two is their correlation. In place. */
void ark_thumb_detail(float thumb[ARK_THUMB * ARK_THUMB]);
/** Of a and b, one of them turned. */
double ark_thumb_correlation(
    const float a[ARK_THUMB * ARK_THUMB], const float b[ARK_THUMB * ARK_THUMB], ark_turn turn);

/** Bits of a hash that change when its image is turned. */
ark_phash ark_phash_turned(ark_turn turn);
bool ark_phash_flat(const ark_phash *h);
/** Bits that differ. */
int ark_phash_distance(const ark_phash *a, const ark_phash *b);
/** 64-bit hash of bytes; not against malice. */
uint64_t ark_bytes_hash(uint64_t seed, const void *bytes, size_t n);

#endif
