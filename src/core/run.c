/* Running a plan: one loop over the nodes forward, one backward. */
#include "base/alloc.h"
#include "base/err.h"
#include "core/plan_impl.h"

#include <stdio.h>
#include <string.h>

ark_status ark_space_new(ark_dev *dev, ark_plan *const *plans, int n, bool canary, ark_space **out) {
    ark_space *s;
    ARK_TRY(ARK_NEW(&s, 1, "a space"));
    s->dev = dev;
    s->canary = canary;
    for (int i = 0; i < n; i++) {
        s->act_bytes = plans[i]->act_bytes > s->act_bytes ? plans[i]->act_bytes : s->act_bytes;
        s->scratch_bytes =
            plans[i]->scratch_bytes > s->scratch_bytes ? plans[i]->scratch_bytes : s->scratch_bytes;
    }
    void *p = NULL;
    ark_status st = dev->backend->alloc(dev, s->act_bytes, &p);
    s->acts = p;
    if (st == ARK_OK) {
        st = dev->backend->alloc(dev, s->scratch_bytes, &s->scratch);
    }
    if (st != ARK_OK) {
        ark_space_free(s);
        return ark__err_prefix(st, "activations");
    }
    *out = s;
    return ARK_OK;
}

void ark_space_free(ark_space *s) {
    if (s) {
        s->dev->backend->free(s->dev, s->acts);
        s->dev->backend->free(s->dev, s->scratch);
        ark_free(s);
    }
}

static void guard_life(
    ark_space *s, const ark_plan *p, const ark_tensor *t, bool grad, int time, bool verify) {
    unsigned char *end = s->acts + (grad ? t->grad_offset : t->offset) + ark__tensor_bytes(t);
    if (!verify) {
        memset(end, ARK_GUARD_VALUE, ARK_GUARD_BYTES);
        return;
    }
    for (int k = 0; k < ARK_GUARD_BYTES && !s->violation[0]; k++) {
        if (end[k] != ARK_GUARD_VALUE) {
            snprintf(s->violation, sizeof s->violation,
                "%s of tensor %d (%s) overwritten at time %d, byte %d", grad ? "gradient" : "data", t->id,
                t->producer >= 0 ? p->nodes[t->producer]->label : "input", time, k);
        }
    }
}

/* Guard bytes are written when a tensor's life begins and verified when it ends (host devices only). */
static void guard(ark_space *s, const ark_plan *p, int time, bool verify) {
    for (int i = 0; i < p->n_tensors && s->canary; i++) {
        const ark_tensor *t = p->tensors[i];
        for (int k = 0; k < 2 * ARK_MAX_LIVES && t->kind != ARK_T_PARAM; k++) {
            bool grad = k >= ARK_MAX_LIVES;
            int life = k % ARK_MAX_LIVES;
            const ark_lives *l = grad ? &t->grad_lives : &t->lives;
            if (life < l->n && time == (verify ? l->at[life].last : l->at[life].first)) {
                guard_life(s, p, t, grad, time, verify);
            }
        }
    }
}

ark_status ark_space_check(const ark_space *s, const ark_plan *p) {
    (void)p;
    return s->violation[0] ? ARK_ERR(ARK_EDEVICE, "guard bytes: %s", s->violation) : ARK_OK;
}

static ark_call make_call(const ark_run *r, const ark_plan *p) {
    return (ark_call){
        .dev = p->dev,
        .acts = r->space->acts,
        .weights = ark_params_column(r->params, r->weights),
        .weights16 = ark_params_bf16(r->params, r->weights),
        .version = ark_params_version(r->params, r->weights),
        .grads = ark_params_column(r->params, ARK_COL_GRAD),
        .scratch = r->space->scratch,
        .batch = r->batch,
        .stochastic = r->stochastic,
        .seed = r->seed,
        .step = r->step,
    };
}

static ark_status check_run(const ark_run *r, const ark_plan *p) {
    if (!p->dev || r->batch < 1 || r->batch > p->batch) {
        return ARK_ERR(ARK_ESHAPE, "a run of %d samples on a plan for %d", r->batch, p->batch);
    }
    if (p->act_bytes > r->space->act_bytes || p->scratch_bytes > r->space->scratch_bytes) {
        return ARK_ERR(
            ARK_ESHAPE, "the plan needs %zu bytes, its space has %zu", p->act_bytes, r->space->act_bytes);
    }
    return ARK_OK;
}

static int64_t run_numel(const ark_run *r, const ark_tensor *t) {
    return t->scalar ? ark_numel(t) : ark_numel_per_sample(t) * r->batch;
}

ark_status ark_run_write(const ark_run *r, ark_plan *p, const ark_tensor *t, const float *src) {
    ARK_TRY(check_run(r, p));
    if (t->offset == ARK_NO_OFFSET) {
        return ARK_OK; /* an input that no node reads */
    }
    if (r->space->canary) {
        guard(r->space, p, -1, false);
    }
    return p->dev->backend->to_device(
        p->dev, r->space->acts + t->offset, src, (size_t)run_numel(r, t) * sizeof *src);
}

