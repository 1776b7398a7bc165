/* PNG through libspng, common ones through png_fast.c. */
#include "base/alloc.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mathsafe.h"
#include "io/image_codec.h"
#include "io/png_fast.h"

#include <spng.h>
#include <stdbool.h>

/* libspng reports a failed allocation inside zlib as a damaged stream: note it where it happens. */
static _Thread_local bool out_of_memory;

static void *noted(void *p) {
    out_of_memory = out_of_memory || !p;
    return p;
}

static void *noted_malloc(size_t bytes) {
    return noted(ark_malloc(bytes));
}

static void *noted_calloc(size_t count, size_t size) {
    return noted(ark_calloc(count, size));
}

static void *noted_realloc(void *p, size_t bytes) {
    return noted(ark_realloc(p, bytes));
}

static spng_ctx *new_context(int flags) {
    struct spng_alloc alloc = {noted_malloc, noted_realloc, noted_calloc, ark_free};
    out_of_memory = false;
    return spng_ctx_new2(&alloc, flags);
}

static ark_status png_error(const char *name, int code) {
    if (out_of_memory) {
        return ARK_ERR(ARK_ENOMEM, "%s: PNG: out of memory", name);
    }
    return ARK_ERR(ARK_EFORMAT, "%s: PNG: %s", name, spng_strerror(code));
}

/* How to have libspng unpack a colour type, and what that leaves: `channels` samples of `bits`, of which the
 * first or the first three matter. */
typedef struct layout {
    int format;
    int channels, bits;
} layout;

static layout layout_of(const struct spng_ihdr *h) {
    int bits = h->bit_depth == 16 ? 16 : 8;
    switch (h->color_type) {
    case SPNG_COLOR_TYPE_GRAYSCALE:
        return (layout){bits == 16 ? SPNG_FMT_PNG : SPNG_FMT_G8, 1, bits};
    case SPNG_COLOR_TYPE_GRAYSCALE_ALPHA:
        return (layout){SPNG_FMT_PNG, 2, bits};
    case SPNG_COLOR_TYPE_INDEXED:
        return (layout){SPNG_FMT_RGB8, 3, 8};
    case SPNG_COLOR_TYPE_TRUECOLOR:
        return (layout){SPNG_FMT_PNG, 3, bits};
    default:
        return (layout){SPNG_FMT_PNG, 4, bits};
    }
}

/* Grey with alpha keeps its bits; colour becomes 8-bit luma, 16-bit samples by their high
 * byte, as Pillow does. */
static void to_grey(const layout *l, const void *from, size_t pixels, ark_image *out) {
    size_t step = (size_t)l->channels;
    const uint8_t *p8 = from;
    const uint16_t *p16 = from;
    if (l->channels == 2 && l->bits == 16) {
        for (size_t i = 0; i < pixels; i++) {
            out->px16[i] = p16[i * step];
        }
    } else if (l->channels == 2) {
        for (size_t i = 0; i < pixels; i++) {
            out->px8[i] = p8[i * step];
        }
    } else if (l->bits == 16) {
        for (size_t i = 0; i < pixels; i++, p16 += step) {
            out->px8[i] = ark_luma(p16[0] >> 8, p16[1] >> 8, p16[2] >> 8);
        }
    } else {
        for (size_t i = 0; i < pixels; i++, p8 += step) {
            out->px8[i] = ark_luma(p8[0], p8[1], p8[2]);
        }
    }
}

/* Whether png_fast.c knows the colour type: not palettes and not samples of less than a byte. */
static bool is_common(const struct spng_ihdr *h) {
    return h->bit_depth >= 8 && h->color_type != SPNG_COLOR_TYPE_INDEXED && !h->interlace_method;
}

static ark_status decode(spng_ctx *ctx, const void *file, size_t n, const char *name,
    const ark_image_limits *limits, ark_image *im) {
    struct spng_ihdr h;
    int code = spng_get_ihdr(ctx, &h);
    if (code) {
        return png_error(name, code);
    }
    ARK_TRY(ark_image_check_size(name, h.width, h.height, limits));
    layout l = layout_of(&h);
    size_t bytes;
    code = spng_decoded_image_size(ctx, l.format, &bytes);
    if (code) {
        return png_error(name, code);
    }
    ark_status st = ark_image_new((int)h.width, (int)h.height, l.channels <= 2 ? l.bits : 8, im);
    if (st != ARK_OK) {
        return ark__err_prefix(st, "%s", name);
    }
    if (is_common(&h)) {
        code = spng_decode_chunks(ctx); /* up to the first IDAT */
        if (code) {
            return png_error(name, code);
        }
        if (ark__png_fast(file, n, l.channels, l.bits, im)) {
            return ARK_OK;
        }
    }
    void *samples = l.channels == 1 ? im->px : ark_malloc(bytes);
    if (!samples) {
        return ARK_ERR(ARK_ENOMEM, "%s: out of memory for %u x %u pixels", name, h.width, h.height);
    }
    code = spng_decode_image(ctx, samples, bytes, l.format, 0);
    if (!code) {
        code = spng_decode_chunks(ctx); /* up to IEND: a file that stops early is refused */
    }
    if (samples != im->px) {
        if (!code) {
            to_grey(&l, samples, (size_t)h.width * h.height, im);
        }
        ark_free(samples);
    }
    return code ? png_error(name, code) : ARK_OK;
}

