/* Matrix products by blocks: BLOCK_K of the sum at a time, and of those so many rows that the
 * block of a stays in the second-level cache (256 x 384 floats are 393 kB) while panels of b pass
 * through the first (384 x 16 floats are 24 kB). c is read and written once per BLOCK_K, eight bytes for
 * 768 operations. The activation is applied to each tile of c as it is finished. */
#include "backend/cpu/gemm.h"

#include "backend/cpu/gemm_onednn.h"
#include "base/alloc.h"
#include "base/err.h"
#include "base/mathsafe.h"

#include <string.h>

enum { BLOCK_K = 384, BLOCK_A = 256 * BLOCK_K, BLOCK_N = 64, LINE = 1024 };

struct ark_gemm {
    ark_gemm_desc desc;
    ark_gemm_pool *pool;
    ark_gemm *next;
    ark_onednn_product *onednn; /* or NULL: done here */
    size_t scratch;
    bool staged;        /* c is made in scratch: it is bf16, or its last panel is not a whole one */
    bool copies_a;      /* a's block is brought together in scratch */
    int64_t block_m;    /* rows of a block: whole tiles, about BLOCK_A elements of a, blocks of one size */
    int64_t stage_cols; /* n in whole panels */
};

struct ark_gemm_pool {
    const ark_simd *simd;
    ark_onednn *onednn; /* for bf16, or NULL */
    int rows, panel;    /* of a tile */
    ark_gemm *first;
};

static int64_t smaller(int64_t a, int64_t b) {
    return a < b ? a : b;
}

ark_status ark_gemm_pool_new(int threads, const ark_simd *k, ark_gemm_pool **out) {
    ark_gemm_pool *p = NULL;
    ARK_TRY(ARK_NEW(&p, 1, "matrix products"));
    p->simd = k;
    k->panel_size(&p->rows, &p->panel);
    ark_status st = ark_onednn_new(threads, k, &p->onednn);
    if (st != ARK_OK) {
        ark_free(p);
        return st;
    }
    *out = p;
    return ARK_OK;
}

void ark_gemm_pool_free(ark_gemm_pool *p) {
    if (!p) {
        return;
    }
    for (ark_gemm *g = p->first, *next; g; g = next) {
        next = g->next;
        ark_onednn_product_free(p->onednn, g->onednn);
        ark_free(g);
    }
    ark_onednn_free(p->onednn);
    ark_free(p);
}

static bool same(const ark_gemm_desc *x, const ark_gemm_desc *y) {
    return x->m == y->m && x->n == y->n && x->k == y->k && x->ta == y->ta && x->tb == y->tb &&
           x->packed == y->packed && x->lda == y->lda && x->ldb == y->ldb && x->ldc == y->ldc &&
           x->in == y->in && x->out == y->out && x->bias == y->bias && x->accumulate == y->accumulate &&
           x->patches_a == y->patches_a && x->patches_b == y->patches_b && x->act == y->act;
}

/* ---- scratch of a product done here: a's block, columns of b, the same widened, c's block ---------- */

static int64_t whole(int64_t n, int64_t unit) {
    return (n + unit - 1) / unit * unit;
}

static int64_t block_rows(const ark_gemm *g) {
    const int64_t m = g->desc.m, tile = g->pool->rows;
    int64_t most = whole(BLOCK_A / smaller(BLOCK_K, g->desc.k), tile), blocks = (m + most - 1) / most;
    return whole((m + blocks - 1) / blocks, tile);
}

static int64_t a_floats(const ark_gemm *g) {
    return g->copies_a ? g->block_m * smaller(BLOCK_K, g->desc.k) : 0;
}

static int64_t b_floats(const ark_gemm_pool *p, int64_t k, int64_t n) {
    return smaller(BLOCK_K, k) * smaller(BLOCK_N, whole(n, p->panel));
}

static size_t own_scratch(const ark_gemm *g) {
    const ark_gemm_desc *d = &g->desc;
    int64_t panels = d->packed ? 0 : b_floats(g->pool, d->k, d->n);
    int64_t floats = a_floats(g) + panels + (d->in == ARK_BF16 ? panels + g->block_m : 0);
    floats += d->patches_b ? panels : 0;
    floats += g->staged ? g->block_m * g->stage_cols : 0;
    return ark_round_up((size_t)floats * sizeof(float), ARK_ALIGN);
}

