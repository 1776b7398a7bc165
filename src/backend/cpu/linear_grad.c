/* linear, backward: dz = dy act'(z), dx = dz W, dW += dz^T x, db += column sums of dz.
 *
 * dz takes the place of dy: the output's gradient is read by nobody after this. */
#include "backend/cpu/linear.h"

#include <stdatomic.h>
#include <string.h>

enum { X, W, BIAS, LINE = 1024, BLOCK = 1 << 15 };

typedef struct {
    const ark_call *c;
    const ark_node *n;
    const ark_linear *l;
    const ark_simd *k;
    uint16_t *dz16; /* dz of all rows narrowed to bf16 (by tiles), or NULL */
    float *partial; /* groups x ark_linear_partial (by groups) */
    int64_t groups; /* of this run */
    atomic_int failed;
} job;

static char *thread_scratch(const job *j, int thread) {
    return (char *)j->c->scratch + (size_t)thread * j->l->thread_bytes;
}

static void check(job *j, ark_status st) {
    if (st != ARK_OK) {
        atomic_store(&j->failed, (int)st);
    }
}

static const void *elements(const void *base, ark_dtype dtype, int64_t at) {
    return (const char *)base + at * (int64_t)ark_dtype_bytes(dtype);
}

/* dy -> dz in place for elements [at, at+n), and a narrowed copy at dz16 when given. */
static void make_dz(const job *j, int64_t at, int64_t n, uint16_t *dz16, float *line) {
    const ark_linear *l = j->l;
    void *dy = ark_grad_ptr(j->c, j->n->out);
    if (l->act != ARK_ACT_NONE) {
        bool gelu = l->act == ARK_ACT_GELU;
        const void *z = ark_ptr(j->c, gelu ? j->n->saved[0] : j->n->out);
        void (*grad)(float *, const float *, const float *, int64_t) =
            gelu ? j->k->gelu_grad : j->k->relu_grad;
        for (int64_t i = 0; i < n; i += LINE) {
            int64_t m = ark_min64(LINE, n - i);
            const float *z32 = ark_read(j->k, l->out, z, at + i, m, line);
            const float *dy32 = ark_read(j->k, l->out, dy, at + i, m, line + LINE);
            float *dz32 = ark_write_begin(l->out, dy, at + i, false, line + 2 * LINE);
            grad(dz32, dy32, z32, m);
            ark_write_end(j->k, l->out, dy, at + i, m, false, dz32, NULL);
        }
    }
    if (dz16) {
        j->k->narrow(dz16, (const float *)dy + at, n);
    }
}

/* sums (n) += column sums of rows x n elements of dz that start at `at`, N apart. line holds 2 n floats. */
static void sum_columns(const job *j, float *sums, int64_t at, int64_t rows, int64_t n, float *line) {
    const void *dz = ark_grad_ptr(j->c, j->n->out);
    float *total = line, *row = line + n;
    memset(total, 0, (size_t)n * sizeof *total);
    if (j->l->out == ARK_F32) {
        j->k->column_sums(total, (const float *)dz + at, rows, n, j->l->N);
    } else {
        for (int64_t r = 0; r < rows; r++) {
            j->k->widen(row, (const uint16_t *)dz + at + r * j->l->N, n);
            j->k->add(total, row, n);
        }
    }
    j->k->add(sums, total, n);
}

/* dx panel of one piece, from its dz in the products' dtype. */
static void make_dx(job *j, const ark_row_piece *p, int64_t panel, const void *dz, int thread) {
    const ark_linear *l = j->l;
    if (!j->n->want_grad[X]) {
        return;
    }
    int64_t col = panel * l->dx_k.width;
    const void *w = l->packs ? (const void *)(ark_linear_panels(j->c, l) + col * l->N)
                             : elements(ark_linear_weights(j->c, j->n), l->in, col);
    void *dx = ark_at(j->n->in[X], ark_grad_ptr(j->c, j->n->in[X]), p->first * l->K + col);
    const ark_gemm *g = l->dx[p->size][ark_panel_kind(&l->dx_k, panel)];
    check(j, ark_gemm_run(g, thread, &(ark_gemm_args){.a = dz, .b = w, .c = dx}, thread_scratch(j, thread)));
}

/* ---- by groups: pieces one after another, everything while a piece is in the cache ---------- */

static void group_task(void *ctx, int64_t group, int thread) {
    job *j = ctx;
    const ark_linear *l = j->l;
    float *dw = j->partial + group * ark_linear_partial(l), *db = dw + l->N * l->K;
    memset(dw, 0, (size_t)ark_linear_partial(l) * sizeof *dw);
    char *scratch = thread_scratch(j, thread);
    float *line = (float *)(void *)(scratch + l->line_at);
    uint16_t *dz16 = l->narrow_dz ? (uint16_t *)(void *)(scratch + l->dz_at) : NULL;
    const void *x = ark_ptr(j->c, j->n->in[X]), *dy = ark_grad_ptr(j->c, j->n->out);
    int64_t pieces = ark_row_pieces(&l->cut, j->c->batch);
    for (int64_t i = ark_piece(pieces, j->groups, group); i < ark_piece(pieces, j->groups, group + 1); i++) {
        ark_row_piece p = ark_row_piece_at(&l->cut, j->c->batch, i);
        make_dz(j, p.first * l->N, p.rows * l->N, dz16, line);
        const void *dz = dz16 ? dz16 : elements(dy, l->out, p.first * l->N);
        make_dx(j, &p, 0, dz, thread);
        if (j->n->want_grad[W]) {
            const void *xp = elements(x, l->in, p.first * l->K);
            ark_gemm_args args = {.a = dz, .b = xp, .c = dw};
            check(j, ark_gemm_run(l->dw[p.size][0][0], thread, &args, scratch));
        }
        if (l->bias && j->n->want_grad[BIAS]) {
            sum_columns(j, db, p.first * l->N, p.rows, l->N, line);
        }
    }
}

