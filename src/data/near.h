/* All pairs of hashes within a few bits of each other, without comparing all pairs.
 *
 * Multi-index hashing (Norouzi, Punjani and Fleet, 2012): of 256 bits in 16 keys of 16, two hashes within
 * r bits agree in one key up to r/16 bits. For each key the hashes are put into 65536 buckets, and only those
 * of equal or neighbouring buckets are compared. Nothing within the radius is missed. */
#ifndef ARK_DATA_NEAR_H
#define ARK_DATA_NEAR_H

#include "data/phash.h"

enum { ARK_NEAR_MAX = 47 }; /* largest radius: neighbours of two bits */

typedef struct ark_near_pair {
    uint32_t a, b;     /* a < b */
    uint16_t distance; /* bits */
    uint16_t turn;     /* the caller's; 0 */
} ark_near_pair;

/** Pairs within `radius` (0..ARK_NEAR_MAX) bits after the bits of `turn` are inverted in one of the two
 * (NULL: none; a mirrored or negative image has others), sorted by (a,b); flat hashes are in none. More than
 * `limit` pairs: *complete is false and only some come back, the same ones for any number of threads. Memory:
 * 4 bytes a hash and 12 a pair. ark_free(*out). */
ark_status ark_near_pairs(const ark_phash *hashes, size_t n, int radius, const ark_phash *turn, size_t limit,
    int threads, ark_near_pair **out, size_t *n_out, bool *complete) ARK_MUST_CHECK;

#endif
