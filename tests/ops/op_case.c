#include "ops/op_case.h"

#include "base/alloc.h"
#include "base/rng.h"
#include "common/check.h"
#include "core/plan_impl.h" /* the harness writes bf16 inputs, which no model does */

#include <math.h>
#include <stdio.h>
#include <string.h>

/* --- the ops ---------------------------------------------------------------------------------- */

static ark_tensor *build_patchify(ark_plan *p, ark_tensor **in, const float *attr, ark_dtype out) {
    (void)out; /* the plan's compute type */
    return ark_patchify(p, in[0], (int)attr[0]);
}

static ark_tensor *build_linear(ark_plan *p, ark_tensor **in, const float *attr, ark_dtype out) {
    return ark_linear(p, in[0], in[1], in[2], (ark_act)attr[0], out);
}

static ark_tensor *build_layernorm(ark_plan *p, ark_tensor **in, const float *attr, ark_dtype out) {
    return ark_layernorm(p, in[0], in[1], in[2], attr[0], out);
}

static ark_tensor *build_window_attn(ark_plan *p, ark_tensor **in, const float *attr, ark_dtype out) {
    (void)out; /* that of qkv */
    return ark_window_attn(p, in[0], in[1], in[2], (int)attr[0], (int)attr[1], (int)attr[2]);
}

static ark_tensor *build_attention(ark_plan *p, ark_tensor **in, const float *attr, ark_dtype out) {
    (void)out; /* that of qkv */
    return ark_attention(p, in[0], (int)attr[0]);
}

static ark_tensor *build_token_embed(ark_plan *p, ark_tensor **in, const float *attr, ark_dtype out) {
    (void)attr;
    (void)out;
    return ark_token_embed(p, in[0], in[1], in[2]);
}

/* attr: first token, then height and width of the grid, or zeros for one row. */
static ark_tensor *build_token_slice(ark_plan *p, ark_tensor **in, const float *attr, ark_dtype out) {
    (void)out;
    return attr[1] > 0 ? ark_token_grid(p, in[0], (int64_t)attr[0], (int64_t)attr[1], (int64_t)attr[2])
                       : ark_token_row(p, in[0], (int64_t)attr[0]);
}

static ark_tensor *build_patch_merge(ark_plan *p, ark_tensor **in, const float *attr, ark_dtype out) {
    (void)attr;
    (void)out;
    return ark_patch_merge(p, in[0]);
}

static ark_tensor *build_residual(ark_plan *p, ark_tensor **in, const float *attr, ark_dtype out) {
    (void)out;
    return ark_residual(p, in[0], in[1], attr[0]);
}

static ark_tensor *build_avgpool(ark_plan *p, ark_tensor **in, const float *attr, ark_dtype out) {
    (void)attr;
    (void)out;
    return ark_avgpool(p, in[0]);
}

static ark_tensor *build_conv2d(ark_plan *p, ark_tensor **in, const float *attr, ark_dtype out) {
    return ark_conv2d(p, in[0], in[1], in[2], (int)attr[0], (int)attr[1], attr[2] != 0.0f, out);
}

static ark_tensor *build_dwconv(ark_plan *p, ark_tensor **in, const float *attr, ark_dtype out) {
    (void)attr;
    (void)out;
    return ark_dwconv(p, in[0], in[1], in[2]);
}

static ark_tensor *build_batchnorm(ark_plan *p, ark_tensor **in, const float *attr, ark_dtype out) {
    return ark_batchnorm(p, in[0], in[1], in[2], in[3], in[4], attr[0], attr[1], attr[2] != 0.0f, out);
}

static ark_tensor *build_maxpool(ark_plan *p, ark_tensor **in, const float *attr, ark_dtype out) {
    (void)attr;
    (void)out;
    return ark_maxpool(p, in[0]);
}

static ark_tensor *build_avgpool2(ark_plan *p, ark_tensor **in, const float *attr, ark_dtype out) {
    (void)attr;
    (void)out;
    return ark_avgpool2(p, in[0]);
}

