#include "ops/run.h"

#include "base/alloc.h"
#include "ops/shapes.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

float *op_floats(int64_t n) {
    float *p = ark_calloc((size_t)n, sizeof *p);
    require(p != NULL, "out of memory");
    return p;
}

void op_result_free(op_result *r) {
    ark_free(r->out);
    for (int k = 0; k < ARK_MAX_IN; k++) {
        ark_free(r->grad[k]);
    }
    *r = (op_result){0};
}

static bool has_grad(const op_case *c, const op_setup *s, int k) {
    const op_spec *spec = &op_specs[c->op];
    return c->ndim[k] > 0 && (spec->grads >> k & 1u) && !(s->params_only && !(spec->params >> k & 1u));
}

void op_read_grads(op_session *s, const op_case *c, const op_setup *setup, op_result *out) {
    for (int k = 0; k < ARK_MAX_IN; k++) {
        if (has_grad(c, setup, k)) {
            out->n[k] = op_case_numel(c, k);
            out->grad[k] = op_floats(out->n[k]);
            op_session_grad(s, k, out->grad[k]);
        }
    }
}

/* Forward and, unless setup says infer, backward. False: not built. */
bool op_run(const op_case *c, const op_setup *setup, op_result *out) {
    *out = (op_result){0};
    op_session *s = op_session_open(c, setup);
    if (s == NULL) {
        return false;
    }
    out->out_n = op_session_out_numel(s);
    out->out_row = op_session_out_row(s);
    out->out = op_floats(out->out_n);
    op_session_forward(s, out->out);
    if (!setup->infer) {
        float *r = op_floats(out->out_n);
        op_case_seed(c, r, out->out_n);
        op_session_backward(s, r);
        op_read_grads(s, c, setup, out);
        ark_free(r);
    }
    op_session_check(s);
    op_session_close(s);
    return true;
}

void op_expect_same(
    const char *what, const op_case *c, const op_setup *s, const op_result *a, const op_result *b) {
    require(a->out_n == b->out_n && memcmp(a->out, b->out, (size_t)a->out_n * sizeof *a->out) == 0,
        "%s %s %s (%s): output differs, %s", s->backend, ark_op_name(c->op), c->name, s->types.name, what);
    for (int k = 0; k < ARK_MAX_IN; k++) {
        require(a->grad[k] == NULL || b->grad[k] == NULL ||
                    memcmp(a->grad[k], b->grad[k], (size_t)a->n[k] * sizeof *a->grad[k]) == 0,
            "%s %s %s (%s): gradient of input %d differs, %s", s->backend, ark_op_name(c->op), c->name,
            s->types.name, k, what);
    }
}

double op_expect_close(const char *what, const op_case *c, const op_setup *s, const op_result *got,
    const op_result *want, tolerance tol) {
    char label[256];
    snprintf(label, sizeof label, "%s %s %s (%s) %s: output", s->backend, ark_op_name(c->op), c->name,
        s->types.name, what);
    double *w = widen(want->out, want->out_n);
    double worst = check_close(got->out, w, got->out_n, got->out_row, tol, label);
    ark_free(w);
    for (int k = 0; k < ARK_MAX_IN; k++) {
        if (got->grad[k] != NULL && want->grad[k] != NULL) {
            snprintf(label, sizeof label, "%s %s %s (%s) %s: gradient of input %d", s->backend,
                ark_op_name(c->op), c->name, s->types.name, what, k);
            w = widen(want->grad[k], want->n[k]);
            int64_t row = c->dims[k][c->ndim[k] - 1];
            worst = fmax(worst, check_close(got->grad[k], w, got->n[k], row, tol, label));
            ark_free(w);
        }
    }
    return worst;
}

/* Golden cases and, when asked, those of shapes.h. */
void op_load_cases(ark_op op, bool shapes, op_case **cases, int *n) {
    op_golden_load(op, cases, n);
    if (!shapes) {
        return;
    }
    *cases = ark_realloc(*cases, (size_t)(*n + N_OP_SHAPES) * sizeof **cases);
    require(*cases != NULL, "out of memory");
    for (int i = 0; i < N_OP_SHAPES; i++) {
        const op_shape *s = &op_shapes[i];
        if (s->op != op) {
            continue;
        }
        op_case *c = &(*cases)[(*n)++];
        *c = (op_case){.op = op};
        snprintf(c->name, sizeof c->name, "%s", s->name);
        memcpy(c->attr, s->attr, sizeof c->attr);
        for (int k = 0; k < ARK_MAX_IN; k++) {
            memcpy(c->dims[k], s->dims[k], sizeof c->dims[k]);
            while (c->ndim[k] < ARK_MAX_DIMS && c->dims[k][c->ndim[k]] > 0) {
                c->ndim[k]++;
            }
        }
        op_case_fill(c, (uint64_t)i);
    }
}
