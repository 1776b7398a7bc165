/* A pack from memory: LMDB pages, the records in them, datasets and images. Checksums are set right first
 * where the pages can be walked, so that what stands behind them is reached. */
#include "base/alloc.h"
#include "base/err.h"
#include "data/dataset_priv.h"
#include "data/pack_priv.h"
#include "fuzz.h"

#include <string.h>

static ark_status seal(void *arg, const ark_mdb_item *item) {
    (void)arg;
    char key[512];
    memcpy(key, item->key, item->key_len);
    if (item->len >= ARK__PACK_CRC) {
        ark__pack_seal(key, item->key_len, (void *)(uintptr_t)item->value, item->len);
    }
    return ARK_OK;
}

static void use(ark_pack *p) {
    ark_datasets *all;
    if (ark__pack_read_datasets(p, NULL, 0, &all) != ARK_OK) {
        return;
    }
    ark_image_limits limits = {.max_side = 4096, .max_pixels = 1 << 20, .max_file_bytes = 1 << 20};
    for (size_t i = 0; i < all->n; i++) {
        const ark_dataset *d = &all->items[i];
        for (size_t s = 0; s < d->n; s++) {
            ark_image im;
            bool owned;
            ARK_ASSERT(d->patient[s] < d->n && d->split[s] < ARK_SPLIT_COUNT);
            if (ark_dataset_image(d, s, &limits, &im, &owned) == ARK_OK) {
                unsigned sum = 0;
                for (size_t k = 0; k < (size_t)im.width * (size_t)im.height; k++) {
                    sum += im.px8[k];
                }
                ARK_ASSERT(im.depth == 8 && sum <= 255u * (unsigned)im.width * (unsigned)im.height);
                if (owned) {
                    ark_image_free(&im);
                }
            }
        }
    }
    ark_datasets_free(all);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    ark_mdb *m;
    ark_pack *p;
    unsigned char *copy = ark_malloc(n);
    ARK_ASSERT(copy);
    if (n) {
        memcpy(copy, bytes, n);
    }
    if (ark_mdb_parse(copy, n, "fuzz", &m) == ARK_OK) {
        ark_status st = ark_mdb_check_free(m);
        st = st ? st : ark_mdb_walk(m, seal, NULL);
        if (st != ARK_OK) {
            ark_mdb_close(m);
        } else if (ark__pack_adopt(m, "fuzz", &p) == ARK_OK) {
            use(p);
            ark_pack_unref(p);
        }
    }
    ark_free(copy);
    return 0;
}
