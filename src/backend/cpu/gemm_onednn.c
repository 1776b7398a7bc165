/* Matrix products by oneDNN, versions 2.6 and later 2.x, and 3.x. The only file that knows oneDNN.
 *
 * oneDNN decides at creation how many threads a primitive uses, and some of its implementations ask again
 * when they run. Both happen here with OpenMP's limit set to one, so a product always runs on the calling
 * thread alone. Where the processor has no AVX-512, oneDNN offers no bfloat16 worth having: operands are
 * widened and the product is done in float32. */
#include "backend/cpu/gemm.h"

#ifdef ARK_HAVE_ONEDNN

#include "base/alloc.h"
#include "base/err.h"
#include "base/mathsafe.h"
#include "base/par.h"

#include <oneapi/dnnl/dnnl.h>
#include <string.h>

/* The memory objects one thread points at its data; a run allocates none. */
typedef struct {
    dnnl_memory_t a, b, bias, c, scratch;
} operands;

struct ark_gemm {
    ark_gemm_desc desc;
    ark_gemm_pool *pool;
    ark_gemm *next;
    bool widen; /* bf16 operands, float32 product */
    size_t library_scratch;
    dnnl_primitive_t primitive;
    operands *per_thread;
};

struct ark_gemm_pool {
    int threads;
    const ark_simd *simd;
    dnnl_engine_t engine;
    dnnl_stream_t *streams; /* one per thread */
    bool native_bf16;
    ark_gemm *first;
};

static ark_status check(dnnl_status_t st, const char *what) {
    return st == dnnl_success ? ARK_OK
                              : ARK_ERR(ARK_EDEVICE, "oneDNN: %s failed with status %d", what, (int)st);
}

/* Keep oneDNN to the level of our own kernels. It refuses once it has looked at the processor, which then
 * already happened at the same level or by the wish of whoever embeds us. */
static void limit_level(const ark_simd *k) {
    if (strcmp(k->level, "v2") == 0) {
        (void)dnnl_set_max_cpu_isa(dnnl_cpu_isa_sse41);
    } else if (strcmp(k->level, "v3") == 0) {
        (void)dnnl_set_max_cpu_isa(dnnl_cpu_isa_avx2);
    }
}

static bool has_avx512(void) {
    dnnl_cpu_isa_t isa = dnnl_get_effective_cpu_isa();
    return ((unsigned)isa & (unsigned)dnnl_cpu_isa_avx512_core) == (unsigned)dnnl_cpu_isa_avx512_core;
}

ark_status ark_gemm_pool_new(int threads, const ark_simd *k, ark_gemm_pool **out) {
    ark_gemm_pool *p = NULL;
    ARK_TRY(ARK_NEW(&p, 1, "matrix products"));
    p->threads = threads;
    p->simd = k;
    limit_level(k);
    p->native_bf16 = has_avx512();
    ark_status st = ARK_NEW(&p->streams, (size_t)threads, "oneDNN streams");
    if (st == ARK_OK) {
        st = check(dnnl_engine_create(&p->engine, dnnl_cpu, 0), "creating the engine");
    }
    for (int i = 0; st == ARK_OK && i < threads; i++) {
        st = check(
            dnnl_stream_create(&p->streams[i], p->engine, dnnl_stream_default_flags), "creating a stream");
    }
    if (st != ARK_OK) {
        ark_gemm_pool_free(p);
        return st;
    }
    *out = p;
    return ARK_OK;
}

static void destroy_memory(dnnl_memory_t m) {
    if (m) {
        (void)dnnl_memory_destroy(m);
    }
}

static void gemm_free(ark_gemm *g) {
    for (int i = 0; g->per_thread && i < g->pool->threads; i++) {
        operands *o = &g->per_thread[i];
        destroy_memory(o->a);
        destroy_memory(o->b);
        destroy_memory(o->bias);
        destroy_memory(o->c);
        destroy_memory(o->scratch);
    }
    if (g->primitive) {
        (void)dnnl_primitive_destroy(g->primitive);
    }
    ark_free(g->per_thread);
    ark_free(g);
}