static void tell(spng_ctx *ctx, ark_image_info *info) {
    struct spng_ihdr h;
    if (info && !spng_get_ihdr(ctx, &h)) {
        bool grey =
            h.color_type == SPNG_COLOR_TYPE_GRAYSCALE || h.color_type == SPNG_COLOR_TYPE_GRAYSCALE_ALPHA;
        info->depth = h.bit_depth;
        info->photometric = grey ? "grey" : "colour";
    }
}

ark_status ark_png_decode(const void *bytes, size_t n, const char *name, const ark_image_limits *limits,
    ark_image_info *info, ark_image *out) {
    ark_image im = {0};
    ark_status st;
    spng_ctx *ctx = new_context(0);
    if (!ctx) {
        return ARK_ERR(ARK_ENOMEM, "%s: out of memory", name);
    }
    int code = spng_set_png_buffer(ctx, bytes, n);
    st = code ? png_error(name, code) : decode(ctx, bytes, n, name, limits, &im);
    tell(ctx, info);
    spng_ctx_free(ctx);
    if (st != ARK_OK) {
        ark_image_free(&im);
        return st;
    }
    *out = im;
    return ARK_OK;
}

/* Atomic but not durable: pictures are made by the thousand, and can be made again. */
static ark_status write_unsynced(const char *path, const void *bytes, size_t n) {
    ark_writer w;
    ARK_TRY(ark_writer_open(&w, path));
    w.no_sync = true;
    ark_writer_put(&w, bytes, n);
    return ark_writer_commit(&w);
}

ark_status ark_png_encode(
    const char *name, int width, int height, int channels, const uint8_t *px, ark_buf *out) {
    size_t bytes, n;
    if (width <= 0 || height <= 0 || (channels != 1 && channels != 3) ||
        ark_mul((size_t)width, (size_t)height, &bytes) || ark_mul(bytes, (size_t)channels, &bytes)) {
        return ARK_ERR(
            ARK_EINVAL, "%s: cannot write %d x %d pixels of %d channels", name, width, height, channels);
    }
    spng_ctx *ctx = new_context(SPNG_CTX_ENCODER);
    if (!ctx) {
        return ARK_ERR(ARK_ENOMEM, "%s: out of memory", name);
    }
    struct spng_ihdr h = {.width = (uint32_t)width,
        .height = (uint32_t)height,
        .bit_depth = 8,
        .color_type = channels == 1 ? SPNG_COLOR_TYPE_GRAYSCALE : SPNG_COLOR_TYPE_TRUECOLOR};
    void *file = NULL;
    /* Level 1 and one filter: 15 % larger than zlib's default on noisy grey images, 20 times as fast. */
    int code = spng_set_option(ctx, SPNG_ENCODE_TO_BUFFER, 1);
    if (!code) {
        code = spng_set_option(ctx, SPNG_IMG_COMPRESSION_LEVEL, 1);
    }
    if (!code) {
        code = spng_set_option(ctx, SPNG_FILTER_CHOICE, SPNG_FILTER_CHOICE_SUB);
    }
    if (!code) {
        code = spng_set_ihdr(ctx, &h);
    }
    if (!code) {
        code = spng_encode_image(ctx, px, bytes, SPNG_FMT_PNG, SPNG_ENCODE_FINALIZE);
    }
    if (!code) {
        file = spng_get_png_buffer(ctx, &n, &code);
    }
    ark_status st = code ? png_error(name, code) : ark_buf_add(out, file, n);
    ark_free(file);
    spng_ctx_free(ctx);
    return st;
}

ark_status ark_png_write(const char *path, int width, int height, int channels, const uint8_t *px) {
    ark_buf file;
    ark_buf_init(&file, SIZE_MAX / 2);
    ark_status st = ark_png_encode(path, width, height, channels, px, &file);
    st = st ? st : write_unsynced(path, file.data, file.len);
    ark_buf_free(&file);
    return st;
}
