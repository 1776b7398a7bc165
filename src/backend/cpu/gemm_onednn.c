/* bfloat16 products by oneDNN, versions 2.6 and later 2.x, and 3.x. The only file that knows oneDNN.
 *
 * oneDNN decides at creation how many threads a primitive uses, and some of its implementations ask again
 * when they run. Both happen here with OpenMP's limit set to one, so a product always runs on the calling
 * thread alone. */
#include "backend/cpu/gemm_onednn.h"

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

struct ark_onednn_product {
    dnnl_primitive_t primitive;
    operands *per_thread;
    bool bias;
};

struct ark_onednn {
    int threads;
    dnnl_engine_t engine;
    dnnl_stream_t *streams; /* one per thread */
};

static ark_status check(dnnl_status_t st, const char *what) {
    return st == dnnl_success ? ARK_OK
                              : ARK_ERR(ARK_EDEVICE, "oneDNN: %s failed with status %d", what, (int)st);
}

ark_status ark_onednn_new(int threads, const ark_simd *k, ark_onednn **out) {
    *out = NULL;
    if (!ark_simd_has_bf16(k)) {
        return ARK_OK;
    }
    ark_onednn *o = NULL;
    ARK_TRY(ARK_NEW(&o, 1, "matrix products"));
    o->threads = threads;
    ark_status st = ARK_NEW(&o->streams, (size_t)threads, "oneDNN streams");
    if (st == ARK_OK) {
        st = check(dnnl_engine_create(&o->engine, dnnl_cpu, 0), "creating the engine");
    }
    for (int i = 0; st == ARK_OK && i < threads; i++) {
        st = check(
            dnnl_stream_create(&o->streams[i], o->engine, dnnl_stream_default_flags), "creating a stream");
    }
    if (st != ARK_OK) {
        ark_onednn_free(o);
        return st;
    }
    *out = o;
    return ARK_OK;
}

void ark_onednn_free(ark_onednn *o) {
    if (!o) {
        return;
    }
    for (int i = 0; o->streams && i < o->threads; i++) {
        if (o->streams[i]) {
            (void)dnnl_stream_destroy(o->streams[i]);
        }
    }
    if (o->engine) {
        (void)dnnl_engine_destroy(o->engine);
    }
    ark_free(o->streams);
    ark_free(o);
}

static void destroy_memory(dnnl_memory_t m) {
    if (m) {
        (void)dnnl_memory_destroy(m);
    }
}

