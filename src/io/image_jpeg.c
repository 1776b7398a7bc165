/* JPEG through libjpeg(-turbo). The library reports errors by a jump that must not return, so every call that
 * may jump stays below a setjmp in a function of its own, and what must be released lives in one struct. */
#include "base/alloc.h"
#include "base/err.h"
#include "base/file.h"
#include "io/image_codec.h"

#include <stdio.h> /* before jpeglib.h, which needs it */

#include <jerror.h>
#include <jpeglib.h>
#include <setjmp.h>
#include <stdbool.h>

enum { MAX_SCANS = 100 }; /* of a progressive file; encoders write about 10 */

/* Where errors go: the client_data of the library's structs. */
typedef struct failure {
    jmp_buf jump;
    const char *name;  /* of the file */
    ark_status status; /* of the failure that jumped */
} failure;

typedef struct decoder {
    failure failure;
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    ark_image im;
    uint8_t *block; /* one row of colour samples, from its second byte on */
} decoder;

/* Leave with the message of the library. */
static void fail(j_common_ptr jpeg) {
    failure *f = jpeg->client_data;
    char text[JMSG_LENGTH_MAX];
    jpeg->err->format_message(jpeg, text);
    bool memory = jpeg->err->msg_code == JERR_OUT_OF_MEMORY;
    f->status = ARK_ERR(memory ? ARK_ENOMEM : ARK_EFORMAT, "%s: JPEG: %s", f->name, text);
    longjmp(f->jump, 1);
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
    failure *f = jpeg->client_data;
    if (((j_decompress_ptr)jpeg)->input_scan_number > MAX_SCANS) {
        f->status = ARK_ERR(ARK_EFORMAT, "%s: JPEG: more than %d scans", f->name, MAX_SCANS);
        longjmp(f->jump, 1);
    }
}

static void stop_if(failure *f, ark_status st) {
    if (st != ARK_OK) {
        f->status = st;
        longjmp(f->jump, 1);
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
        return ARK_ERR(ARK_EFORMAT, "%s: JPEG: %d colour components", d->failure.name, j->num_components);
    }
}

/* Everything that may jump. */
static void decode(decoder *d, const void *bytes, size_t n, const ark_image_limits *limits) {
    struct jpeg_decompress_struct *j = &d->jpeg;
    jpeg_create_decompress(j);
    j->progress = &d->progress;
    jpeg_mem_src(j, bytes, (unsigned long)n);
    jpeg_read_header(j, TRUE);
    stop_if(&d->failure, ark_image_check_size(d->failure.name, j->image_width, j->image_height, limits));
    stop_if(&d->failure, choose_output(d));
    jpeg_start_decompress(j);
    size_t width = j->output_width;
    if (ark_image_new((int)width, (int)j->output_height, 8, &d->im) != ARK_OK) {
        stop_if(&d->failure, ark__err_prefix(ARK_ENOMEM, "%s", d->failure.name));
    }
    if (j->output_components > 1) {
        /* libjpeg-turbo stores an aligned row past the caches, and it is read at once */
        d->block = ark_malloc(1 + width * (size_t)j->output_components);
        stop_if(&d->failure, d->block ? ARK_OK : ARK_ERR(ARK_ENOMEM, "%s: out of memory", d->failure.name));
    }
    while (j->output_scanline < j->output_height) {
        uint8_t *out = d->im.px8 + j->output_scanline * width;
        JSAMPROW row = d->block ? d->block + 1 : out;
        jpeg_read_scanlines(j, &row, 1);
        if (j->output_components == 3) {
            luma_of_rgb(row, width, out);
        } else if (j->output_components == 4) {
            luma_of_cmyk(row, width, out);
        }
    }
    jpeg_finish_decompress(j); /* reads on to the end marker */
}

/* Apart from the caller, whose variables would be indeterminate after a jump if setjmp stood beside them. */
static bool succeeds(decoder *d, const void *bytes, size_t n, const ark_image_limits *limits) {
    if (setjmp(d->failure.jump) != 0) {
        return false;
    }
    decode(d, bytes, n, limits);
    return true;
}

