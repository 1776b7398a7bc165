#include "eval/roc_band.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/mathsafe.h"
#include "base/par.h"
#include "eval/resample.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { POINTS = ARK_ROC_BAND_POINTS };

/* Sensitivity at every x of the grid, for rows that count weight[row] times (NULL: once). false: one class is
 * absent. */
static bool heights(const ark_ranked *r, const uint32_t *weight, double *y) {
    double pos = 0, neg = 0, tp = 0, fp = 0;
    for (size_t i = 0; i < r->n; i++) {
        double w = weight ? weight[r->row[i]] : 1;
        pos += r->positive[i] ? w : 0;
        neg += r->positive[i] ? 0 : w;
    }
    if (pos == 0 || neg == 0) {
        return false;
    }
    size_t next = 0; /* of the grid */
    for (size_t g = 0, i = 0; g < r->groups; g++) {
        double tp0 = tp, fp0 = fp;
        for (; i < r->end[g]; i++) {
            double w = weight ? weight[r->row[i]] : 1;
            tp += r->positive[i] ? w : 0;
            fp += r->positive[i] ? 0 : w;
        }
        /* a grid point is final once the curve has gone past it: at equal x the highest point counts */
        for (; next < POINTS && fp > (double)next * neg / (POINTS - 1); next++) {
            double x = (double)next * neg / (POINTS - 1);
            y[next] = (tp0 + (tp - tp0) * (x - fp0) / (fp - fp0)) / pos;
        }
    }
    for (; next < POINTS; next++) {
        y[next] = 1;
    }
    return true;
}

typedef struct work {
    const ark_ranked *r;
    const ark_bootstrap_opts *o;
    size_t n;
    uint32_t *weight, *drawn;
    double *value; /* (POINTS, replicates) */
} work;

static void replicate(void *ctx, int64_t task, int thread) {
    work *w = ctx;
    double y[POINTS];
    uint32_t *weight = w->weight + (size_t)thread * w->n;
    uint32_t *drawn = w->drawn ? w->drawn + (size_t)thread * w->o->groups : NULL;
    ark__resample(w->o, w->n, (uint64_t)task, weight, drawn);
    bool ok = heights(w->r, weight, y);
    for (size_t i = 0; i < POINTS; i++) {
        w->value[i * (size_t)w->o->replicates + (size_t)task] = ok ? y[i] : NAN;
    }
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void percentiles(const work *w, ark_roc_band *out) {
    size_t R = (size_t)w->o->replicates;
    for (size_t i = 0; i < POINTS; i++) {
        double *v = w->value + i * R;
        out->used = 0;
        for (size_t j = 0; j < R; j++) {
            if (!isnan(v[j])) {
                v[out->used++] = v[j];
            }
        }
        if (out->used == 0) {
            out->why = "every resample lost one class";
            return;
        }
        qsort(v, out->used, sizeof *v, ascending);
        out->low[i] = ark_quantile_sorted(v, out->used, 0.5 - w->o->level / 2);
        out->high[i] = ark_quantile_sorted(v, out->used, 0.5 + w->o->level / 2);
    }
}

static ark_status run(work *w, ark_roc_band *out) {
    int threads = w->o->threads > 0 ? w->o->threads : ark_cpu_count();
    size_t rows, drawn, cells;
    if (ark_mul((size_t)threads, w->n, &rows) || ark_mul((size_t)threads, w->o->groups, &drawn) ||
        ark_mul(POINTS, (size_t)w->o->replicates, &cells)) {
        return ARK_ERR(ARK_ENOMEM, "bootstrap: %lld replicates", (long long)w->o->replicates);
    }
    ARK_TRY(ARK_NEW(&w->weight, rows, "bootstrap weights"));
    ARK_TRY(ARK_NEW(&w->value, cells, "bootstrap values"));
    if (w->o->group) {
        ARK_TRY(ARK_NEW(&w->drawn, drawn, "bootstrap groups"));
    }
    ark_parallel(threads, w->o->replicates, replicate, w);
    percentiles(w, out);
    return ARK_OK;
}

ark_status ark_bootstrap_roc(
    const ark_eval_table *t, size_t k, const ark_bootstrap_opts *o, ark_roc_band *out) {
    ark_ranked r;
    ark_roc_band band = {.used = 0};
    ARK_TRY(ark__resample_check(o, t->n));
    ARK_TRY(ark_rank_class(t, k, &r));
    for (size_t i = 0; i < POINTS; i++) {
        band.x[i] = (double)i / (POINTS - 1);
        band.y[i] = band.low[i] = band.high[i] = NAN;
    }
    ark_metric area = ark_auroc(&r);
    ark_status st = ARK_OK;
    if (!ark_metric_defined(area)) {
        band.why = area.why;
    } else {
        work w = {.r = &r, .o = o, .n = t->n};
        heights(&r, NULL, band.y);
        st = run(&w, &band);
        ark_free(w.weight);
        ark_free(w.drawn);
        ark_free(w.value);
    }
    ark_ranked_free(&r);
    if (st == ARK_OK) {
        *out = band;
    }
    return st;
}
