/* conv2d, backward: dW += dy^T patches(x), db += column sums of dy, and dx.
 *
 * With stride 1 dx is a convolution of dy with the kernel turned by half a circle. Otherwise most taps of that would
 * be zero, so dy W is made for a few output pixels at a time and added to the pixels it belongs to; the tasks
 * are whole samples then. dW is summed in groups of rows, whose number follows from the shape, times tiles. */
#include "backend/cpu/conv.h"

#include <stdatomic.h>
#include <string.h>

enum {
    X,
    W,
    BIAS,
    SCATTER_ROWS = 96,
    TILE = 256,
    WANTED_TILES = 24,
    MAX_GROUPS = 16,
    GROUP_ROWS = 384,
    MAX_PARTIAL = 1 << 24, /* floats of all groups */
    BLOCK = 1 << 15
};

/* ---- preparation ---------------------------------------------------------------------------- */

static ark_status want(ark_conv *v, ark_gemm_pool *pool, ark_gemm_desc d, const ark_gemm **out) {
    ARK_TRY(ark_gemm_get(pool, &d, out));
    const size_t bytes = ark_gemm_scratch(*out);
    v->products = bytes > v->products ? bytes : v->products;
    return ARK_OK;
}

static ark_status prepare_dx(
    ark_conv *v, ark_gemm_pool *pool, const ark_node *n, size_t *tile, size_t *panels) {
    const ark_patches *p = &v->patches;
    const bool gather = p->stride == 1 && !p->planar;
    v->dx = gather ? ARK_DX_GATHER : ARK_DX_SCATTER;
    ark_gemm_desc d = {.packed = true};
    if (gather) {
        v->dx_cut = ark_row_cut_new(p->H * p->W, n->in[X]->dims[0]);
        d = (ark_gemm_desc){.n = p->I,
            .k = v->taps * v->O,
            .packed = true,
            .patches_a = true,
            .ldc = p->I,
            .out = v->in,
            .accumulate = n->acc[X]};
    } else {
        v->dx_cut = (ark_row_cut){.per_sample = v->cut.per_sample};
        v->dx_cut.parts = ark_ceil_div(v->cut.per_sample, SCATTER_ROWS);
        v->dx_cut.rows[v->dx_cut.sizes++] = ark_ceil_div(v->cut.per_sample, v->dx_cut.parts);
        if (v->cut.per_sample % v->dx_cut.parts) {
            v->dx_cut.rows[v->dx_cut.sizes++] = v->cut.per_sample / v->dx_cut.parts;
        }
        d = (ark_gemm_desc){.n = v->K, .k = v->O, .packed = true, .lda = v->O, .ldc = v->K};
        *tile = (size_t)(v->dx_cut.rows[0] * v->K) * sizeof(float);
        *tile += v->in == ARK_BF16 ? (size_t)ark_simd_pad(2 * p->H * p->W * p->I) * sizeof(float) : 0;
    }
    for (int i = 0; i < v->dx_cut.sizes; i++) {
        d.m = v->dx_cut.rows[i];
        ARK_TRY(want(v, pool, d, &v->dx_product[i]));
    }
    const size_t bytes = (size_t)ark_gemm_packed_floats(pool, d.k, d.n) * sizeof(float);
    /* gather: the turned kernel lies behind its panels while it is packed */
    const size_t turned = gather ? (size_t)(v->O * v->K) * sizeof(float) : 0;
    *panels = bytes + turned > *panels ? bytes + turned : *panels;
    ark_packing w = {.n = d.n, .k = d.k};
    const size_t packing = ark_gemm_pack_scratch(pool, &w);
    v->products = packing > v->products ? packing : v->products;
    return ARK_OK;
}

static ark_panels cut(int64_t total) {
    const int64_t width = ark_min64(total, TILE);
    return (ark_panels){.total = total, .width = width, .count = ark_ceil_div(total, width)};
}

ark_status ark_conv_prepare_grad(
    ark_conv *v, ark_gemm_pool *pool, const ark_node *n, size_t *tile, size_t *panels) {
    const int64_t rows = n->in[X]->dims[0] * v->cut.per_sample;
    if (n->want_grad[X]) {
        ARK_TRY(prepare_dx(v, pool, n, tile, panels));
    }
    v->dw_n = cut(v->O);
    v->dw_k = cut(v->K);
    const int64_t wanted = ark_ceil_div(WANTED_TILES, v->dw_n.count * v->dw_k.count);
    v->groups = ark_min64(ark_min64(wanted, MAX_GROUPS), ark_ceil_div(rows, GROUP_ROWS));
    v->groups = ark_max64(1, ark_min64(v->groups, MAX_PARTIAL / (v->O * v->K)));
    for (int i = 0; i < 4 && n->want_grad[W]; i++) {
        ark_gemm_desc d = {.m = ark_panel_width(&v->dw_n, i / 2),
            .n = ark_panel_width(&v->dw_k, i % 2),
            .k = rows,
            .ta = true,
            .patches_b = true,
            .lda = v->O,
            .ldc = v->K,
            .accumulate = true};
        if (d.m > 0 && d.n > 0) {
            ARK_TRY(want(v, pool, d, &v->dw[i / 2][i % 2]));
        }
    }
    return ARK_OK;
}

