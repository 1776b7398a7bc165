#include "base/err.h"
#include "fuzz.h"
#include "io/npz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    ark_npz *z = NULL;
    if (ark_npz_open_memory(bytes, n, "fuzz", &z) != ARK_OK) {
        return 0;
    }
    for (size_t i = 0; i < ark_npz_count(z) && i < 8; i++) {
        ark_npy a = {0};
        if (ark_npz_read(z, ark_npz_name(z, i), &a) == ARK_OK) {
            ARK_ASSERT(a.numel >= 0 && a.ndim <= 8);
        }
        ark_npy_free(&a);
    }
    ark_npz_close(z);
    return 0;
}
