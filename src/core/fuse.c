/* In an INFER plan batch norm is one multiplication and one addition per channel. Where a product (linear, conv2d) feeds
 * a batch norm and nothing else, and the backend can, the product's node does it while a tile is in the cache; and
 * then, if that feeds an add_relu and nothing else, the sum as well. The fused nodes leave the plan. */
#include "base/alloc.h"
#include "base/err.h"
#include "core/plan_impl.h"

enum { FUSED_IN = 4, SUM_AT = 3 };

/* How often each tensor is read, and the last reader. */
typedef struct uses {
    int *count;
    ark_node **reader;
} uses;

static void count_uses(const ark_plan *p, const uses *u) {
    for (int i = 0; i < p->n_nodes; i++) {
        for (int k = 0; k < p->nodes[i]->n_in; k++) {
            const ark_tensor *t = p->nodes[i]->in[k];
            if (t) {
                u->count[t->id]++;
                u->reader[t->id] = p->nodes[i];
            }
        }
    }
}

/* The only reader of what n writes, if it is an op of this kind with an output of the same type. */
static ark_node *only_reader(const uses *u, const ark_node *n, ark_op op) {
    const ark_tensor *t = n->out;
    ark_node *r = u->reader[t->id];
    return u->count[t->id] == 1 && !t->is_output && r->op == op && r->out->dtype == t->dtype ? r : NULL;
}

static bool is_product(const ark_plan *p, const ark_node *n) {
    bool plain = n->op == ARK_OP_CONV2D || (n->op == ARK_OP_LINEAR && n->a.linear.act == ARK_ACT_NONE);
    return plain && p->dev->backend->kernels[n->op].fuses;
}

/* relu(out + other): when the other branch is there before n runs. */
static void fuse_sum(const uses *u, ark_node *n, bool *gone) {
    ark_node *sum = n->norm->a.batchnorm.relu ? NULL : only_reader(u, n, ARK_OP_ADD_RELU);
    if (!sum) {
        return;
    }
    ark_tensor *other = sum->in[sum->in[0] == n->out ? 1 : 0];
    if (other == n->out || other->producer >= n->id || other->dtype != n->out->dtype) {
        return;
    }
    n->sum = n->in[SUM_AT] = other;
    n->n_in = FUSED_IN;
    n->out = sum->out;
    gone[sum->id] = true;
}

static void fuse_norm(const ark_plan *p, const uses *u, ark_node *n, bool *gone) {
    ark_node *norm = is_product(p, n) ? only_reader(u, n, ARK_OP_BATCHNORM) : NULL;
    if (!norm || norm->in[0] != n->out) {
        return;
    }
    n->norm = norm;
    n->out = norm->out;
    gone[norm->id] = true;
    fuse_sum(u, n, gone);
}

/* The nodes that stay move up; the others wait at the end of the list, to be freed with the plan. */
static void close_ranks(ark_plan *p, const bool *gone, ark_node **list) {
    int n = 0, out = 0;
    for (int i = 0; i < p->n_nodes; i++) {
        if (!gone[i]) {
            list[n++] = p->nodes[i];
        }
    }
    for (int i = 0; i < p->n_nodes; i++) {
        if (gone[i]) {
            list[n + out++] = p->nodes[i];
        }
    }
    for (int i = 0; i < p->n_nodes; i++) {
        p->nodes[i] = list[i];
        list[i]->id = i;
    }
    p->n_nodes = n;
    p->n_fused = out;
    for (int i = 0; i < n; i++) {
        p->nodes[i]->out->producer = i;
    }
}

ark_status ark__plan_fuse(ark_plan *p) {
    uses u = {0};
    bool *gone = NULL;
    ark_node **list = NULL;
    const size_t tensors = (size_t)p->n_tensors + 1, nodes = (size_t)p->n_nodes + 1;
    ark_status st = ARK_NEW(&u.count, tensors, "readers of tensors");
    st = st ? st : ARK_NEW(&u.reader, tensors, "readers of tensors");
    st = st ? st : ARK_NEW(&gone, nodes, "fused nodes");
    st = st ? st : ARK_NEW(&list, nodes, "fused nodes");
    if (st == ARK_OK) {
        count_uses(p, &u);
        for (int i = 0; i < p->n_nodes; i++) {
            fuse_norm(p, &u, p->nodes[i], gone);
        }
        close_ranks(p, gone, list);
    }
    ark_free(u.count);
    ark_free(u.reader);
    ark_free(gone);
    ark_free(list);
    return st;
}
