#include "io/image.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mathsafe.h"
#include "io/dicom.h"
#include "io/image_codec.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

ark_image_limits ark_image_default_limits(void) {
    return (ark_image_limits){
        .max_side = 16384, .max_pixels = (size_t)64 << 20, .max_file_bytes = (size_t)256 << 20};
}

ark_status ark_image_check_size(
    const char *name, size_t width, size_t height, const ark_image_limits *limits) {
    size_t pixels;
    if (width == 0 || height == 0) {
        return ARK_ERR(ARK_EFORMAT, "%s: an image of %zu x %zu pixels", name, width, height);
    }
    if (width > (size_t)limits->max_side || height > (size_t)limits->max_side) {
        return ARK_ERR(
            ARK_EFORMAT, "%s: %zu x %zu pixels, limit %d a side", name, width, height, limits->max_side);
    }
    if (ark_mul(width, height, &pixels) || pixels > limits->max_pixels) {
        return ARK_ERR(
            ARK_EFORMAT, "%s: %zu x %zu pixels, limit %zu in all", name, width, height, limits->max_pixels);
    }
    return ARK_OK;
}

ark_status ark_image_new(int width, int height, int depth, ark_image *out) {
    size_t bytes;
    if (width <= 0 || height <= 0 || (depth != 8 && depth != 16) ||
        ark_mul((size_t)width, (size_t)height, &bytes) || ark_mul(bytes, (size_t)depth / 8, &bytes)) {
        return ARK_ERR(ARK_EINVAL, "an image of %d x %d pixels of %d bits", width, height, depth);
    }
    void *px = ark_malloc(bytes);
    if (!px) {
        return ARK_ERR(ARK_ENOMEM, "out of memory for an image of %d x %d pixels", width, height);
    }
    *out = (ark_image){.width = width, .height = height, .depth = depth, .px = px};
    return ARK_OK;
}

void ark_image_free(ark_image *im) {
    if (im) {
        ark_free(im->px);
        *im = (ark_image){0};
    }
}

static bool begins(const unsigned char *b, size_t n, size_t at, const char *magic, size_t len) {
    return n >= at + len && !memcmp(b + at, magic, len);
}

