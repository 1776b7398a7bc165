#include "base/alloc.h"
#include "base/err.h"
#include "base/mathsafe.h"
#include "base/par.h"
#include "eval/logreg_impl.h"

#include <math.h>
#include <string.h>

/* --- labels as bytes --- */

static void read_binary(ark__lr_rows *r, const size_t *out) {
    const ark_labelled *d = r->data;
    for (size_t i = 0; i < d->n; i++) {
        const double *y = d->label + ark_labelled_row(d, i) * d->K;
        for (size_t k = 0; k < r->m; k++) {
            double v = y[out[k]];
            r->label[i * r->m + k] = isnan(v) ? 2 : v == 1;
            r->used[k] += !isnan(v);
            r->positive[k] += v == 1;
        }
    }
}

static void read_classes(ark__lr_rows *r, const size_t *out) {
    const ark_labelled *d = r->data;
    for (size_t i = 0; i < d->n; i++) {
        const double *y = d->label + ark_labelled_row(d, i) * d->K;
        r->class[i] = -1;
        for (size_t k = 0; k < r->m; k++) {
            if (y[out[k]] == 1) {
                r->class[i] = (int32_t)k;
                r->positive[k]++;
                r->used[0]++;
            }
        }
    }
}

void ark__lr_rows_free(ark__lr_rows *r) {
    ark_free(r->label);
    ark_free(r->class);
    ark_free(r->used);
    ark_free(r->positive);
    ark_free(r->w);
    ark_free(r->bias);
    ark_free(r->ask);
    ark_free(r->grad);
    ark_free(r->dbias);
    ark_free(r->loss);
    ark_free(r->tile);
    ark_free(r->z);
    *r = (ark__lr_rows){0};
}

static ark_status allocate(ark__lr_rows *r) {
    size_t n = r->data->n, m = r->m, weights, cells, threads = (size_t)r->threads;
    if (ark_mul(m, r->width, &weights) || ark_mul(n, m, &cells)) {
        return ARK_ERR(
            ARK_ENOMEM, "logistic regression: %zu rows, %zu classes x %zu features", n, m, r->data->d);
    }
    ARK_TRY(ARK_NEW(&r->label, r->softmax ? 1 : cells, "labels"));
    ARK_TRY(ARK_NEW(&r->class, r->softmax ? n : 1, "labels"));
    ARK_TRY(ARK_NEW(&r->used, m, "classes"));
    ARK_TRY(ARK_NEW(&r->positive, m, "classes"));
    ARK_TRY(ARK_NEW(&r->w, weights, "weights"));
    ARK_TRY(ARK_NEW(&r->bias, m, "weights"));
    ARK_TRY(ARK_NEW(&r->ask, m, "classes"));
    ARK_TRY(ARK_NEW(&r->grad, ARK__LR_BLOCKS * weights, "gradients"));
    ARK_TRY(ARK_NEW(&r->dbias, ARK__LR_BLOCKS * m, "gradients"));
    ARK_TRY(ARK_NEW(&r->loss, ARK__LR_BLOCKS * m, "losses"));
    ARK_TRY(ARK_NEW(&r->tile, threads * ARK_TILE_ROWS * r->width, "a tile of features"));
    return ARK_NEW(&r->z, threads * ARK_TILE_ROWS * m, "logits");
}

ark_status ark__lr_rows_new(const ark_logreg *p, ark__lr_rows *r) {
    *r = (ark__lr_rows){.data = p->data,
        .mean = p->mean,
        .inverse = p->inverse,
        .softmax = p->softmax,
        .m = p->m,
        .width = ark_tile_width(p->data->d),
        .threads = p->threads > 1 ? p->threads : 1};
    ark_status st = allocate(r);
    if (st != ARK_OK) {
        ark__lr_rows_free(r);
        return st;
    }
    if (p->softmax) {
        read_classes(r, p->out);
    } else {
        read_binary(r, p->out);
    }
    return ARK_OK;
}

/* --- one row --- */

static double sigmoid(double z) {
    double e = exp(-fabs(z));
    return z >= 0 ? 1 / (1 + e) : e / (1 + e);
}

/* Softmax in place; returns the logarithm of the sum of exp(z). */
static double softmax(double *z, size_t K) {
    double top = z[0], total = 0;
    for (size_t k = 1; k < K; k++) {
        top = fmax(top, z[k]);
    }
    for (size_t k = 0; k < K; k++) {
        z[k] = exp(z[k] - top);
        total += z[k];
    }
    for (size_t k = 0; k < K; k++) {
        z[k] /= total;
    }
    return top + log(total);
}

void ark_logreg_probabilities(double *z, size_t K) {
    if (K == 1) {
        *z = sigmoid(*z);
    } else {
        softmax(z, K);
    }
}

/* z of the asked outputs becomes the derivative of the loss, p - y, or 0 where there is no label;
 * the losses are added to loss. */
