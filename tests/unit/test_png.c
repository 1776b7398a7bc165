/* The fast path of PNG: the pixels that went into the file, as libspng reads them too, and libspng's verdict
 * on every damaged file. A text chunk between the pixels and IEND is what sends a file to libspng. */
#include "base/alloc.h"
#include "base/mathsafe.h"
#include "base/rng.h"
#include "golden/image.h"
#include "io/png_fast.h"
#include "io_check.h"

#include <libdeflate.h>

enum { MOST = 1 << 16, WIDTH = 37, HEIGHT = 23 };

typedef struct file {
    unsigned char bytes[MOST];
    size_t n;
} file;

static void put(file *f, const void *bytes, size_t n) {
    assert_true(f->n + n <= MOST);
    memcpy(f->bytes + f->n, bytes, n);
    f->n += n;
}

static void store_be32(unsigned char *to, uint32_t v) {
    for (int i = 0; i < 4; i++) {
        to[i] = (unsigned char)(v >> (24 - 8 * i));
    }
}

static void put_be32(file *f, uint32_t v) {
    unsigned char bytes[4];
    store_be32(bytes, v);
    put(f, bytes, 4);
}

static void put_chunk(file *f, const char *type, const void *data, size_t n) {
    put_be32(f, (uint32_t)n);
    size_t from = f->n;
    put(f, type, 4);
    put(f, data, n);
    put_be32(f, libdeflate_crc32(0, f->bytes + from, n + 4));
}

/* The filters as the PNG specification states them, to be undone by what is tested. */
static unsigned char filtered(int filter, int x, int a, int b, int c) {
    int p = a + b - c, pa = abs(p - a), pb = abs(p - b), pc = abs(p - c);
    int paeth = pa <= pb && pa <= pc ? a : pb <= pc ? b : c;
    const int predicted[] = {0, a, b, (a + b) / 2, paeth};
    return (unsigned char)(x - predicted[filter]);
}

/* raw: HEIGHT rows of `row` bytes -> the same with a filter's number and filtered bytes; filter 5: all in
 * turn, in an order that has every pair. */
static size_t filter_rows(const unsigned char *raw, size_t row, size_t bpp, int filter, unsigned char *out) {
    unsigned char *to = out;
    for (size_t y = 0; y < HEIGHT; y++) {
        int f = filter < 5 ? filter : (int)(y * y / 3 + y) % 5;
        *to++ = (unsigned char)f;
        for (size_t i = 0; i < row; i++) {
            const unsigned char *x = raw + y * row + i;
            int a = i < bpp ? 0 : x[-(ptrdiff_t)bpp], b = y ? x[-(ptrdiff_t)row] : 0;
            int c = i < bpp || y == 0 ? 0 : x[-(ptrdiff_t)(row + bpp)];
            *to++ = filtered(f, *x, a, b, c);
        }
    }
    return (size_t)(to - out);
}

/* A PNG of raw samples in `pieces` IDAT chunks; slow: with a text chunk behind them. */
static void encode(
    const unsigned char *raw, int channels, int bits, int filter, size_t pieces, bool slow, file *f) {
    static const unsigned char types[] = {0, 0, 4, 2, 6};
    unsigned char rows[HEIGHT * (1 + WIDTH * 8)], zlib[2 * sizeof rows];
    size_t bpp = (size_t)(channels * bits / 8);
    size_t n = filter_rows(raw, WIDTH * bpp, bpp, filter, rows);
    struct libdeflate_compressor *c = libdeflate_alloc_compressor(6);
    size_t len = libdeflate_zlib_compress(c, rows, n, zlib, sizeof zlib);
    libdeflate_free_compressor(c);
    f->n = 0;
    put(f, "\x89PNG\r\n\x1a\n", 8);
    put_chunk(f, "IHDR",
        (unsigned char[]){0, 0, 0, WIDTH, 0, 0, 0, HEIGHT, (unsigned char)bits, types[channels], 0, 0, 0},
        13);
    put_chunk(f, "gAMA", "\0\0\xb1\x8f", 4);
    for (size_t i = 0; i < pieces; i++) {
        size_t from = i * len / pieces, to = (i + 1) * len / pieces;
        put_chunk(f, "IDAT", zlib + from, to - from);
    }
    if (slow) {
        put_chunk(f, "tEXt", "a\0b", 3);
    }
    put_chunk(f, "IEND", "", 0);
}