/* ---- shared --------------------------------------------------------------------------------- */

typedef struct {
    const ark_call *c;
    const ark_node *n;
    const ark_conv *v;
    const ark_simd *k;
    const float *dy, *w; /* dy in float32; W (O,K) */
    float *turned;
    const float *panels;
    int64_t rows;
    atomic_int failed;
} job;

static void check(job *j, ark_status st) {
    if (st != ARK_OK) {
        atomic_store(&j->failed, (int)st);
    }
}

static void widen_task(void *ctx, int64_t task, int thread) {
    (void)thread;
    const job *j = ctx;
    const int64_t at = task * BLOCK, n = ark_min64(BLOCK, j->rows * j->v->O - at);
    const uint16_t *dy = ark_grad_ptr(j->c, j->n->out);
    j->k->widen(ark_conv_at(j->c, j->v->wide_at) + at, dy + at, n);
}

static const float *wide_dy(job *j) {
    if (j->v->out == ARK_F32) {
        return ark_grad_ptr(j->c, j->n->out);
    }
    ark_parallel(j->c->dev->threads, ark_ceil_div(j->rows * j->v->O, BLOCK), widen_task, j);
    return ark_conv_at(j->c, j->v->wide_at);
}

/* ---- dx, stride 1 --------------------------------------------------------------------------- */

/* One tap of the turned kernel: (O,I) of the opposite tap. */
static void turn_task(void *ctx, int64_t tap, int thread) {
    (void)thread;
    const job *j = ctx;
    const ark_conv *v = j->v;
    const int64_t I = v->patches.I;
    for (int64_t o = 0; o < v->O; o++) {
        memcpy(j->turned + (tap * v->O + o) * I, j->w + o * v->K + (v->taps - 1 - tap) * I,
            (size_t)I * sizeof(float));
    }
}

static void gather_task(void *ctx, int64_t task, int thread) {
    job *j = ctx;
    const ark_conv *v = j->v;
    const ark_patches *p = &v->patches;
    ark_row_piece piece = ark_row_piece_at(&v->dx_cut, j->c->batch, task);
    ark_patches patches = {.x = j->dy,
        .dtype = ARK_F32,
        .H = p->OH,
        .W = p->OW,
        .I = v->O,
        .OH = p->H,
        .OW = p->W,
        .k = p->k,
        .stride = 1,
        .pad = p->k - 1 - p->pad,
        .first = piece.first};
    ark_gemm_args args = {.b = j->panels,
        .c = ark_at(j->n->in[X], ark_grad_ptr(j->c, j->n->in[X]), piece.first * p->I),
        .patches = &patches};
    check(j, ark_gemm_run(v->dx_product[piece.size], thread, &args, ark_conv_scratch(j->c, v, thread)));
}

static void gather_dx(job *j) {
    const ark_conv *v = j->v;
    const ark_gemm_pool *pool = ark_cpu_of(j->c->dev)->gemms;
    const int64_t k = v->taps * v->O, n = v->patches.I;
    float *panels = ark_conv_at(j->c, v->panels_at);
    j->turned = panels + ark_gemm_packed_floats(pool, k, n);
    ark_parallel(j->c->dev->threads, v->taps, turn_task, j);
    ark_conv_pack(j->c, v, panels, &(ark_packing){.b = j->turned, .ld = n, .n = n, .k = k});
    j->panels = panels;
    ark_parallel(j->c->dev->threads, ark_row_pieces(&v->dx_cut, j->c->batch), gather_task, j);
}

/* ---- dx, other strides ---------------------------------------------------------------------- */

static void scatter_task(void *ctx, int64_t sample, int thread) {
    job *j = ctx;
    const ark_conv *v = j->v;
    const ark_tensor *x = j->n->in[X];
    const int64_t size = ark_numel_per_sample(x), per_sample = v->cut.per_sample;
    char *scratch = ark_conv_scratch(j->c, v, thread);
    float *tile = (float *)(void *)(scratch + v->products), *wide = tile + v->dx_cut.rows[0] * v->K;
    float *image = v->in == ARK_F32 ? (float *)ark_grad_ptr(j->c, x) + sample * size : wide;
    if (v->in != ARK_F32 || !j->n->acc[X]) {
        memset(image, 0, (size_t)size * sizeof *image);
    }
    ark_patches patches = v->patches;
    for (int64_t part = 0; part < v->dx_cut.parts; part++) {
        const int64_t larger = per_sample % v->dx_cut.parts, small = per_sample / v->dx_cut.parts;
        const int64_t at = part * small + ark_min64(part, larger), rows = small + (part < larger);
        const ark_gemm *g = v->dx_product[rows == v->dx_cut.rows[0] ? 0 : 1];
        ark_gemm_args args = {.a = j->dy + (sample * per_sample + at) * v->O, .b = j->panels, .c = tile};
        check(j, ark_gemm_run(g, thread, &args, scratch));
        j->k->patches_grad(&patches, image, tile, v->K, at, rows);
    }
    if (v->in != ARK_F32) {
        ark_write_end(
            j->k, v->in, ark_grad_ptr(j->c, x), sample * size, size, j->n->acc[X], image, image + size);
    }
}

