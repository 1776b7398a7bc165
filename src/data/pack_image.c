/* One image on its way into a pack: read, squash, encode. */
#include "data/pack_write.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/file.h"
#include "io/crc32.h"

#include <stdio.h>
#include <string.h>

typedef struct source {
    ark_image im;
    uint32_t crc;
    uint64_t bytes;
} source;

/* The file, and of it what provenance keeps. */
static ark_status read_source(
    const ark_dataset *d, const char *path, const ark_image_limits *limits, source *s) {
    char *bytes;
    size_t n;
    ARK_TRY(ark_file_read(path, limits->max_file_bytes, &bytes, &n));
    s->crc = ark_crc32(0, bytes, n);
    s->bytes = n;
    ark_status st = ark_image_decode8(bytes, n, path, limits, &d->window, NULL, &s->im);
    ark_free(bytes);
    return st;
}

/* Checksum (left open), then the header of an image record. */
static ark_status put_header(ark_buf *b, uint32_t codec, int width, int height, const source *s) {
    unsigned char h[ARK__PACK_CRC + ARK__PACK_IMAGE_HEADER] = {0};
    ark__pack_put32(h + 4, codec);
    ark__pack_put32(h + 8, (uint32_t)width);
    ark__pack_put32(h + 12, (uint32_t)height);
    ark__pack_put32(h + 16, (uint32_t)s->im.width);
    ark__pack_put32(h + 20, (uint32_t)s->im.height);
    ark__pack_put32(h + 24, s->crc);
    ark__pack_put32(h + 28, (uint32_t)s->bytes);
    ark__pack_put32(h + 32, (uint32_t)(s->bytes >> 32));
    return ark_buf_add(b, h, sizeof h);
}

/* The pixels to store: the source's own, or squashed into the thread's plane. */
static ark_status squash(ark__packer *p, const ark_image *im, const uint8_t **px, int *width, int *height) {
    int side = p->opts->side_px;
    if (side == 0) {
        *px = im->px8;
        *width = im->width;
        *height = im->height;
        return ARK_OK;
    }
    *px = p->plane;
    *width = *height = side;
    return ark_resize8(p->resizer, im->px8, im->width, im->height, (size_t)im->width, NULL, p->plane, side,
        side, (ark_filter)p->opts->filter);
}

static ark_status put_body(
    const ark__packer *p, const char *path, const uint8_t *px, int width, int height, ark_buf *b) {
    switch (p->opts->codec) {
    case ARK_PACK_PNG:
        return ark_png_encode(path, width, height, 1, px, b);
    case ARK_PACK_JPEG:
        return ark_jpeg_encode(path, width, height, px, p->opts->quality, b);
    case ARK_PACK_RAW:
        break;
    }
    return ark_buf_add(b, px, (size_t)width * (size_t)height);
}

static ark_status make(ark__packer *p, const ark_dataset *d, size_t sample, source *s, ark_buf *b) {
    const uint8_t *px;
    int width = 0, height = 0;
    const char *path = d->paths[sample];
    ARK_TRY(read_source(d, path, &p->opts->limits, s));
    ARK_TRY(squash(p, &s->im, &px, &width, &height));
    ARK_TRY(put_header(b, p->opts->codec, width, height, s));
    return put_body(p, path, px, width, height, b);
}

ark_status ark__pack_image_record(
    ark__packer *p, const ark_dataset *d, size_t sample, ark_buf *b, bool *bad) {
    source s = {0};
    ark_status st = make(p, d, sample, &s, b);
    ark_image_free(&s.im);
    *bad = (st == ARK_EIO || st == ARK_EFORMAT) && p->opts->skip_bad;
    if (!*bad) {
        return st;
    }
    ark_buf_free(b);
    s = (source){.crc = s.crc, .bytes = s.bytes};
    ARK_TRY(put_header(b, 0, 0, 0, &s));
    return ark_buf_adds(b, ark_err_msg());
}

ark_status ark__packer_init(ark__packer *p, const ark_pack_opts *opts) {
    *p = (ark__packer){.opts = opts};
    size_t side = (size_t)opts->side_px;
    ARK_TRY(ark_resizer_new(&p->resizer));
    ark_status st = ARK_NEW(&p->plane, side * side, "a plane");
    if (st != ARK_OK) {
        ark__packer_deinit(p);
    }
    return st;
}

void ark__packer_deinit(ark__packer *p) {
    ark_resizer_free(p->resizer);
    ark_free(p->plane);
    *p = (ark__packer){0};
}
