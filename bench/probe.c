/* Time of a linear probe on synthetic embeddings, choice of the regularisation included.
 *
 *     bench/probe [ROWS [FEATURES [CLASSES [THREADS]]]]       (100000 1376 14, all processors)
 *
 * The embeddings are correlated as a network's are: a few strong directions, many weak ones. A tenth as many
 * rows again are validation. Prints seconds, iterations and the chosen C. */
#include "base/alloc.h"
#include "base/par.h"
#include "base/rng.h"
#include "base/str.h"
#include "eval/readout.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { FACTORS = 48 };

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

typedef struct table {
    size_t n, d, K;
    float *x, *loading; /* (n,d); (FACTORS,d) */
    double *label;      /* (n,K) */
} table;

/* Row i: strong common factors, noise, and labels of prevalence 1/2, 1/4, ... that depend on the factors. */
static void make_row(void *ctx, int64_t task, int thread) {
    (void)thread;
    table *t = ctx;
    ark_rng rng = ark_rng_at(1, ARK_RNG_TEST, (uint64_t)task, 0, 0);
    float factor[FACTORS], *x = t->x + (size_t)task * t->d;
    for (size_t j = 0; j < t->d; j++) {
        x[j] = 0.3F * (ark_rng_f32(&rng) - 0.5F);
    }
    for (size_t f = 0; f < FACTORS; f++) {
        factor[f] = (float)ark_rng_normal(&rng) / (1 + 0.2F * (float)f);
        for (size_t j = 0; j < t->d; j++) {
            x[j] += factor[f] * t->loading[f * t->d + j];
        }
    }
    for (size_t k = 0; k < t->K; k++) {
        double z = 1.5 * (double)factor[k % FACTORS] * (1 + 0.2 * (double)(k % FACTORS)) - 0.35 * (double)k;
        t->label[(size_t)task * t->K + k] = ark_rng_f64(&rng) < 1 / (1 + exp(-z));
    }
}

int main(int argc, char **argv) {
    int64_t v[4] = {100000, 1376, 14, 0};
    for (int i = 1; i < argc && i <= 4; i++) {
        if (!ark_parse_i64(argv[i], &v[i - 1]) || v[i - 1] < (i < 4) || v[i - 1] > 10000000) {
            fprintf(stderr, "not a number: %s\n", argv[i]);
            return 2;
        }
    }
    size_t n = (size_t)v[0] + (size_t)v[0] / 10;
    table t = {.n = n, .d = (size_t)v[1], .K = (size_t)v[2]};
    t.x = ark_malloc(n * t.d * sizeof *t.x);
    t.loading = ark_malloc(FACTORS * t.d * sizeof *t.loading);
    t.label = ark_malloc(n * t.K * sizeof *t.label);
    if (!t.x || !t.loading || !t.label) {
        fprintf(stderr, "out of memory\n");
        return 1;
    }
    ark_rng rng = ark_rng_at(2, ARK_RNG_TEST, 0, 0, 0);
    for (size_t i = 0; i < FACTORS * t.d; i++) {
        t.loading[i] = (float)ark_rng_normal(&rng);
    }
    int threads = v[3] ? (int)v[3] : ark_cpu_count();
    ark_parallel(threads, (int64_t)n, make_row, &t);
    ark_labelled train = {.f32 = t.x, .label = t.label, .n = (size_t)v[0], .d = t.d, .K = t.K}, val = train;
    val.f32 += train.n * t.d;
    val.label += train.n * t.K;
    val.n = n - train.n;
    ark_readout_opts o = ark_readout_default_opts();
    o.threads = threads;
    ark_readout r;
    double start = seconds();
    if (ark_readout_fit(&train, &val, &o, &r) != ARK_OK) {
        fprintf(stderr, "%s\n", ark_err_msg());
        return 1;
    }
    printf("%zu x %zu x %zu, %zu values of C, %d threads: %.1f s, %zu iterations, %zu not converged, C %g, "
           "validation AUROC %.4f\n",
        train.n, t.d, t.K, r.nC, threads, seconds() - start, r.iterations, r.unconverged, r.C[r.best],
        r.val[r.best]);
    ark_readout_free(&r);
    ark_free(t.x);
    ark_free(t.loading);
    ark_free(t.label);
    return 0;
}
