/* Open from memory; when that succeeds, everything the header promises can be read. */
#include "base/alloc.h"
#include "base/err.h"
#include "fuzz.h"
#include "io/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    ark_st_file *f = NULL;
    if (ark_st_open_memory(bytes, n, "fuzz", &f) != ARK_OK) {
        ARK_ASSERT(!f);
        return 0;
    }
    size_t covered = 0;
    for (size_t i = 0; i < ark_st_count(f); i++) {
        const ark_st_tensor *t = ark_st_at(f, i);
        ARK_ASSERT(ark_st_find(f, t->name) == t);
        float *values = ark_malloc((size_t)t->numel * sizeof *values);
        ARK_ASSERT(values);
        ARK_ASSERT(ark_st_read_f32(t, values) == (t->dtype == ARK_ST_BOOL ? ARK_EFORMAT : ARK_OK));
        ark_free(values);
        covered += t->bytes;
    }
    ARK_ASSERT(covered <= n);
    for (size_t i = 0; i < ark_st_meta_count(f); i++) {
        const char *key, *value;
        ark_st_meta_at(f, i, &key, &value);
        ARK_ASSERT(ark_st_meta(f, key) == value);
    }
    ark_st_close(f);
    return 0;
}
