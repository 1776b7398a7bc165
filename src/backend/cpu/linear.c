/* linear: y = act(x W^T + b). Tasks are (piece of rows, panel of output features); the activation is applied
 * while the piece is still in the cache. */
#include "backend/cpu/linear.h"

#include "backend/cpu/epilogue.h"

#include <math.h>
#include <stdatomic.h>

enum {
    X,
    W,
    BIAS,
    LINE = 1024,
    WANTED_TASKS = 16,
    MIN_PANEL = 128,
    MAX_GROUPS = 64,
    MIN_GROUPS = 8,
    TILES_PER_THREAD = 4,
    KEEP_ROWS = 256
};

/* ---- preparation ---------------------------------------------------------------------------- */

/* Panels of total so that there are about `wanted` of them, none but the last narrower than `least`. */
static ark_panels cut_panels(int64_t total, int64_t wanted, int64_t least) {
    int64_t width = (ark_ceil_div(total, ark_max64(wanted, 1)) + 63) / 64 * 64;
    width = ark_min64(ark_max64(width, least), total);
    return (ark_panels){.total = total, .width = width, .count = ark_ceil_div(total, width)};
}

static ark_status want(ark_gemm_pool *pool, ark_gemm_desc d, const ark_gemm **out, size_t *scratch) {
    ARK_TRY(ark_gemm_get(pool, &d, out));
    size_t bytes = ark_gemm_scratch(*out);
    *scratch = bytes > *scratch ? bytes : *scratch;
    return ARK_OK;
}

/* y (rows,N) panel = act(x (rows,K) W (N,K)^T + b) */
static ark_status prepare_fwd(ark_linear *l, ark_gemm_pool *pool, int size, int kind, size_t *scratch) {
    ark_gemm_desc d = {.m = l->cut.rows[size],
        .n = ark_panel_width(&l->fwd_n, kind),
        .k = l->K,
        .tb = true,
        .packed = l->packs,
        .lda = l->K,
        .ldb = l->K,
        .ldc = l->N,
        .in = l->in,
        .out = l->out,
        .bias = l->bias,
        .act = l->act};
    return want(pool, d, &l->fwd[size][kind], scratch);
}

/* dx (rows,K) panel = or += dz (rows,N) W (N,K) */
static ark_status prepare_dx(
    ark_linear *l, ark_gemm_pool *pool, int size, int kind, bool acc, size_t *scratch) {
    ark_gemm_desc d = {.m = l->cut.rows[size],
        .n = ark_panel_width(&l->dx_k, kind),
        .k = l->N,
        .packed = l->packs,
        .lda = l->N,
        .ldb = l->K,
        .ldc = l->K,
        .in = l->in,
        .out = l->in,
        .accumulate = acc};
    return want(pool, d, &l->dx[size][kind], scratch);
}

/* dW (N,K) tile += dz (rows,N)^T x (rows,K): rows of a piece, or all of them in one product (see dw_task) */
static ark_status prepare_dw(
    ark_linear *l, ark_gemm_pool *pool, int64_t rows, int kn, int kk, const ark_gemm **out, size_t *scratch) {
    ark_gemm_desc d = {.m = ark_panel_width(&l->dw_n, kn),
        .n = ark_panel_width(&l->dw_k, kk),
        .k = rows,
        .ta = true,
        .lda = l->N,
        .ldb = l->K,
        .ldc = l->K,
        .in = l->in,
        .out = ARK_F32,
        .accumulate = true};
    return want(pool, d, out, scratch);
}

static ark_status prepare_products(ark_linear *l, ark_gemm_pool *pool, const ark_node *n, size_t *scratch) {
    for (int size = 0; size < l->cut.sizes; size++) {
        for (int kind = 0; kind < 2; kind++) {
            if (ark_panel_width(&l->fwd_n, kind) > 0) {
                ARK_TRY(prepare_fwd(l, pool, size, kind, scratch));
            }
            if (n->want_grad[X] && ark_panel_width(&l->dx_k, kind) > 0) {
                ARK_TRY(prepare_dx(l, pool, size, kind, n->acc[X], scratch));
            }
            for (int kk = 0; n->want_grad[W] && kk < 2; kk++) {
                if (ark_panel_width(&l->dw_n, kind) > 0 && ark_panel_width(&l->dw_k, kk) > 0) {
                    int64_t rows =
                        l->packs && !l->groups ? ark_rows(n->in[X], n->in[X]->dims[0]) : l->cut.rows[size];
                    ARK_TRY(prepare_dw(l, pool, rows, kind, kk, &l->dw[size][kind][kk], scratch));
                }
            }
        }
    }
    return ARK_OK;
}

/* How the work is cut. With many rows and a small W, backward goes by groups of pieces: dz, dx and the
 * group's share of dW while the piece is in the cache. Their number keeps the partial sums to a fraction of
 * the bytes of dz. Otherwise tiles of dW are the tasks and each walks over all rows. */
