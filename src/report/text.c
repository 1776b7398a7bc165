#include "report/text.h"

#include "base/err.h"
#include "io/utf8.h"

#include <string.h>

static const char *replacement(char c, ark_quoting quoting) {
    if ((unsigned char)c < 0x20 || c == 0x7f) {
        return " ";
    }
    if (quoting == ARK_QUOTE_GNUPLOT) {
        return c == '\'' ? "''" : NULL;
    }
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return NULL;
    }
}

ark_status ark_text_put(ark_buf *b, const char *s, ark_quoting quoting) {
    size_t n = strlen(s), i = 0;
    while (i < n) {
        size_t valid = i + ark_utf8_valid(s + i, n - i), from = i;
        for (; i < valid; i++) {
            const char *r = replacement(s[i], quoting);
            if (r) {
                ARK_TRY(ark_buf_add(b, s + from, i - from));
                ARK_TRY(ark_buf_adds(b, r));
                from = i + 1;
            }
        }
        ARK_TRY(ark_buf_add(b, s + from, i - from));
        if (i < n) {
            ARK_TRY(ark_buf_adds(b, "\xef\xbf\xbd"));
            i++;
        }
    }
    return ARK_OK;
}

ark_status ark_base64_put(ark_buf *b, const void *bytes, size_t n) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *p = bytes;
    char out[64];
    size_t used = 0;
    for (size_t i = 0; i < n; i += 3) {
        size_t left = n - i;
        unsigned v =
            (unsigned)p[i] << 16 | (left > 1 ? (unsigned)p[i + 1] << 8 : 0) | (left > 2 ? p[i + 2] : 0u);
        out[used++] = digits[v >> 18];
        out[used++] = digits[v >> 12 & 63];
        out[used++] = left > 1 ? digits[v >> 6 & 63] : '=';
        out[used++] = left > 2 ? digits[v & 63] : '=';
        if (used == sizeof out) {
            ARK_TRY(ark_buf_add(b, out, used));
            used = 0;
        }
    }
    return ark_buf_add(b, out, used);
}
