/* Stands in for the CUDA backend where it is not built: opening it says so. */
#include "backend/backend.h"
#include "base/err.h"

static ark_status not_built(int threads, ark_dev **out) {
    (void)threads;
    (void)out;
    return ARK_ERR(ARK_ENOTBUILT, "the cuda backend is not built into this binary");
}

const ark_backend ark_backend_cuda = {.name = "cuda", .open = not_built};