/* Rows of a that lie a multiple of 2 KiB apart fall on a part of the cache's sets: a block of them would
 * not stay. */
static bool collides(const ark_gemm_desc *d) {
    return d->k > BLOCK_K && d->lda % 512 == 0;
}

ark_status ark_gemm_get(ark_gemm_pool *p, const ark_gemm_desc *d, const ark_gemm **out) {
    for (ark_gemm *known = p->first; known; known = known->next) {
        if (same(&known->desc, d)) {
            *out = known;
            return ARK_OK;
        }
    }
    ark_gemm *g = NULL;
    ARK_TRY(ARK_NEW(&g, 1, "a matrix product"));
    *g = (ark_gemm){.desc = *d, .pool = p};
    if (d->in == ARK_BF16 && p->onednn) {
        ark_status st = ark_onednn_product_new(p->onednn, d, &g->scratch, &g->onednn);
        if (st == ARK_ENOMEM) {
            ark_free(g);
            return st;
        }
    }
    if (!g->onednn) { /* also what oneDNN has no kernel for, say because its environment lowers the level */
        g->staged = d->out == ARK_BF16 || d->n % p->panel != 0;
        g->copies_a = d->ta || d->in == ARK_BF16 || d->patches_a || collides(d);
        g->block_m = block_rows(g);
        g->stage_cols = whole(d->n, p->panel);
        g->scratch = own_scratch(g);
    }
    g->next = p->first;
    p->first = g;
    *out = g;
    return ARK_OK;
}

size_t ark_gemm_scratch(const ark_gemm *g) {
    return g->scratch;
}

/* ---- packing -------------------------------------------------------------------------------------- */

static const void *at(const void *base, ark_dtype dtype, int64_t elements) {
    return (const char *)base + elements * (int64_t)ark_dtype_bytes(dtype);
}

/* dst (rows,ldd) = rows x cols elements of a stored matrix, as float32. */
static void load(const ark_simd *k, float *dst, int64_t ldd, const void *src, ark_dtype dtype, int64_t ld,
    int64_t rows, int64_t cols) {
    for (int64_t i = 0; i < rows; i++) {
        if (dtype == ARK_F32) {
            memcpy(dst + i * ldd, (const float *)src + i * ld, (size_t)cols * sizeof *dst);
        } else {
            k->widen(dst + i * ldd, (const uint16_t *)src + i * ld, cols);
        }
    }
}

/* The panels of n <= BLOCK_N columns of b, bk of the sum, bk x panel floats apart. Row by row, so that
 * what is read lies together. wide: bk x n floats, for bf16. */
static void pack_panels(const ark_gemm_pool *p, float *dst, float *wide, const void *b, ark_dtype dtype,
    bool turned, int64_t ld, int64_t n, int64_t bk) {
    const int64_t apart = bk * p->panel;
    if (dtype == ARK_BF16) {
        load(p->simd, wide, turned ? bk : n, b, dtype, ld, turned ? n : bk, turned ? bk : n);
        b = wide;
        ld = turned ? bk : n;
    }
    const float *src = b;
    if (!turned) {
        p->simd->pack_panels(dst, apart, src, ld, n, bk);
        return;
    }
    for (int64_t j = 0; j < n; j += p->panel) {
        p->simd->pack_panel_turned(dst + j * bk, src + j * ld, ld, smaller(p->panel, n - j), bk);
    }
}

bool ark_gemm_packs(const ark_gemm_pool *p, ark_dtype in) {
    return in == ARK_F32 || !p->onednn;
}

int64_t ark_gemm_pack_tasks(int64_t n) {
    return (n + BLOCK_N - 1) / BLOCK_N;
}

int64_t ark_gemm_packed_floats(const ark_gemm_pool *p, int64_t k, int64_t n) {
    return whole(n, p->panel) * k;
}

size_t ark_gemm_pack_scratch(const ark_gemm_pool *p, const ark_packing *w) {
    return ark_round_up(2 * (size_t)b_floats(p, w->k, w->n) * sizeof(float), ARK_ALIGN);
}

