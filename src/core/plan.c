/* Recording a plan, and freezing it. */
#include "core/plan.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/mathsafe.h"
#include "core/ops.h"
#include "core/plan_impl.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

ark_status ark_plan_new(ark_params *store, int batch, ark_dtype cdt, ark_plan **out) {
    if (batch < 1) {
        return ARK_ERR(ARK_EINVAL, "batch %d is less than 1", batch);
    }
    ark_plan *p;
    ARK_TRY(ARK_NEW(&p, 1, "a plan"));
    p->store = store;
    p->batch = batch;
    p->cdt = cdt;
    p->poison = (ark_tensor){.id = -1, .ndim = 1, .dims = {1}, .producer = -1};
    *out = p;
    return ARK_OK;
}

void ark_plan_free(ark_plan *p) {
    if (!p) {
        return;
    }
    for (int i = 0; i < p->n_nodes + p->n_fused; i++) {
        ark_node *n = p->nodes[i];
        if (i < p->prepared && p->dev->backend->kernels[n->op].release) {
            p->dev->backend->kernels[n->op].release(p->dev, n);
        }
        ark_free((void *)(uintptr_t)n->label);
        ark_free(n);
    }
    for (int i = 0; i < p->n_tensors; i++) {
        ark_free((void *)(uintptr_t)p->tensors[i]->name);
        ark_free(p->tensors[i]);
    }
    ark_free(p->nodes);
    ark_free(p->steps);
    ark_free(p->tensors);
    ark_free(p);
}

ark_tensor *ark_plan_poison(ark_plan *p, ark_status st) {
    if (p->first_error == ARK_OK) {
        p->first_error = st;
        snprintf(p->first_message, sizeof p->first_message, "%s", ark_err_msg());
    }
    return &p->poison;
}

/* Make room for one more pointer in a growing list. */
static bool grow(void *list, int n, int *cap) {
    if (n < *cap) {
        return true;
    }
    int more = *cap ? 2 * *cap : 64;
    void *old;
    memcpy(&old, list, sizeof old);
    void *p = ark_realloc(old, (size_t)more * sizeof(void *));
    if (!p) {
        return false;
    }
    memcpy(list, &p, sizeof p);
    *cap = more;
    return true;
}

ark_tensor *ark__plan_tensor(ark_plan *p, ark_tensor_kind kind, ark_dtype dt, int ndim, const int64_t *dims) {
    ark_tensor *t = ark_calloc(1, sizeof *t);
    if (!t || !grow(&p->tensors, p->n_tensors, &p->cap_tensors)) {
        ark_free(t);
        ark_plan_poison(p, ARK_ERR(ARK_ENOMEM, "out of memory recording a plan"));
        return NULL;
    }
    *t = (ark_tensor){.id = p->n_tensors,
        .kind = kind,
        .dtype = dt,
        .ndim = ndim,
        .param = -1,
        .producer = -1,
        .offset = ARK_NO_OFFSET,
        .grad_offset = ARK_NO_OFFSET};
    memcpy(t->dims, dims, (size_t)ndim * sizeof *dims);
    p->tensors[p->n_tensors++] = t;
    return t;
}

ark_node *ark__plan_append(ark_plan *p, ark_op op, int n_in, ark_tensor *const *in, unsigned nograd_in) {
    ark_node *n = ark_calloc(1, sizeof *n);
    char *label = ark_strdup(p->label);
    if (!n || !label || !grow(&p->nodes, p->n_nodes, &p->cap_nodes)) {
        ark_free(n);
        ark_free(label);
        ark_plan_poison(p, ARK_ERR(ARK_ENOMEM, "out of memory recording a plan"));
        return NULL;
    }
    *n = (ark_node){.op = op, .id = p->n_nodes, .segment = p->segment, .label = label, .n_in = n_in};
    for (int i = 0; i < n_in; i++) {
        n->in[i] = in[i];
        n->want_grad[i] = in[i] && in[i]->needs_grad && !(nograd_in >> i & 1u);
    }
    p->nodes[p->n_nodes++] = n;
    return n;
}

