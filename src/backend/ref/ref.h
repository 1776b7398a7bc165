/* Reference backend: every op as plainly as its definition in core/ops.h allows. It is the oracle that the
 * other backends are compared with, so it stays naive: one element at a time, sums in double, one thread,
 * each stored value rounded once. */
#ifndef ARK_BACKEND_REF_REF_H
#define ARK_BACKEND_REF_REF_H

#include "backend/backend.h"

/* Element i of an array of either type. */
static inline double ark__ref_load(const void *p, ark_dtype dt, int64_t i) {
    return dt == ARK_F32 ? ((const float *)p)[i] : ark_bf16_to_f32(((const uint16_t *)p)[i]);
}

static inline void ark__ref_store(void *p, ark_dtype dt, int64_t i, double v) {
    if (dt == ARK_F32) {
        ((float *)p)[i] = (float)v;
    } else {
        ((uint16_t *)p)[i] = ark_f32_to_bf16((float)v);
    }
}

/* A tensor's data, or its gradient (of the same type), in one call. */
typedef struct ark_ref_view {
    void *p;
    ark_dtype dt;
    bool acc; /* writes add */
} ark_ref_view;

static inline ark_ref_view ark__ref_data(const ark_call *c, const ark_tensor *t) {
    return (ark_ref_view){.p = ark_ptr(c, t), .dt = t->dtype};
}

/* Gradient of the node's output, to be read. */
static inline ark_ref_view ark__ref_dout(const ark_call *c, const ark_node *n) {
    return (ark_ref_view){.p = ark_grad_ptr(c, n->out), .dt = n->out->dtype};
}

/* Gradient of input k, to be written by the rule of core/ops.h: parameters +=, others as node.acc says. */
static inline ark_ref_view ark__ref_din(const ark_call *c, const ark_node *n, int k) {
    const ark_tensor *t = n->in[k];
    return (ark_ref_view){
        .p = ark_grad_ptr(c, t), .dt = t->dtype, .acc = n->acc[k] || t->kind == ARK_T_PARAM};
}

static inline double ark__ref_get(ark_ref_view v, int64_t i) {
    return ark__ref_load(v.p, v.dt, i);
}

static inline void ark__ref_put(ark_ref_view v, int64_t i, double x) {
    ark__ref_store(v.p, v.dt, i, v.acc ? ark__ref_load(v.p, v.dt, i) + x : x);
}

#define ARK_OP(NAME, name, grad)                                                                             \
    ark_status ark__ref_##name##_fwd(const ark_call *c, const ark_node *n);                                  \
    ark_status ark__ref_##name##_bwd(const ark_call *c, const ark_node *n);
#include "core/ops.def"
#undef ARK_OP

ark_status ark__ref_batchnorm_remake(const ark_call *c, const ark_node *n) ARK_MUST_CHECK;
ark_status ark__ref_linear_remake(const ark_call *c, const ark_node *n) ARK_MUST_CHECK;
ark_status ark__ref_linear_prepare(ark_dev *dev, ark_node *n, size_t *scratch) ARK_MUST_CHECK;
ark_status ark__ref_layernorm_prepare(ark_dev *dev, ark_node *n, size_t *scratch) ARK_MUST_CHECK;
ark_status ark__ref_attention_prepare(ark_dev *dev, ark_node *n, size_t *scratch) ARK_MUST_CHECK;
ark_status ark__ref_window_attn_prepare(ark_dev *dev, ark_node *n, size_t *scratch) ARK_MUST_CHECK;

#endif
