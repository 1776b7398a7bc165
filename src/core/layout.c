/* Where every activation lives: gradient flow, lifetimes, then offsets by first fit over the time line.
 *
 * The time line of a plan with n nodes: forward of node i at time i, backward of node i at 2n-1-i. Inputs
 * exist from -1 (the caller writes them before the run), outputs until 2n (the caller reads them after it).
 */
#include "base/alloc.h"
#include "base/err.h"
#include "base/mathsafe.h"
#include "core/plan_impl.h"

#include <stdlib.h>
#include <string.h>

enum { NEVER = -2 };

size_t ark__tensor_bytes(const ark_tensor *t) {
    return (size_t)ark_numel(t) * ark_dtype_bytes(t->dtype);
}

static int bwd_time(const ark_plan *p, int node) {
    return 2 * p->n_nodes - 1 - node;
}

static void extend(int *first, int *last, int time) {
    if (*first == NEVER || time < *first) {
        *first = time;
    }
    if (time > *last) {
        *last = time;
    }
}

/* Walk back from the outputs: a node runs backward only when something downstream seeds or writes its
 * output's gradient. The first writer in backward order (the last consumer) sets, later ones add; a seeded
 * output is written before any consumer. */
static ark_status flow_gradients(ark_plan *p) {
    bool *written;
    ARK_TRY(ARK_NEW(&written, (size_t)p->n_tensors + 1, "gradient flow"));
    for (int i = 0; i < p->n_tensors; i++) {
        written[i] = p->mode == ARK_PLAN_TRAIN && p->tensors[i]->is_output && p->tensors[i]->needs_grad;
    }
    for (int i = p->n_nodes - 1; i >= 0; i--) {
        ark_node *n = p->nodes[i];
        bool active = written[n->out->id];
        for (int k = 0; k < n->n_in; k++) {
            ark_tensor *t = n->in[k];
            n->want_grad[k] = n->want_grad[k] && active;
            if (n->want_grad[k]) {
                n->acc[k] = t->kind == ARK_T_PARAM || written[t->id];
                written[t->id] = true;
            }
        }
        n->out->needs_grad = active;
    }
    ark_free(written);
    return ARK_OK;
}

static bool runs_backward(const ark_node *n) {
    for (int k = 0; k < n->n_in; k++) {
        if (n->want_grad[k]) {
            return true;
        }
    }
    return false;
}

static void node_lifetimes(ark_plan *p, ark_node *n) {
    const ark_opdef *def = &ark__opdefs[n->op];
    bool back = runs_backward(n);
    int tb = bwd_time(p, n->id);
    extend(&n->out->first_use, &n->out->last_use, n->id);
    for (int k = 0; k < n->n_in; k++) {
        ark_tensor *t = n->in[k];
        if (!t || t->kind == ARK_T_PARAM) {
            continue;
        }
        extend(&t->first_use, &t->last_use, n->id);
        if (back && def->bwd_reads_in >> k & 1u) {
            extend(&t->first_use, &t->last_use, tb);
        }
        if (n->want_grad[k]) {
            extend(&t->grad_first_use, &t->grad_last_use, tb);
        }
    }
    for (int k = 0; k < ARK_MAX_SAVED; k++) {
        if (n->saved[k]) {
            extend(&n->saved[k]->first_use, &n->saved[k]->last_use, n->id);
            if (back) {
                extend(&n->saved[k]->first_use, &n->saved[k]->last_use, tb);
            }
        }
    }
    if (back) {
        extend(&n->out->grad_first_use, &n->out->grad_last_use, tb);
        if (def->bwd_reads_out(n)) {
            extend(&n->out->first_use, &n->out->last_use, tb);
        }
    }
}