ark_tensor *ark_plan_input(ark_plan *p, const char *name, int ndim, const int64_t *dims, bool want_grad) {
    if (p->first_error != ARK_OK) {
        return &p->poison;
    }
    for (int i = 0; i < ndim; i++) {
        if (dims[i] < 1) {
            return ark_plan_poison(
                p, ARK_ERR(ARK_ESHAPE, "input %s: dimension %d is %lld", name, i, (long long)dims[i]));
        }
    }
    ark_tensor *t = ark__plan_tensor(p, ARK_T_INPUT, ARK_F32, ndim, dims);
    if (!t) {
        return &p->poison;
    }
    t->name = ark_strdup(name);
    t->needs_grad = want_grad;
    return t->name ? t : ark_plan_poison(p, ARK_ERR(ARK_ENOMEM, "out of memory recording a plan"));
}

ark_tensor *ark_plan_param(ark_plan *p, const char *name, int ndim, const int64_t *dims, ark_init init) {
    int index;
    if (p->first_error != ARK_OK) {
        return &p->poison;
    }
    ark_status st = ark_params_declare(p->store, name, ndim, dims, init, &index);
    if (st != ARK_OK) {
        return ark_plan_poison(p, st);
    }
    for (int i = 0; i < p->n_tensors; i++) { /* the same parameter used twice is one tensor */
        if (p->tensors[i]->kind == ARK_T_PARAM && p->tensors[i]->param == index) {
            return p->tensors[i];
        }
    }
    ark_tensor *t = ark__plan_tensor(p, ARK_T_PARAM, ARK_F32, ndim, dims);
    if (!t) {
        return &p->poison;
    }
    t->param = index;
    t->needs_grad = !p->frozen && !p->watch;
    t->name = ark_strdup(name);
    return t->name ? t : ark_plan_poison(p, ARK_ERR(ARK_ENOMEM, "out of memory recording a plan"));
}

ark_tensor *ark_plan_buffer(ark_plan *p, const char *name, int64_t n, ark_init init) {
    ark_tensor *t = ark_plan_param(p, name, 1, &n, init);
    if (t != &p->poison) {
        ark_params_set_buffer(p->store, t->param);
        t->needs_grad = false;
    }
    return t;
}

void ark_plan_param_fan_in(ark_plan *p, const ark_tensor *t, int64_t fan_in) {
    if (t != &p->poison) {
        ark_params_set_fan_in(p->store, t->param, fan_in);
    }
}

void ark_plan_param_file_shape(ark_plan *p, const ark_tensor *t, int ndim, const int64_t *dims) {
    if (t != &p->poison) {
        ark_params_set_file_shape(p->store, t->param, ndim, dims);
    }
}

ark_status ark_plan_error(const ark_plan *p) {
    return p->first_error == ARK_OK ? ARK_OK : ark__err_copy(p->first_error, p->first_message);
}

ark_tensor *ark_plan_output(ark_plan *p, ark_tensor *t) {
    if (t && t != &p->poison) {
        t->is_output = true;
    }
    return t;
}

void ark_plan_label(ark_plan *p, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(p->label, sizeof p->label, fmt, ap);
    va_end(ap);
}

void ark_plan_segment(ark_plan *p) {
    p->segment = ++p->segments;
}

void ark_plan_segment_end(ark_plan *p) {
    p->segment = 0;
}

void ark_plan_recompute(ark_plan *p) {
    ARK_ASSERT(!p->dev);
    p->recompute = true;
}

void ark_plan_watch(ark_plan *p) {
    ARK_ASSERT(p->n_nodes == 0);
    p->watch = true;
}

