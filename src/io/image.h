/* Grey images: decoding of PNG, JPEG, TIFF and DICOM, encoding of PNG and JPEG, Pillow-compatible resizing.
 *
 * Untrusted bytes: every decoder checks the declared size against the limits before it allocates. */
#ifndef ARK_IO_IMAGE_H
#define ARK_IO_IMAGE_H

#include "ark/status.h"
#include "base/str.h"

#include <stddef.h>
#include <stdint.h>

/* One grey plane, row-major, no padding. depth 8: px8; depth 16: px16 (PNG and TIFF keep their 16 bits). */
typedef struct ark_image {
    int width, height;
    int depth; /* 8 or 16 */
    union {
        uint8_t *px8;
        uint16_t *px16;
        void *px;
    };
} ark_image;

typedef struct ark_image_limits {
    int max_side;          /* pixels, default 16384 */
    size_t max_pixels;     /* default 64 Mi */
    size_t max_file_bytes; /* default 256 MiB */
} ark_image_limits;
ark_image_limits ark_image_default_limits(void);

/* Which grey levels become black and white where 8 bits are made (docs/adr/0020). */
typedef enum ark_window_kind {
    ARK_WINDOW_AUTO,  /* as the file says (window or VOI LUT of DICOM), else DATA; 8 bits elsewhere stay */
    ARK_WINDOW_DATA,  /* the smallest and the largest level of the image */
    ARK_WINDOW_FULL,  /* the smallest and the largest level that the samples could hold */
    ARK_WINDOW_FIXED, /* centre and width, as DICOM's function LINEAR; in the modality's units */
} ark_window_kind;

/* All zeros: ARK_WINDOW_AUTO. */
typedef struct ark_window {
    ark_window_kind kind;
    double centre, width; /* ARK_WINDOW_FIXED; width >= 1 */
} ark_window;

/* What is known about an image beside its pixels. Nothing of it identifies a person. */
typedef struct ark_image_info {
    const char *format;      /* "PNG", "JPEG", "TIFF" or "DICOM"; static */
    int width, height;       /* pixels */
    int depth;               /* bits of a stored sample: 8, 16, or BitsStored of DICOM */
    const char *photometric; /* "grey", "inverted grey" (0 is white) or "colour"; static */
    const char *window;      /* what made 8 bits: "none" (as they were), "data", "full", "fixed", "linear",
                               "linear exact", "sigmoid", "lut"; static */
    double centre, width_levels; /* of that window, NaN where there is none */
    char view; /* DICOM: 'P' PA, 'A' AP, 'L' lateral, 'O' another; 0 unknown, or another format */
    char view_position[33];           /* DICOM: ViewPosition, or "lateral" where something else tells it */
    char modality[17], body_part[33]; /* DICOM: as in the file, "" absent */
} ark_image_info;

/** Decode a file by its content (never by its name) to 8-bit grey: what models see, before any resize.
 * window NULL = ARK_WINDOW_AUTO; info NULL = not wanted; otherwise as ark_image_read. A DICOM file must hold
 * one frame of a radiograph (Modality CR, DX, DR or RG, or none); its grey levels pass the modality LUT, the
 * window, then MONOCHROME1 is inverted. */
ark_status ark_image_read8(const char *path, const ark_image_limits *limits, const ark_window *window,
    ark_image_info *info, ark_image *out) ARK_MUST_CHECK;
/** The same from memory; name is used in messages. */
ark_status ark_image_decode8(const void *bytes, size_t n, const char *name, const ark_image_limits *limits,
    const ark_window *window, ark_image_info *info, ark_image *out) ARK_MUST_CHECK;

/** Decode a file by its content (never by its name) to grey: colour is weighted as Pillow's "L"
 *  (19595 R + 38470 G + 7471 B + 32768) >> 16, alpha is dropped, palettes are expanded, 1/2/4-bit grey is
 * scaled. PNG and TIFF keep 16 bits, DICOM becomes 8 with its own window. limits NULL = defaults. Errors name
 * the path: ARK_EIO, ARK_EFORMAT (truncated, unknown, too large), ARK_ENOMEM. */
ark_status ark_image_read(const char *path, const ark_image_limits *limits, ark_image *out) ARK_MUST_CHECK;
/** The same from memory; name is used in messages. */
ark_status ark_image_decode(const void *bytes, size_t n, const char *name, const ark_image_limits *limits,
    ark_image *out) ARK_MUST_CHECK;
/** Uninitialised image of the given size. */
ark_status ark_image_new(int width, int height, int depth, ark_image *out) ARK_MUST_CHECK;
void ark_image_free(ark_image *im);
/** Reduce to 8 bits in place: round(255 (v - low) / (high - low)), clipped, [low,high] by the window (NULL =
 * ARK_WINDOW_AUTO: 8 bits stay as they are). A single grey level becomes 0. info (NULL = not wanted) gets the
 * fields of the window. */
void ark_image_window(ark_image *im, const ark_window *window, ark_image_info *info);
/** ark_image_window with ARK_WINDOW_AUTO. */
void ark_image_to8(ark_image *im);

/** Write 8-bit grey (channels 1) or RGB (channels 3, interleaved) PNG under a temporary name, then rename it;
 *  fast rather than small, not fsynced. */
ark_status ark_png_write(
    const char *path, int width, int height, int channels, const uint8_t *px) ARK_MUST_CHECK;

/** Write an 8-bit grey baseline JPEG of quality 1..100 in the same way. */
ark_status ark_jpeg_write(
    const char *path, int width, int height, const uint8_t *px, int quality) ARK_MUST_CHECK;

/** The bytes of such files, appended to out; name is used in messages. */
ark_status ark_png_encode(
    const char *name, int width, int height, int channels, const uint8_t *px, ark_buf *out) ARK_MUST_CHECK;
ark_status ark_jpeg_encode(
    const char *name, int width, int height, const uint8_t *px, int quality, ark_buf *out) ARK_MUST_CHECK;

typedef enum ark_filter { ARK_BILINEAR, ARK_BICUBIC, ARK_BOX, ARK_LANCZOS } ark_filter;

/* Resizing of 8-bit planes exactly as Pillow before version 13 does it: two passes, horizontal first,
 * antialiased support, fixed-point weights, 8-bit rounding after each pass. Pillow 13 runs the vertical pass
 * first when the height shrinks far more than the width: bilinear then differs by 1 level, bicubic and
 * Lanczos by more where they overshoot. The coefficients and the temporaries live in the resizer, which may
 * be reused for many images and sizes. One per thread. */
typedef struct ark_resizer ark_resizer;
ark_status ark_resizer_new(ark_resizer **out) ARK_MUST_CHECK;
void ark_resizer_free(ark_resizer *r);
/** src (height,width) stride in bytes -> dst (out_h,out_w) dense, not overlapping. box is the source
 * rectangle in pixels (x0,y0,x1,y1), may be fractional (then rounded to float, as Pillow does), NULL = whole
 * image; one that is empty or leaves the image is ARK_EINVAL. Allocates only when the resizer must grow. */
ark_status ark_resize8(ark_resizer *r, const uint8_t *src, int width, int height, size_t stride,
    const double box[4], uint8_t *dst, int out_w, int out_h, ark_filter filter) ARK_MUST_CHECK;

#endif
