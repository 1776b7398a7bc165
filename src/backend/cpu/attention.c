/* attention: a task is one sample and head, in forward maybe some of its queries. Keys and values are packed
 * into panels once; queries go by blocks of rows, each through scores, softmax and product with v while it is
 * in the cache. Whole rows of scores are there at a time, (block,N) floats; no (N,N) matrix ever is.
 *
 * Backward makes the block's weights again and adds its share of dk and dv to sums that stay with the
 * task, so the order of all sums is that of the rows. As in simd/attn.c weights keep their factor 1/sum to
 * themselves: it goes to the rows of the output, and in backward to the rows of dout. */
#include "backend/cpu/cpu.h"

#include <math.h>
#include <string.h>

enum { Q, K, V, BLOCK = 64, WANTED_TASKS = 16, AHEAD = 8, LINE = 64 };

typedef struct {
    int64_t tokens, dim, heads, C;
    int64_t rows, panel; /* of a tile */
    int64_t block;       /* queries at a time, whole tiles, blocks of nearly one size */
    int64_t ld, cols;    /* tokens and dim in whole panels */
    int64_t floats;      /* of scratch per thread */
} attention;

/* Where a task's operands lie in its scratch. */
typedef struct {
    float *wide;        /* (N,D): q, k, v or dout widened from bf16 */
    float *kt, *vt;     /* panels of k^T and v^T: ld/panel of (D,panel) */
    float *kp, *vp;     /* panels of k and v: cols/panel of (N,panel) */
    float *q, *dout;    /* (block,D); q is scaled */
    float *qp, *dp;     /* panels of those: cols/panel of (block,panel) */
    float *e, *ds;      /* (block,ld) weights up to their sums, gradients of the scores */
    float *o, *dk, *dv; /* (block,cols) rows on their way out; (N,cols) sums */
    float *inverse;     /* (block) */
} tiles;

typedef struct {
    const ark_call *c;
    const ark_node *n;
    const attention *a;
    const ark_simd *k;
    int64_t parts; /* of a head's blocks, in forward */
} job;

static int64_t whole(int64_t n, int64_t unit) {
    return ark_ceil_div(n, unit) * unit;
}

/* Carve the tiles out of work; with NULL only their size is wanted. */
static int64_t carve(const attention *a, ark_dtype dtype, bool backward, float *work, tiles *t) {
    const int64_t across = a->tokens * a->cols, turned = a->dim * a->ld, scores = a->block * a->ld;
    const int64_t wide = dtype == ARK_F32 ? 0 : a->tokens * a->dim, both = backward ? 1 : 0;
    const struct {
        float **to;
        int64_t floats;
    } list[] = {{&t->wide, wide}, {&t->kt, turned}, {&t->q, a->block * a->dim}, {&t->e, scores},
        {&t->o, a->block * a->cols}, {&t->inverse, a->block}, {&t->vp, backward ? 0 : across},
        {&t->vt, both * turned}, {&t->kp, both * across}, {&t->dout, both * a->block * a->dim},
        {&t->qp, both * a->block * a->cols}, {&t->dp, both * a->block * a->cols}, {&t->ds, both * scores},
        {&t->dk, both * across}, {&t->dv, both * across}};
    int64_t floats = 0;
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        *list[i].to = work ? work + floats : NULL;
        floats += ark_simd_pad(list[i].floats);
    }
    return floats;
}

ark_status ark_cpu_attention_prepare(ark_dev *dev, ark_node *n, size_t *scratch) {
    attention *a = NULL;
    tiles t;
    int rows, panel;
    ARK_TRY(ARK_NEW(&a, 1, "attention"));
    ark_cpu_of(dev)->simd->panel_size(&rows, &panel);
    *a = (attention){.tokens = n->out->dims[1],
        .heads = n->a.attn.heads,
        .C = n->out->dims[2],
        .rows = rows,
        .panel = panel};
    a->dim = a->C / a->heads;
    a->block = whole(ark_ceil_div(a->tokens, ark_ceil_div(a->tokens, BLOCK)), rows);
    a->ld = whole(a->tokens, panel);
    a->cols = whole(a->dim, panel);
    const ark_dtype dtype = n->out->dtype;
    a->floats =
        ark_max64(carve(a, dtype, false, NULL, &t), n->want_grad[0] ? carve(a, dtype, true, NULL, &t) : 0);
    n->priv = a;
    *scratch = (size_t)(a->floats * dev->threads) * sizeof(float);
    return ARK_OK;
}