/* Add the groups' shares in order. */
static void reduce_task(void *ctx, int64_t task, int thread) {
    (void)thread;
    const job *j = ctx;
    const ark_linear *l = j->l;
    int64_t size = l->N * l->K, end = size + l->N;
    int64_t from = task * BLOCK, to = ark_min64(from + BLOCK, end);
    float *dw = j->n->want_grad[W] ? ark_grad_ptr(j->c, j->n->in[W]) : NULL;
    float *db = l->bias && j->n->want_grad[BIAS] ? ark_grad_ptr(j->c, j->n->in[BIAS]) : NULL;
    for (int64_t g = 0; g < j->groups; g++) {
        const float *part = j->partial + g * ark_linear_partial(l);
        if (dw && from < size) {
            j->k->add(dw + from, part + from, ark_min64(to, size) - from);
        }
        if (db && to > size) {
            int64_t start = ark_max64(from, size);
            j->k->add(db + (start - size), part + start, to - start);
        }
    }
}

/* ---- by tiles of dW ------------------------------------------------------------------------- */

static void dz_task(void *ctx, int64_t task, int thread) {
    const job *j = ctx;
    ark_row_piece p = ark_row_piece_at(&j->l->cut, j->c->batch, task);
    int64_t at = p.first * j->l->N;
    float *line = (float *)(void *)(thread_scratch(j, thread) + j->l->line_at);
    make_dz(j, at, p.rows * j->l->N, j->dz16 ? j->dz16 + at : NULL, line);
}

/* dz of all rows in the products' dtype. */
static const void *whole_dz(const job *j) {
    return j->dz16 ? (const void *)j->dz16 : ark_grad_ptr(j->c, j->n->out);
}

static void dx_task(void *ctx, int64_t task, int thread) {
    job *j = ctx;
    const ark_linear *l = j->l;
    ark_row_piece p = ark_row_piece_at(&l->cut, j->c->batch, task / l->dx_k.count);
    make_dx(j, &p, task % l->dx_k.count, elements(whole_dz(j), l->in, p.first * l->N), thread);
}

static void dw_task(void *ctx, int64_t task, int thread) {
    job *j = ctx;
    const ark_linear *l = j->l;
    int64_t pn = task / l->dw_k.count, pk = task % l->dw_k.count;
    int kn = ark_panel_kind(&l->dw_n, pn), kk = ark_panel_kind(&l->dw_k, pk);
    int64_t n0 = pn * l->dw_n.width, k0 = pk * l->dw_k.width;
    char *scratch = thread_scratch(j, thread);
    float *line = (float *)(void *)(scratch + l->line_at);
    const void *x = ark_ptr(j->c, j->n->in[X]);
    float *dw = (float *)ark_grad_ptr(j->c, j->n->in[W]) + n0 * l->K + k0;
    const bool wants_bias = pk == 0 && l->bias && j->n->want_grad[BIAS];
    int64_t pieces = ark_row_pieces(&l->cut, j->c->batch);
    if (j->n->want_grad[W] && l->packs) { /* all rows at once */
        ark_gemm_args args = {.a = elements(whole_dz(j), l->in, n0),
            .b = elements(x, l->in, k0),
            .c = dw,
            .k = j->c->batch * l->cut.per_sample};
        check(j, ark_gemm_run(l->dw[0][kn][kk], thread, &args, scratch));
    }
    for (int64_t i = 0; i < pieces && (wants_bias || !l->packs); i++) {
        ark_row_piece p = ark_row_piece_at(&l->cut, j->c->batch, i);
        if (j->n->want_grad[W] && !l->packs) {
            ark_gemm_args args = {.a = elements(whole_dz(j), l->in, p.first * l->N + n0),
                .b = elements(x, l->in, p.first * l->K + k0),
                .c = dw};
            check(j, ark_gemm_run(l->dw[p.size][kn][kk], thread, &args, scratch));
        }
        if (wants_bias) {
            float *db = (float *)ark_grad_ptr(j->c, j->n->in[BIAS]) + n0;
            sum_columns(j, db, p.first * l->N + n0, p.rows, ark_panel_width(&l->dw_n, kn), line);
        }
    }
}

ark_status ark_cpu_linear_bwd(const ark_call *c, const ark_node *n) {
    const ark_linear *l = n->priv;
    job j = {.c = c, .n = n, .l = l, .k = ark_simd_of(c)};
    const int threads = c->dev->threads;
    const int64_t pieces = ark_row_pieces(&l->cut, c->batch);
    void *shared = (char *)c->scratch + l->shared_at;
    if (l->packs && n->want_grad[X]) {
        ark_linear_pack(c, n, false);
    }
    if (l->groups) {
        j.partial = shared;
        j.groups = ark_min64(l->groups, pieces);
        ark_parallel(threads, j.groups, group_task, &j);
        ark_parallel(threads, ark_ceil_div(l->N * l->K + l->N, BLOCK), reduce_task, &j);
    } else {
        j.dz16 = l->narrow_dz ? shared : NULL;
        if (l->act != ARK_ACT_NONE || l->narrow_dz) {
            ark_parallel(threads, pieces, dz_task, &j);
        }
        if (n->want_grad[X]) {
            ark_parallel(threads, pieces * l->dx_k.count, dx_task, &j);
        }
        ark_parallel(threads, l->dw_n.count * l->dw_k.count, dw_task, &j);
    }
    int failed = atomic_load(&j.failed);
    return failed ? ARK_ERR((ark_status)failed, "a matrix product failed") : ARK_OK;
}
