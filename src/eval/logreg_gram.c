#include "base/alloc.h"
#include "base/err.h"
#include "base/par.h"
#include "eval/logreg_impl.h"

#include <math.h>
#include <string.h>

enum { LEAST_ROWS = 32, MOST_FEATURES = 2048, ROWS_PER_FEATURE = 8, CHUNK = 512, STRIPE = 64 };
enum { LEVEL_MIN = -12, LEVEL_MAX = 8 };

static int level_of(double mu) {
    double level = round(log2(mu) / 2);
    return (int)fmin(fmax(level, LEVEL_MIN), LEVEL_MAX);
}

/* --- the matrix --- */

typedef struct product {
    const double *x; /* (rows,width) */
    size_t rows, width, d;
    double *g;
} product;

static void stripe(void *ctx, int64_t task, int thread) {
    (void)thread;
    product *p = ctx;
    size_t first = (size_t)task * STRIPE, n = p->d - first < STRIPE ? p->d - first : STRIPE;
    for (size_t i = 0; i < p->rows; i += ARK_TILE_ROWS) {
        size_t rows = p->rows - i < ARK_TILE_ROWS ? p->rows - i : ARK_TILE_ROWS;
        const double *t = p->x + i * p->width;
        ark_tile_gradient(t + first, p->width, t, rows, n, p->width, p->g + first * p->width);
    }
}

/* A factor costs d^3 / 3, a walk over the rows 4 n d m: worth it where the dozens of walks that a fit saves
 * cost more than the few factors that it needs. */
static bool worthwhile(const ark_logreg *p) {
    double d = (double)p->data->d, n = (double)p->data->n, m = (double)p->m;
    return !p->plain && p->data->n >= LEAST_ROWS && p->data->d <= MOST_FEATURES && d * d <= 250 * n * m;
}

ark_status ark__gram_new(const ark_logreg *p, ark__gram *out) {
    const ark_labelled *data = p->data;
    size_t d = data->d, width = ark_tile_width(d);
    ark__gram g = {.d = d, .width = width};
    *out = g;
    if (!worthwhile(p)) {
        return ARK_OK;
    }
    size_t most = ROWS_PER_FEATURE * d + CHUNK, n = data->n < most ? data->n : most;
    uint32_t *rows = NULL;
    double *x = NULL;
    ark_status st = ARK_NEW(&rows, n, "rows");
    st = st ? st : ARK_NEW(&x, CHUNK * width, "features");
    st = st ? st : ARK_NEW(&g.g, d * width, "products of features");
    for (size_t i = 0; i < n && st == ARK_OK; i++) { /* evenly over the table */
        rows[i] = (uint32_t)ark_labelled_row(data, (size_t)((double)i * ((double)data->n / (double)n)));
    }
    for (size_t i = 0; i < n && st == ARK_OK; i += CHUNK) {
        ark_labelled part = *data;
        part.rows = rows + i;
        part.n = n - i < CHUNK ? n - i : CHUNK;
        ark_tile_load(&part, 0, part.n, p->mean, p->inverse, x);
        product job = {.x = x, .rows = part.n, .width = width, .d = d, .g = g.g};
        ark_parallel(p->threads, (int64_t)((d + STRIPE - 1) / STRIPE), stripe, &job);
    }
    for (size_t i = 0; i < d * width && st == ARK_OK; i++) {
        g.g[i] /= (double)n;
    }
    ark_free(rows);
    ark_free(x);
    if (st != ARK_OK) {
        ark_free(g.g);
        return st;
    }
    *out = g;
    return ARK_OK;
}

void ark__gram_free(ark__gram *g) {
    for (size_t i = 0; i < g->n; i++) {
        ark_free(g->factor[i]);
    }
    ark_free(g->factor);
    ark_free(g->level);
    ark_free(g->g);
    *g = (ark__gram){0};
}

/* --- factors --- */

