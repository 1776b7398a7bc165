/* When each tensor's memory is its own, read off the list of steps.
 *
 * Times are indices of that list. Inputs live from -1 (the caller writes them before the run), outputs until
 * its length (the caller reads them after it). A tensor that backward makes again has a life per making. */
#include "base/err.h"
#include "core/plan_impl.h"

static void begin(ark_lives *l, int time) {
    ARK_ASSERT(l->n < ARK_MAX_LIVES);
    l->at[l->n].first = l->at[l->n].last = time;
    l->n++;
}

static void touch(ark_lives *l, int time) {
    if (l->n == 0) {
        begin(l, time);
    }
    l->at[l->n - 1].last = time;
}

static void read_inputs(const ark_node *n, unsigned mask, int time) {
    for (int k = 0; k < n->n_in; k++) {
        ark_tensor *t = ark__act_in(n, k, mask);
        if (t) {
            touch(&t->lives, time);
        }
    }
}

static void over_saved(const ark_node *n, void (*visit)(ark_lives *, int), int time) {
    for (int k = 0; k < ARK_MAX_SAVED; k++) {
        if (n->saved[k]) {
            visit(&n->saved[k]->lives, time);
        }
    }
}

static void backward_lives(const ark_node *n, int time) {
    const ark_opdef *def = &ark__opdefs[n->op];
    read_inputs(n, def->bwd_reads_in, time);
    over_saved(n, touch, time);
    touch(&n->out->grad_lives, time);
    if (def->bwd_reads_out(n)) {
        touch(&n->out->lives, time);
    }
    for (int k = 0; k < n->n_in; k++) {
        ark_tensor *t = ark__act_in(n, k, (unsigned)n->want_grad[k] << k);
        if (t) {
            touch(&t->grad_lives, time);
        }
    }
}

static void step_lives(const ark_node *n, ark_move move, int time) {
    switch (move) {
    case ARK_MOVE_FORWARD:
    case ARK_MOVE_REPLAY:
        read_inputs(n, ~0u, time);
        over_saved(n, begin, time);
        begin(&n->out->lives, time);
        return;
    case ARK_MOVE_REMAKE:
        read_inputs(n, ark__opdefs[n->op].remake_reads_in, time);
        over_saved(n, touch, time);
        begin(&n->out->lives, time);
        return;
    case ARK_MOVE_BACKWARD:
        backward_lives(n, time);
        return;
    }
}

void ark__plan_lives(ark_plan *p) {
    for (int i = 0; i < p->n_tensors; i++) {
        ark_tensor *t = p->tensors[i];
        t->lives.n = t->grad_lives.n = 0;
        if (t->kind == ARK_T_INPUT) {
            begin(&t->lives, -1);
        }
    }
    for (int i = 0; i < p->n_steps; i++) {
        if (i == p->n_nodes) { /* seeded before backward starts */
            for (int k = 0; k < p->n_tensors; k++) {
                ark_tensor *t = p->tensors[k];
                if (t->is_output && t->kind != ARK_T_PARAM && t->needs_grad) {
                    begin(&t->grad_lives, i);
                }
            }
        }
        step_lives(p->nodes[p->steps[i].node], p->steps[i].move, i);
    }
    for (int i = 0; i < p->n_tensors; i++) {
        ark_tensor *t = p->tensors[i];
        if (t->is_output && t->kind != ARK_T_PARAM) {
            touch(&t->lives, p->n_steps);
        }
        if (t->kind == ARK_T_INPUT && t->grad_lives.n) {
            touch(&t->grad_lives, p->n_steps); /* the caller reads it */
        }
    }
}
