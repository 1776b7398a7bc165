#include "base/alloc.h"

#include "base/err.h"
#include "base/mathsafe.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { HUGE_PAGE = 1 << 21, HUGE_FROM = 4 * HUGE_PAGE };

static atomic_uint_fast64_t calls, live, peak;
static atomic_uint_fast64_t fail_at; /* value of `calls` from which allocations fail; 0 = never */

static int must_fail(void) {
    uint_fast64_t n = atomic_fetch_add(&calls, 1) + 1;
    uint_fast64_t at = atomic_load(&fail_at);
    return at != 0 && n >= at;
}

static void *count_in(void *p) {
    if (p) {
        uint_fast64_t now = atomic_fetch_add(&live, malloc_usable_size(p)) + malloc_usable_size(p);
        uint_fast64_t seen = atomic_load(&peak);
        while (now > seen && !atomic_compare_exchange_weak(&peak, &seen, now)) {
        }
    }
    return p;
}

static void count_out(void *p) {
    if (p) {
        atomic_fetch_sub(&live, malloc_usable_size(p));
    }
}

void *ark_malloc(size_t bytes) {
    return must_fail() ? NULL : count_in(malloc(bytes ? bytes : 1));
}

void *ark_calloc(size_t count, size_t size) {
    return must_fail() ? NULL : count_in(calloc(count ? count : 1, size ? size : 1));
}

void *ark_realloc(void *p, size_t bytes) {
    if (must_fail()) {
        return NULL;
    }
    size_t before = p ? malloc_usable_size(p) : 0;
    void *q = realloc(p, bytes ? bytes : 1);
    if (q) {
        atomic_fetch_sub(&live, before);
        count_in(q);
    }
    return q;
}

/* Large blocks ask for huge pages: kernels walk them in strides of a page and more, and a miss in the
 * table of pages costs as much as the arithmetic on a line. A system that declines gives ordinary pages. */
void *ark_malloc_aligned(size_t bytes) {
    size_t align = bytes >= HUGE_FROM ? HUGE_PAGE : ARK_ALIGN, padded;
    if (must_fail() || ark_add(bytes ? bytes : 1, align - 1, &padded)) {
        return NULL;
    }
    void *p = aligned_alloc(align, padded / align * align);
    if (p && align == HUGE_PAGE) {
        (void)madvise(p, padded / align * align, MADV_HUGEPAGE);
    }
    return count_in(p);
}

void ark_free(void *p) {
    count_out(p);
    free(p);
}

char *ark_strndup(const char *s, size_t n) {
    char *copy = ark_malloc(n + 1);
    if (copy) {
        memcpy(copy, s, n);
        copy[n] = '\0';
    }
    return copy;
}

char *ark_strdup(const char *s) {
    return ark_strndup(s, strlen(s));
}

ark_status ark__new(void *out, size_t count, size_t size, const char *what) {
    void *p = ark_calloc(count, size);
    if (!p) {
        return ARK_ERR(ARK_ENOMEM, "out of memory: %zu x %zu bytes for %s", count, size, what);
    }
    memcpy(out, &p, sizeof p);
    return ARK_OK;
}

ark_alloc_stats ark_alloc_get_stats(void) {
    return (ark_alloc_stats){
        .calls = atomic_load(&calls), .live_bytes = atomic_load(&live), .peak_bytes = atomic_load(&peak)};
}

uint64_t ark_alloc_reset_peak(void) {
    uint64_t now = atomic_load(&live);
    atomic_store(&peak, now);
    return now;
}

void ark_alloc_fail_after(uint64_t nth) {
    atomic_store(&fail_at, nth ? atomic_load(&calls) + nth : 0);
}
