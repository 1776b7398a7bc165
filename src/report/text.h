/* Text from outside, made safe for the places a report puts it. */
#ifndef ARK_REPORT_TEXT_H
#define ARK_REPORT_TEXT_H

#include "base/str.h"

typedef enum ark_quoting {
    ARK_QUOTE_HTML,    /* element content and quoted attribute values: & < > " ' become references */
    ARK_QUOTE_GNUPLOT, /* inside '...': ' is doubled; nothing else has a meaning there */
} ark_quoting;

/** Append s. Invalid UTF-8 becomes U+FFFD byte by byte, control characters become spaces. */
ark_status ark_text_put(ark_buf *b, const char *s, ark_quoting quoting) ARK_MUST_CHECK;

/** Append n bytes as standard base64 with padding (RFC 4648). */
ark_status ark_base64_put(ark_buf *b, const void *bytes, size_t n) ARK_MUST_CHECK;

#endif