/* ---- operands ----------------------------------------------------------------------------------- */

/* Rows of a head: D columns of a larger matrix. */
typedef struct {
    void *base;
    ark_dtype dtype;
    int64_t row, column; /* elements */
} operand;

static operand part_of(const attention *a, const ark_tensor *t, void *base, int64_t task, int part) {
    const int64_t row = ark_last_dim(t), sample = task / a->heads, head = task % a->heads;
    return (operand){.base = base,
        .dtype = t->dtype,
        .row = row,
        .column = sample * a->tokens * row + part * a->C + head * a->dim};
}

/* Rows of a head lie far apart, where the processor does not fetch them by itself. Inline: see
 * simd/attn.c. */
static inline __attribute__((always_inline)) void fetch(operand o, int64_t dim, int64_t from, int64_t to) {
    const int64_t size = (int64_t)ark_dtype_bytes(o.dtype);
    for (int64_t i = from; i < to; i++) {
        const char *row = (const char *)o.base + (o.column + i * o.row) * size;
        for (int64_t b = 0; b < dim * size; b += LINE) {
            __builtin_prefetch(row + b, 0, 2);
        }
    }
}

/* dst (to-from,D) = scale * rows [from,to). */
static void gather(const job *j, float *dst, operand o, int64_t from, int64_t to, float scale) {
    const int64_t D = j->a->dim;
    for (int64_t i = from; i < to; i++, dst += D) {
        const int64_t at = o.column + i * o.row;
        fetch(o, D, ark_min64(i + AHEAD, to), ark_min64(i + AHEAD + 1, to));
        if (o.dtype == ARK_F32) {
            j->k->scale(dst, (const float *)o.base + at, scale, D);
        } else {
            j->k->widen(dst, (const uint16_t *)o.base + at, D);
            j->k->scale(dst, dst, scale, D);
        }
    }
}

/* Rows [from,to) of a matrix = or += scale[i] * src (to-from; ld); src is used up. */
static void scatter(const job *j, operand o, float *src, int64_t ld, int64_t from, int64_t to,
    const float *scale, float all, bool acc) {
    const int64_t D = j->a->dim;
    for (int64_t i = from; i < to; i++, src += ld) {
        const int64_t at = o.column + i * o.row;
        const float s = scale ? scale[i - from] : all;
        if (o.dtype == ARK_F32 && acc) {
            j->k->add_scaled((float *)o.base + at, (float *)o.base + at, src, s, D);
        } else if (o.dtype == ARK_F32) {
            j->k->scale((float *)o.base + at, src, s, D);
        } else {
            uint16_t *dst = (uint16_t *)o.base + at;
            for (int64_t d = 0; d < D; d++) {
                src[d] = (acc ? ark_bf16_to_f32(dst[d]) : 0.0f) + s * src[d];
            }
            j->k->narrow(dst, src, D);
        }
    }
}

/* All rows as float32: in place, or widened. */
static const float *all_rows(const job *j, const tiles *t, operand o, int64_t *ld) {
    if (o.dtype == ARK_F32) {
        *ld = o.row;
        return (const float *)o.base + o.column;
    }
    gather(j, t->wide, o, 0, j->a->tokens, 1.0f);
    *ld = j->a->dim;
    return t->wide;
}