void ark_gemm_pool_free(ark_gemm_pool *p) {
    if (!p) {
        return;
    }
    for (ark_gemm *g = p->first, *next; g; g = next) {
        next = g->next;
        gemm_free(g);
    }
    for (int i = 0; p->streams && i < p->threads; i++) {
        if (p->streams[i]) {
            (void)dnnl_stream_destroy(p->streams[i]);
        }
    }
    if (p->engine) {
        (void)dnnl_engine_destroy(p->engine);
    }
    ark_free(p->streams);
    ark_free(p);
}

/* ---- what differs between oneDNN 2 and 3 ---------------------------------------------------- */

/* The operands as oneDNN describes them. */
typedef struct {
    dnnl_dims_t dims[4], strides[4];
    int ndims[4];
    dnnl_data_type_t type[4];
} layouts; /* a, b, bias, c */

enum { OPERAND_A, OPERAND_B, OPERAND_BIAS, OPERAND_C };

#if DNNL_VERSION_MAJOR >= 3
typedef dnnl_memory_desc_t memory_desc;

static dnnl_status_t describe(memory_desc *md, const layouts *l, int i) {
    return dnnl_memory_desc_create_with_strides(md, l->ndims[i], l->dims[i], l->type[i], l->strides[i]);
}

static void forget(memory_desc *md) {
    if (*md) {
        (void)dnnl_memory_desc_destroy(*md);
    }
}

static dnnl_status_t memory_new(dnnl_memory_t *out, const memory_desc *md, dnnl_engine_t engine) {
    return dnnl_memory_create(out, *md, engine, DNNL_MEMORY_NONE);
}

static dnnl_status_t matmul_desc(dnnl_primitive_desc_t *out, const memory_desc md[4], bool bias,
    dnnl_primitive_attr_t attr, dnnl_engine_t engine) {
    return dnnl_matmul_primitive_desc_create(
        out, engine, md[OPERAND_A], md[OPERAND_B], bias ? md[OPERAND_BIAS] : NULL, md[OPERAND_C], attr);
}

static dnnl_status_t append_sum(dnnl_post_ops_t ops) {
    return dnnl_post_ops_append_sum(ops, 1.0f, 0, dnnl_data_type_undef);
}
#else
typedef dnnl_memory_desc_t memory_desc;

static dnnl_status_t describe(memory_desc *md, const layouts *l, int i) {
    return dnnl_memory_desc_init_by_strides(md, l->ndims[i], l->dims[i], l->type[i], l->strides[i]);
}

static void forget(memory_desc *md) {
    (void)md;
}

static dnnl_status_t memory_new(dnnl_memory_t *out, const memory_desc *md, dnnl_engine_t engine) {
    return dnnl_memory_create(out, md, engine, DNNL_MEMORY_NONE);
}

static dnnl_status_t matmul_desc(dnnl_primitive_desc_t *out, const memory_desc md[4], bool bias,
    dnnl_primitive_attr_t attr, dnnl_engine_t engine) {
    dnnl_matmul_desc_t op;
    dnnl_status_t st = dnnl_matmul_desc_init(
        &op, &md[OPERAND_A], &md[OPERAND_B], bias ? &md[OPERAND_BIAS] : NULL, &md[OPERAND_C]);
    return st == dnnl_success ? dnnl_primitive_desc_create(out, &op, attr, engine, NULL) : st;
}

static dnnl_status_t append_sum(dnnl_post_ops_t ops) {
    return dnnl_post_ops_append_sum(ops, 1.0f);
}
#endif

/* ---- creation ------------------------------------------------------------------------------- */

static size_t scratch_size(const_dnnl_primitive_desc_t pd) {
    return dnnl_memory_desc_get_size(dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0));
}

static dnnl_status_t scratch_new(dnnl_memory_t *out, const_dnnl_primitive_desc_t pd, dnnl_engine_t engine) {
    return dnnl_memory_create(
        out, dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0), engine, DNNL_MEMORY_NONE);
}

