/* Decode under small limits, then use every pixel. A PNG is read a second time with a text chunk before its
 * end, which sends it past the fast path: what both accept must be the same image. */
#include "base/alloc.h"
#include "base/err.h"
#include "fuzz.h"
#include "io/image.h"

#include <string.h>

static void compare_with_slow_path(
    const uint8_t *bytes, size_t n, const ark_image_limits *limits, const ark_image *im) {
    static const uint8_t text[] = {0, 0, 0, 2, 't', 'E', 'X', 't', 'a', 0, 0x90, 0xc5, 0x84, 0x6a};
    static const uint8_t end[] = {0, 0, 0, 0, 'I', 'E', 'N', 'D', 0xae, 0x42, 0x60, 0x82};
    if (n < sizeof end || memcmp(bytes + n - sizeof end, end, sizeof end)) {
        return;
    }
    uint8_t *slow = ark_malloc(n + sizeof text);
    ARK_ASSERT(slow);
    memcpy(slow, bytes, n - sizeof end);
    memcpy(slow + n - sizeof end, text, sizeof text);
    memcpy(slow + n - sizeof end + sizeof text, end, sizeof end);
    ark_image other = {0};
    if (ark_image_decode(slow, n + sizeof text, "fuzz", limits, &other) == ARK_OK) {
        size_t pixels = (size_t)im->width * (size_t)im->height * (size_t)im->depth / 8;
        ARK_ASSERT(other.width == im->width && other.height == im->height && other.depth == im->depth);
        ARK_ASSERT(!memcmp(other.px, im->px, pixels));
    }
    ark_image_free(&other);
    ark_free(slow);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    ark_image_limits limits = {.max_side = 2000, .max_pixels = 1 << 18, .max_file_bytes = 1 << 20};
    ark_image im = {0};
    if (ark_image_decode(bytes, n, "fuzz", &limits, &im) != ARK_OK) {
        ARK_ASSERT(!im.px);
        return 0;
    }
    if (bytes[0] == 0x89) {
        compare_with_slow_path(bytes, n, &limits, &im);
    }
    ark_image_to8(&im);
    uint8_t small[16 * 16];
    ark_resizer *r;
    ARK_ASSERT(ark_resizer_new(&r) == ARK_OK);
    ARK_ASSERT(ark_resize8(r, im.px8, im.width, im.height, (size_t)im.width, NULL, small, 16, 16,
                   ARK_BILINEAR) == ARK_OK);
    ark_resizer_free(r);
    ark_image_free(&im);
    return 0;
}