/* turned (if not NULL): panels of the transpose; across: panels of the rows as they are. */
static void pack(const job *j, const tiles *t, operand o, float *turned, float *across) {
    const attention *a = j->a;
    int64_t ld;
    const float *src = all_rows(j, t, o, &ld);
    for (int64_t i = 0; turned && i < a->tokens; i += a->panel) {
        const int64_t n = ark_min64(a->panel, a->tokens - i), next = ark_min64(i + 2 * a->panel, a->tokens);
        fetch(o, o.dtype == ARK_F32 ? a->dim : 0, i + n, next);
        j->k->pack_panel_turned(turned + i * a->dim, src + i * ld, ld, n, a->dim);
    }
    if (across) {
        j->k->pack_panels(across, a->tokens * a->panel, src, ld, a->dim, a->tokens);
    }
}

/* c (m; ldc) = or += a b over `panels` panels of b, `apart` floats from one to the next. Element (i,l) of
 * a is a[i a_row + l a_col]. */
static void multiply(
    const job *j, float *c, int64_t ldc, ark_panel_product p, int64_t apart, int64_t panels) {
    const float *b = p.b;
    p.ldc = ldc;
    p.a_group = j->a->rows * p.a_row;
    for (int64_t i = 0; i < panels; i++) {
        p.c = c + i * j->a->panel;
        p.b = b + i * apart;
        j->k->panel(&p);
    }
}

/* ---- forward ------------------------------------------------------------------------------------ */

/* e (m,ld) = weights of queries in t->q, up to the sums of rows, whose inverses go to t->inverse. */
static void weigh(const job *j, const tiles *t, int64_t m) {
    const attention *a = j->a;
    ark_panel_product p = {.a = t->q, .a_row = a->dim, .a_col = 1, .b = t->kt, .m = m, .k = a->dim};
    multiply(j, t->e, a->ld, p, a->dim * a->panel, a->ld / a->panel);
    for (int64_t i = 0; i < m; i++) {
        j->k->softmax_row(t->e + i * a->ld, t->inverse + i, a->tokens, a->ld);
    }
}

static float scale_of(const attention *a) {
    return (float)(1.0 / sqrt((double)a->dim));
}

static void fwd_task(void *ctx, int64_t task, int thread) {
    const job *j = ctx;
    const attention *a = j->a;
    const ark_tensor *qkv = j->n->in[0];
    const int64_t head = task / j->parts, part = task % j->parts, blocks = ark_ceil_div(a->tokens, a->block);
    const int64_t end = ark_min64(a->tokens, ark_piece(blocks, j->parts, part + 1) * a->block);
    void *base = ark_ptr(j->c, qkv);
    tiles t;
    carve(a, qkv->dtype, false, (float *)j->c->scratch + a->floats * thread, &t);
    pack(j, &t, part_of(a, qkv, base, head, K), t.kt, NULL);
    pack(j, &t, part_of(a, qkv, base, head, V), NULL, t.vp);
    for (int64_t i = ark_piece(blocks, j->parts, part) * a->block; i < end; i += a->block) {
        const int64_t m = ark_min64(a->block, end - i);
        gather(j, t.q, part_of(a, qkv, base, head, Q), i, i + m, scale_of(a));
        weigh(j, &t, m);
        ark_panel_product p = {.a = t.e, .a_row = a->ld, .a_col = 1, .b = t.vp, .m = m, .k = a->tokens};
        multiply(j, t.o, a->cols, p, a->tokens * a->panel, a->cols / a->panel);
        scatter(j, part_of(a, j->n->out, ark_ptr(j->c, j->n->out), head, 0), t.o, a->cols, i, i + m,
            t.inverse, 0.0f, false);
    }
}

ark_status ark_cpu_attention_fwd(const ark_call *c, const ark_node *n) {
    job j = {.c = c, .n = n, .a = n->priv, .k = ark_simd_of(c)};
    const int64_t heads = c->batch * j.a->heads, blocks = ark_ceil_div(j.a->tokens, j.a->block);
    j.parts = ark_min64(blocks, ark_ceil_div(WANTED_TASKS, heads));
    ark_parallel(c->dev->threads, heads * j.parts, fwd_task, &j);
    return ARK_OK;
}