/* What a decoder must make of the raw samples of pixel i. */
static int grey(const unsigned char *raw, int i, int channels, int bits) {
    int sample = bits / 8;
    const unsigned char *p = raw + i * channels * sample;
    if (channels <= 2) {
        return bits == 16 ? p[0] << 8 | p[1] : p[0];
    }
    return (19595 * p[0] + 38470 * p[sample] + 7471 * p[2 * sample] + 32768) >> 16;
}

static int pixel(const ark_image *im, int i) {
    return im->depth == 16 ? im->px16[i] : im->px8[i];
}

/* From a block of exactly n bytes, so that a sanitizer sees reads beyond it. */
static ark_status decode(const file *f, ark_image *im) {
    ark_image_limits limits = ark_image_default_limits();
    limits.max_pixels = 1 << 20;
    void *exact = ark_malloc(f->n);
    memcpy(exact, f->bytes, f->n);
    ark_status st = ark_image_decode(exact, f->n, "x.png", &limits, im);
    ark_free(exact);
    return st;
}

static void every_filter_and_type(void **state) {
    (void)state;
    static unsigned char raw[HEIGHT * WIDTH * 8];
    static file f;
    ark_rng r = ark_rng_at(0, ARK_RNG_TEST, 0, 0, 0);
    for (int k = 0; k < 4 * 2 * 6 * 3 * 2; k++) {
        int slow = k % 2, filter = k / 2 % 6, channels = k / 12 % 4 + 1, bits = k / 48 % 2 ? 16 : 8;
        size_t pieces = (const size_t[]){1, 2, 40}[k / 96];
        for (size_t i = 0; i < sizeof raw; i++) { /* flat, smooth and wild stretches */
            raw[i] = (unsigned char)(i % 700 < 200 ? 17 : i % 700 < 450 ? i / 3 : ark_rng_below(&r, 256));
        }
        encode(raw, channels, bits, filter, pieces, slow, &f);
        ark_image im, fast;
        check_ok(decode(&f, &im));
        check_ok(ark_image_new(WIDTH, HEIGHT, im.depth, &fast));
        assert_int_equal(im.depth, channels <= 2 ? bits : 8);
        assert_int_equal(ark__png_fast(f.bytes, f.n, channels, bits, &fast), !slow);
        for (int i = 0; i < WIDTH * HEIGHT; i++) {
            int want = grey(raw, i, channels, bits);
            if (pixel(&im, i) != want || (!slow && pixel(&fast, i) != want)) {
                fail_msg("%d channels of %d bits, filter %d, %zu pieces, %s: pixel %d is %d, not %d",
                    channels, bits, filter, pieces, slow ? "slow" : "fast", i, pixel(&im, i), want);
            }
        }
        ark_image_free(&im);
        ark_image_free(&fast);
    }
}

/* bytes with a text chunk before the last twelve, which are IEND. */
static void slowed(const unsigned char *bytes, size_t n, file *f) {
    f->n = 0;
    put(f, bytes, n - 12);
    put_chunk(f, "tEXt", "a\0b", 3);
    put(f, bytes + n - 12, 12);
}

static void same_verdict(const unsigned char *bytes, size_t n, const char *what, size_t at) {
    static file as_is, slow;
    as_is.n = 0;
    put(&as_is, bytes, n);
    slowed(bytes, n, &slow);
    ark_image a = {0}, b = {0};
    char message[256];
    ark_status st = decode(&as_is, &a);
    snprintf(message, sizeof message, "%s", st ? ark_err_msg() : "");
    ark_status want = decode(&slow, &b);
    if (st != want || (st && strcmp(message, ark_err_msg()) != 0)) {
        fail_msg("%s, byte %zu: '%s', libspng says '%s'", what, at, message, want ? ark_err_msg() : "");
    }
    for (int i = 0; st == ARK_OK && i < a.width * a.height; i++) {
        assert_int_equal(pixel(&a, i), pixel(&b, i));
    }
    ark_image_free(&a);
    ark_image_free(&b);
}

/* Every byte of each chunk changed, once with the checksum left wrong and once with it put right, so that
 * the change reaches what is behind. Not lengths: a file that seems to end early ends elsewhere with the
 * text chunk. */
