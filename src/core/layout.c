/* Where every activation lives: first fit over the time line. */
#include "base/alloc.h"
#include "base/err.h"
#include "base/mathsafe.h"
#include "core/plan_impl.h"

#include <stdlib.h>
#include <string.h>

size_t ark__tensor_bytes(const ark_tensor *t) {
    return (size_t)ark_numel(t) * ark_dtype_bytes(t->dtype);
}

/* One block to place: a tensor or its gradient. */
typedef struct block {
    ark_tensor *t;
    bool grad;
    ark_lives lives;
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

static void add_block(ark_tensor *t, bool grad, block *blocks, int *n) {
    const ark_lives *lives = grad ? &t->grad_lives : &t->lives;
    if (t->kind != ARK_T_PARAM && lives->n) {
        size_t bytes = ark_round_up(ark__tensor_bytes(t), ARK_GUARD_BYTES) + ARK_GUARD_BYTES;
        blocks[(*n)++] = (block){.t = t, .grad = grad, .lives = *lives, .bytes = bytes};
    }
}

/* The gradient whose memory becomes that of in[0]'s when node n passes it on; NULL: in[0]'s is its own. */
static ark_tensor *passed_on(const ark_node *n) {
    bool same = ark__opdefs[n->op].passes_grad && n->want_grad[0] && !n->acc[0] &&
                n->in[0]->dtype == n->out->dtype && ark_numel(n->in[0]) == ark_numel(n->out);
    return same ? n->out : NULL;
}

/* A chain of gradients that are passed on is one block, that of the first in backward order; heads[id] is
 * that tensor. Its life is theirs together. */
static int collect(ark_plan *p, ark_tensor **heads, block *blocks) {
    int n = 0;
    for (int i = 0; i < p->n_tensors; i++) {
        heads[i] = p->tensors[i];
    }
    for (int i = p->n_nodes - 1; i >= 0; i--) {
        ark_tensor *from = passed_on(p->nodes[i]);
        if (from) {
            heads[p->nodes[i]->in[0]->id] = heads[from->id];
        }
    }
    for (int i = 0; i < p->n_tensors; i++) {
        add_block(p->tensors[i], false, blocks, &n);
        if (heads[i] == p->tensors[i]) {
            add_block(p->tensors[i], true, blocks, &n);
        }
    }
    return n;
}

/* The head of a chain lives until the last of the chain is done. */
static void join_chains(const ark_plan *p, ark_tensor *const *heads, block *blocks, int n) {
    for (int k = 0; k < n; k++) {
        for (int i = 0; i < p->n_tensors && blocks[k].grad; i++) {
            const ark_lives *l = &p->tensors[i]->grad_lives;
            if (heads[i] == blocks[k].t && l->n && l->at[0].last > blocks[k].lives.at[0].last) {
                blocks[k].lives.at[0].last = l->at[0].last;
            }
        }
    }
}

static bool meet(const ark_lives *a, const ark_lives *b) {
    for (int i = 0; i < a->n; i++) {
        for (int k = 0; k < b->n; k++) {
            if (a->at[i].first <= b->at[k].last && b->at[k].first <= a->at[i].last) {
                return true;
            }
        }
    }
    return false;
}

/* First fit: the lowest gap between the already placed blocks that live at the same time. */
static void place(block *blocks, int n, block **live, size_t *total) {
    for (int i = 0; i < n; i++) {
        block *b = &blocks[i];
        int m = 0;
        for (int k = 0; k < i; k++) {
            if (meet(&blocks[k].lives, &b->lives)) {
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
    size_t most = 2 * (size_t)p->n_tensors + 1;
    block *blocks = ark_calloc(most, sizeof *blocks);
    block **live = ark_calloc(most, sizeof *live);
    ark_tensor **heads = ark_calloc(most, sizeof *heads);
    if (!blocks || !live || !heads) {
        ark_free(blocks);
        ark_free(live);
        ark_free(heads);
        return ARK_ERR(ARK_ENOMEM, "out of memory laying out a plan of %d tensors", p->n_tensors);
    }
    int n = collect(p, heads, blocks);
    join_chains(p, heads, blocks, n);
    qsort(blocks, (size_t)n, sizeof *blocks, by_size);
    p->act_bytes = 0;
    place(blocks, n, live, &p->act_bytes);
    for (int i = 0; i < n; i++) {
        int64_t *offset = blocks[i].grad ? &blocks[i].t->grad_offset : &blocks[i].t->offset;
        *offset = (int64_t)blocks[i].offset;
    }
    for (int i = 0; i < p->n_tensors; i++) {
        ark_tensor *t = p->tensors[i];
        if (t->kind == ARK_T_PARAM) {
            t->offset = t->grad_offset = ark_params_at(p->store, t->param)->offset;
        } else if (t->grad_lives.n) {
            t->grad_offset = heads[i]->grad_offset;
        }
    }
    ark_free(live);
    ark_free(blocks);
    ark_free(heads);
    return ARK_OK;
}