/* Widened operands are packed tightly, whatever the caller's leading dimensions. */
static layouts layouts_of(const ark_gemm *g) {
    const ark_gemm_desc *d = &g->desc;
    int64_t lda = g->widen ? (d->ta ? d->m : d->k) : d->lda;
    int64_t ldb = g->widen ? (d->tb ? d->k : d->n) : d->ldb;
    int64_t ldc = g->widen ? d->n : d->ldc;
    dnnl_data_type_t in = d->in == ARK_BF16 && !g->widen ? dnnl_bf16 : dnnl_f32;
    dnnl_data_type_t out = d->out == ARK_BF16 && !g->widen ? dnnl_bf16 : dnnl_f32;
    return (layouts){
        .dims = {{d->m, d->k}, {d->k, d->n}, {1, d->n}, {d->m, d->n}},
        .strides = {{d->ta ? 1 : lda, d->ta ? lda : 1}, {d->tb ? 1 : ldb, d->tb ? ldb : 1}, {d->n, 1},
            {ldc, 1}},
        .ndims = {2, 2, 2, 2},
        .type = {in, in, dnnl_f32, out},
    };
}

static dnnl_status_t attributes(const ark_gemm_desc *d, dnnl_primitive_attr_t attr) {
    dnnl_status_t st = dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user);
    if (st != dnnl_success || !d->accumulate) {
        return st;
    }
    dnnl_post_ops_t ops = NULL;
    st = dnnl_post_ops_create(&ops);
    if (st == dnnl_success) {
        st = append_sum(ops);
    }
    if (st == dnnl_success) {
        st = dnnl_primitive_attr_set_post_ops(attr, ops);
    }
    if (ops) {
        (void)dnnl_post_ops_destroy(ops);
    }
    return st;
}

static dnnl_status_t bind_threads(ark_gemm *g, const memory_desc md[4], const_dnnl_primitive_desc_t pd) {
    dnnl_engine_t e = g->pool->engine;
    dnnl_status_t st = dnnl_success;
    for (int i = 0; i < g->pool->threads && st == dnnl_success; i++) {
        operands *o = &g->per_thread[i];
        dnnl_memory_t *slot[4] = {&o->a, &o->b, g->desc.bias ? &o->bias : NULL, &o->c};
        for (int j = 0; j < 4 && st == dnnl_success; j++) {
            st = slot[j] ? memory_new(slot[j], &md[j], e) : dnnl_success;
        }
        if (st == dnnl_success) {
            st = scratch_new(&o->scratch, pd, e);
        }
    }
    return st;
}

static dnnl_status_t build(ark_gemm *g) {
    layouts l = layouts_of(g);
    memory_desc md[4];
    memset(md, 0, sizeof md);
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t st = dnnl_primitive_attr_create(&attr);
    for (int i = 0; i < 4 && st == dnnl_success; i++) {
        st = describe(&md[i], &l, i);
    }
    if (st == dnnl_success) {
        st = attributes(&g->desc, attr);
    }
    if (st == dnnl_success) {
        st = matmul_desc(&pd, md, g->desc.bias, attr, g->pool->engine);
    }
    if (st == dnnl_success) {
        g->library_scratch = ark_round_up(scratch_size(pd), ARK_ALIGN);
        st = dnnl_primitive_create(&g->primitive, pd);
    }
    if (st == dnnl_success) {
        st = bind_threads(g, md, pd);
    }
    for (int i = 0; i < 4; i++) {
        forget(&md[i]);
    }
    if (pd) {
        (void)dnnl_primitive_desc_destroy(pd);
    }
    if (attr) {
        (void)dnnl_primitive_attr_destroy(attr);
    }
    return st;
}

ark_status ark_gemm_get(ark_gemm_pool *p, const ark_gemm_desc *d, const ark_gemm **out) {
    for (ark_gemm *g = p->first; g; g = g->next) {
        if (ark_gemm_same(&g->desc, d)) {
            *out = g;
            return ARK_OK;
        }
    }
    ark_gemm *g = NULL;
    ARK_TRY(ARK_NEW(&g, 1, "a matrix product"));
    *g = (ark_gemm){.desc = *d, .pool = p, .widen = d->in == ARK_BF16 && !p->native_bf16};
    ark_status st = ARK_NEW(&g->per_thread, (size_t)p->threads, "a matrix product");
    if (st == ARK_OK) {
        int before = ark_parallel_limit(1);
        dnnl_status_t made = build(g);
        (void)ark_parallel_limit(before);
        if (made != dnnl_success) {
            st = ARK_ERR(made == dnnl_out_of_memory ? ARK_ENOMEM : ARK_EDEVICE,
                "oneDNN: no product of (%lld,%lld) by (%lld,%lld), status %d", (long long)d->m,
                (long long)d->k, (long long)d->k, (long long)d->n, (int)made);
        }
    }
    if (st != ARK_OK) {
        gemm_free(g);
        return st;
    }
    g->next = p->first;
    p->first = g;
    *out = g;
    return ARK_OK;
}