/* Zeros added to x have the gradient of x, and an input's gradient is kept. */
ark_tensor *ark_plan_tap(ark_plan *p, ark_tensor *x) {
    if (!p->watch || p->first_error != ARK_OK) {
        return x;
    }
    p->tapped = ark_plan_output(p, x);
    p->nudge = ark_plan_input(p, "nudge", x->ndim, x->dims, true);
    return ark_residual(p, x, p->nudge, 0);
}

ark_status ark_plan_watched(const ark_plan *p, ark_tensor **tapped, ark_tensor **nudge) {
    if (!p->tapped) {
        return ARK_ERR(ARK_EINVAL, "nothing in this network is marked for explanations");
    }
    *tapped = p->tapped;
    *nudge = p->nudge;
    return ARK_OK;
}

void ark_plan_freeze(ark_plan *p, bool frozen) {
    ARK_ASSERT(!p->dev);
    p->frozen = frozen;
}

ark_dtype ark_plan_cdt(const ark_plan *p) {
    return p->cdt;
}

int ark_plan_batch(const ark_plan *p) {
    return p->batch;
}

/* Every node gets its kernel from the device's table; a hole is an error here, not in mid-step. */
static ark_status prepare_kernels(ark_plan *p) {
    for (int i = 0; i < p->n_nodes; i++) {
        ark_node *n = p->nodes[i];
        const ark_kernel *k = &p->dev->backend->kernels[n->op];
        bool wants_bwd = p->mode == ARK_PLAN_TRAIN && n->out->needs_grad;
        if (!k->fwd || (wants_bwd && !k->bwd)) {
            return ARK_ERR(ARK_ENOTBUILT, "backend %s has no %s kernel for %s (%s)", p->dev->backend->name,
                k->fwd ? "backward" : "forward", ark_op_name(n->op), n->label);
        }
        size_t scratch = 0;
        if (k->prepare) {
            ark_status st = k->prepare(p->dev, n, &scratch);
            if (st != ARK_OK) {
                return ark__err_prefix(st, "%s (%s)", n->label, ark_op_name(n->op));
            }
        }
        p->prepared = i + 1;
        p->scratch_bytes = scratch > p->scratch_bytes ? scratch : p->scratch_bytes;
    }
    return ARK_OK;
}

ark_status ark_plan_finish(ark_plan *p, ark_dev *dev, ark_plan_mode mode) {
    ARK_TRY(ark_plan_error(p));
    ARK_ASSERT(!p->dev);
    p->dev = dev;
    p->mode = mode;
    if (mode == ARK_PLAN_INFER) {
        ARK_TRY(ark__plan_fuse(p));
    }
    ARK_TRY(ark__plan_schedule(p));
    ark__plan_lives(p);
    ARK_TRY(ark__plan_layout(p));
    return prepare_kernels(p);
}

int ark_plan_node_count(const ark_plan *p) {
    return p->n_nodes;
}

const ark_node *ark_plan_node(const ark_plan *p, int i) {
    return p->nodes[i];
}

int ark_plan_tensor_count(const ark_plan *p) {
    return p->n_tensors;
}

const ark_tensor *ark_plan_tensor(const ark_plan *p, int i) {
    return p->tensors[i];
}

size_t ark_plan_act_bytes(const ark_plan *p) {
    return p->act_bytes;
}

size_t ark_plan_scratch_bytes(const ark_plan *p) {
    return p->scratch_bytes;
}

double ark_plan_flops_fwd(const ark_plan *p) {
    double sum = 0;
    for (int i = 0; i < p->n_nodes; i++) {
        sum += ark_node_flops_fwd(p->nodes[i], p->batch);
    }
    return sum;
}

double ark_plan_flops_bwd(const ark_plan *p) {
    double sum = 0;
    for (int i = 0; i < p->n_nodes && p->mode == ARK_PLAN_TRAIN; i++) {
        sum += ark_node_flops_bwd(p->nodes[i], p->batch);
    }
    return sum;
}
