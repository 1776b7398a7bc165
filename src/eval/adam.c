#include "eval/adam.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/rng.h"
#include "eval/logreg_impl.h"

#include <math.h>
#include <string.h>

typedef struct adam {
    const ark__adam_job *job;
    uint32_t *order;       /* [n] positions among the rows */
    uint32_t *rows;        /* [batch] rows of the arrays */
    double *w, *g, *m, *v; /* (m,d+1) */
    size_t size;
    uint64_t step;
} adam;

/* g = gradient of the mean loss of one batch at w; false when nothing in it is labelled. */
static ark_status gradient(adam *a, ark_labelled *batch, bool *any) {
    const ark__adam_job *job = a->job;
    size_t d = batch->d, labelled = 0;
    ark_logreg p = {.data = batch,
        .mean = job->mean,
        .inverse = job->inverse,
        .out = job->out,
        .m = job->m,
        .softmax = job->softmax,
        .threads = job->threads};
    ark__lr_rows r;
    ARK_TRY(ark__lr_rows_new(&p, &r));
    r.A = job->m;
    for (size_t k = 0; k < job->m; k++) {
        memcpy(r.w + k * r.width, a->w + k * (d + 1), d * sizeof *r.w);
        r.bias[k] = a->w[k * (d + 1) + d];
        r.ask[k] = k;
        labelled += r.used[k];
    }
    ark__lr_rows_run(&r);
    memset(a->g, 0, a->size * sizeof *a->g);
    for (size_t b = 0; b < ARK__LR_BLOCKS && labelled; b++) {
        for (size_t k = 0; k < job->m; k++) {
            double *g = a->g + k * (d + 1);
            const double *sum = r.grad + (b * r.A + k) * r.width;
            for (size_t j = 0; j < d; j++) {
                g[j] += sum[j] / (double)labelled;
            }
            g[d] += r.dbias[b * r.A + k] / (double)labelled;
        }
    }
    *any = labelled > 0;
    ark__lr_rows_free(&r);
    return ARK_OK;
}

static void update(adam *a) {
    static const double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
    double t = (double)++a->step, c1 = 1 - pow(beta1, t), c2 = sqrt(1 - pow(beta2, t));
    for (size_t i = 0; i < a->size; i++) {
        a->m[i] += (1 - beta1) * (a->g[i] - a->m[i]);
        a->v[i] = beta2 * a->v[i] + (1 - beta2) * a->g[i] * a->g[i];
        a->w[i] -= a->job->opts->lr / c1 * a->m[i] / (sqrt(a->v[i]) / c2 + eps);
    }
}

static ark_status epoch(adam *a, size_t number) {
    const ark__adam_job *job = a->job;
    size_t n = job->data->n, batch = job->opts->batch;
    if (!job->opts->in_order) {
        ark_rng rng = ark_rng_at(job->opts->seed, ARK_RNG_PROBE_ORDER, number, 0, 0);
        ark_rng_shuffle(&rng, a->order, (uint32_t)n);
    }
    for (size_t i = 0; i < n; i += batch) {
        ark_labelled part = *job->data;
        bool any;
        part.n = n - i < batch ? n - i : batch;
        for (size_t j = 0; j < part.n; j++) {
            a->rows[j] = (uint32_t)ark_labelled_row(job->data, a->order[i + j]);
        }
        part.rows = a->rows;
        ARK_TRY(gradient(a, &part, &any));
        if (any) {
            update(a);
        }
    }
    return ARK_OK;
}

ark_status ark__adam_fit(const ark__adam_job *job, double *w) {
    size_t n = job->data->n, batch = job->opts->batch < n ? job->opts->batch : n;
    adam a = {.job = job, .size = job->m * (job->data->d + 1)};
    ark_status st = ARK_NEW(&a.w, 4 * a.size, "the state of Adam");
    st = st ? st : ARK_NEW(&a.order, n, "the order of rows");
    st = st ? st : ARK_NEW(&a.rows, batch, "a batch");
    a.g = a.w + a.size;
    a.m = a.g + a.size;
    a.v = a.m + a.size;
    for (size_t e = 0; e < job->opts->epochs && st == ARK_OK; e++) {
        for (size_t i = 0; i < n; i++) {
            a.order[i] = (uint32_t)i;
        }
        st = epoch(&a, e);
        memcpy(w + e * a.size, a.w, a.size * sizeof *w);
    }
    ark_free(a.w);
    ark_free(a.order);
    ark_free(a.rows);
    return st;
}
