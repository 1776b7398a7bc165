/* Between pack_write.c (order of work, transactions) and pack_image.c (one image, on any thread). */
#ifndef ARK_DATA_PACK_WRITE_H
#define ARK_DATA_PACK_WRITE_H

#include "data/pack_priv.h"

/* What a thread needs to make records. */
typedef struct ark__packer {
    const ark_pack_opts *opts;
    ark_resizer *resizer;
    uint8_t *plane; /* (side,side) */
} ark__packer;
ark_status ark__packer_init(ark__packer *p, const ark_pack_opts *opts) ARK_MUST_CHECK;
void ark__packer_deinit(ark__packer *p);

/** Value of the record of a sample's image, its checksum left open. An unreadable image is a failure, or with
 * skip_bad a record of its reason (*bad). */
ark_status ark__pack_image_record(
    ark__packer *p, const ark_dataset *d, size_t sample, ark_buf *b, bool *bad) ARK_MUST_CHECK;

#endif
