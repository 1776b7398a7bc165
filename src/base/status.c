#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MSG_BYTES = 1024 };

static _Thread_local char message[MSG_BYTES];

const char *ark_status_name(ark_status st) {
    static const char *const names[] = {
#define NAME(name, text) #name,
        ARK_STATUS_LIST(NAME)
#undef NAME
    };
    return (unsigned)st < ARK_STATUS_COUNT ? names[st] : "?";
}

const char *ark_status_text(ark_status st) {
    static const char *const texts[] = {
#define TEXT(name, text) text,
        ARK_STATUS_LIST(TEXT)
#undef TEXT
    };
    return (unsigned)st < ARK_STATUS_COUNT ? texts[st] : "?";
}

const char *ark_err_msg(void) {
    return message;
}

/* A message may quote bytes of a hostile file: keep it on one line and free of escape sequences. */
static void make_printable(char *s) {
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c < 0x20 || c == 0x7f) {
            *s = ' ';
        }
    }
}

ark_status ark__err(ark_status code, const char *fmt, ...) {
    int saved = errno;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(message, sizeof message, fmt, ap);
    va_end(ap);
    make_printable(message);
    errno = saved;
    return code;
}

ark_status ark__err_prefix(ark_status code, const char *fmt, ...) {
    char old[MSG_BYTES];
    memcpy(old, message, sizeof old);
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(message, sizeof message, fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n < sizeof message &&
        snprintf(message + n, sizeof message - (size_t)n, ": %s", old) < 0) { /* a long message is cut */
        message[n] = '\0';
    }
    make_printable(message);
    return code;
}

ark_status ark__err_copy(ark_status code, const char *msg) {
    snprintf(message, sizeof message, "%s", msg);
    return code;
}

_Noreturn void ark__assert_fail(const char *cond, const char *file, int line) {
    fprintf(stderr, "arkfm: internal error: %s (%s:%d)\n", cond, file, line);
    abort();
}
