/* JPEG through libjpeg(-turbo). The library reports errors by a jump that must not return, so every call that
 * may jump stays below the one setjmp of this file, and what must be released lives in one struct. */
#include "base/alloc.h"
#include "base/err.h"
#include "io/image_codec.h"

#include <stdio.h> /* before jpeglib.h, which needs it */

#include <jerror.h>
#include <jpeglib.h>
#include <setjmp.h>
#include <stdbool.h>

enum { MAX_SCANS = 100 }; /* of a progressive file; encoders write about 10 */

typedef struct decoder {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf failed;
    const char *name;
    ark_status status; /* of the failure that jumped */
    ark_image im;
    uint8_t *row; /* one row of colour samples */
} decoder;

/* Leave with the message of the library. */
static void fail(j_common_ptr jpeg) {
    decoder *d = jpeg->client_data;
    char text[JMSG_LENGTH_MAX];
    jpeg->err->format_message(jpeg, text);
    bool memory = jpeg->err->msg_code == JERR_OUT_OF_MEMORY;
    d->status = ARK_ERR(memory ? ARK_ENOMEM : ARK_EFORMAT, "%s: JPEG: %s", d->name, text);
    longjmp(d->failed, 1);
}

/* Warnings (level -1) mean that pixels were made up, apart from these, which concern only
 * labels and padding. */
static void on_message(j_common_ptr jpeg, int level) {
    int code = jpeg->err->msg_code;
    if (level < 0 && code != JWRN_EXTRANEOUS_DATA && code != JWRN_ADOBE_XFORM && code != JWRN_JFIF_MAJOR &&
        code != JWRN_NOT_SEQUENTIAL) {
        fail(jpeg);
    }
}

/* A small file may declare thousands of scans, each of which costs a pass over the image. */
static void on_progress(j_common_ptr jpeg) {
    decoder *d = jpeg->client_data;
    if (d->jpeg.input_scan_number > MAX_SCANS) {
        d->status = ARK_ERR(ARK_EFORMAT, "%s: JPEG: more than %d scans", d->name, MAX_SCANS);
        longjmp(d->failed, 1);
    }
}

static void stop_if(decoder *d, ark_status st) {
    if (st != ARK_OK) {
        d->status = st;
        longjmp(d->failed, 1);
    }
}

/* a * b / 255, rounded. */
static unsigned mul255(unsigned a, unsigned b) {
    return (a * b + 127) / 255;
}

/* CMYK files store ink inverted (Adobe): 255 = no ink, so a product of the two is the light that is left. */
static void luma_of_cmyk(const uint8_t *s, size_t n, uint8_t *out) {
    for (size_t i = 0; i < n; i++, s += 4) {
        out[i] = ark_luma(mul255(s[0], s[3]), mul255(s[1], s[3]), mul255(s[2], s[3]));
    }
}

static void luma_of_rgb(const uint8_t *s, size_t n, uint8_t *out) {
    for (size_t i = 0; i < n; i++, s += 3) {
        out[i] = ark_luma(s[0], s[1], s[2]);
    }
}

static ark_status choose_output(decoder *d) {
    struct jpeg_decompress_struct *j = &d->jpeg;
    switch (j->jpeg_color_space) {
    case JCS_GRAYSCALE:
        j->out_color_space = JCS_GRAYSCALE;
        return ARK_OK;
    case JCS_YCbCr:
    case JCS_RGB:
        j->out_color_space = JCS_RGB;
        return ARK_OK;
    case JCS_YCCK:
    case JCS_CMYK:
        j->out_color_space = JCS_CMYK;
        return ARK_OK;
    default:
        return ARK_ERR(ARK_EFORMAT, "%s: JPEG: %d colour components", d->name, j->num_components);
    }
}

/* Everything that may jump. */
static void decode(decoder *d, const void *bytes, size_t n, const ark_image_limits *limits) {
    struct jpeg_decompress_struct *j = &d->jpeg;
    jpeg_create_decompress(j);
    j->progress = &d->progress;
    jpeg_mem_src(j, bytes, (unsigned long)n);
    jpeg_read_header(j, TRUE);
    stop_if(d, ark_image_check_size(d->name, j->image_width, j->image_height, limits));
    stop_if(d, choose_output(d));
    jpeg_start_decompress(j);
    size_t width = j->output_width;
    if (ark_image_new((int)width, (int)j->output_height, 8, &d->im) != ARK_OK) {
        stop_if(d, ark__err_prefix(ARK_ENOMEM, "%s", d->name));
    }
    if (j->output_components > 1) {
        d->row = ark_malloc(width * (size_t)j->output_components);
        stop_if(d, d->row ? ARK_OK : ARK_ERR(ARK_ENOMEM, "%s: out of memory", d->name));
    }
    while (j->output_scanline < j->output_height) {
        uint8_t *out = d->im.px8 + j->output_scanline * width;
        JSAMPROW row = d->row ? d->row : out;
        jpeg_read_scanlines(j, &row, 1);
        if (j->output_components == 3) {
            luma_of_rgb(d->row, width, out);
        } else if (j->output_components == 4) {
            luma_of_cmyk(d->row, width, out);
        }
    }
    jpeg_finish_decompress(j); /* reads on to the end marker */
}

/* Apart from the caller, whose variables would be indeterminate after a jump if setjmp stood beside them. */
static bool succeeds(decoder *d, const void *bytes, size_t n, const ark_image_limits *limits) {
    if (setjmp(d->failed) != 0) {
        return false;
    }
    decode(d, bytes, n, limits);
    return true;
}

ark_status ark_jpeg_decode(
    const void *bytes, size_t n, const char *name, const ark_image_limits *limits, ark_image *out) {
    decoder d = {.name = name};
    d.jpeg.err = jpeg_std_error(&d.errors);
    d.jpeg.client_data = &d;
    d.errors.error_exit = fail;
    d.errors.emit_message = on_message;
    d.progress.progress_monitor = on_progress;
    bool ok = succeeds(&d, bytes, n, limits);
    jpeg_destroy_decompress(&d.jpeg);
    ark_free(d.row);
    if (!ok) {
        ark_image_free(&d.im);
        return d.status;
    }
    *out = d.im;
    return ARK_OK;
}