ark_status ark_jpeg_decode(const void *bytes, size_t n, const char *name, const ark_image_limits *limits,
    ark_image_info *info, ark_image *out) {
    decoder d = {.failure.name = name};
    d.jpeg.err = jpeg_std_error(&d.errors);
    d.jpeg.client_data = &d.failure;
    d.errors.error_exit = fail;
    d.errors.emit_message = on_message;
    d.progress.progress_monitor = on_progress;
    bool ok = succeeds(&d, bytes, n, limits);
    if (info && d.jpeg.num_components > 1) {
        info->photometric = "colour";
    }
    jpeg_destroy_decompress(&d.jpeg);
    ark_free(d.block);
    if (!ok) {
        ark_image_free(&d.im);
        return d.failure.status;
    }
    *out = d.im;
    return ARK_OK;
}

/* OUTPUT: bytes handed over at a time. */
enum { OUTPUT = 16384 };

typedef struct encoder {
    failure failure;
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_destination_mgr to;
    ark_buf *out;
    JOCTET block[OUTPUT];
} encoder;

static encoder *encoder_of(j_compress_ptr j) {
    failure *f = j->client_data; /* its first member */
    return (encoder *)f;
}

static void fill_from_start(j_compress_ptr j) {
    encoder *e = encoder_of(j);
    e->to.next_output_byte = e->block;
    e->to.free_in_buffer = OUTPUT;
}

static void hand_over(encoder *e, size_t n) {
    e->failure.status = ark_buf_add(e->out, e->block, n);
    if (e->failure.status != ARK_OK) {
        longjmp(e->failure.jump, 1);
    }
}

static boolean block_full(j_compress_ptr j) {
    hand_over(encoder_of(j), OUTPUT);
    fill_from_start(j);
    return TRUE;
}

static void block_last(j_compress_ptr j) {
    hand_over(encoder_of(j), OUTPUT - encoder_of(j)->to.free_in_buffer);
}

/* Everything that may jump. */
static void encode(encoder *e, int width, int height, const uint8_t *px, int quality) {
    struct jpeg_compress_struct *j = &e->jpeg;
    jpeg_create_compress(j); /* keeps client_data */
    j->dest = &e->to;
    j->image_width = (JDIMENSION)width;
    j->image_height = (JDIMENSION)height;
    j->input_components = 1;
    j->in_color_space = JCS_GRAYSCALE;
    jpeg_set_defaults(j);
    jpeg_set_quality(j, quality, TRUE);
    jpeg_start_compress(j, TRUE);
    while (j->next_scanline < j->image_height) {
        /* the library reads the row, but its type says otherwise */
        JSAMPROW row = (JSAMPROW)(uintptr_t)(px + (size_t)j->next_scanline * (size_t)width);
        jpeg_write_scanlines(j, &row, 1);
    }
    jpeg_finish_compress(j);
}

static bool encodes(encoder *e, int width, int height, const uint8_t *px, int quality) {
    if (setjmp(e->failure.jump) != 0) {
        return false;
    }
    encode(e, width, height, px, quality);
    return true;
}

ark_status ark_jpeg_encode(
    const char *name, int width, int height, const uint8_t *px, int quality, ark_buf *out) {
    if (width <= 0 || height <= 0 || quality < 1 || quality > 100) {
        return ARK_ERR(
            ARK_EINVAL, "%s: cannot write %d x %d pixels at quality %d", name, width, height, quality);
    }
    encoder e = {.failure.name = name, .out = out};
    e.to = (struct jpeg_destination_mgr){.init_destination = fill_from_start,
        .empty_output_buffer = block_full,
        .term_destination = block_last};
    e.jpeg.err = jpeg_std_error(&e.errors);
    e.jpeg.client_data = &e.failure;
    e.errors.error_exit = fail;
    bool ok = encodes(&e, width, height, px, quality);
    jpeg_destroy_compress(&e.jpeg);
    return ok ? ARK_OK : e.failure.status;
}

ark_status ark_jpeg_write(const char *path, int width, int height, const uint8_t *px, int quality) {
    ark_buf file;
    ark_buf_init(&file, SIZE_MAX / 2);
    ark_status st = ark_jpeg_encode(path, width, height, px, quality, &file);
    ark_writer w;
    st = st ? st : ark_writer_open(&w, path);
    if (st == ARK_OK) {
        w.no_sync = true;
        ark_writer_put(&w, file.data, file.len);
        st = ark_writer_commit(&w);
    }
    ark_buf_free(&file);
    return st;
}