static ark_tensor *build_concat(ark_plan *p, ark_tensor **in, const float *attr, ark_dtype out) {
    (void)attr;
    (void)out;
    return ark_concat(p, in[0], in[1]);
}

static ark_tensor *build_add_relu(ark_plan *p, ark_tensor **in, const float *attr, ark_dtype out) {
    (void)attr;
    return ark_add_relu(p, in[0], in[1], out);
}

static ark_tensor *build_layer_scale(ark_plan *p, ark_tensor **in, const float *attr, ark_dtype out) {
    (void)out;
    return ark_layer_scale(p, in[0], in[1], in[2], attr[0]);
}

static ark_tensor *build_upsample(ark_plan *p, ark_tensor **in, const float *attr, ark_dtype out) {
    (void)out;
    return ark_upsample(p, in[0], (int64_t)attr[0], (int64_t)attr[1]);
}

static ark_tensor *build_pool_bins(ark_plan *p, ark_tensor **in, const float *attr, ark_dtype out) {
    (void)out;
    return ark_pool_bins(p, in[0], (int)attr[0]);
}

static ark_tensor *build_dice_logits(ark_plan *p, ark_tensor **in, const float *attr, ark_dtype out) {
    (void)out;
    return ark_dice_logits(p, in[0], in[1], in[2], attr[0]);
}

static ark_tensor *build_bce_logits(ark_plan *p, ark_tensor **in, const float *attr, ark_dtype out) {
    (void)attr;
    (void)out;
    return ark_bce_logits(p, in[0], in[1], in[2]);
}

static ark_tensor *build_softmax_ce(ark_plan *p, ark_tensor **in, const float *attr, ark_dtype out) {
    (void)attr;
    (void)out;
    return ark_softmax_ce(p, in[0], in[1], in[2]);
}

static ark_tensor *build_mse(ark_plan *p, ark_tensor **in, const float *attr, ark_dtype out) {
    (void)attr;
    (void)out;
    return ark_mse(p, in[0], in[1]);
}

#define F32_ONLY {{"f32", 0, ARK_F32}}, .n_types = 1

