/* A .pth from memory; when it opens, everything that is listed can be read. */
#include "base/alloc.h"
#include "base/err.h"
#include "fuzz.h"
#include "io/torch_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    ark_pth_file *f = NULL;
    if (!ark_pth_is(bytes, n)) {
        return 0;
    }
    if (ark_pth_open_memory(bytes, n, "fuzz", NULL, &f) != ARK_OK) {
        ARK_ASSERT(!f);
        return 0;
    }
    size_t listed = 0;
    for (size_t i = 0; i < ark_pth_count(f); i++) {
        const ark_st_tensor *t = ark_pth_at(f, i);
        ARK_ASSERT(ark_pth_find(f, t->name) == t);
        float *values = ark_malloc((size_t)t->numel * sizeof *values);
        char *raw = ark_malloc(t->bytes);
        ARK_ASSERT(values && raw);
        ARK_ASSERT(ark_st_read_f32(t, values) == (t->dtype == ARK_ST_BOOL ? ARK_EFORMAT : ARK_OK));
        ark_st_read_raw(t, raw);
        ark_free(values);
        ark_free(raw);
        listed += t->bytes;
    }
    ARK_ASSERT(listed <= 16 * n);
    for (size_t i = 0; i < ark_pth_item_count(f); i++) {
        ARK_ASSERT(ark_pth_item_at(f, i)->key && ark_pth_item_at(f, i)->text);
    }
    for (size_t i = 0; i < ark_pth_meta_count(f); i++) {
        const char *key, *value;
        ark_pth_meta_at(f, i, &key, &value);
        ARK_ASSERT(key && value);
    }
    ark_pth_close(f);
    return 0;
}