static void plan_cuts(ark_linear *l, int64_t batch, int threads) {
    int64_t pieces = ark_row_pieces(&l->cut, batch), rows = batch * l->cut.per_sample;
    l->fwd_n = cut_panels(l->N, WANTED_TASKS / ark_max64(pieces, 1), MIN_PANEL);
    l->dx_k = cut_panels(l->K, WANTED_TASKS / ark_max64(pieces, 1), MIN_PANEL);
    l->groups = ark_min64(ark_min64(rows / (4 * l->K), pieces), MAX_GROUPS);
    if (l->groups >= MIN_GROUPS) {
        l->dx_k = cut_panels(l->K, 1, l->K);
        l->dw_n = cut_panels(l->N, 1, l->N);
        l->dw_k = cut_panels(l->K, 1, l->K);
        return;
    }
    /* Square tiles: a tile fetches its columns of dz and of x once, so N times the tiles along K and K
     * times those along N counts. An element's sum runs over all rows in any tile: their number may
     * follow the threads'. */
    l->groups = 0;
    double tiles = TILES_PER_THREAD * threads;
    l->dw_n = cut_panels(l->N, lround(sqrt(tiles * (double)l->N / (double)l->K)), 64);
    l->dw_k = cut_panels(l->K, lround(tiles / (double)l->dw_n.count), 64);
}

void ark_cpu_linear_release(ark_dev *dev, ark_node *n) {
    ark_linear *l = n->priv;
    if (l) {
        ark_free(l->kept);
    }
    ark_cpu_release(dev, n);
}

ark_status ark_cpu_linear_prepare(ark_dev *dev, ark_node *n, size_t *scratch) {
    ark_linear *l = NULL;
    ARK_TRY(ARK_NEW(&l, 1, "a linear layer's products"));
    n->priv = l;
    const ark_tensor *x = n->in[X];
    int64_t batch = x->dims[0];
    *l = (ark_linear){.N = n->in[W]->dims[0],
        .K = n->in[W]->dims[1],
        .in = x->dtype,
        .out = n->out->dtype,
        .act = n->a.linear.act,
        .bias = n->in[BIAS] != NULL,
        .cut = ark_row_cut_new(ark_rows(x, 1), batch)};
    ark_gemm_pool *pool = ark_cpu_of(dev)->gemms;
    l->narrow_dz = l->in != l->out;
    l->packs = ark_gemm_packs(pool, l->in);
    plan_cuts(l, batch, dev->threads);
    ark_packing w = {.in = l->in, .n = l->N, .k = l->K}, dxw = {.in = l->in, .n = l->K, .k = l->N};
    size_t products = l->packs ? ark_gemm_pack_scratch(pool, &w) : 0,
           other = ark_gemm_pack_scratch(pool, &dxw);
    products = l->packs && n->want_grad[X] && other > products ? other : products;
    ark_status st = prepare_products(l, pool, n, &products);
    if (st != ARK_OK) {
        ark_cpu_linear_release(dev, n);
        return st;
    }
    bool grad = n->want_grad[X] || n->want_grad[W] || (l->bias && n->want_grad[BIAS]);
    size_t fwd_panels = l->packs ? (size_t)ark_gemm_packed_floats(pool, l->K, l->N) * sizeof(float) : 0;
    if (l->packs && !grad && batch * l->cut.per_sample <= KEEP_ROWS) {
        l->kept = ark_malloc_aligned(fwd_panels);
        if (!l->kept) {
            ark_cpu_linear_release(dev, n);
            return ARK_ERR(ARK_ENOMEM, "out of memory: %zu bytes of packed weights", fwd_panels);
        }
    }
    l->line_at = products;
    l->dz_at = l->line_at + ark_round_up((size_t)(3 * LINE + 2 * l->N) * sizeof(float), ARK_ALIGN);
    size_t dz = grad && l->narrow_dz && l->groups ? (size_t)(l->cut.rows[0] * l->N) * sizeof(uint16_t) : 0;
    l->thread_bytes = l->dz_at + ark_round_up(dz, ARK_ALIGN);
    l->panels_at = l->thread_bytes * (size_t)dev->threads;
    size_t dx_panels =
        l->packs && n->want_grad[X] ? (size_t)ark_gemm_packed_floats(pool, l->N, l->K) * sizeof(float) : 0;
    size_t panels = fwd_panels > dx_panels ? fwd_panels : dx_panels;
    l->shared_at = l->panels_at + ark_round_up(panels, ARK_ALIGN);
    size_t shared = 0;
    if (grad && l->groups) {
        shared = (size_t)(l->groups * ark_linear_partial(l)) * sizeof(float);
    } else if (grad && l->narrow_dz) {
        shared = (size_t)(batch * l->cut.per_sample * l->N) * sizeof(uint16_t);
    }
    shared += (size_t)ark_epilogue_floats(n) *
              sizeof(float); /* of a node without gradients: nothing else is there */
    *scratch = l->shared_at + shared;
    return ARK_OK;
}

