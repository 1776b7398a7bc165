/* Allocation: one door for the whole library, so that tests can count, limit and fail allocations.
 *
 * Thread-safe. Every pointer from here goes back through ark_free. */
#ifndef ARK_BASE_ALLOC_H
#define ARK_BASE_ALLOC_H

#include "ark/status.h"

#include <stddef.h>
#include <stdint.h>

enum { ARK_ALIGN = 256 }; /* bytes; planned tensors and parameters start on this boundary */

/** bytes of memory, uninitialised; bytes = 0 gives a valid unique pointer. NULL when there is none. */
void *ark_malloc(size_t bytes);
/** count * size zeroed bytes, the product checked. */
void *ark_calloc(size_t count, size_t size);
/** As realloc; on NULL the old block is still the caller's. */
void *ark_realloc(void *p, size_t bytes);
/** Aligned to ARK_ALIGN. Goes back through ark_free like the others. */
void *ark_malloc_aligned(size_t bytes);
void ark_free(void *p);
char *ark_strdup(const char *s);
char *ark_strndup(const char *s, size_t n);

/** As ark_calloc, but with an error that names what was wanted: ARK_ENOMEM. */
ark_status ark__new(void *out, size_t count, size_t size, const char *what) ARK_MUST_CHECK;
#define ARK_NEW(out, count, what) ark__new((out), (count), sizeof **(out), (what))

typedef struct ark_alloc_stats {
    uint64_t calls; /* allocations since the start (reallocations included) */
    uint64_t live_bytes;
    uint64_t peak_bytes;
} ark_alloc_stats;

ark_alloc_stats ark_alloc_get_stats(void);

/** Forget the peak: it starts again from the bytes live now, which are returned. */
uint64_t ark_alloc_reset_peak(void);

/** Test hook: the nth allocation from now fails (1 = the next), and so do all after it; 0 turns it off. */
void ark_alloc_fail_after(uint64_t nth);

#endif