static void scatter_dx(job *j) {
    const ark_conv *v = j->v;
    float *panels = ark_conv_at(j->c, v->panels_at);
    ark_conv_pack(j->c, v, panels, &(ark_packing){.b = j->w, .ld = v->K, .n = v->K, .k = v->O});
    j->panels = panels;
    ark_parallel(j->c->dev->threads, j->c->batch, scatter_task, j);
}

/* ---- dW and db ------------------------------------------------------------------------------ */

static float *partial_dw(const job *j, int64_t group) {
    const size_t bytes = ark_round_up((size_t)(j->v->O * j->v->K) * sizeof(float), ARK_ALIGN);
    return ark_conv_at(j->c, j->v->partial_at + (size_t)group * bytes);
}

static float *partial_db(const job *j, int64_t group) {
    return partial_dw(j, j->v->groups) + group * ark_simd_pad(j->v->O);
}

/* A tile of the group's share; its first tile also sums the bias. */
static void dw_task(void *ctx, int64_t task, int thread) {
    job *j = ctx;
    const ark_conv *v = j->v;
    const int64_t tiles = v->dw_n.count * v->dw_k.count, group = task / tiles, tile = task % tiles;
    const int64_t pn = tile / v->dw_k.count, pk = tile % v->dw_k.count;
    const int kn = ark_panel_kind(&v->dw_n, pn), kk = ark_panel_kind(&v->dw_k, pk);
    const int64_t first = ark_piece(j->rows, v->groups, group),
                  end = ark_piece(j->rows, v->groups, group + 1);
    float *dw = partial_dw(j, group) + pn * v->dw_n.width * v->K + pk * v->dw_k.width;
    for (int64_t o = 0; o < ark_panel_width(&v->dw_n, kn); o++) {
        memset(dw + o * v->K, 0, (size_t)ark_panel_width(&v->dw_k, kk) * sizeof *dw);
    }
    ark_patches patches = v->patches;
    patches.x = (const char *)ark_ptr(j->c, j->n->in[X]);
    patches.first = first;
    if (j->n->want_grad[W] && end > first) {
        /* columns of patches begin at the tile's: the product counts them from 0 */
        ark_gemm_args args = {.a = j->dy + first * v->O + pn * v->dw_n.width,
            .c = dw,
            .patches = &patches,
            .column = pk * v->dw_k.width,
            .k = end - first};
        check(j, ark_gemm_run(v->dw[kn][kk], thread, &args, ark_conv_scratch(j->c, v, thread)));
    }
    if (tile == 0 && v->bias && j->n->want_grad[BIAS]) {
        float *db = partial_db(j, group);
        memset(db, 0, (size_t)v->O * sizeof *db);
        j->k->column_sums(db, j->dy + first * v->O, end - first, v->O, v->O);
    }
}

/* Add the groups' shares of one output channel in order, back in the order of files. */
static void reduce_task(void *ctx, int64_t o, int thread) {
    (void)thread;
    const job *j = ctx;
    const ark_conv *v = j->v;
    const int64_t I = v->patches.I;
    if (j->n->want_grad[W]) {
        float *sum = partial_dw(j, 0) + o * v->K, *dw = (float *)ark_grad_ptr(j->c, j->n->in[W]) + o * v->K;
        for (int64_t g = 1; g < v->groups; g++) {
            j->k->add(sum, partial_dw(j, g) + o * v->K, v->K);
        }
        if (v->patches.planar || v->taps == 1) {
            j->k->add(dw, sum, v->K);
        } else {
            for (int64_t e = 0; e < v->K; e++) {
                dw[e] += sum[e % v->taps * I + e / v->taps];
            }
        }
    }
    if (v->bias && j->n->want_grad[BIAS]) {
        for (int64_t g = 0; g < v->groups; g++) {
            ((float *)ark_grad_ptr(j->c, j->n->in[BIAS]))[o] += partial_db(j, g)[o];
        }
    }
}

ark_status ark_cpu_conv2d_bwd(const ark_call *c, const ark_node *n) {
    const ark_conv *v = n->priv;
    const int threads = c->dev->threads;
    job j = {.c = c, .n = n, .v = v, .k = ark_simd_of(c), .rows = c->batch * v->cut.per_sample};
    j.dy = wide_dy(&j);
    if (n->want_grad[X]) {
        j.w = ark_conv_weights(c, n);
        if (v->dx == ARK_DX_GATHER) {
            gather_dx(&j);
        } else {
            scatter_dx(&j);
        }
    }
    if (n->want_grad[W] || (v->bias && n->want_grad[BIAS])) {
        ark_parallel(threads, v->groups * v->dw_n.count * v->dw_k.count, dw_task, &j);
        ark_parallel(threads, v->O, reduce_task, &j);
    }
    int failed = atomic_load(&j.failed);
    return failed ? ARK_ERR((ark_status)failed, "a matrix product failed") : ARK_OK;
}
