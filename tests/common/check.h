/* Failing with a message, and comparing arrays of numbers. */
#ifndef ARK_TESTS_COMMON_CHECK_H
#define ARK_TESTS_COMMON_CHECK_H

#include "ark/status.h"

#include <stdbool.h>
#include <stdint.h>

/* Fail the running cmocka test with a formatted message. */
_Noreturn void fail_with(const char *fmt, ...) ARK_PRINTF(1, 2);

#define require(cond, ...) ((cond) ? (void)0 : fail_with(__VA_ARGS__))

/* The call succeeds, or the test fails with the library's message. */
#define must(call) must_at((call), #call, __FILE__, __LINE__)
void must_at(ark_status st, const char *call, const char *file, int line);

/* |got - want| is measured against max(|want|, rms of want's row, floor * rms of all of want): rounding of a
 * sum is proportional to its terms, not to its value, and the row says how large these are. Differences up to
 * `tiny` count as none: where the exact value is zero, float64 leaves 1e-16. */
typedef struct tolerance {
    double rel, floor, tiny;
} tolerance;

/* Largest error in that measure; NaN and infinities must agree. *where: index of the worst element. */
double worst_error(
    const float *got, const double *want, int64_t n, int64_t row, tolerance tol, int64_t *where);

/* Fails naming `what`, the element and both values when worst_error exceeds tol.rel; returns the error. */
double check_close(
    const float *got, const double *want, int64_t n, int64_t row, tolerance tol, const char *what);

/* Widen for the functions above; the caller frees with ark_free. */
double *widen(const float *v, int64_t n);

#endif
