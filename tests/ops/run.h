/* One run of an op case, and comparing two. */
#ifndef ARK_TESTS_OPS_RUN_H
#define ARK_TESTS_OPS_RUN_H

#include "common/check.h"
#include "ops/op_case.h"

typedef struct op_result {
    int64_t out_n, out_row, n[ARK_MAX_IN];
    float *out, *grad[ARK_MAX_IN]; /* NULL: no gradient */
} op_result;

void op_result_free(op_result *r);

/* Forward and, unless setup says infer, backward, with guard bytes checked. False: not built. */
bool op_run(const op_case *c, const op_setup *setup, op_result *out);
/* Gradients of an open session into out. */
void op_read_grads(op_session *s, const op_case *c, const op_setup *setup, op_result *out);

/* Output and the gradients that both have are equal, byte for byte; what: between which runs. */
void op_expect_same(
    const char *what, const op_case *c, const op_setup *s, const op_result *a, const op_result *b);
/* The same within tol; returns the largest error. */
double op_expect_close(const char *what, const op_case *c, const op_setup *s, const op_result *got,
    const op_result *want, tolerance tol);

/* Golden cases of an op and, when shapes, those of shapes.h. op_cases_free releases them. */
void op_load_cases(ark_op op, bool shapes, op_case **cases, int *n);

/* Zeros, or the test fails. */
float *op_floats(int64_t n);

#endif
