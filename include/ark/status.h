/* Status codes and the thread-local error message.
 *
 * Every fallible function of the library returns an ark_status that must be checked; results leave
 * through pointers and are untouched on failure. The detail (file, name, both numbers) is written by the
 * innermost function into a thread-local buffer that ark_err_msg() reads. The library never prints. */
#ifndef ARK_STATUS_H
#define ARK_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

/* One list feeds the enum, the names and the messages. */
#define ARK_STATUS_LIST(X)                                                                                   \
    X(OK, "ok")                                                                                              \
    X(ENOMEM, "out of memory")                                                                               \
    X(EINVAL, "invalid argument or configuration")                                                           \
    X(ESHAPE, "shapes do not fit")                                                                           \
    X(EFORMAT, "malformed file")                                                                             \
    X(EIO, "input/output error")                                                                             \
    X(EDEVICE, "device error")                                                                               \
    X(ECOMM, "communication error")                                                                          \
    X(ENOTBUILT, "not built into this binary")                                                               \
    X(EINTERRUPTED, "interrupted")

typedef enum ark_status {
#define ARK_STATUS_ENUM(name, text) ARK_##name,
    ARK_STATUS_LIST(ARK_STATUS_ENUM)
#undef ARK_STATUS_ENUM
        ARK_STATUS_COUNT
} ark_status;

#if defined(__GNUC__) || defined(__clang__)
#define ARK_MUST_CHECK __attribute__((warn_unused_result))
#define ARK_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define ARK_MUST_CHECK
#define ARK_PRINTF(fmt, args)
#endif

/** Short name of a code, "EFORMAT"; "?" for a value outside the list. Static storage. */
const char *ark_status_name(ark_status st);

/** General meaning of a code, "malformed file". Static storage. */
const char *ark_status_text(ark_status st);

/** Detail of the last failure on this thread, one line without a newline, at most 1023 bytes. Never NULL;
 *  empty before the first failure. Owned by the library, valid until this thread's next failing call. */
const char *ark_err_msg(void);

#ifdef __cplusplus
}
#endif
#endif
