/* How library code raises errors. See include/ark/status.h for the contract. */
#ifndef ARK_BASE_ERR_H
#define ARK_BASE_ERR_H

#include "ark/status.h"

/* Set this thread's message and return the code: return ARK_ERR(ARK_EFORMAT, "%s: ...", path);
 * The value is the code itself, so that the compiler sees a constant failure. */
#define ARK_ERR(code, ...) ((void)ark__err((code), __VA_ARGS__), (code))

/* Pass a failure on. Only where nothing is held that must be released; otherwise use a goto ladder. */
#define ARK_TRY(call)                                                                                        \
    do {                                                                                                     \
        ark_status ark_try_st_ = (call);                                                                     \
        if (ark_try_st_ != ARK_OK) {                                                                         \
            return ark_try_st_;                                                                              \
        }                                                                                                    \
    } while (0)

/* A programmer's error, alive in release builds; never used on values that come from outside. */
#define ARK_ASSERT(cond) ((cond) ? (void)0 : ark__assert_fail(#cond, __FILE__, __LINE__))

/** Format the message (truncated to 1023 bytes, control characters replaced) and return code. */
ark_status ark__err(ark_status code, const char *fmt, ...) ARK_PRINTF(2, 3);

/** Put "prefix: " before the current message, for callers that know more, and return code unchanged. */
ark_status ark__err_prefix(ark_status code, const char *fmt, ...) ARK_PRINTF(2, 3);

/** Copy a message taken on another thread (a worker's) into this thread's buffer. */
ark_status ark__err_copy(ark_status code, const char *msg);

_Noreturn void ark__assert_fail(const char *cond, const char *file, int line);

#endif
