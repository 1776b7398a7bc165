#include "base/err.h"
#include "fuzz.h"
#include "io/npy.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    ark_npy a = {0};
    if (ark_npy_parse(bytes, n, "fuzz", &a) == ARK_OK) {
        int64_t numel = 1;
        for (int i = 0; i < a.ndim; i++) {
            numel *= a.shape[i];
        }
        ARK_ASSERT(numel == a.numel && (size_t)numel <= n);
    }
    ark_npy_free(&a);
    return 0;
}
