/* conv2d: y = patches(x) W^T + b. Tasks are (piece of output pixels, panel of output channels); the patches of a
 * piece are gathered block by block while the products run (gemm.c), so that they never lie in memory as a whole. */
#include "backend/cpu/conv.h"

#include <stdatomic.h>

enum { X, W, BIAS, WANTED_TASKS = 16, MIN_PANEL = 128 };

/* ---- preparation ---------------------------------------------------------------------------- */

static ark_panels cut_channels(int64_t total, int64_t wanted) {
    int64_t width = (ark_ceil_div(total, ark_max64(wanted, 1)) + 63) / 64 * 64;
    width = ark_min64(ark_max64(width, MIN_PANEL), total);
    return (ark_panels){.total = total, .width = width, .count = ark_ceil_div(total, width)};
}

static ark_status prepare_fwd(ark_conv *v, ark_gemm_pool *pool) {
    for (int i = 0; i < v->cut.sizes * 2; i++) {
        const int size = i / 2, kind = i % 2;
        ark_gemm_desc d = {.m = v->cut.rows[size],
            .n = ark_panel_width(&v->fwd_n, kind),
            .k = v->K,
            .tb = true,
            .packed = true,
            .patches_a = true,
            .ldb = v->K,
            .ldc = v->O,
            .out = v->out,
            .bias = v->bias};
        if (d.n > 0) {
            ARK_TRY(ark_gemm_get(pool, &d, &v->fwd[size][kind]));
            const size_t bytes = ark_gemm_scratch(v->fwd[size][kind]);
            v->products = bytes > v->products ? bytes : v->products;
        }
    }
    return ARK_OK;
}

static ark_conv describe(const ark_node *n) {
    const ark_tensor *x = n->in[X], *w = n->in[W], *y = n->out;
    const bool planar = n->a.conv.planar;
    ark_conv v = {.O = w->dims[0],
        .taps = w->dims[2] * w->dims[2],
        .in = x->dtype,
        .out = y->dtype,
        .bias = n->in[BIAS] != NULL,
        .cut = ark_row_cut_new(ark_rows(y, 1), x->dims[0])};
    v.patches = (ark_patches){.dtype = x->dtype,
        .planar = planar,
        .H = x->dims[planar ? 2 : 1],
        .W = x->dims[planar ? 3 : 2],
        .I = w->dims[1],
        .OH = y->dims[1],
        .OW = y->dims[2],
        .k = w->dims[2],
        .stride = n->a.conv.stride,
        .pad = n->a.conv.pad};
    v.K = v.taps * v.patches.I;
    v.reorder = (!planar && v.taps > 1 && v.patches.I > 1) || v.in == ARK_BF16;
    v.fwd_n = cut_channels(v.O, WANTED_TASKS / ark_max64(ark_row_pieces(&v.cut, x->dims[0]), 1));
    return v;
}

void ark_cpu_conv2d_release(ark_dev *dev, ark_node *n) {
    ark_conv *v = n->priv;
    if (v) {
        ark_free(v->kept);
    }
    ark_cpu_release(dev, n);
}

static ark_status keep_panels(ark_conv *v, size_t bytes) {
    v->kept = ark_malloc_aligned(bytes);
    return v->kept ? ARK_OK : ARK_ERR(ARK_ENOMEM, "out of memory: %zu bytes of packed weights", bytes);
}

/* Everything behind the threads' scratch. */
static size_t lay_out(
    ark_conv *v, const ark_node *n, int threads, const size_t *tile, const size_t *panels, bool grad) {
    v->thread_bytes = v->products + ark_round_up(*tile, ARK_ALIGN);
    v->weights_at = v->thread_bytes * (size_t)threads;
    const size_t weights = ark_round_up((size_t)(v->O * v->K) * sizeof(float), ARK_ALIGN);
    v->panels_at = v->weights_at + (v->reorder || n->want_grad[W] ? weights : 0);
    v->wide_at = v->panels_at + ark_round_up(*panels, ARK_ALIGN);
    const size_t rows = (size_t)(n->out->dims[0] * v->cut.per_sample);
    v->partial_at =
        v->wide_at + (grad && v->out == ARK_BF16 ? ark_round_up(rows * (size_t)v->O * 4, ARK_ALIGN) : 0);
    const size_t bias = (size_t)v->groups * (size_t)ark_simd_pad(v->O) * sizeof(float);
    return v->partial_at + (grad ? (size_t)v->groups * weights + bias : 0) +
           (size_t)ark_epilogue_floats(n) * sizeof(float) + ARK_ALIGN;
}

ark_status ark_cpu_conv2d_prepare(ark_dev *dev, ark_node *n, size_t *scratch) {
    ark_conv *v = NULL;
    ARK_TRY(ARK_NEW(&v, 1, "a convolution's products"));
    n->priv = v;
    *v = describe(n);
    ark_gemm_pool *pool = ark_cpu_of(dev)->gemms;
    const bool grad = n->want_grad[X] || n->want_grad[W] || (v->bias && n->want_grad[BIAS]);
    size_t tile = 0, panels = (size_t)ark_gemm_packed_floats(pool, v->K, v->O) * sizeof(float);
    ark_packing w = {.n = v->O, .k = v->K};
    v->products = ark_gemm_pack_scratch(pool, &w);
    ark_status st = prepare_fwd(v, pool);
    if (st == ARK_OK && grad) {
        st = ark_conv_prepare_grad(v, pool, n, &tile, &panels);
    } else if (st == ARK_OK) {
        st = keep_panels(v, panels);
    }
    if (st != ARK_OK) {
        ark_cpu_conv2d_release(dev, n);
        return st;
    }
    *scratch = lay_out(v, n, dev->threads, &tile, &panels, grad);
    return ARK_OK;
}