const op_spec op_specs[ARK_OP_COUNT] = {
    [ARK_OP_PATCHIFY] = {.grads = 1,
        .fill = "n",
        .types = {{"f32", 0, ARK_F32}, {"f32->bf16", 0, ARK_BF16}},
        .n_types = 2,
        .build = build_patchify},
    [ARK_OP_LINEAR] = {.params = 6,
        .grads = 7,
        .fill = "nwn",
        .types = {{"f32", 0, ARK_F32}, {"bf16->bf16", 1, ARK_BF16}, {"bf16->f32", 1, ARK_F32}},
        .n_types = 3,
        .build = build_linear},
    [ARK_OP_LAYERNORM] = {.params = 6,
        .grads = 7,
        .fill = "ngn",
        .types = {{"f32", 0, ARK_F32}, {"f32->bf16", 0, ARK_BF16}, {"bf16->bf16", 1, ARK_BF16},
            {"bf16->f32", 1, ARK_F32}},
        .n_types = 4,
        .build = build_layernorm},
    [ARK_OP_WINDOW_ATTN] = {.params = 6,
        .grads = 7,
        .fill = "nnn",
        .types = {{"f32", 0, ARK_F32}, {"bf16", 1, ARK_BF16}},
        .n_types = 2,
        .build = build_window_attn},
    [ARK_OP_ATTENTION] = {.grads = 1,
        .fill = "n",
        .types = {{"f32", 0, ARK_F32}, {"bf16", 1, ARK_BF16}},
        .n_types = 2,
        .build = build_attention},
    [ARK_OP_TOKEN_EMBED] =
        {.params = 6, .grads = 7, .fill = "nnn", .types = F32_ONLY, .build = build_token_embed},
    [ARK_OP_TOKEN_SLICE] = {.grads = 1,
        .fill = "n",
        .types = {{"f32", 0, ARK_F32}, {"bf16", 1, ARK_BF16}},
        .n_types = 2,
        .build = build_token_slice},
    [ARK_OP_PATCH_MERGE] = {.grads = 1,
        .fill = "n",
        .types = {{"f32", 0, ARK_F32}, {"bf16", 1, ARK_BF16}},
        .n_types = 2,
        .build = build_patch_merge},
    [ARK_OP_RESIDUAL] = {.grads = 3,
        .fill = "nn",
        .types = {{"f32", 0, ARK_F32}, {"f32+bf16", 2, ARK_F32}},
        .n_types = 2,
        .build = build_residual},
    [ARK_OP_AVGPOOL] = {.grads = 1, .fill = "n", .types = F32_ONLY, .build = build_avgpool},
    [ARK_OP_CONV2D] = {.params = 6,
        .grads = 7,
        .fill = "nwn",
        .types = {{"f32", 0, ARK_F32}, {"bf16->bf16", 1, ARK_BF16}, {"bf16->f32", 1, ARK_F32}},
        .n_types = 3,
        .build = build_conv2d},
    [ARK_OP_DWCONV] = {.params = 6, .grads = 7, .fill = "nwn", .types = F32_ONLY, .build = build_dwconv},
    [ARK_OP_BATCHNORM] = {.params = 30,
        .grads = 7,
        .fill = "ngnng",
        .types = {{"f32", 0, ARK_F32}, {"f32->bf16", 0, ARK_BF16}, {"bf16->bf16", 1, ARK_BF16},
            {"bf16->f32", 1, ARK_F32}},
        .n_types = 4,
        .build = build_batchnorm},
    [ARK_OP_MAXPOOL] = {.grads = 1,
        .fill = "n",
        .types = {{"f32", 0, ARK_F32}, {"bf16", 1, ARK_BF16}},
        .n_types = 2,
        .build = build_maxpool},
    [ARK_OP_AVGPOOL2] = {.grads = 1,
        .fill = "n",
        .types = {{"f32", 0, ARK_F32}, {"bf16", 1, ARK_BF16}},
        .n_types = 2,
        .build = build_avgpool2},
    [ARK_OP_CONCAT] = {.grads = 3,
        .fill = "nn",
        .types = {{"f32", 0, ARK_F32}, {"bf16", 3, ARK_BF16}},
        .n_types = 2,
        .build = build_concat},
    [ARK_OP_ADD_RELU] = {.grads = 3,
        .fill = "nn",
        .types = {{"f32", 0, ARK_F32}, {"bf16->bf16", 3, ARK_BF16}, {"bf16->f32", 3, ARK_F32}},
        .n_types = 3,
        .build = build_add_relu},
    [ARK_OP_LAYER_SCALE] = {.params = 4,
        .grads = 7,
        .fill = "nnn",
        .types = {{"f32", 0, ARK_F32}, {"f32+bf16", 2, ARK_F32}},
        .n_types = 2,
        .build = build_layer_scale},
    [ARK_OP_UPSAMPLE] = {.grads = 1, .fill = "n", .types = F32_ONLY, .build = build_upsample},
    [ARK_OP_POOL_BINS] = {.grads = 1, .fill = "n", .types = F32_ONLY, .build = build_pool_bins},
    [ARK_OP_BCE_LOGITS] = {.grads = 1, .fill = "num", .types = F32_ONLY, .build = build_bce_logits},
    [ARK_OP_SOFTMAX_CE] = {.grads = 1, .fill = "num", .types = F32_ONLY, .build = build_softmax_ce},
    [ARK_OP_MSE] = {.grads = 1, .fill = "nn", .types = F32_ONLY, .build = build_mse},
    [ARK_OP_DICE_LOGITS] = {.grads = 1, .fill = "num", .types = F32_ONLY, .build = build_dice_logits},
};

/* --- cases ------------------------------------------------------------------------------------ */

static void *must_alloc(int64_t n, size_t size) {
    void *p = ark_calloc((size_t)n, size);
    require(p != NULL, "out of memory");
    return p;
}

int64_t op_case_numel(const op_case *c, int k) {
    int64_t n = c->ndim[k] > 0;
    for (int i = 0; i < c->ndim[k]; i++) {
        n *= c->dims[k][i];
    }
    return n;
}