/* ---- backward ----------------------------------------------------------------------------------- */

/* ds, and from it dq of rows [i,i+m) and shares of dk; e gives the share of dv. */
static void block_bwd(const job *j, const tiles *t, operand dq, int64_t i, int64_t m, bool first) {
    const attention *a = j->a;
    const int64_t panels = a->cols / a->panel, apart = a->block * a->panel;
    for (int64_t r = 0; r < m; r++) {
        j->k->scale(t->dout + r * a->dim, t->dout + r * a->dim, t->inverse[r], a->dim);
    }
    ark_panel_product p = {.a = t->dout, .a_row = a->dim, .a_col = 1, .b = t->vt, .m = m, .k = a->dim};
    multiply(j, t->ds, a->ld, p, a->dim * a->panel, a->ld / a->panel);
    j->k->pack_panels(t->dp, apart, t->dout, a->dim, a->dim, m);
    p = (ark_panel_product){
        .a = t->e, .a_row = 1, .a_col = a->ld, .b = t->dp, .m = a->tokens, .k = m, .accumulate = !first};
    multiply(j, t->dv, a->cols, p, apart, panels);
    for (int64_t r = 0; r < m; r++) {
        j->k->softmax_row_grad(t->ds + r * a->ld, t->e + r * a->ld, t->inverse[r], a->ld);
    }
    p = (ark_panel_product){.a = t->ds, .a_row = a->ld, .a_col = 1, .b = t->kp, .m = m, .k = a->tokens};
    multiply(j, t->o, a->cols, p, a->tokens * a->panel, panels);
    scatter(j, dq, t->o, a->cols, i, i + m, NULL, scale_of(a), j->n->acc[0]);
    j->k->pack_panels(t->qp, apart, t->q, a->dim, a->dim, m);
    p = (ark_panel_product){
        .a = t->ds, .a_row = 1, .a_col = a->ld, .b = t->qp, .m = a->tokens, .k = m, .accumulate = !first};
    multiply(j, t->dk, a->cols, p, apart, panels);
}

static void bwd_task(void *ctx, int64_t head, int thread) {
    const job *j = ctx;
    const attention *a = j->a;
    const ark_tensor *qkv = j->n->in[0];
    void *base = ark_ptr(j->c, qkv), *grad = ark_grad_ptr(j->c, qkv);
    const operand dout = part_of(a, j->n->out, ark_grad_ptr(j->c, j->n->out), head, 0);
    tiles t;
    carve(a, qkv->dtype, true, (float *)j->c->scratch + a->floats * thread, &t);
    pack(j, &t, part_of(a, qkv, base, head, K), t.kt, t.kp);
    pack(j, &t, part_of(a, qkv, base, head, V), t.vt, NULL);
    for (int64_t i = 0; i < a->tokens; i += a->block) {
        const int64_t m = ark_min64(a->block, a->tokens - i);
        gather(j, t.q, part_of(a, qkv, base, head, Q), i, i + m, scale_of(a));
        gather(j, t.dout, dout, i, i + m, 1.0f);
        weigh(j, &t, m);
        block_bwd(j, &t, part_of(a, qkv, grad, head, Q), i, m, i == 0);
    }
    scatter(j, part_of(a, qkv, grad, head, K), t.dk, a->cols, 0, a->tokens, NULL, 1.0f, j->n->acc[0]);
    scatter(j, part_of(a, qkv, grad, head, V), t.dv, a->cols, 0, a->tokens, NULL, 1.0f, j->n->acc[0]);
}

ark_status ark_cpu_attention_bwd(const ark_call *c, const ark_node *n) {
    job j = {.c = c, .n = n, .a = n->priv, .k = ark_simd_of(c)};
    if (n->want_grad[0]) {
        ark_parallel(c->dev->threads, c->batch * j.a->heads, bwd_task, &j);
    }
    return ARK_OK;
}