static void binary_row(const ark__lr_rows *r, size_t row, double *z, double *loss) {
    const uint8_t *label = r->label + row * r->m;
    for (size_t a = 0; a < r->A; a++) {
        unsigned y = label[r->ask[a]];
        if (y > 1) {
            z[a] = 0;
            continue;
        }
        double e = exp(-fabs(z[a]));
        loss[a] += fmax(z[a], 0) - (y ? z[a] : 0) + log1p(e);
        z[a] = (z[a] >= 0 ? 1 / (1 + e) : e / (1 + e)) - y;
    }
}

static void softmax_row(const ark__lr_rows *r, size_t row, double *z, double *loss) {
    int32_t y = r->class[row];
    if (y < 0) {
        memset(z, 0, r->A * sizeof *z);
        return;
    }
    double target = z[y];
    *loss += softmax(z, r->A) - target;
    z[y] -= 1;
}

/* --- the walk --- */

static void block(void *ctx, int64_t task, int thread) {
    ark__lr_rows *r = ctx;
    size_t b = (size_t)task, n = r->data->n, A = r->A;
    double *grad = r->grad + b * A * r->width, *dbias = r->dbias + b * A, *loss = r->loss + b * A;
    double *tile = r->tile + (size_t)thread * ARK_TILE_ROWS * r->width;
    double *z = r->z + (size_t)thread * ARK_TILE_ROWS * r->m;
    memset(grad, 0, A * r->width * sizeof *grad);
    memset(dbias, 0, A * sizeof *dbias);
    memset(loss, 0, A * sizeof *loss);
    size_t end = n * (b + 1) / ARK__LR_BLOCKS;
    for (size_t i = n * b / ARK__LR_BLOCKS, rows; i < end; i += rows) {
        rows = end - i < ARK_TILE_ROWS ? end - i : ARK_TILE_ROWS;
        ark_tile_load(r->data, i, rows, r->mean, r->inverse, tile);
        ark_tile_logits(tile, rows, r->w, A, r->width, z, A);
        for (size_t j = 0; j < rows; j++) {
            double *e = z + j * A;
            for (size_t a = 0; a < A; a++) {
                e[a] += r->bias[a];
            }
            if (r->softmax) {
                softmax_row(r, i + j, e, loss);
            } else {
                binary_row(r, i + j, e, loss);
            }
            for (size_t a = 0; a < A; a++) {
                dbias[a] += e[a];
            }
        }
        ark_tile_gradient(z, A, tile, rows, A, r->width, grad);
    }
}

void ark__lr_rows_run(ark__lr_rows *r) {
    ark_parallel(r->threads, ARK__LR_BLOCKS, block, r);
}

/* --- logits alone --- */

typedef struct scoring {
    const ark_labelled *data;
    const double *mean, *inverse, *w, *bias;
    size_t m, width;
    double *tile, *z;
} scoring;

static void score_tile(void *ctx, int64_t task, int thread) {
    scoring *s = ctx;
    size_t first = (size_t)task * ARK_TILE_ROWS, left = s->data->n - first;
    size_t rows = left < ARK_TILE_ROWS ? left : ARK_TILE_ROWS;
    double *tile = s->tile + (size_t)thread * ARK_TILE_ROWS * s->width, *z = s->z + first * s->m;
    ark_tile_load(s->data, first, rows, s->mean, s->inverse, tile);
    ark_tile_logits(tile, rows, s->w, s->m, s->width, z, s->m);
    for (size_t i = 0; i < rows * s->m; i++) {
        z[i] += s->bias[i % s->m];
    }
}

ark_status ark_logreg_logits(const ark_labelled *data, const double *mean, const double *inverse,
    const double *w, size_t m, int threads, double *z) {
    scoring s = {.data = data, .mean = mean, .inverse = inverse, .m = m, .z = z};
    double *padded = NULL, *bias = NULL;
    threads = threads > 1 ? threads : 1;
    s.width = ark_tile_width(data->d);
    ark_status st = ARK_NEW(&padded, m * s.width, "weights");
    st = st ? st : ARK_NEW(&bias, m, "weights");
    st = st ? st : ARK_NEW(&s.tile, (size_t)threads * ARK_TILE_ROWS * s.width, "a tile of features");
    if (st == ARK_OK) {
        for (size_t k = 0; k < m; k++) {
            memcpy(padded + k * s.width, w + k * (data->d + 1), data->d * sizeof *w);
            bias[k] = w[k * (data->d + 1) + data->d];
        }
        s.w = padded;
        s.bias = bias;
        ark_parallel(threads, (int64_t)((data->n + ARK_TILE_ROWS - 1) / ARK_TILE_ROWS), score_tile, &s);
    }
    ark_free(padded);
    ark_free(bias);
    ark_free(s.tile);
    return st;
}