void ark_gemm_pack(const ark_gemm_pool *p, float *dst, int64_t task, const ark_packing *w, void *scratch) {
    const int64_t j = task * BLOCK_N, n = smaller(BLOCK_N, w->n - j);
    float *block = scratch, *wide = block + b_floats(p, w->k, w->n);
    for (int64_t l = 0; l < w->k; l += BLOCK_K) {
        const int64_t bk = smaller(BLOCK_K, w->k - l);
        const void *src = at(w->b, w->in, w->turned ? j * w->ld + l : l * w->ld + j);
        pack_panels(p, block, wide, src, w->in, w->turned, w->ld, n, bk);
        for (int64_t i = 0; i < n; i += p->panel) {
            memcpy(
                dst + (j + i) * w->k + l * p->panel, block + i * bk, (size_t)(bk * p->panel) * sizeof *dst);
        }
    }
}

/* ---- running -------------------------------------------------------------------------------------- */

/* One run; a block of it is at rows i and sum l. */
typedef struct {
    const ark_gemm *g;
    const ark_gemm_args *args;
    const ark_simd *simd;
    float *a, *b, *wide, *line, *stage;
    int64_t k; /* of the sum */
    int64_t i, m, l, bk;
} run;

/* Where tiles read the block of a. */
static ark_panel_product operand_a(const run *r) {
    const ark_gemm_desc *d = &r->g->desc;
    const int64_t rows = r->g->pool->rows;
    const void *src =
        d->patches_a ? NULL : at(r->args->a, d->in, d->ta ? r->l * d->lda + r->i : r->i * d->lda + r->l);
    if (!d->ta) {
        int64_t ld = r->g->copies_a ? r->bk : d->lda;
        if (d->patches_a) {
            r->simd->patches(r->args->patches, r->a, ld, r->i, r->m, r->l, r->bk);
            src = r->a;
        } else if (r->g->copies_a) {
            load(r->simd, r->a, ld, src, d->in, d->lda, r->m, r->bk);
            src = r->a;
        }
        return (ark_panel_product){
            .a = src, .a_group = rows * ld, .a_row = ld, .a_col = 1, .m = r->m, .k = r->bk};
    }
    if (d->in == ARK_F32) {
        r->simd->pack_rows(r->a, rows * r->bk, src, d->lda, r->m, r->bk);
    }
    for (int64_t l = 0; l < r->bk && d->in == ARK_BF16; l++) {
        r->simd->widen(r->line, (const uint16_t *)src + l * d->lda, r->m);
        r->simd->pack_rows(r->a + l * rows, rows * r->bk, r->line, r->m, r->m, 1);
    }
    return (ark_panel_product){
        .a = r->a, .a_group = rows * r->bk, .a_row = 1, .a_col = rows, .m = r->m, .k = r->bk};
}

/* The panel of column j. BLOCK_N columns are packed when the first of them is wanted. */
static const float *operand_b(const run *r, int64_t j) {
    const ark_gemm_desc *d = &r->g->desc;
    const ark_gemm_pool *p = r->g->pool;
    if (d->packed) {
        return (const float *)r->args->b + j * d->k + r->l * p->panel;
    }
    if (j % BLOCK_N == 0 && d->patches_b) {
        const int64_t n = smaller(BLOCK_N, d->n - j);
        r->simd->patches(r->args->patches, r->wide, n, r->l, r->bk, r->args->column + j, n);
        r->simd->pack_panels(r->b, r->bk * p->panel, r->wide, n, n, r->bk);
    } else if (j % BLOCK_N == 0) {
        const void *src = at(r->args->b, d->in, d->tb ? j * d->ldb + r->l : r->l * d->ldb + j);
        pack_panels(p, r->b, r->wide, src, d->in, d->tb, d->ldb, smaller(BLOCK_N, d->n - j), r->bk);
    }
    return r->b + j % BLOCK_N * r->bk;
}

void ark_activate(const ark_simd *k, ark_act act, ark_dtype dtype, void *y, const void *z, int64_t n) {
    void (*f)(float *, const float *, int64_t) = act == ARK_ACT_GELU ? k->gelu : k->relu;
    float line[LINE];
    if (dtype == ARK_F32) {
        f(y, z, n);
        return;
    }
    for (int64_t i = 0; i < n; i += LINE) {
        int64_t m = smaller(LINE, n - i);
        k->widen(line, (const uint16_t *)z + i, m);
        f(line, line, m);
        k->narrow((uint16_t *)y + i, line, m);
    }
}