/* ---- running -------------------------------------------------------------------------------- */

static size_t widened_floats(const ark_gemm_desc *d) {
    return (size_t)(ark_simd_pad(d->m * d->k) + ark_simd_pad(d->k * d->n) + ark_simd_pad(d->m * d->n));
}

size_t ark_gemm_scratch(const ark_gemm *g) {
    size_t widened = g->widen ? widened_floats(&g->desc) * sizeof(float) : 0;
    return g->library_scratch + ark_round_up(widened, ARK_ALIGN);
}

static dnnl_status_t execute(
    const ark_gemm *g, int thread, const void *a, const void *b, const float *bias, void *c, void *scratch) {
    const operands *o = &g->per_thread[thread];
    dnnl_exec_arg_t args[5] = {{DNNL_ARG_SRC, o->a}, {DNNL_ARG_WEIGHTS, o->b}, {DNNL_ARG_DST, o->c},
        {DNNL_ARG_SCRATCHPAD, o->scratch}, {DNNL_ARG_BIAS, o->bias}};
    void *handles[5] = {(void *)(uintptr_t)a, (void *)(uintptr_t)b, c, scratch, (void *)(uintptr_t)bias};
    int n = g->desc.bias ? 5 : 4;
    dnnl_status_t st = dnnl_success;
    for (int i = 0; i < n && st == dnnl_success; i++) {
        st = dnnl_memory_set_data_handle(args[i].memory, handles[i]);
    }
    return st == dnnl_success ? dnnl_primitive_execute(g->primitive, g->pool->streams[thread], n, args) : st;
}

static void widen_rows(
    const ark_simd *k, float *dst, const uint16_t *src, int64_t rows, int64_t cols, int64_t ld) {
    for (int64_t i = 0; i < rows; i++) {
        k->widen(dst + i * cols, src + i * ld, cols);
    }
}

static dnnl_status_t execute_widened(
    const ark_gemm *g, int thread, const void *a, const void *b, const float *bias, void *c, void *scratch) {
    const ark_gemm_desc *d = &g->desc;
    const ark_simd *k = g->pool->simd;
    float *wa = (float *)((char *)scratch + g->library_scratch);
    float *wb = wa + ark_simd_pad(d->m * d->k), *wc = wb + ark_simd_pad(d->k * d->n);
    widen_rows(k, wa, a, d->ta ? d->k : d->m, d->ta ? d->m : d->k, d->lda);
    widen_rows(k, wb, b, d->tb ? d->n : d->k, d->tb ? d->k : d->n, d->ldb);
    for (int64_t i = 0; d->accumulate && i < d->m; i++) {
        if (d->out == ARK_BF16) {
            k->widen(wc + i * d->n, (const uint16_t *)c + i * d->ldc, d->n);
        } else {
            memcpy(wc + i * d->n, (const float *)c + i * d->ldc, (size_t)d->n * sizeof *wc);
        }
    }
    dnnl_status_t st = execute(g, thread, wa, wb, bias, wc, scratch);
    for (int64_t i = 0; st == dnnl_success && i < d->m; i++) {
        if (d->out == ARK_BF16) {
            k->narrow((uint16_t *)c + i * d->ldc, wc + i * d->n, d->n);
        } else {
            memcpy((float *)c + i * d->ldc, wc + i * d->n, (size_t)d->n * sizeof *wc);
        }
    }
    return st;
}

ark_status ark_gemm_run(
    const ark_gemm *g, int thread, const void *a, const void *b, const float *bias, void *c, void *scratch) {
    int before = ark_parallel_limit(1);
    dnnl_status_t st = (g->widen ? execute_widened : execute)(g, thread, a, b, bias, c, scratch);
    (void)ark_parallel_limit(before);
    return check(st, "a matrix product");
}

const char *ark_gemm_name(void) {
    return "onednn";
}

#endif