/* ---- weights -------------------------------------------------------------------------------- */

typedef struct {
    const ark_call *c;
    const ark_node *n;
    const ark_conv *v;
    float *panels;
    ark_packing w;
    const float *scale;
    atomic_int failed;
} job;

/* (I,taps) of one output channel -> (taps,I). */
static void order_task(void *ctx, int64_t o, int thread) {
    (void)thread;
    const job *j = ctx;
    const ark_conv *v = j->v;
    const int64_t I = v->patches.I;
    float *dst = ark_conv_at(j->c, v->weights_at) + o * v->K;
    const bool planar = v->patches.planar;
    if (v->in == ARK_BF16) {
        const uint16_t *src = j->c->weights16 + j->n->in[W]->offset + o * v->K;
        for (int64_t e = 0; e < v->K; e++) {
            dst[planar ? e : e % v->taps * I + e / v->taps] = ark_bf16_to_f32(src[e]);
        }
        return;
    }
    const float *src = (const float *)ark_ptr(j->c, j->n->in[W]) + o * v->K;
    ark_simd_of(j->c)->transpose(dst, I, src, v->taps, I, v->taps);
}

const float *ark_conv_weights(const ark_call *c, const ark_node *n) {
    const ark_conv *v = n->priv;
    if (!v->reorder) {
        return ark_ptr(c, n->in[W]);
    }
    job j = {.c = c, .n = n, .v = v};
    ark_parallel(c->dev->threads, v->O, order_task, &j);
    return ark_conv_at(c, v->weights_at);
}

static void pack_task(void *ctx, int64_t task, int thread) {
    const job *j = ctx;
    ark_gemm_pack(ark_cpu_of(j->c->dev)->gemms, j->panels, task, &j->w, ark_conv_scratch(j->c, j->v, thread));
}

void ark_conv_pack(const ark_call *c, const ark_conv *v, float *panels, const ark_packing *w) {
    job j = {.c = c, .v = v, .panels = panels, .w = *w};
    ark_parallel(c->dev->threads, ark_gemm_pack_tasks(w->n), pack_task, &j);
}

/* W^T in panels: those that were kept while they are right, else made now. */
static float *panels_of(const ark_call *c, const ark_node *n) {
    ark_conv *v = n->priv;
    if (v->kept && c->version && v->kept_version == c->version) {
        return v->kept;
    }
    float *panels = v->kept ? v->kept : ark_conv_at(c, v->panels_at);
    ark_packing w = {.b = ark_conv_weights(c, n), .turned = true, .ld = v->K, .n = v->O, .k = v->K};
    ark_conv_pack(c, v, panels, &w);
    v->kept_version = c->version;
    return panels;
}

/* ---- forward -------------------------------------------------------------------------------- */

static void fwd_task(void *ctx, int64_t task, int thread) {
    job *j = ctx;
    const ark_conv *v = j->v;
    const int64_t panel = task % v->fwd_n.count, col = panel * v->fwd_n.width;
    const int kind = ark_panel_kind(&v->fwd_n, panel);
    ark_row_piece p = ark_row_piece_at(&v->cut, j->c->batch, task / v->fwd_n.count);
    ark_patches patches = v->patches;
    patches.x = ark_ptr(j->c, j->n->in[X]);
    patches.first = p.first;
    ark_gemm_args args = {.b = j->panels + col * v->K,
        .bias = v->bias ? (const float *)ark_ptr(j->c, j->n->in[BIAS]) + col : NULL,
        .c = ark_at(j->n->out, ark_ptr(j->c, j->n->out), p.first * v->O + col),
        .patches = &patches};
    ark_status st = ark_gemm_run(v->fwd[p.size][kind], thread, &args, ark_conv_scratch(j->c, v, thread));
    if (st != ARK_OK) {
        atomic_store(&j->failed, (int)st);
    }
    if (j->n->norm) {
        ark_epilogue(j->c, j->n, j->scale, p.first, p.rows, col, ark_panel_width(&v->fwd_n, kind));
    }
}

ark_status ark_cpu_conv2d_fwd(const ark_call *c, const ark_node *n) {
    const ark_conv *v = n->priv;
    float *scale = ark_conv_at(c, v->partial_at); /* of a node without gradients, which has no partial sums */
    ARK_TRY(ark_epilogue_begin(c, n, scale));
    job j = {.c = c, .n = n, .v = v, .panels = panels_of(c, n), .scale = scale};
    ark_parallel(c->dev->threads, ark_row_pieces(&v->cut, c->batch) * v->fwd_n.count, fwd_task, &j);
    int failed = atomic_load(&j.failed);
    return failed ? ARK_ERR((ark_status)failed, "a matrix product failed") : ARK_OK;
}
