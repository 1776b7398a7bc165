/* A set of strings that numbers them in the order of arrival. */
#ifndef ARK_DATA_STRSET_H
#define ARK_DATA_STRSET_H

#include "ark/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed is empty. Hashes are keyed per process, so a crafted list cannot make it slow; ids depend on the
 * order of arrival alone. */
typedef struct ark__strset {
    char *text; /* all strings, NUL-terminated */
    size_t text_len, text_cap;
    struct ark__strset_item {
        uint64_t hash;
        size_t at; /* in text */
    } * items;
    uint32_t n, cap;
    uint32_t *slots; /* open addressing, id + 1; 0 = free */
    size_t n_slots;  /* a power of two, at least 2 n */
    uint64_t key;
} ark__strset;

/** Number of s, added (copied) when it is not there yet. ARK_ENOMEM, or ARK_EFORMAT past 2^31 strings. */
ark_status ark__strset_add(ark__strset *set, const char *s, uint32_t *id) ARK_MUST_CHECK;
bool ark__strset_has(const ark__strset *set, const char *s);
/** Number of s, or UINT32_MAX when it is not there. */
uint32_t ark__strset_find(const ark__strset *set, const char *s);
/** String by number; valid until the next add. */
const char *ark__strset_at(const ark__strset *set, uint32_t id);
void ark__strset_free(ark__strset *set);

#endif