void op_case_free(op_case *c) {
    for (int k = 0; k < ARK_MAX_IN; k++) {
        ark_free(c->in[k]);
        ark_free(c->grad[k]);
    }
    ark_free(c->r);
    ark_free(c->out);
}

void op_cases_free(op_case *cases, int n) {
    for (int i = 0; i < n; i++) {
        op_case_free(&cases[i]);
    }
    ark_free(cases);
}

static const ark_st_tensor *part(const ark_st_file *f, const op_case *c, const char *what, int k) {
    char name[128];
    snprintf(name, sizeof name, k < 0 ? "%s/%s" : "%s/%s%d", c->name, what, k);
    return ark_st_find(f, name);
}

static float *read_f32(const ark_st_tensor *t) {
    float *v = must_alloc(t->numel, sizeof *v);
    must(ark_st_read_f32(t, v));
    return v;
}

static double *read_f64(const ark_st_tensor *t) {
    require(t->dtype == ARK_ST_F64, "%s is not F64", t->name);
    double *v = must_alloc(t->numel, sizeof *v);
    memcpy(v, t->data, t->bytes);
    return v;
}

static void read_case(const ark_st_file *f, op_case *c) {
    const ark_st_tensor *attr = part(f, c, "attr", -1);
    require(attr->numel <= OP_MAX_ATTR, "%s has %lld attributes", c->name, (long long)attr->numel);
    must(ark_st_read_f32(attr, c->attr));
    c->r = read_f32(part(f, c, "r", -1));
    c->out = read_f64(part(f, c, "out", -1));
    for (int k = 0; k < ARK_MAX_IN; k++) {
        const ark_st_tensor *in = part(f, c, "in", k), *grad = part(f, c, "grad", k);
        if (in != NULL) {
            require(in->ndim <= ARK_MAX_DIMS, "%s has %d dimensions", in->name, in->ndim);
            c->ndim[k] = in->ndim;
            memcpy(c->dims[k], in->shape, (size_t)in->ndim * sizeof in->shape[0]);
            c->in[k] = read_f32(in);
        }
        c->grad[k] = grad != NULL ? read_f64(grad) : NULL;
    }
}

void op_golden_load(ark_op op, op_case **cases, int *n) {
    char path[512];
    ark_st_file *f = NULL;
    snprintf(path, sizeof path, "%s/golden/ops_%s.safetensors", ARK_TEST_DIR, ark_op_name(op));
    must(ark_st_open(path, &f));
    *cases = must_alloc((int64_t)ark_st_count(f), sizeof **cases);
    *n = 0;
    for (size_t i = 0; i < ark_st_count(f); i++) {
        const char *name = ark_st_at(f, i)->name, *slash = strchr(name, '/');
        if (slash != NULL && strcmp(slash, "/attr") == 0) {
            op_case *c = &(*cases)[(*n)++];
            c->op = op;
            snprintf(c->name, sizeof c->name, "%.*s", (int)(slash - name), name);
            read_case(f, c);
        }
    }
    ark_st_close(f);
    require(*n > 0, "%s has no cases", path);
}

static float draw(ark_rng *rng, char kind, int64_t row) {
    switch (kind) {
    case 'w':
        return (float)(ark_rng_normal(rng) / sqrt((double)row));
    case 'g':
        return (float)(1.0 + 0.25 * ark_rng_normal(rng));
    case 'u':
        return ark_rng_f32(rng);
    case 'm':
        return ark_rng_f32(rng) < 0.7f ? 1.0f : 0.0f;
    default:
        return (float)ark_rng_normal(rng);
    }
}

void op_case_fill(op_case *c, uint64_t seed) {
    for (int k = 0; k < ARK_MAX_IN; k++) {
        int64_t n = op_case_numel(c, k);
        ark_rng rng = ark_rng_at(seed, ARK_RNG_TEST, (uint64_t)c->op, (uint32_t)k, 0);
        if (n > 0) {
            c->in[k] = must_alloc(n, sizeof *c->in[k]);
            int64_t row = c->dims[k][c->ndim[k] - 1];
            for (int64_t i = 0; i < n; i++) {
                c->in[k][i] = draw(&rng, op_specs[c->op].fill[k], row);
            }
        }
    }
}