static void damage(unsigned char *bytes, size_t n, const char *what) {
    size_t len;
    for (size_t chunk = 8; chunk + 12 < n; chunk += 12 + len) {
        len = (size_t)bytes[chunk] << 24 | (size_t)bytes[chunk + 1] << 16 | (size_t)bytes[chunk + 2] << 8 |
              bytes[chunk + 3];
        for (size_t at = chunk + 4; at < chunk + 12 + len; at++) {
            unsigned char flip = (unsigned char)(1u << at % 8), *sum = bytes + chunk + 8 + len, was[4];
            bytes[at] ^= flip;
            same_verdict(bytes, n, what, at);
            memcpy(was, sum, 4);
            store_be32(sum, libdeflate_crc32(0, bytes + chunk + 4, len + 4));
            same_verdict(bytes, n, what, at);
            memcpy(sum, was, 4);
            bytes[at] ^= flip;
        }
    }
}

static void damaged_files_get_the_same_verdict(void **state) {
    (void)state;
    static unsigned char raw[HEIGHT * WIDTH * 8];
    static file f;
    for (size_t i = 0; i < sizeof image_golden / sizeof *image_golden; i++) {
        if (strncmp(image_golden[i].name, "png", 3) == 0) {
            f.n = 0;
            put(&f, image_golden[i].file, image_golden[i].bytes);
            damage(f.bytes, f.n, image_golden[i].name);
        }
    }
    for (size_t i = 0; i < sizeof raw; i++) {
        raw[i] = (unsigned char)(i % 5 * 40);
    }
    for (int k = 0; k < 8; k++) {
        encode(raw, k % 4 + 1, k < 4 ? 8 : 16, 5, 2, false, &f);
        damage(f.bytes, f.n, "generated");
    }
}

/* A stream that ends early, goes on, or has rows of an unknown filter is libspng's to judge. */
static void stream_of_another_size(void **state) {
    (void)state;
    static unsigned char rows[HEIGHT * (1 + WIDTH) + 100];
    for (int extra = -60; extra <= 60; extra += 20) {
        for (int filter = 0; filter <= 5; filter += 5) {
            unsigned char zlib[4096];
            static file f;
            for (size_t y = 0; y < HEIGHT; y++) {
                rows[y * (1 + WIDTH)] = (unsigned char)(y == 7 ? filter : 0);
            }
            struct libdeflate_compressor *c = libdeflate_alloc_compressor(6);
            size_t len =
                libdeflate_zlib_compress(c, rows, (size_t)(HEIGHT * (1 + WIDTH) + extra), zlib, sizeof zlib);
            libdeflate_free_compressor(c);
            for (size_t trail = 0; trail < 3; trail++) {
                f.n = 0;
                put(&f, "\x89PNG\r\n\x1a\n", 8);
                put_chunk(&f, "IHDR", (unsigned char[]){0, 0, 0, WIDTH, 0, 0, 0, HEIGHT, 8, 0, 0, 0, 0}, 13);
                put_chunk(&f, "IDAT", zlib, len + trail);
                put_chunk(&f, "IEND", "", 0);
                same_verdict(f.bytes, f.n, "stream", (size_t)(extra + 100));
            }
        }
    }
}

/* 60 bytes cannot hold 64 Mi pixels: no memory is taken for their rows. */
static void rows_need_bytes(void **state) {
    (void)state;
    static file f;
    f.n = 0;
    put(&f, "\x89PNG\r\n\x1a\n", 8);
    put_chunk(&f, "IHDR", "\0\0\x10\0\0\0\x10\0\x08\x02\0\0\0", 13);
    put_chunk(&f, "IDAT", "\x78\x9c\x03\0\0\0\0\1", 8);
    put_chunk(&f, "IEND", "", 0);
    ark_image im;
    check_ok(ark_image_new(4096, 4096, 8, &im));
    uint64_t calls = ark_alloc_get_stats().calls;
    assert_false(ark__png_fast(f.bytes, f.n, 3, 8, &im));
    assert_int_equal(ark_alloc_get_stats().calls, calls);
    ark_image_free(&im);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_filter_and_type),
        cmocka_unit_test(damaged_files_get_the_same_verdict),
        cmocka_unit_test(stream_of_another_size),
        cmocka_unit_test(rows_need_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
