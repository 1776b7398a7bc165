/* Shared by the tests of src/io: cmocka, temporary files, and a check of an error's code and message. */
#ifndef IO_CHECK_H
#define IO_CHECK_H

#include "ark/status.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The call fails with this code, and its message holds every given text. */
#define check_error(call, code, ...)                                                                         \
    check_error_((call), (code), (const char *const[]){__VA_ARGS__, NULL}, __LINE__)

static inline void check_error_(ark_status got, ark_status code, const char *const *texts, int line) {
    if (got != code) {
        fail_msg("line %d: got %s (%s), expected %s", line, ark_status_name(got), ark_err_msg(),
            ark_status_name(code));
    }
    for (; *texts; texts++) {
        if (!strstr(ark_err_msg(), *texts)) {
            fail_msg("line %d: message \"%s\" does not hold \"%s\"", line, ark_err_msg(), *texts);
        }
    }
}

/* The call succeeds. */
#define check_ok(call) check_ok_((call), __LINE__)

static inline void check_ok_(ark_status got, int line) {
    if (got != ARK_OK) {
        fail_msg("line %d: %s: %s", line, ark_status_name(got), ark_err_msg());
    }
}

/* A name in the temporary folder that belongs to this process; valid until the next call. */
static inline const char *temp_name(const char *suffix) {
    static char name[256];
    const char *dir = getenv("TMPDIR");
    snprintf(name, sizeof name, "%s/ark-io-%ld-%s", dir ? dir : "/tmp", (long)getpid(), suffix);
    return name;
}

#endif