/* The activation of rows [i, i+rows) of c. */
static void activate_rows(const ark_gemm *g, const ark_gemm_args *args, int64_t i, int64_t rows) {
    const ark_gemm_desc *d = &g->desc;
    for (int64_t r = i; r < i + rows && d->act != ARK_ACT_NONE; r++) {
        const int64_t e = r * d->ldc * (int64_t)ark_dtype_bytes(d->out);
        ark_activate(g->pool->simd, d->act, d->out, (char *)args->y + e, (const char *)args->c + e, d->n);
    }
}

/* The block's rows of c into the stage, and back. */
static void stage_in(const run *r) {
    const ark_gemm_desc *d = &r->g->desc;
    load(r->simd, r->stage, r->g->stage_cols, at(r->args->c, d->out, r->i * d->ldc), d->out, d->ldc, r->m,
        d->n);
}

static void stage_out(const run *r) {
    const ark_gemm_desc *d = &r->g->desc;
    for (int64_t i = 0; i < r->m; i++) {
        const float *src = r->stage + i * r->g->stage_cols;
        int64_t to = (r->i + i) * d->ldc;
        if (d->out == ARK_F32) {
            memcpy((float *)r->args->c + to, src, (size_t)d->n * sizeof *src);
        } else {
            r->simd->narrow((uint16_t *)r->args->c + to, src, d->n);
        }
    }
}

/* All panels of c for one block. */
static void multiply(const run *r) {
    const ark_gemm_desc *d = &r->g->desc;
    const int64_t panel = r->g->pool->panel;
    const bool staged = r->g->staged, activates = d->act != ARK_ACT_NONE && !staged && r->l + r->bk == r->k;
    float tail[BLOCK_N];
    ark_panel_product p = operand_a(r);
    p.act = d->act;
    p.accumulate = d->accumulate || r->l > 0;
    p.ldc = staged ? r->g->stage_cols : d->ldc;
    float *c = staged ? r->stage : (float *)r->args->c + r->i * d->ldc;
    for (int64_t j = 0; j < d->n; j += panel) {
        p.start = d->bias && r->l == 0 ? r->args->bias + j : NULL;
        if (p.start && j + panel > d->n) {
            memset(tail, 0, sizeof tail);
            memcpy(tail, p.start, (size_t)(d->n - j) * sizeof *tail);
            p.start = tail;
        }
        p.b = operand_b(r, j);
        p.c = c + j;
        p.first_use = j == 0 && !r->g->copies_a;
        p.next = d->packed && j + panel < d->n ? p.b + d->k * panel : NULL;
        p.y = activates ? (float *)r->args->y + r->i * d->ldc + j : NULL;
        r->simd->panel(&p);
    }
}

static void own_run(const ark_gemm *g, const ark_gemm_args *args, float *scratch) {
    const ark_gemm_desc *d = &g->desc;
    run r = {.g = g,
        .args = args,
        .simd = g->pool->simd,
        .a = scratch,
        .k = args->k ? smaller(args->k, d->k) : d->k};
    int64_t panels = d->packed ? 0 : b_floats(g->pool, d->k, d->n);
    r.b = r.a + a_floats(g);
    r.wide = r.b + panels;
    r.line = r.wide + (d->in == ARK_BF16 || d->patches_b ? panels : 0);
    r.stage = r.line + (d->in == ARK_BF16 ? g->block_m : 0);
    for (r.i = 0; r.i < d->m; r.i += r.m) {
        r.m = smaller(g->block_m, d->m - r.i);
        if (g->staged && d->accumulate) {
            stage_in(&r);
        }
        for (r.l = 0; r.l < r.k; r.l += r.bk) {
            r.bk = smaller(BLOCK_K, r.k - r.l);
            multiply(&r);
        }
        if (g->staged) {
            stage_out(&r);
            activate_rows(g, args, r.i, r.m);
        }
    }
}

ark_status ark_gemm_run(const ark_gemm *g, int thread, const ark_gemm_args *args, void *scratch) {
    if (!g->onednn) {
        own_run(g, args, scratch);
        return ARK_OK;
    }
    ARK_TRY(ark_onednn_run(g->pool->onednn, g->onednn, thread, args, scratch));
    activate_rows(g, args, 0, g->desc.m);
    return ARK_OK;
}
