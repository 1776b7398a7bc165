#include "model/session.h"

#include "base/alloc.h"
#include "base/err.h"

#include <math.h>

struct ark_session {
    const ark_net *net; /* borrowed */
    ark_params *params; /* borrowed */
    ark_plan *plan;
    ark_space *space;
    ark_net_tensors t;
    ark_tensor **heads; /* logits of each head */
};

ark_status ark_session_new(
    const ark_net *net, ark_params *params, ark_dev *dev, int batch, ark_dtype cdt, ark_session **out) {
    ark_session *s;
    ARK_TRY(ARK_NEW(&s, 1, "a session"));
    s->net = net;
    s->params = params;
    ark_status st = ARK_NEW(&s->heads, (size_t)net->n_heads, "heads");
    st = st ? st : ark_plan_new(params, batch, cdt, &s->plan);
    if (st == ARK_OK) {
        s->t = ark_net_trunk(s->plan, net);
        for (int i = 0; i < net->n_heads; i++) {
            s->heads[i] = ark_net_head(s->plan, net, s->t.projected, i);
        }
        st = ark_plan_finish(s->plan, dev, ARK_PLAN_INFER);
    }
    st = st ? st : ark_space_new(dev, &s->plan, 1, false, &s->space);
    if (st != ARK_OK) {
        ark_session_free(s);
        return st;
    }
    *out = s;
    return ARK_OK;
}

void ark_session_free(ark_session *s) {
    if (!s) {
        return;
    }
    ark_space_free(s->space);
    ark_plan_free(s->plan);
    ark_free(s->heads);
    ark_free(s);
}

const ark_plan *ark_session_plan(const ark_session *s) {
    return s->plan;
}

/* Rows [at, at + run.batch) of one result. */
static ark_status read_rows(
    const ark_session *s, const ark_run *run, const ark_tensor *t, int64_t at, float *dst) {
    return dst ? ark_run_read(run, s->plan, t, dst + at * ark_last_dim(t)) : ARK_OK;
}

ark_status ark_session_run(
    ark_session *s, ark_column column, const float *images, int64_t n, const ark_outputs *out) {
    int most = ark_plan_batch(s->plan);
    int64_t pixels = ark_numel_per_sample(s->t.image);
    ark_run run = {.space = s->space, .params = s->params, .weights = column};
    for (int64_t at = 0; at < n; at += run.batch) {
        run.batch = n - at < most ? (int)(n - at) : most;
        ARK_TRY(ark_run_write(&run, s->plan, s->t.image, images + at * pixels));
        ARK_TRY(ark_run_forward(&run, s->plan));
        ARK_TRY(read_rows(s, &run, s->t.encoder, at, out->encoder));
        ARK_TRY(read_rows(s, &run, s->t.projected, at, out->projected));
        for (int i = 0; i < s->net->n_heads && out->logits; i++) {
            ARK_TRY(read_rows(s, &run, s->heads[i], at, out->logits[i]));
        }
    }
    return ARK_OK;
}

static void softmax(float *z, int k) {
    float top = z[0];
    double sum = 0;
    for (int i = 1; i < k; i++) {
        top = z[i] > top ? z[i] : top;
    }
    for (int i = 0; i < k; i++) {
        sum += exp((double)z[i] - top);
    }
    for (int i = 0; i < k; i++) {
        z[i] = (float)(exp((double)z[i] - top) / sum);
    }
}

void ark_logits_to_probabilities(ark_task task, float *logits, int64_t n, int k) {
    for (int64_t r = 0; r < n; r++) {
        float *z = logits + r * k;
        if (task == ARK_MULTICLASS) {
            softmax(z, k);
            continue;
        }
        for (int i = 0; i < k; i++) {
            z[i] = (float)(1 / (1 + exp(-(double)z[i])));
        }
    }
}