static int find(const ark__gram *g, int level) {
    for (size_t i = 0; i < g->n; i++) {
        if (g->level[i] == level) {
            return (int)i;
        }
    }
    return -1;
}

/* Cholesky by rows in double, kept in float: it only has to be symmetric and nearly right. */
static void factorise(const ark__gram *g, double mu, double *l, float *out) {
    size_t d = g->d;
    for (size_t i = 0; i < d; i++) {
        double *row = l + i * d;
        for (size_t j = 0; j < i; j++) {
            row[j] = (g->g[i * g->width + j] - ark_tile_dot(row, l + j * d, j)) / l[j * d + j];
        }
        double pivot = g->g[i * g->width + i] + mu - ark_tile_dot(row, row, i);
        row[i] = sqrt(fmax(pivot, 1e-12)); /* rounding may leave nothing of a feature that repeats others */
        for (size_t j = 0; j <= i; j++) {
            out[i * d + j] = (float)row[j];
        }
    }
}

typedef struct factoring {
    const ark__gram *g;
    size_t first;
    ark_status *status;
} factoring;

static void make_factor(void *ctx, int64_t task, int thread) {
    (void)thread;
    factoring *f = ctx;
    size_t i = f->first + (size_t)task;
    double *l;
    f->status[task] = ARK_NEW(&l, f->g->d * f->g->d, "a factor");
    if (f->status[task] == ARK_OK) {
        factorise(f->g, pow(4, f->g->level[i]), l, f->g->factor[i]);
        ark_free(l);
    }
}

static ark_status add_level(ark__gram *g, int level) {
    int *levels = ark_realloc(g->level, (g->n + 1) * sizeof *levels);
    if (levels) {
        g->level = levels;
    }
    float **factors = ark_realloc(g->factor, (g->n + 1) * sizeof *factors);
    if (factors) {
        g->factor = factors;
    }
    if (!levels || !factors) {
        return ARK_ERR(ARK_ENOMEM, "out of memory for a factor");
    }
    ARK_TRY(ARK_NEW(&g->factor[g->n], g->d * g->d, "a factor"));
    g->level[g->n++] = level;
    return ARK_OK;
}

ark_status ark__gram_factors(ark__gram *g, const double *mu, size_t n, int threads) {
    ark_status status[LEVEL_MAX - LEVEL_MIN + 1];
    factoring f = {.g = g, .first = g->n, .status = status};
    for (size_t i = 0; i < n; i++) {
        if (!isnan(mu[i]) && find(g, level_of(mu[i])) < 0) {
            ARK_TRY(add_level(g, level_of(mu[i])));
        }
    }
    ark_parallel(threads, (int64_t)(g->n - f.first), make_factor, &f);
    for (size_t i = 0; i < g->n - f.first; i++) {
        if (status[i] != ARK_OK) {
            return ARK_ERR(status[i], "out of memory for a factor of %zu x %zu", g->d, g->d);
        }
    }
    return ARK_OK;
}

void ark__gram_solve(const ark__gram *g, double mu, double *x) {
    const float *l = g->factor[find(g, level_of(mu))];
    size_t d = g->d;
    for (size_t i = 0; i < d; i++) {
        const float *row = l + i * d;
        double s[4] = {0};
        size_t j = 0;
        for (; j + 4 <= i; j += 4) {
            for (size_t k = 0; k < 4; k++) {
                s[k] += (double)row[j + k] * x[j + k];
            }
        }
        for (; j < i; j++) {
            s[0] += (double)row[j] * x[j];
        }
        x[i] = (x[i] - ((s[0] + s[2]) + (s[1] + s[3]))) / (double)row[i];
    }
    for (size_t i = d; i-- > 0;) {
        const float *row = l + i * d;
        x[i] /= (double)row[i];
        for (size_t j = 0; j < i; j++) {
            x[j] -= (double)row[j] * x[i];
        }
    }
}
