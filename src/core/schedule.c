/* What a run does, in order: gradient flow, then the list of steps with all that backward makes again. */
#include "base/alloc.h"
#include "base/err.h"
#include "core/plan_impl.h"

#include <string.h>

enum { MAX_MOVES = 4 }; /* forward, replay, remake, backward */

bool ark__runs_backward(const ark_node *n) {
    for (int k = 0; k < n->n_in; k++) {
        if (n->want_grad[k]) {
            return true;
        }
    }
    return false;
}

ark_tensor *ark__act_in(const ark_node *n, int k, unsigned mask) {
    ark_tensor *t = k < n->n_in && (mask >> k & 1u) ? n->in[k] : NULL;
    return t && t->kind != ARK_T_PARAM ? t : NULL;
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
        if (!ark__runs_backward(n)) { /* nobody will read the statistics: the kernel need not write them */
            memset(n->saved, 0, sizeof n->saved);
        }
    }
    ark_free(written);
    return ARK_OK;
}

/* What is known of a node while its plan's backward is being written down. */
typedef struct mark {
    bool inside; /* in a segment, and its output is read by this segment only */
    bool needed; /* replay: backward, or a node that is replayed, reads what it writes */
    bool reread; /* replay: a node that is replayed reads its output */
    bool there;  /* backward has made its output */
} mark;

typedef struct schedule {
    ark_plan *p;
    mark *marks; /* per node */
} schedule;

static void push(schedule *s, ark_move move, int node) {
    s->p->steps[s->p->n_steps++] = (ark_plan_step){.move = move, .node = node};
}

static bool is_inside(const schedule *s, int node) {
    return s->p->recompute && s->p->nodes[node]->segment && s->marks[node].inside;
}

/* Outputs that other segments read are kept, so that a segment can be replayed from them. */
static bool is_remade(const schedule *s, const ark_node *n) {
    const ark_opdef *def = &ark__opdefs[n->op];
    return s->p->dev->backend->kernels[n->op].remake && def->remakes(n) && !n->out->is_output &&
           ark__runs_backward(n) && (!s->p->recompute || !n->segment || s->marks[n->id].inside);
}

/* Before backward reads t: make it again if it was not kept, and what that reads before it. */
static void provide(schedule *s, const ark_tensor *t) {
    if (!t || t->producer < 0 || s->marks[t->producer].there) {
        return;
    }
    const ark_node *n = s->p->nodes[t->producer];
    if (t != n->out || !is_remade(s, n)) {
        return;
    }
    for (int k = 0; k < n->n_in; k++) {
        provide(s, ark__act_in(n, k, ark__opdefs[n->op].remake_reads_in));
    }
    push(s, ARK_MOVE_REMAKE, n->id);
    s->marks[n->id].there = true;
}

/* Which nodes of [first,last] a replay must run: the readers come later, so one walk back finds all. */
static void mark_needed(schedule *s, int first, int last) {
    for (int i = last; i >= first; i--) {
        const ark_node *n = s->p->nodes[i];
        const ark_opdef *def = &ark__opdefs[n->op];
        bool back = ark__runs_backward(n);
        s->marks[i].needed |= back && (n->saved[0] || def->bwd_reads_out(n));
        bool again = s->marks[i].needed && is_inside(s, i);
        for (int k = 0; k < n->n_in; k++) {
            const ark_tensor *t = ark__act_in(n, k, ~0u);
            if (t && t->producer >= first) {
                s->marks[t->producer].needed |= again || (back && (def->bwd_reads_in >> k & 1u));
                s->marks[t->producer].reread |= again;
            }
        }
    }
}

/* An output that the replay itself reads, and that can be remade, is made once more where backward reads it,
 * so that it does not lie there in between. */
static void replay(schedule *s, int first, int last) {
    mark_needed(s, first, last);
    for (int i = first; i <= last; i++) {
        const ark_node *n = s->p->nodes[i];
        if (!s->marks[i].needed || !is_inside(s, i)) {
            continue;
        }
        for (int k = 0; k < n->n_in; k++) {
            const ark_tensor *t = ark__act_in(n, k, ~0u);
            provide(s, t && t->producer < first ? t : NULL);
        }
        push(s, ARK_MOVE_REPLAY, i);
    }
    for (int i = first; i <= last; i++) {
        s->marks[i].there = s->marks[i].needed && !s->marks[i].reread;
    }
}

static void write_backward(schedule *s) {
    ark_plan *p = s->p;
    int replayed = 0;
    for (int i = p->n_nodes - 1; i >= 0; i--) {
        const ark_node *n = p->nodes[i];
        if (p->recompute && n->segment && n->segment != replayed) {
            int first = i;
            while (first > 0 && p->nodes[first - 1]->segment == n->segment) {
                first--;
            }
            replay(s, first, i);
            replayed = n->segment;
        }
        if (!ark__runs_backward(n)) {
            continue;
        }
        for (int k = 0; k < n->n_in; k++) {
            provide(s, ark__act_in(n, k, ark__opdefs[n->op].bwd_reads_in));
        }
        push(s, ARK_MOVE_BACKWARD, i);
    }
}

static void mark_inside(schedule *s) {
    const ark_plan *p = s->p;
    for (int i = 0; i < p->n_nodes; i++) {
        const ark_node *n = p->nodes[i];
        s->marks[i].inside = !n->out->is_output;
        for (int k = 0; k < n->n_in; k++) {
            const ark_tensor *t = ark__act_in(n, k, ~0u);
            if (t && t->producer >= 0 && p->nodes[t->producer]->segment != n->segment) {
                s->marks[t->producer].inside = false;
            }
        }
    }
}

ark_status ark__plan_schedule(ark_plan *p) {
    ARK_TRY(flow_gradients(p));
    schedule s = {.p = p};
    ARK_TRY(ARK_NEW(&p->steps, MAX_MOVES * (size_t)p->n_nodes + 1, "the steps of a plan"));
    ARK_TRY(ARK_NEW(&s.marks, (size_t)p->n_nodes + 1, "the steps of a plan"));
    for (int i = 0; i < p->n_nodes; i++) {
        push(&s, ARK_MOVE_FORWARD, i);
    }
    if (p->mode == ARK_PLAN_TRAIN) {
        mark_inside(&s);
        write_backward(&s);
    }
    ark_free(s.marks);
    return ARK_OK;
}
