#include "problem.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/rng.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- text ----------------------------------------------------------------------------------- */

static ark_status parse_dims(const char *text, problem *p) {
    for (const char *at = text; p->ndim < 3; at++) {
        char *end;
        errno = 0;
        long long v = strtoll(at, &end, 10);
        if (end == at || errno || v < 1) {
            return ARK_ERR(ARK_EINVAL, "%s: not a shape", text);
        }
        p->dims[p->ndim++] = v;
        at = end;
        if (*at == '\0') {
            return ARK_OK;
        }
        if (*at != 'x') {
            break;
        }
    }
    return ARK_ERR(ARK_EINVAL, "%s: not a shape of up to three dimensions", text);
}

static ark_status parse_option(const char *word, problem *p) {
    const struct {
        const char *name;
        int *to;
    } ints[] = {{"heads=", &p->heads}, {"window=", &p->window}, {"shift=", &p->shift}, {"patch=", &p->patch},
        {"count=", &p->count}};
    for (size_t i = 0; i < sizeof ints / sizeof *ints; i++) {
        size_t n = strlen(ints[i].name);
        if (strncmp(word, ints[i].name, n) == 0) {
            char *end;
            *ints[i].to = (int)strtol(word + n, &end, 10);
            return *end ? ARK_ERR(ARK_EINVAL, "%s: not a number", word) : ARK_OK;
        }
    }
    if (strcmp(word, "act=gelu") == 0) {
        p->act = ARK_ACT_GELU;
    } else if (strcmp(word, "act=relu") == 0) {
        p->act = ARK_ACT_RELU;
    } else if (strcmp(word, "out=f32") == 0) {
        p->out_f32 = true;
    } else if (strcmp(word, "input=fixed") == 0) {
        p->fixed = true;
    } else if (strncmp(word, "rate=", 5) == 0) {
        char *end;
        p->rate = strtof(word + 5, &end);
        return *end ? ARK_ERR(ARK_EINVAL, "%s: not a number", word) : ARK_OK;
    } else {
        return ARK_ERR(ARK_EINVAL, "%s: unknown word", word);
    }
    return ARK_OK;
}

static const struct {
    const char *name;
    int ndim;
    bool flat;
} known[] = {{"linear", 3, false}, {"attn", 3, false}, {"layernorm", 2, false}, {"residual", 2, false},
    {"avgpool", 2, false}, {"patch_merge", 3, false}, {"patchify", 2, false}, {"bce", 1, false},
    {"ce", 1, false}, {"mse", 1, false}, {"ema", 1, true}, {"sgd", 1, true}, {"adamw", 1, true},
    {"attention", 2, false}, {"token_embed", 2, false}, {"token_slice", 2, false}, {"norm", 1, true},
    {"to_bf16", 1, true}};