void op_case_seed(const op_case *c, float *r, int64_t n) {
    ark_rng rng = ark_rng_at(7, ARK_RNG_TEST, (uint64_t)c->op, 99, 0);
    for (int64_t i = 0; i < n; i++) {
        r[i] = c->r != NULL ? c->r[i] : (float)ark_rng_normal(&rng);
    }
}

void round_to_bf16(float *values, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        values[i] = ark_bf16_to_f32(ark_f32_to_bf16(values[i]));
    }
}

/* --- session ---------------------------------------------------------------------------------- */

enum { MAX_USES = 2 };

struct op_session {
    const op_case *c;
    op_setup setup;
    ark_dev *dev;
    ark_params *params;
    ark_plan *plan;
    ark_space *space;
    ark_run run;
    ark_tensor *in[ARK_MAX_IN];
    const float *value[ARK_MAX_IN]; /* written before every run: a plan may reuse the memory of its inputs */
    ark_tensor *out[MAX_USES];      /* f32, so that it can be seeded */
    ark_tensor *zero[MAX_USES];
    ark_tensor *mark; /* read by no node: writing it sets the guard bytes of the other inputs */
    int uses;
};

static int64_t run_numel(const op_session *s, const ark_tensor *t) {
    return t->scalar || t->kind == ARK_T_PARAM ? ark_numel(t) : s->run.batch * ark_numel_per_sample(t);
}

int64_t op_session_out_numel(const op_session *s) {
    return run_numel(s, s->out[0]);
}

int64_t op_session_out_row(const op_session *s) {
    return ark_last_dim(s->out[0]);
}

static void record_inputs(op_session *s) {
    const op_case *c = s->c;
    int64_t planned = s->setup.planned;
    s->mark = ark_plan_input(s->plan, "mark", 1, &planned, false);
    const op_spec *spec = &op_specs[c->op];
    for (int k = 0; k < ARK_MAX_IN && c->ndim[k] > 0; k++) {
        char name[8];
        int64_t dims[ARK_MAX_DIMS];
        memcpy(dims, c->dims[k], sizeof dims);
        snprintf(name, sizeof name, "in%d", k);
        if (spec->params >> k & 1u) {
            s->in[k] = ark_plan_param(s->plan, name, c->ndim[k], dims, ARK_INIT_ZEROS);
            continue;
        }
        dims[0] = s->setup.planned;
        bool grad = (spec->grads >> k & 1u) && !s->setup.params_only && !s->setup.infer;
        s->in[k] = ark_plan_input(s->plan, name, c->ndim[k], dims, grad);
        s->in[k]->dtype = s->setup.types.half_in >> k & 1u ? ARK_BF16 : ARK_F32;
    }
}

/* Only f32 outputs can be seeded: a bf16 output is followed by 0 + out, whose backward hands the seed on. */
static void record_op(op_session *s, int use) {
    ark_tensor *out = op_specs[s->c->op].build(s->plan, s->in, s->c->attr, s->setup.types.out);
    s->out[use] = out;
    if (out->dtype == ARK_BF16) {
        s->zero[use] = ark_plan_input(s->plan, "zero", out->ndim, out->dims, false);
        s->out[use] = ark_residual(s->plan, s->zero[use], out, 0.0f);
    }
    ark_plan_output(s->plan, s->out[use]);
}

static void write_zero(op_session *s, ark_tensor *t) {
    if (t != NULL) {
        float *zeros = must_alloc(ark_numel(t), sizeof *zeros);
        must(ark_run_write(&s->run, s->plan, t, zeros));
        ark_free(zeros);
    }
}

static void write_input(op_session *s, int k, const float *values) {
    ark_tensor *t = s->in[k];
    if (t->kind == ARK_T_PARAM) {
        must(ark_params_write(s->params, ARK_COL_STUDENT, t->param, values));
        must(ark_params_refresh(s->params, ARK_COL_STUDENT));
    } else if (t->dtype == ARK_F32) {
        must(ark_run_write(&s->run, s->plan, t, values));
    } else if (t->offset != ARK_NO_OFFSET) {
        int64_t n = run_numel(s, t);
        uint16_t *half = must_alloc(n, sizeof *half);
        for (int64_t i = 0; i < n; i++) {
            half[i] = ark_f32_to_bf16(values[i]);
        }
        must(s->dev->backend->to_device(s->dev, s->space->acts + t->offset, half, (size_t)n * sizeof *half));
        ark_free(half);
    }
}