/* ---- forward -------------------------------------------------------------------------------- */

typedef struct {
    const ark_call *c;
    const ark_node *n;
    atomic_int failed;
} job;

typedef struct {
    const ark_call *c;
    const ark_linear *l;
    ark_packing w;
} packing;

static void pack_task(void *ctx, int64_t task, int thread) {
    const packing *p = ctx;
    void *scratch = (char *)p->c->scratch + (size_t)thread * p->l->thread_bytes;
    ark_gemm_pack(ark_cpu_of(p->c->dev)->gemms, ark_linear_panels(p->c, p->l), task, &p->w, scratch);
}

void ark_linear_pack(const ark_call *c, const ark_node *n, bool turned) {
    ark_linear *l = n->priv;
    if (l->kept && c->version && l->kept_version == c->version) {
        return;
    }
    if (l->kept && c->version && l->seen == c->version) {
        l->kept_version = c->version; /* from here on ark_linear_panels means the kept ones */
    }
    l->seen = c->version;
    packing p = {.c = c, .l = l};
    p.w = (ark_packing){.b = ark_linear_weights(c, n),
        .in = l->in,
        .turned = turned,
        .ld = l->K,
        .n = turned ? l->N : l->K,
        .k = turned ? l->K : l->N};
    ark_parallel(c->dev->threads, ark_gemm_pack_tasks(p.w.n), pack_task, &p);
}

static void fwd_task(void *ctx, int64_t task, int thread) {
    job *j = ctx;
    const ark_call *c = j->c;
    const ark_node *n = j->n;
    const ark_linear *l = n->priv;
    ark_row_piece p = ark_row_piece_at(&l->cut, c->batch, task / l->fwd_n.count);
    int64_t panel = task % l->fwd_n.count, col = panel * l->fwd_n.width, at = p.first * l->N + col;
    char *scratch = (char *)c->scratch + (size_t)thread * l->thread_bytes;
    void *y = ark_ptr(c, n->out), *z = n->saved[0] ? ark_ptr(c, n->saved[0]) : y;
    ark_gemm_args args = {.a = ark_at(n->in[X], ark_ptr(c, n->in[X]), p.first * l->K),
        .bias = l->bias ? (const float *)ark_ptr(c, n->in[BIAS]) + col : NULL,
        .c = ark_at(n->out, z, at),
        .y = ark_at(n->out, y, at)};
    args.b = l->packs
                 ? (const void *)(ark_linear_panels(c, l) + col * l->K)
                 : (const char *)ark_linear_weights(c, n) + (size_t)(col * l->K) * ark_dtype_bytes(l->in);
    ark_status st = ark_gemm_run(l->fwd[p.size][ark_panel_kind(&l->fwd_n, panel)], thread, &args, scratch);
    if (st != ARK_OK) {
        atomic_store(&j->failed, (int)st);
    }
    if (j->n->norm) {
        const float *scale = (const float *)(void *)((char *)c->scratch + l->shared_at);
        ark_epilogue(c, j->n, scale, p.first, p.rows, col,
            ark_panel_width(&l->fwd_n, ark_panel_kind(&l->fwd_n, panel)));
    }
}

ark_status ark_cpu_linear_fwd(const ark_call *c, const ark_node *n) {
    const ark_linear *l = n->priv;
    job j = {.c = c, .n = n};
    ARK_TRY(ark_epilogue_begin(c, n, (float *)(void *)((char *)c->scratch + l->shared_at)));
    if (l->packs) {
        ark_linear_pack(c, n, true);
    }
    ark_parallel(c->dev->threads, ark_row_pieces(&l->cut, c->batch) * l->fwd_n.count, fwd_task, &j);
    int failed = atomic_load(&j.failed);
    return failed ? ARK_ERR((ark_status)failed, "a matrix product failed") : ARK_OK;
}

/* ---- y = gelu(z) again ---------------------------------------------------------------------- */

static void remake_task(void *ctx, int64_t task, int thread) {
    (void)thread;
    const job *j = ctx;
    const ark_linear *l = j->n->priv;
    ark_row_piece p = ark_row_piece_at(&l->cut, j->c->batch, task);
    const ark_tensor *y = j->n->out, *z = j->n->saved[0];
    ark_activate(ark_simd_of(j->c), l->act, l->out, ark_at(y, ark_ptr(j->c, y), p.first * l->N),
        ark_at(z, ark_ptr(j->c, z), p.first * l->N), p.rows * l->N);
}

ark_status ark_cpu_linear_remake(const ark_call *c, const ark_node *n) {
    const ark_linear *l = n->priv;
    job j = {.c = c, .n = n};
    ark_parallel(c->dev->threads, ark_row_pieces(&l->cut, c->batch), remake_task, &j);
    return ARK_OK;
}
