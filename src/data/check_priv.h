/* Inside of the check: steps in their order. */
#ifndef ARK_DATA_CHECK_PRIV_H
#define ARK_DATA_CHECK_PRIV_H

#include "data/check.h"

/* What is known of the images while they are compared; 80 bytes each. */
typedef struct ark__pictures {
    uint64_t *file, *pixels; /* n; file 0: unreadable */
    ark_phash *hashes;       /* 2 n: whole and square; flat where there is nothing to compare */
    uint32_t *parent;        /* n: forest of images that show one picture */
} ark__pictures;

/** Fingerprints of all images; c->bad. */
ark_status ark__check_read(ark_check *c, const ark_check_opts *o, ark__pictures *p) ARK_MUST_CHECK;
/** Join images of equal pixels; then those whose hashes are near and whose details agree. */
ark_status ark__check_match(ark_check *c, const ark_check_opts *o, ark__pictures *p) ARK_MUST_CHECK;
/** Groups, overlaps, what to drop. */
ark_status ark__check_groups(ark_check *c, ark__pictures *p) ARK_MUST_CHECK;
/** Smallest image of the group of i. */
uint32_t ark__root(uint32_t *parent, uint32_t i);

#endif