/* Out of the arena as f32, whatever the stored type: bf16 lands in the upper half and is
 * widened backwards. */
static ark_status read_as_f32(
    const ark_run *r, ark_plan *p, const ark_tensor *t, int64_t offset, float *dst) {
    ARK_TRY(check_run(r, p));
    if (offset == ARK_NO_OFFSET) {
        return ARK_ERR(
            ARK_EINVAL, "tensor %d (%s) is not kept by this plan", t->id, t->name ? t->name : "activation");
    }
    size_t n = (size_t)run_numel(r, t);
    if (t->dtype == ARK_F32) {
        return p->dev->backend->to_host(p->dev, dst, r->space->acts + offset, n * sizeof *dst);
    }
    ARK_TRY(p->dev->backend->to_host(p->dev, dst, r->space->acts + offset, n * 2));
    for (size_t i = n; i-- > 0;) {
        uint16_t h;
        memcpy(&h, (const char *)dst + 2 * i, 2);
        dst[i] = ark_bf16_to_f32(h);
    }
    return ARK_OK;
}

ark_status ark_run_read(const ark_run *r, ark_plan *p, const ark_tensor *t, float *dst) {
    return read_as_f32(r, p, t, t->offset, dst);
}

ark_status ark_run_read_grad(const ark_run *r, ark_plan *p, const ark_tensor *t, float *dst) {
    return read_as_f32(r, p, t, t->grad_offset, dst);
}

static ark_status run_step(const ark_call *c, const ark_plan *p, ark_plan_step step) {
    static const char *const suffix[] = {"", ", replayed", ", remade", " backward"};
    const ark_node *n = p->nodes[step.node];
    const ark_kernel *k = &p->dev->backend->kernels[n->op];
    ark_status st = step.move == ARK_MOVE_BACKWARD ? k->bwd(c, n)
                    : step.move == ARK_MOVE_REMAKE ? k->remake(c, n)
                                                   : k->fwd(c, n);
    return st == ARK_OK ? ARK_OK
                        : ark__err_prefix(st, "%s (%s)%s", n->label, ark_op_name(n->op), suffix[step.move]);
}

/* Steps [from,to). begun: time `from` was guarded before. */
static ark_status run_steps(const ark_run *r, ark_plan *p, int from, int to, bool begun) {
    ark_call c = make_call(r, p);
    for (int i = from; i < to; i++) {
        if (i > from || !begun) {
            guard(r->space, p, i, false);
        }
        c.replay = p->steps[i].move == ARK_MOVE_REPLAY;
        ARK_TRY(run_step(&c, p, p->steps[i]));
        guard(r->space, p, i, true);
    }
    if (to == p->n_steps) {
        guard(r->space, p, to, true);
    }
    return ARK_OK;
}

ark_status ark_run_forward(const ark_run *r, ark_plan *p) {
    ARK_TRY(check_run(r, p));
    return run_steps(r, p, 0, p->n_nodes, false);
}

/* Fill the gradients of all outputs: zero, then what the caller gave. */
static ark_status write_seeds(const ark_run *r, ark_plan *p, const ark_seed *seeds, int n) {
    const ark_backend *be = p->dev->backend;
    guard(r->space, p, p->n_nodes, false);
    for (int i = 0; i < p->n_tensors; i++) {
        ark_tensor *t = p->tensors[i];
        if (!t->is_output || t->kind == ARK_T_PARAM || t->grad_offset == ARK_NO_OFFSET) {
            continue;
        }
        const ark_seed *s = NULL;
        for (int k = 0; k < n; k++) {
            s = seeds[k].t == t ? &seeds[k] : s;
        }
        if (t->dtype != ARK_F32) {
            return ARK_ERR(ARK_EINVAL, "output %d is bf16: only f32 outputs can be seeded", t->id);
        }
        float *grad = (float *)(void *)(r->space->acts + t->grad_offset);
        if (s && s->data) {
            ARK_TRY(be->to_device(p->dev, grad, s->data, (size_t)run_numel(r, t) * sizeof *grad));
        } else {
            ARK_TRY(be->fill(p->dev, grad, s ? s->scale : 0.0f, run_numel(r, t)));
        }
    }
    return ARK_OK;
}

ark_status ark_run_backward(const ark_run *r, ark_plan *p, const ark_seed *seeds, int n) {
    ARK_TRY(check_run(r, p));
    if (p->mode != ARK_PLAN_TRAIN || (!p->watch && !ark_params_column(r->params, ARK_COL_GRAD))) {
        return ARK_ERR(ARK_EINVAL, "backward needs a TRAIN plan and a gradient column");
    }
    ARK_TRY(write_seeds(r, p, seeds, n)); /* guards its time, the first of backward */
    return run_steps(r, p, p->n_nodes, p->n_steps, true);
}