void op_session_set(op_session *s, int k, const float *values) {
    s->value[k] = values;
}

op_session *op_session_open(const op_case *c, const op_setup *setup) {
    op_session *s = must_alloc(1, sizeof *s);
    s->c = c;
    s->setup = *setup;
    s->uses = setup->uses > 0 ? setup->uses : 1;
    int batch = (int)c->dims[0][0];
    s->setup.planned = setup->planned > 0 ? setup->planned : batch;
    ark_dtype cdt = setup->types.half_in != 0 || setup->types.out == ARK_BF16 ? ARK_BF16 : ARK_F32;
    ark_status st = ark_dev_open(setup->backend, setup->threads, &s->dev);
    if (st == ARK_OK) {
        must(ark_params_new(&s->params));
        must(ark_plan_new(s->params, s->setup.planned, cdt, &s->plan));
        record_inputs(s);
        for (int use = 0; use < s->uses; use++) {
            record_op(s, use);
        }
        st = ark_plan_finish(s->plan, s->dev, setup->infer ? ARK_PLAN_INFER : ARK_PLAN_TRAIN);
    }
    if (st == ARK_ENOTBUILT) {
        op_session_close(s);
        return NULL;
    }
    must(st);
    unsigned columns = 1u << ARK_COL_STUDENT | 1u << ARK_COL_GRAD;
    must(ark_params_alloc(s->params, s->dev, columns, cdt == ARK_BF16));
    must(ark_space_new(s->dev, &s->plan, 1, !setup->no_canary, &s->space));
    s->run = (ark_run){.space = s->space,
        .params = s->params,
        .weights = ARK_COL_STUDENT,
        .batch = batch,
        .stochastic = setup->stochastic,
        .seed = setup->seed,
        .step = setup->step};
    for (int k = 0; k < ARK_MAX_IN && c->ndim[k] > 0; k++) {
        op_session_set(s, k, c->in[k]);
    }
    return s;
}

void op_session_close(op_session *s) {
    if (s != NULL) {
        ark_space_free(s->space);
        ark_plan_free(s->plan);
        ark_params_free(s->params);
        ark_dev_close(s->dev);
        ark_free(s);
    }
}

void op_session_forward(op_session *s, float *out) {
    write_zero(s, s->mark);
    for (int use = 0; use < s->uses; use++) {
        write_zero(s, s->zero[use]);
    }
    for (int k = 0; k < ARK_MAX_IN && s->in[k] != NULL; k++) {
        write_input(s, k, s->value[k]);
    }
    must(ark_run_forward(&s->run, s->plan));
    must(ark_run_read(&s->run, s->plan, s->out[0], out));
}

void op_session_backward_more(op_session *s, const float *r) {
    ark_seed seeds[MAX_USES];
    for (int use = 0; use < s->uses; use++) {
        seeds[use] = (ark_seed){.t = s->out[use], .data = r};
    }
    must(ark_run_backward(&s->run, s->plan, seeds, s->uses));
}

void op_session_backward(op_session *s, const float *r) {
    float *grads = ark_params_column(s->params, ARK_COL_GRAD);
    must(s->dev->backend->fill(s->dev, grads, 0.0f, ark_params_elems(s->params)));
    op_session_backward_more(s, r);
}

void op_session_grad(op_session *s, int k, float *grad) {
    if (s->in[k]->kind == ARK_T_PARAM) {
        must(ark_params_read(s->params, ARK_COL_GRAD, s->in[k]->param, grad));
    } else {
        must(ark_run_read_grad(&s->run, s->plan, s->in[k], grad));
    }
}

void op_session_check(op_session *s) {
    must(ark_space_check(s->space, s->plan));
}