void ark_onednn_product_free(ark_onednn *o, ark_onednn_product *p) {
    if (!p) {
        return;
    }
    for (int i = 0; p->per_thread && i < o->threads; i++) {
        operands *m = &p->per_thread[i];
        destroy_memory(m->a);
        destroy_memory(m->b);
        destroy_memory(m->bias);
        destroy_memory(m->c);
        destroy_memory(m->scratch);
    }
    if (p->primitive) {
        (void)dnnl_primitive_destroy(p->primitive);
    }
    ark_free(p->per_thread);
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

static layouts layouts_of(const ark_gemm_desc *d) {
    dnnl_data_type_t out = d->out == ARK_BF16 ? dnnl_bf16 : dnnl_f32;
    return (layouts){
        .dims = {{d->m, d->k}, {d->k, d->n}, {1, d->n}, {d->m, d->n}},
        .strides = {{d->ta ? 1 : d->lda, d->ta ? d->lda : 1}, {d->tb ? 1 : d->ldb, d->tb ? d->ldb : 1},
            {d->n, 1}, {d->ldc, 1}},
        .ndims = {2, 2, 2, 2},
        .type = {dnnl_bf16, dnnl_bf16, dnnl_f32, out},
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

static dnnl_status_t bind_threads(
    const ark_onednn *o, ark_onednn_product *p, const memory_desc md[4], const_dnnl_primitive_desc_t pd) {
    dnnl_status_t st = dnnl_success;
    for (int i = 0; i < o->threads && st == dnnl_success; i++) {
        operands *m = &p->per_thread[i];
        dnnl_memory_t *slot[4] = {&m->a, &m->b, p->bias ? &m->bias : NULL, &m->c};
        for (int j = 0; j < 4 && st == dnnl_success; j++) {
            st = slot[j] ? memory_new(slot[j], &md[j], o->engine) : dnnl_success;
        }
        if (st == dnnl_success) {
            st = scratch_new(&m->scratch, pd, o->engine);
        }
    }
    return st;
}

static dnnl_status_t build(
    const ark_onednn *o, const ark_gemm_desc *d, size_t *scratch, ark_onednn_product *p) {
    layouts l = layouts_of(d);
    memory_desc md[4];
    memset(md, 0, sizeof md);
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t st = dnnl_primitive_attr_create(&attr);
    for (int i = 0; i < 4 && st == dnnl_success; i++) {
        st = describe(&md[i], &l, i);
    }
    if (st == dnnl_success) {
        st = attributes(d, attr);
    }
    if (st == dnnl_success) {
        st = matmul_desc(&pd, md, d->bias, attr, o->engine);
    }
    if (st == dnnl_success) {
        *scratch = ark_round_up(scratch_size(pd), ARK_ALIGN);
        st = dnnl_primitive_create(&p->primitive, pd);
    }
    if (st == dnnl_success) {
        st = bind_threads(o, p, md, pd);
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

ark_status ark_onednn_product_new(
    ark_onednn *o, const ark_gemm_desc *d, size_t *scratch, ark_onednn_product **out) {
    ark_onednn_product *p = NULL;
    ARK_TRY(ARK_NEW(&p, 1, "a matrix product"));
    p->bias = d->bias;
    ark_status st = ARK_NEW(&p->per_thread, (size_t)o->threads, "a matrix product");
    if (st == ARK_OK) {
        int before = ark_parallel_limit(1);
        dnnl_status_t made = build(o, d, scratch, p);
        (void)ark_parallel_limit(before);
        if (made != dnnl_success) {
            st = ARK_ERR(made == dnnl_out_of_memory ? ARK_ENOMEM : ARK_EDEVICE,
                "oneDNN: no product of (%lld,%lld) by (%lld,%lld), status %d", (long long)d->m,
                (long long)d->k, (long long)d->k, (long long)d->n, (int)made);
        }
    }
    if (st != ARK_OK) {
        ark_onednn_product_free(o, p);
        return st;
    }
    *out = p;
    return ARK_OK;
}

/* ---- running -------------------------------------------------------------------------------- */

ark_status ark_onednn_run(
    const ark_onednn *o, const ark_onednn_product *p, int thread, const ark_gemm_args *args, void *scratch) {
    const operands *m = &p->per_thread[thread];
    dnnl_exec_arg_t list[5] = {{DNNL_ARG_SRC, m->a}, {DNNL_ARG_WEIGHTS, m->b}, {DNNL_ARG_DST, m->c},
        {DNNL_ARG_SCRATCHPAD, m->scratch}, {DNNL_ARG_BIAS, m->bias}};
    void *handles[5] = {(void *)(uintptr_t)args->a, (void *)(uintptr_t)args->b, args->c, scratch,
        (void *)(uintptr_t)args->bias};
    int n = p->bias ? 5 : 4, before = ark_parallel_limit(1);
    dnnl_status_t st = dnnl_success;
    for (int i = 0; i < n && st == dnnl_success; i++) {
        st = dnnl_memory_set_data_handle(list[i].memory, handles[i]);
    }
    if (st == dnnl_success) {
        st = dnnl_primitive_execute(p->primitive, o->streams[thread], n, list);
    }
    (void)ark_parallel_limit(before);
    return check(st, "a matrix product");
}

#else

ark_status ark_onednn_new(int threads, const ark_simd *k, ark_onednn **out) {
    (void)threads;
    (void)k;
    *out = NULL;
    return ARK_OK;
}

void ark_onednn_free(ark_onednn *o) {
    (void)o;
}

ark_status ark_onednn_product_new(
    ark_onednn *o, const ark_gemm_desc *d, size_t *scratch, ark_onednn_product **out) {
    (void)o;
    (void)d;
    (void)scratch;
    (void)out;
    return ARK_ENOTBUILT;
}

void ark_onednn_product_free(ark_onednn *o, ark_onednn_product *p) {
    (void)o;
    (void)p;
}

ark_status ark_onednn_run(
    const ark_onednn *o, const ark_onednn_product *p, int thread, const ark_gemm_args *args, void *scratch) {
    (void)o;
    (void)p;
    (void)thread;
    (void)args;
    (void)scratch;
    return ARK_ENOTBUILT;
}

#endif
