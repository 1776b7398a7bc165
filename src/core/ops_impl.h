/* What constructors of ops share: messages about shapes, and appending a node with its output. */
#ifndef ARK_CORE_OPS_IMPL_H
#define ARK_CORE_OPS_IMPL_H

#include "base/err.h"
#include "core/plan_impl.h"

#include <stdio.h>
#include <string.h>

/* "(16,56,56,96) f32" for messages. */
static inline const char *describe(const ark_tensor *t, char *buf, size_t cap) {
    size_t n = 0;
    for (int i = 0; i < t->ndim && n < cap; i++) {
        n += (size_t)snprintf(buf + n, cap - n, "%s%lld", i ? "," : "(", (long long)t->dims[i]);
    }
    if (n < cap) {
        snprintf(buf + n, cap - n, ") %s", ark_dtype_name(t->dtype));
    }
    return buf;
}

static inline ark_tensor *misfit(
    ark_plan *p, ark_op op, const char *rule, const ark_tensor *a, const ark_tensor *b) {
    char sa[80] = "none", sb[80] = "none";
    return ark_plan_poison(
        p, ARK_ERR(ARK_ESHAPE, "%s%s%s: %s; got %s and %s", p->label, p->label[0] ? "." : "", ark_op_name(op),
               rule, a ? describe(a, sa, sizeof sa) : sa, b ? describe(b, sb, sizeof sb) : sb));
}

static inline bool poisoned(const ark_plan *p, const ark_tensor *a) {
    return p->first_error != ARK_OK || !a || a == &p->poison;
}

static inline bool is_vector(const ark_tensor *t, int64_t n) {
    return t->ndim == 1 && t->dims[0] == n && t->dtype == ARK_F32;
}

static inline bool same_shape(const ark_tensor *a, const ark_tensor *b) {
    return a->ndim == b->ndim && !memcmp(a->dims, b->dims, (size_t)a->ndim * sizeof a->dims[0]);
}

/* Append the node and its output; nograd_in: inputs that never get a gradient (targets, masks). */
static inline ark_tensor *emit(ark_plan *p, ark_op op, int n_in, ark_tensor *const *in, unsigned nograd_in,
    ark_dtype dt, int ndim, const int64_t *dims) {
    ark_node *n = ark__plan_append(p, op, n_in, in, nograd_in);
    ark_tensor *out = n ? ark__plan_tensor(p, ARK_T_ACT, dt, ndim, dims) : NULL;
    if (!out) {
        return &p->poison;
    }
    n->out = out;
    out->producer = n->id;
    for (int i = 0; i < n_in; i++) {
        out->needs_grad |= n->want_grad[i];
    }
    return out;
}

static inline ark_node *last_node(ark_plan *p) {
    return p->nodes[p->n_nodes - 1];
}

/* A statistic that the node keeps for its backward. */
static inline ark_tensor *save(ark_plan *p, int slot, ark_dtype dt, int ndim, const int64_t *dims) {
    ark_tensor *t = ark__plan_tensor(p, ARK_T_ACT, dt, ndim, dims);
    if (t) {
        t->producer = p->n_nodes - 1;
        last_node(p)->saved[slot] = t;
    }
    return t;
}

#endif
