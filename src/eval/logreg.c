#include "eval/logreg.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/mathsafe.h"
#include "base/par.h"

#include <lbfgs.h>
#include <limits.h>
#include <math.h>
#include <string.h>

enum { BLOCKS = 16 };

/* Eight partial sums in a fixed order: the compiler may use vectors, the result stays the same. */
static double dot(const double *a, const double *b, size_t n) {
    double s[8] = {0};
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        for (size_t j = 0; j < 8; j++) {
            s[j] += a[i + j] * b[i + j];
        }
    }
    for (; i < n; i++) {
        s[0] += a[i] * b[i];
    }
    return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
}

static void add_scaled(double *y, double t, const double *x, size_t n) {
    for (size_t i = 0; i < n; i++) {
        y[i] += t * x[i];
    }
}

void ark_logreg_logits(const double *w, size_t d, size_t K, const double *x, double *z) {
    for (size_t k = 0; k < K; k++) {
        z[k] = dot(w + k * (d + 1), x, d) + w[k * (d + 1) + d];
    }
}

static void sigmoid(double *z) {
    double e = exp(-fabs(*z));
    *z = *z >= 0 ? 1 / (1 + e) : e / (1 + e);
}

/* Softmax in place; returns the logarithm of the sum of exp(z). */
static double softmax(double *z, size_t K) {
    double top = z[0], sum = 0;
    for (size_t k = 1; k < K; k++) {
        top = fmax(top, z[k]);
    }
    for (size_t k = 0; k < K; k++) {
        z[k] = exp(z[k] - top);
        sum += z[k];
    }
    for (size_t k = 0; k < K; k++) {
        z[k] /= sum;
    }
    return top + log(sum);
}

void ark_logreg_probabilities(double *z, size_t K) {
    if (K == 1) {
        sigmoid(z);
    } else {
        softmax(z, K);
    }
}

/* Cross-entropy of one row; z becomes its derivative, p - y. */
static double row_loss(double *z, size_t K, int32_t label) {
    if (K == 1) {
        double loss = fmax(z[0], 0) - (label ? z[0] : 0) + log1p(exp(-fabs(z[0])));
        sigmoid(z);
        z[0] -= label;
        return loss;
    }
    double target = z[label];
    double loss = softmax(z, K) - target;
    z[label] -= 1;
    return loss;
}

typedef struct work {
    const ark_logreg *p;
    size_t size;     /* K * (d+1) */
    const double *w; /* where the objective is evaluated */
    double *grad;    /* [BLOCKS][size] */
    double *z;       /* [BLOCKS][K] */
    double loss[BLOCKS];
} work;

static void block(void *ctx, int64_t task, int thread) {
    (void)thread;
    work *wk = ctx;
    const ark_logreg *p = wk->p;
    size_t b = (size_t)task, stride = p->d + 1;
    double *grad = wk->grad + b * wk->size, *z = wk->z + b * p->K;
    memset(grad, 0, wk->size * sizeof *grad);
    wk->loss[b] = 0;
    for (size_t i = p->used * b / BLOCKS; i < p->used * (b + 1) / BLOCKS; i++) {
        const double *x = p->x + (size_t)p->rows[i] * p->d;
        ark_logreg_logits(wk->w, p->d, p->K, x, z);
        wk->loss[b] += row_loss(z, p->K, p->label[i]);
        for (size_t k = 0; k < p->K; k++) {
            add_scaled(grad + k * stride, z[k], x, p->d);
            grad[k * stride + p->d] += z[k];
        }
    }
}

/* lbfgs_evaluate_t: the objective and its gradient g at w. */
static double evaluate(void *instance, const double *w, double *g, int n, double step) {
    (void)n;
    (void)step;
    work *wk = instance;
    const ark_logreg *p = wk->p;
    wk->w = w;
    ark_parallel(p->threads, BLOCKS, block, wk);
    double loss = 0, norm2 = 0, rows = (double)p->used, l2 = 1 / (p->C * rows);
    memset(g, 0, wk->size * sizeof *g);
    for (size_t b = 0; b < BLOCKS; b++) {
        loss += wk->loss[b] / rows;
        add_scaled(g, 1 / rows, wk->grad + b * wk->size, wk->size);
    }
    for (size_t k = 0; k < p->K; k++) {
        const double *row = w + k * (p->d + 1);
        add_scaled(g + k * (p->d + 1), l2, row, p->d);
        norm2 += dot(row, row, p->d);
    }
    return loss + 0.5 * l2 * norm2;
}

typedef struct monitor {
    work wk; /* first: evaluate() and progress() get the same pointer */
    int iterations;
} monitor;

static int progress(void *instance, const double *x, const double *g, double fx, double xnorm, double gnorm,
    double step, int n, int k, int ls) {
    (void)x, (void)g, (void)xnorm, (void)gnorm, (void)step, (void)n, (void)ls;
    monitor *m = instance;
    m->iterations = k;
    if (m->wk.p->on_iteration) {
        m->wk.p->on_iteration(m->wk.p->ctx, k, fx);
    }
    return 0;
}

static ark_status check(const ark_logreg *p, size_t *size) {
    if (p->used == 0 || p->K == 0) {
        return ARK_ERR(ARK_EINVAL, "logistic regression on %zu rows for %zu classes", p->used, p->K);
    }
    if (!(p->C > 0) || !isfinite(p->C) || !(p->tolerance > 0) || p->max_iterations < 0) {
        return ARK_ERR(ARK_EINVAL, "logistic regression: C %g, tolerance %g, %d iterations: out of range",
            p->C, p->tolerance, p->max_iterations);
    }
    if (ark_mul(p->K, p->d + 1, size) || *size > INT_MAX / 2) {
        return ARK_ERR(ARK_EINVAL, "logistic regression: %zu classes x %zu features", p->K, p->d);
    }
    return ARK_OK;
}

ark_status ark_logreg_minimise(const ark_logreg *p, double *w, ark_logreg_fit *fit) {
    size_t size = 0;
    ARK_TRY(check(p, &size));
    monitor m = {.wk = {.p = p, .size = size}};
    double *x = NULL, loss = 0; /* liblbfgs wants its own alignment */
    ark_status st = ARK_NEW(&m.wk.grad, BLOCKS * size, "gradient");
    if (st != ARK_OK || (st = ARK_NEW(&m.wk.z, BLOCKS * p->K, "logits")) != ARK_OK) {
        goto done;
    }
    x = lbfgs_malloc((int)size);
    if (!x) {
        st = ARK_ERR(ARK_ENOMEM, "out of memory: %zu weights", size);
        goto done;
    }
    memcpy(x, w, size * sizeof *x);
    lbfgs_parameter_t opts;
    lbfgs_parameter_init(&opts);
    opts.epsilon = p->tolerance;
    opts.max_iterations = p->max_iterations;
    opts.m = 10;
    int rc = lbfgs((int)size, x, &loss, evaluate, progress, &m, &opts);
    if (rc == LBFGSERR_OUTOFMEMORY) {
        st = ARK_ERR(ARK_ENOMEM, "out of memory: L-BFGS over %zu weights", size);
        goto done;
    }
    /* A line search that finds nothing lower has reached the precision of the objective, which is convex and
     * smooth: x is then as good as it gets, and only a full count of iterations means that it is not. */
    memcpy(w, x, size * sizeof *x);
    *fit = (ark_logreg_fit){
        .loss = loss, .iterations = m.iterations, .converged = rc != LBFGSERR_MAXIMUMITERATION};
done:
    if (x) {
        lbfgs_free(x);
    }
    ark_free(m.wk.grad);
    ark_free(m.wk.z);
    return st;
}