static int find(const char *op) {
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(op, known[i].name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

ark_status problem_parse(const char *line, problem *out) {
    problem p = {.count = 1, .heads = 1, .window = 1, .patch = 1};
    size_t length = strlen(line);
    while (length && strchr(" \t\n", line[length - 1])) {
        length--;
    }
    snprintf(p.text, sizeof p.text, "%.*s", (int)length, line);
    char copy[PROBLEM_TEXT], *rest = NULL;
    memcpy(copy, p.text, sizeof copy);
    char *word = strtok_r(copy, " \t\n", &rest);
    char *dims = strtok_r(NULL, " \t\n", &rest);
    if (!word || !dims || find(word) < 0) {
        return ARK_ERR(ARK_EINVAL, "%s: want OP DIMS, with a known op", line);
    }
    snprintf(p.op, sizeof p.op, "%s", word);
    ARK_TRY(parse_dims(dims, &p));
    if (p.ndim != known[find(word)].ndim) {
        return ARK_ERR(ARK_EINVAL, "%s: %d dimensions wanted", line, known[find(word)].ndim);
    }
    while ((word = strtok_r(NULL, " \t\n", &rest)) != NULL) {
        ARK_TRY(parse_option(word, &p));
    }
    *out = p;
    return ARK_OK;
}

bool problem_is_flat(const problem *p) {
    return known[find(p->op)].flat;
}

/* ---- plan ----------------------------------------------------------------------------------- */

static ark_tensor *input(
    ark_plan *p, const char *name, int ndim, int64_t d1, int64_t d2, int64_t d3, bool grad) {
    int64_t dims[4] = {ark_plan_batch(p), d1, d2, d3};
    return ark_plan_input(p, name, ndim, dims, grad);
}

static ark_tensor *param(ark_plan *p, const char *name, int ndim, int64_t d0, int64_t d1) {
    int64_t dims[2] = {d0, d1};
    return ark_plan_param(p, name, ndim, dims, ARK_INIT_TRUNC_NORMAL_02);
}

/* x in the compute dtype: inputs are f32, so for bf16 a layer norm goes before; only its
 * output's memory matters. */
static ark_tensor *in_cdt(ark_plan *p, ark_tensor *x) {
    if (ark_plan_cdt(p) == ARK_F32) {
        return x;
    }
    int64_t c = ark_last_dim(x);
    return ark_layernorm(p, x, param(p, "pre.g", 1, c, 0), param(p, "pre.b", 1, c, 0), 1e-5f, ARK_BF16);
}

/* The same of an input without a gradient: what comes before has no parameters. Patches of one pixel. */
static ark_tensor *fixed_in_cdt(ark_plan *p, int64_t rows, int64_t c) {
    return ark_patchify(p, input(p, "x", 4, c, rows, 1, false), 1);
}

static ark_tensor *record(ark_plan *p, const problem *q) {
    const int64_t *d = q->dims;
    ark_dtype cdt = ark_plan_cdt(p), out = q->out_f32 ? ARK_F32 : cdt;
    if (strcmp(q->op, "linear") == 0) {
        ark_tensor *x =
            q->fixed ? fixed_in_cdt(p, d[0], d[1]) : in_cdt(p, input(p, "x", 3, d[0], d[1], 0, true));
        return ark_linear(p, x, param(p, "w", 2, d[2], d[1]), param(p, "b", 1, d[2], 0), q->act, out);
    }
    if (strcmp(q->op, "attn") == 0) {
        ark_tensor *qkv = in_cdt(p, input(p, "qkv", 4, d[0], d[1], 3 * d[2], true));
        int64_t side = 2 * q->window - 1;
        return ark_window_attn(p, qkv, param(p, "t", 2, side * side, q->heads), param(p, "b", 1, 3 * d[2], 0),
            q->heads, q->window, q->shift);
    }
    if (strcmp(q->op, "attention") == 0) {
        return ark_attention(p, in_cdt(p, input(p, "qkv", 3, d[0], 3 * d[1], 0, true)), q->heads);
    }
    if (strcmp(q->op, "token_embed") == 0) {
        ark_tensor *x = input(p, "x", 4, d[0], 1, d[1], true);
        return ark_token_embed(p, x, param(p, "cls", 1, d[1], 0), param(p, "pos", 2, d[0] + 1, d[1]));
    }
    if (strcmp(q->op, "token_slice") == 0) {
        return ark_token_row(p, in_cdt(p, input(p, "x", 3, d[0], d[1], 0, true)), 0);
    }
    if (strcmp(q->op, "layernorm") == 0) {
        ark_tensor *x = input(p, "x", 3, d[0], d[1], 0, true);
        return ark_layernorm(p, x, param(p, "g", 1, d[1], 0), param(p, "b", 1, d[1], 0), 1e-5f, out);
    }
    if (strcmp(q->op, "residual") == 0) {
        ark_tensor *h = in_cdt(p, input(p, "h", 3, d[0], d[1], 0, true));
        return ark_residual(p, input(p, "x", 3, d[0], d[1], 0, true), h, q->rate);
    }
    if (strcmp(q->op, "avgpool") == 0) {
        return ark_avgpool(p, input(p, "x", 4, d[0], 1, d[1], true));
    }
    if (strcmp(q->op, "patch_merge") == 0) {
        return ark_patch_merge(p, input(p, "x", 4, d[0], d[1], d[2], true));
    }
    if (strcmp(q->op, "patchify") == 0) {
        return ark_patchify(p, input(p, "x", 4, d[0], d[1], d[1], !q->fixed), q->patch);
    }
    ark_tensor *z = input(p, "z", 2, d[0], 0, 0, true), *y = input(p, "y", 2, d[0], 0, 0, false);
    if (strcmp(q->op, "mse") == 0) {
        return ark_mse(p, z, y);
    }
    ark_tensor *mask = input(p, "mask", 2, d[0], 0, 0, false);
    return strcmp(q->op, "bce") == 0 ? ark_bce_logits(p, z, y, mask) : ark_softmax_ce(p, z, y, mask);
}

static ark_status prepare(bed *b, const problem *q, int batch, ark_dtype dtype) {
    ARK_TRY(ark_params_new(&b->params));
    ARK_TRY(ark_plan_new(b->params, batch, dtype, &b->plan));
    ark_plan_output(b->plan, record(b->plan, q));
    ARK_TRY(ark_plan_finish(b->plan, b->dev, ARK_PLAN_TRAIN));
    unsigned columns = 1u << ARK_COL_STUDENT | 1u << ARK_COL_GRAD;
    ARK_TRY(ark_params_alloc(b->params, b->dev, columns, dtype == ARK_BF16));
    b->node = ark_plan_node(b->plan, ark_plan_node_count(b->plan) - 1);
    b->act_bytes = ark_plan_act_bytes(b->plan);
    void *acts = NULL;
    ARK_TRY(b->dev->backend->alloc(b->dev, b->act_bytes, &acts));
    b->call =
        (ark_call){.dev = b->dev, .acts = acts, .batch = batch, .stochastic = true, .seed = 1, .step = 2};
    ARK_TRY(b->dev->backend->alloc(b->dev, ark_plan_scratch_bytes(b->plan), &b->call.scratch));
    b->call.weights = ark_params_column(b->params, ARK_COL_STUDENT);
    b->call.weights16 = ark_params_bf16(b->params, ARK_COL_STUDENT);
    b->call.grads = ark_params_column(b->params, ARK_COL_GRAD);
    return ARK_OK;
}

ark_status bed_new(bed *b, const problem *p, const char *backend, int threads, int batch, ark_dtype dtype) {
    *b = (bed){0};
    ARK_TRY(ark_dev_open(backend, threads, &b->dev));
    ark_status st = prepare(b, p, batch, dtype);
    if (st != ARK_OK) {
        bed_free(b);
    }
    return st;
}

void bed_free(bed *b) {
    ark_plan_free(b->plan);
    ark_params_free(b->params);
    if (b->dev) {
        b->dev->backend->free(b->dev, b->call.acts);
        b->dev->backend->free(b->dev, b->call.scratch);
        ark_dev_close(b->dev);
    }
    *b = (bed){0};
}

/* ---- data ----------------------------------------------------------------------------------- */

static void draw(void *dst, ark_dtype dtype, int64_t n, uint64_t seed, uint64_t stream, float scale) {
    ark_rng rng = ark_rng_at(seed, ARK_RNG_TEST, stream, 0, 0);
    for (int64_t i = 0; i < n; i++) {
        float v = scale * (2.0f * ark_rng_f32(&rng) - 1.0f);
        if (dtype == ARK_F32) {
            ((float *)dst)[i] = v;
        } else {
            ((uint16_t *)dst)[i] = ark_f32_to_bf16(v);
        }
    }
}

static void fill_input(bed *b, const ark_tensor *t, uint64_t seed, int which) {
    const ark_op op = b->node->op;
    int64_t n = ark_numel(t);
    float *v = ark_ptr(&b->call, t);
    bool loss = op == ARK_OP_BCE_LOGITS || op == ARK_OP_SOFTMAX_CE;
    draw(v, t->dtype, n, seed, (uint64_t)which, 2.0f);
    for (int64_t i = 0; loss && which > 0 && i < n; i++) {
        v[i] = v[i] > -1.0f ? 1.0f : 0.0f; /* targets and masks */
    }
}

ark_status bed_fill(bed *b, uint64_t seed) {
    const ark_node *n = b->node;
    memset(b->call.acts, 0, b->act_bytes);
    for (int i = 0; i < n->n_in; i++) {
        const ark_tensor *t = n->in[i];
        if (t && t->kind == ARK_T_PARAM) {
            draw((void *)(uintptr_t)(b->call.weights + t->offset), ARK_F32, ark_numel(t), seed,
                100 + (uint64_t)i, 0.2f);
        } else if (t) {
            fill_input(b, t, seed, i);
        }
    }
    return ark_params_refresh(b->params, ARK_COL_STUDENT);
}

void bed_seed(bed *b, uint64_t seed) {
    const ark_node *n = b->node;
    for (int i = 0; i < n->n_in; i++) {
        const ark_tensor *t = n->in[i];
        if (t && n->want_grad[i]) {
            int64_t bytes = ark_numel(t) * (int64_t)(t->kind == ARK_T_PARAM ? 4 : ark_dtype_bytes(t->dtype));
            memset(ark_grad_ptr(&b->call, t), 0, (size_t)bytes);
        }
    }
    if (bed_has_backward(b)) {
        draw(ark_grad_ptr(&b->call, n->out), n->out->dtype, ark_numel(n->out), seed, 200, 1.0f);
    }
}

bool bed_has_backward(const bed *b) {
    bool any = false;
    for (int i = 0; i < b->node->n_in; i++) {
        any = any || b->node->want_grad[i];
    }
    return any;
}

ark_status bed_forward(bed *b) {
    return b->dev->backend->kernels[b->node->op].fwd(&b->call, b->node);
}

ark_status bed_backward(bed *b) {
    if (!bed_has_backward(b)) {
        return ARK_OK;
    }
    return b->dev->backend->kernels[b->node->op].bwd(&b->call, b->node);
}

/* A linear that computes in bf16 reads the bf16 copy of W. */
static double bytes_read(const ark_node *n, int i) {
    bool copy = n->op == ARK_OP_LINEAR && i == 1 && n->in[0]->dtype == ARK_BF16;
    return (double)ark_numel(n->in[i]) * (double)ark_dtype_bytes(copy ? ARK_BF16 : n->in[i]->dtype);
}

double bed_bytes(const bed *b, bool backward) {
    const ark_node *n = b->node;
    double bytes = 0.0;
    for (int i = 0; i < n->n_in; i++) {
        const ark_tensor *t = n->in[i];
        if (t) {
            double size = (double)ark_numel(t) * (double)ark_dtype_bytes(t->dtype);
            bool reads = !backward || (n->op != ARK_OP_RESIDUAL && n->op != ARK_OP_PATCH_MERGE &&
                                          n->op != ARK_OP_PATCHIFY && n->op != ARK_OP_AVGPOOL);
            bytes += (reads ? bytes_read(n, i) : 0.0) + (backward && n->want_grad[i] ? size : 0.0);
        }
    }
    bytes += (double)ark_numel(n->out) * (double)ark_dtype_bytes(n->out->dtype);
    for (int i = 0; i < ARK_MAX_SAVED; i++) {
        if (n->saved[i]) {
            bytes += (double)ark_numel(n->saved[i]) * (double)ark_dtype_bytes(n->saved[i]->dtype);
        }
    }
    return bytes;
}
