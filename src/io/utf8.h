/* UTF-8 as RFC 3629 defines it. */
#ifndef ARK_IO_UTF8_H
#define ARK_IO_UTF8_H

#include <stddef.h>

/** Bytes before the first one that does not belong to a valid sequence (overlong forms, surrogates and values
 * over U+10FFFF are invalid); n when all are valid. */
size_t ark_utf8_valid(const void *bytes, size_t n);

/** Encode a code point that is not a surrogate and at most U+10FFFF; returns 1 to 4 bytes. */
size_t ark_utf8_put(unsigned code, char out[4]);

#endif
