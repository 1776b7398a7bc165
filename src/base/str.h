/* Strings: a growable buffer with a hard limit, strict number parsing, nearest-word search. */
#ifndef ARK_BASE_STR_H
#define ARK_BASE_STR_H

#include "ark/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Growable byte buffer. `limit` must be set; data is always NUL-terminated when non-NULL.
 * A failed append (ARK_ENOMEM, or ARK_EFORMAT past the limit) leaves the content as it was. */
typedef struct ark_buf {
    char *data;
    size_t len, cap, limit;
} ark_buf;

void ark_buf_init(ark_buf *b, size_t limit);
void ark_buf_free(ark_buf *b);
ark_status ark_buf_add(ark_buf *b, const void *bytes, size_t n) ARK_MUST_CHECK;
ark_status ark_buf_adds(ark_buf *b, const char *s) ARK_MUST_CHECK;
ark_status ark_buf_addf(ark_buf *b, const char *fmt, ...) ARK_PRINTF(2, 3) ARK_MUST_CHECK;

/** Whole-string decimal parse: no blanks around, no trailing text, no overflow. true on success. */
bool ark_parse_i64(const char *s, int64_t *out);
/** As above for a finite double; inf and nan are refused. Independent of the locale. */
bool ark_parse_f64(const char *s, double *out);
/** yes/no, true/false, on/off, 1/0. */
bool ark_parse_bool(const char *s, bool *out);

/** The word of words[0..n) closest to `word` by edit distance, or NULL when none is near
 *  (distance > 1 + length/3). For "did you mean". The result is one of the words. */
const char *ark_nearest(const char *word, const char *const *words, size_t n);

/** dir + "/" + name, or name alone when it is absolute; ark_free the result. NULL when out of memory. */
char *ark_path_join(const char *dir, const char *name);
/** Folder part of a path ("." when there is none); ark_free the result. */
char *ark_path_dir(const char *path);
/** The part after the last '/'. Points into path. */
const char *ark_path_base(const char *path);

#endif
