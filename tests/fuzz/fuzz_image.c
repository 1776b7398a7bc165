/* Decode under small limits, then use every pixel. */
#include "base/alloc.h"
#include "base/err.h"
#include "fuzz.h"
#include "io/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    ark_image_limits limits = {.max_side = 2000, .max_pixels = 1 << 18, .max_file_bytes = 1 << 20};
    ark_image im = {0};
    if (ark_image_decode(bytes, n, "fuzz", &limits, &im) != ARK_OK) {
        ARK_ASSERT(!im.px);
        return 0;
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