static void lifetimes(ark_plan *p) {
    int end = 2 * p->n_nodes;
    for (int i = 0; i < p->n_tensors; i++) {
        ark_tensor *t = p->tensors[i];
        t->first_use = t->grad_first_use = NEVER;
        t->last_use = t->grad_last_use = NEVER;
    }
    for (int i = 0; i < p->n_nodes; i++) {
        if (!runs_backward(
                p->nodes[i])) { /* nobody will read the statistics: the kernel need not write them */
            memset(p->nodes[i]->saved, 0, sizeof p->nodes[i]->saved);
        }
        node_lifetimes(p, p->nodes[i]);
    }
    for (int i = 0; i < p->n_tensors; i++) {
        ark_tensor *t = p->tensors[i];
        if (t->kind == ARK_T_INPUT) {
            extend(&t->first_use, &t->last_use, -1);
            if (t->grad_first_use != NEVER) {
                extend(&t->grad_first_use, &t->grad_last_use, end); /* the caller reads it */
            }
        }
        if (t->is_output && t->kind != ARK_T_PARAM) {
            extend(&t->first_use, &t->last_use, end);
            if (p->mode == ARK_PLAN_TRAIN && t->needs_grad) {
                extend(&t->grad_first_use, &t->grad_last_use, p->n_nodes); /* seeded before backward starts */
            }
        }
    }
}

/* One block to place: a tensor or its gradient. */
typedef struct block {
    ark_tensor *t;
    bool grad;
    int first, last;
    size_t bytes, offset;
} block;

/* Largest first, ties in recording order: big blocks decide the arena, small ones fill its holes. */
static int by_size(const void *a, const void *b) {
    const block *x = a, *y = b;
    if (x->bytes != y->bytes) {
        return x->bytes < y->bytes ? 1 : -1;
    }
    if (x->t->id != y->t->id) {
        return x->t->id < y->t->id ? -1 : 1;
    }
    return (int)x->grad - (int)y->grad;
}

static int by_offset(const void *a, const void *b) {
    const block *x = *(block *const *)a, *y = *(block *const *)b;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

static int collect(ark_plan *p, block *blocks) {
    int n = 0;
    for (int i = 0; i < p->n_tensors; i++) {
        ark_tensor *t = p->tensors[i];
        size_t bytes = ark_round_up(ark__tensor_bytes(t), ARK_GUARD_BYTES) + ARK_GUARD_BYTES;
        if (t->kind != ARK_T_PARAM && t->first_use != NEVER) {
            blocks[n++] = (block){.t = t, .first = t->first_use, .last = t->last_use, .bytes = bytes};
        }
        if (t->kind != ARK_T_PARAM && t->grad_first_use != NEVER) {
            blocks[n++] = (block){
                .t = t, .grad = true, .first = t->grad_first_use, .last = t->grad_last_use, .bytes = bytes};
        }
    }
    return n;
}

/* First fit: the lowest gap between the already placed blocks that live at the same time. */
static void place(block *blocks, int n, block **live, size_t *total) {
    for (int i = 0; i < n; i++) {
        block *b = &blocks[i];
        int m = 0;
        for (int k = 0; k < i; k++) {
            if (blocks[k].first <= b->last && b->first <= blocks[k].last) {
                live[m++] = &blocks[k];
            }
        }
        qsort(live, (size_t)m, sizeof *live, by_offset);
        size_t at = 0;
        for (int k = 0; k < m && live[k]->offset < at + b->bytes; k++) {
            size_t end = live[k]->offset + live[k]->bytes;
            at = end > at ? end : at;
        }
        b->offset = at;
        *total = at + b->bytes > *total ? at + b->bytes : *total;
    }
}

ark_status ark__plan_layout(ark_plan *p) {
    for (int i = 0; i < p->n_tensors; i++) {
        ark_tensor *t = p->tensors[i];
        if (t->kind == ARK_T_PARAM) {
            t->offset = t->grad_offset = ark_params_at(p->store, t->param)->offset;
        }
    }
    ARK_TRY(flow_gradients(p));
    lifetimes(p);
    block *blocks = ark_calloc(2 * (size_t)p->n_tensors + 1, sizeof *blocks);
    block **live = ark_calloc(2 * (size_t)p->n_tensors + 1, sizeof *live);
    if (!blocks || !live) {
        ark_free(blocks);
        ark_free(live);
        return ARK_ERR(ARK_ENOMEM, "out of memory laying out a plan of %d tensors", p->n_tensors);
    }
    int n = collect(p, blocks);
    qsort(blocks, (size_t)n, sizeof *blocks, by_size);
    p->act_bytes = 0;
    place(blocks, n, live, &p->act_bytes);
    for (int i = 0; i < n; i++) {
        int64_t *offset = blocks[i].grad ? &blocks[i].t->grad_offset : &blocks[i].t->offset;
        *offset = (int64_t)blocks[i].offset;
    }
    ark_free(live);
    ark_free(blocks);
    return ARK_OK;
}
