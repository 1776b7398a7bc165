/* Decode under small limits with each kind of window, and use what is known about the image. */
#include "base/err.h"
#include "fuzz.h"
#include "io/dicom.h"

#include <string.h>

/* GDCM keeps a hundred bytes of each damaged JPEG 2000 stream; nothing of ours is excused. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) {
    return "leak:libopenjp2";
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    ark_image_limits limits = {.max_side = 2000, .max_pixels = 1 << 18, .max_file_bytes = 1 << 20};
    ark_dicom *d;
    if (!ark_dicom_is(bytes, n) || ark_dicom_open(bytes, n, "fuzz", &limits, &d) != ARK_OK) {
        return 0;
    }
    static const ark_window windows[] = {{ARK_WINDOW_AUTO, 0, 0}, {ARK_WINDOW_FULL, 0, 0},
        {ARK_WINDOW_DATA, 0, 0}, {ARK_WINDOW_FIXED, 100, 200}};
    for (size_t i = 0; i < sizeof windows / sizeof *windows; i++) {
        ark_image im = {0};
        ark_image_info info;
        if (ark_dicom_grey(d, &windows[i], &info, &im) != ARK_OK) {
            ARK_ASSERT(!im.px);
            break;
        }
        ARK_ASSERT(im.depth == 8 && im.width == info.width && im.height == info.height);
        unsigned sum = 0;
        for (int p = 0; p < im.width * im.height; p++) {
            sum += im.px8[p];
        }
        ARK_ASSERT(sum <= 255u * (unsigned)(im.width * im.height) && strlen(info.view_position) < 33);
        ark_image_free(&im);
    }
    ark_dicom_free(d);
    return 0;
}
