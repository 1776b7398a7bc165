/* Resizing: bit for bit Pillow's results (golden/image.h), refusals, no allocation once warm. */
#include "base/alloc.h"
#include "golden/image.h"
#include "io/image.h"
#include "io_check.h"

#include <math.h>

/* The same picture as formula() of golden/make_image.py. */
static uint8_t *formula(int w, int h, size_t stride) {
    uint8_t *px = ark_malloc((size_t)h * stride);
    memset(px, 0xee, (size_t)h * stride);
    for (int y = 0; y < h; y++) {
        for (int x = 0; x < w; x++) {
            px[(size_t)y * stride + (size_t)x] =
                (uint8_t)(x * x * 3 + y * y * 5 + x * y * 7 + (x / 3 + y / 5) % 2 * 128);
        }
    }
    return px;
}

static uint32_t crc32_of(const uint8_t *p, size_t n) {
    uint32_t c = 0xffffffffu;
    for (size_t i = 0; i < n; i++) {
        c ^= p[i];
        for (int k = 0; k < 8; k++) {
            c = c >> 1 ^ (0xedb88320u & (0u - (c & 1)));
        }
    }
    return ~c;
}

static void as_pillow(void **state) {
    (void)state;
    ark_resizer *r;
    check_ok(ark_resizer_new(&r));
    for (size_t i = 0; i < sizeof resize_golden / sizeof *resize_golden; i++) {
        int ow = resize_golden[i].out_w, oh = resize_golden[i].out_h;
        size_t stride = (size_t)resize_golden[i].width + i % 3 * 5, n = (size_t)ow * (size_t)oh;
        uint8_t *src = formula(resize_golden[i].width, resize_golden[i].height, stride);
        uint8_t *dst = ark_malloc(n); /* exactly, so that a sanitizer sees writes beyond it */
        check_ok(ark_resize8(r, src, resize_golden[i].width, resize_golden[i].height, stride,
            resize_golden[i].has_box ? resize_golden[i].box : NULL, dst, ow, oh, resize_golden[i].filter));
        const uint8_t *got = resize_golden[i].whole ? dst : dst + oh / 2 * ow;
        for (size_t p = 0; p < (resize_golden[i].whole ? n : (size_t)ow); p++) {
            if (got[p] != resize_golden[i].pixels[p]) {
                fail_msg("case %zu, pixel %zu: %d, Pillow has %d", i, p, got[p], resize_golden[i].pixels[p]);
            }
        }
        assert_int_equal(crc32_of(dst, n), resize_golden[i].crc32);
        ark_free(src);
        ark_free(dst);
    }
    ark_resizer_free(r);
}

static void warm_resizer_does_not_allocate(void **state) {
    (void)state;
    ark_resizer *r;
    check_ok(ark_resizer_new(&r));
    uint8_t *src = formula(90, 70, 90), dst[40 * 30];
    check_ok(ark_resize8(r, src, 90, 70, 90, NULL, dst, 40, 30, ARK_LANCZOS));
    uint64_t calls = ark_alloc_get_stats().calls;
    check_ok(ark_resize8(r, src, 90, 70, 90, NULL, dst, 40, 30, ARK_BICUBIC));
    check_ok(ark_resize8(r, src, 90, 70, 90, (double[]){10, 10, 60.5, 60}, dst, 20, 30, ARK_BILINEAR));
    assert_int_equal(ark_alloc_get_stats().calls, calls);
    ark_free(src);
    ark_resizer_free(r);
}

static void refusals(void **state) {
    (void)state;
    ark_resizer *r;
    check_ok(ark_resizer_new(&r));
    uint8_t src[64] = {0}, dst[64];
    static const double boxes[][4] = {{-1, 0, 8, 8}, {0, -0.5, 8, 8}, {0, 0, 8.5, 8}, {0, 0, 8, 9},
        {3, 0, 3, 8}, {0, 5, 8, 4}, {NAN, 0, 8, 8}, {0, 0, NAN, 8}, {0, 0, INFINITY, 8}};
    for (size_t i = 0; i < sizeof boxes / sizeof *boxes; i++) {
        check_error(
            ark_resize8(r, src, 8, 8, 8, boxes[i], dst, 4, 4, ARK_BILINEAR), ARK_EINVAL, "of 8 x 8 pixels");
    }
    check_error(ark_resize8(r, src, 0, 8, 8, NULL, dst, 4, 4, ARK_BILINEAR), ARK_EINVAL, "0 x 8");
    check_error(ark_resize8(r, src, 8, 8, 8, NULL, dst, 4, -1, ARK_BILINEAR), ARK_EINVAL, "4 x -1");
    ark_resizer_free(r);
    ark_resizer_free(NULL);
}

static void every_failed_allocation(void **state) {
    (void)state;
    uint8_t src[64] = {0}, dst[16];
    for (uint64_t nth = 1;; nth++) {
        ark_resizer *r = NULL;
        ark_alloc_fail_after(nth);
        ark_status st = ark_resizer_new(&r);
        if (st == ARK_OK) {
            st = ark_resize8(r, src, 8, 8, 8, NULL, dst, 4, 4, ARK_BICUBIC);
        }
        ark_alloc_fail_after(0);
        if (st != ARK_OK && r) { /* and it works again afterwards */
            check_ok(ark_resize8(r, src, 8, 8, 8, NULL, dst, 4, 4, ARK_BICUBIC));
        }
        ark_resizer_free(r);
        if (st == ARK_OK) {
            assert_true(nth > 10);
            break;
        }
        assert_int_equal(st, ARK_ENOMEM);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_pillow),
        cmocka_unit_test(warm_resizer_does_not_allocate),
        cmocka_unit_test(refusals),
        cmocka_unit_test(every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