/* What else people feed in, so that the message can say it. */
static const char *other_format(const unsigned char *b, size_t n) {
    static const struct {
        size_t at, len;
        const char *magic, *name;
    } known[] = {{0, 4, "GIF8", "GIF"}, {0, 2, "BM", "BMP"}, {8, 4, "WEBP", "WebP"},
        {4, 4, "jP  ", "JPEG 2000"}, {0, 4, "\xff\x4f\xff\x51", "JPEG 2000"}, {0, 2, "\x1f\x8b", "gzip"},
        {0, 4, "PK\3\4", "zip"}, {0, 4, "%PDF", "PDF"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (begins(b, n, known[i].at, known[i].magic, known[i].len)) {
            return known[i].name;
        }
    }
    return NULL;
}

static const char *const format_names[] = {"", "PNG", "JPEG", "TIFF", "DICOM"};
typedef enum format { UNKNOWN, PNG, JPEG, TIFF, DICOM } format;

static format format_of(const unsigned char *b, size_t n) {
    if (begins(b, n, 0, "\x89PNG\r\n\x1a\n", 8)) {
        return PNG;
    }
    if (begins(b, n, 0, "\xff\xd8\xff", 3)) {
        return JPEG;
    }
    if (begins(b, n, 0, "II*\0", 4) || begins(b, n, 0, "MM\0*", 4) || begins(b, n, 0, "II+\0", 4) ||
        begins(b, n, 0, "MM\0+", 4)) {
        return TIFF;
    }
    return ark_dicom_is(b, n) ? DICOM : UNKNOWN;
}

static ark_status check_bytes(
    const void *bytes, size_t n, const char *name, const ark_image_limits *limits, format *f) {
    if (n > limits->max_file_bytes) {
        return ARK_ERR(ARK_EFORMAT, "%s: %zu bytes, limit %zu", name, n, limits->max_file_bytes);
    }
    if (n == 0) {
        return ARK_ERR(ARK_EFORMAT, "%s: empty file", name);
    }
    *f = format_of(bytes, n);
    if (*f == UNKNOWN) {
        const char *other = other_format(bytes, n);
        return ARK_ERR(ARK_EFORMAT, "%s: neither PNG, JPEG, TIFF nor DICOM%s%s%s", name,
            other ? " (it looks like " : "", other ? other : "", other ? ")" : "");
    }
    return ARK_OK;
}

static ark_status decode_dicom(const void *bytes, size_t n, const char *name, const ark_image_limits *limits,
    const ark_window *window, ark_image_info *info, ark_image *out) {
    ark_dicom *d;
    ARK_TRY(ark_dicom_open(bytes, n, name, limits, &d));
    ark_status st = ark_dicom_grey(d, window, info, out);
    ark_dicom_free(d);
    return st;
}

static ark_status decode_other(format f, const void *bytes, size_t n, const char *name,
    const ark_image_limits *limits, ark_image_info *info, ark_image *out) {
    static ark_image_decoder *const decoders[] = {NULL, ark_png_decode, ark_jpeg_decode, ark_tiff_decode};
    ark_image_info got = {.format = format_names[f],
        .photometric = "grey",
        .window = "none",
        .depth = 8,
        .centre = NAN,
        .width_levels = NAN};
    ARK_TRY(decoders[f](bytes, n, name, limits, &got, out));
    got.width = out->width;
    got.height = out->height;
    if (info) {
        *info = got;
    }
    return ARK_OK;
}

ark_status ark_image_decode(
    const void *bytes, size_t n, const char *name, const ark_image_limits *limits, ark_image *out) {
    ark_image_limits defaults = ark_image_default_limits();
    limits = limits ? limits : &defaults;
    format f;
    ARK_TRY(check_bytes(bytes, n, name, limits, &f));
    return f == DICOM ? decode_dicom(bytes, n, name, limits, NULL, NULL, out)
                      : decode_other(f, bytes, n, name, limits, NULL, out);
}

ark_status ark_image_decode8(const void *bytes, size_t n, const char *name, const ark_image_limits *limits,
    const ark_window *window, ark_image_info *info, ark_image *out) {
    ark_image_limits defaults = ark_image_default_limits();
    limits = limits ? limits : &defaults;
    format f;
    if (window && window->kind == ARK_WINDOW_FIXED && !(window->width >= 1 && isfinite(window->centre))) {
        return ARK_ERR(
            ARK_EINVAL, "%s: a window of centre %g and width %g", name, window->centre, window->width);
    }
    ARK_TRY(check_bytes(bytes, n, name, limits, &f));
    if (f == DICOM) {
        return decode_dicom(bytes, n, name, limits, window, info, out);
    }
    ark_image im;
    ARK_TRY(decode_other(f, bytes, n, name, limits, info, &im));
    ark_image_window(&im, window, info);
    *out = im;
    return ARK_OK;
}

static ark_status read_file(const char *path, const ark_image_limits *limits, char **bytes, size_t *n) {
    return ark_file_read(
        path, limits ? limits->max_file_bytes : ark_image_default_limits().max_file_bytes, bytes, n);
}

ark_status ark_image_read(const char *path, const ark_image_limits *limits, ark_image *out) {
    char *bytes;
    size_t n;
    ARK_TRY(read_file(path, limits, &bytes, &n));
    ark_status st = ark_image_decode(bytes, n, path, limits, out);
    ark_free(bytes);
    return st;
}

ark_status ark_image_read8(const char *path, const ark_image_limits *limits, const ark_window *window,
    ark_image_info *info, ark_image *out) {
    char *bytes;
    size_t n;
    ARK_TRY(read_file(path, limits, &bytes, &n));
    ark_status st = ark_image_decode8(bytes, n, path, limits, window, info, out);
    ark_free(bytes);
    return st;
}
