/* The part of JSON that a safetensors header uses, read from left to right: punctuation, strings, counts.
 *
 * A tree would let a hostile header of 100 MB take gigabytes; here memory is at most the header's own length.
 */
#ifndef ARK_IO_ST_JSON_H
#define ARK_IO_ST_JSON_H

#include "ark/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ark_stj {
    const char *file;   /* for messages */
    const char *within; /* for messages: the entry being read, or NULL */
    const char *start, *p, *end;
    char *pool; /* strings go here; as long as the text */
    size_t pooled;
} ark_stj;

/** Skip blanks and take c if it comes next. */
bool ark_stj_take(ark_stj *j, char c);
/** As above, but anything else is ARK_EFORMAT with the byte offset. */
ark_status ark_stj_need(ark_stj *j, char c) ARK_MUST_CHECK;
/** A string, unescaped, NUL-terminated, in the pool. \u0000 and lone surrogates are ARK_EFORMAT. */
ark_status ark_stj_string(ark_stj *j, const char **out) ARK_MUST_CHECK;
/** A whole number in [0, INT64_MAX]; what names it in messages. */
ark_status ark_stj_count(ark_stj *j, const char *what, int64_t *out) ARK_MUST_CHECK;
/** Only blanks may follow. */
ark_status ark_stj_finish(ark_stj *j) ARK_MUST_CHECK;

#endif
