#include "eval/logreg.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/mathsafe.h"
#include "base/par.h"
#include "eval/logreg_impl.h"

#include <float.h>
#include <limits.h>
#include <math.h>
#include <string.h>

/* L-BFGS (Nocedal & Wright, algorithm 7.4), one state per problem; every round evaluates the trial points of
 * all problems that are not done in one walk over the rows, and lets each take its next decision. */

enum { MEMORY = 10, MOST_TRIALS = 40 };

typedef struct problem {
    size_t first, m; /* its outputs */
    size_t used;
    size_t size;                         /* m (d+1) */
    double *x, *g, *trial, *g_trial, *p; /* [size] */
    double *q;                           /* [size] scratch */
    double *s, *y;                       /* (MEMORY,size) steps and changes of the gradient, a ring */
    double rho[MEMORY];
    int kept, newest;
    double f, f_trial, step, slope;
    double l2; /* 1 / (C used) */
    size_t c;  /* which C */
    int iterations, trials;
    bool started, done;
} problem;

typedef struct solver {
    const ark_logreg *p;
    ark__lr_rows rows;
    ark__gram gram;
    problem *problems;
    size_t n;
    size_t *active; /* [n] problems of this round */
    size_t *at;     /* [n] first output of each among those asked for */
    size_t n_active;
    double *w; /* (nC,m,d+1) */
    ark_logreg_fit *fit;
} solver;

static void add_scaled(double *y, double t, const double *x, size_t n) {
    for (size_t i = 0; i < n; i++) {
        y[i] += t * x[i];
    }
}

static double norm(const double *x, size_t n) {
    return sqrt(ark_tile_dot(x, x, n));
}

/* --- the first guess of the inverse curvature --- */

/* Share of rows times its complement: the curvature of an output before anything is learned. */
static double spread(const solver *s, size_t output, size_t used) {
    double p = (double)s->rows.positive[output] / (double)used;
    return fmax(p * (1 - p), 1e-9);
}

/* q := H q. With the Gram matrix: per output, (spread (G + mu I))^-1, mu = l2 / spread. */
static void precondition(const solver *s, const problem *b, double *q) {
    size_t d = s->p->data->d;
    for (size_t k = 0; k < b->m && s->gram.g; k++) {
        double v = spread(s, b->first + k, b->used), *row = q + k * (d + 1);
        ark__gram_solve(&s->gram, b->l2 / v, row);
        for (size_t j = 0; j <= d; j++) {
            row[j] /= v;
        }
    }
}

static ark_status factors(solver *s) {
    const ark_logreg *p = s->p;
    double *mu;
    if (!s->gram.g) {
        return ARK_OK;
    }
    ARK_TRY(ARK_NEW(&mu, p->nC * p->m, "factors"));
    for (size_t c = 0; c < p->nC; c++) {
        for (size_t k = 0; k < p->m; k++) {
            size_t used = s->rows.used[p->softmax ? 0 : k];
            mu[c * p->m + k] = 1 / (p->C[c] * (double)used * spread(s, k, used));
        }
    }
    ark_status st = ark__gram_factors(&s->gram, mu, p->nC * p->m, p->threads);
    ark_free(mu);
    return st;
}

/* --- one problem's decisions --- */

/* p = -H g, by the two loops over the kept steps. */
static void direction(const solver *s, problem *b) {
    double a[MEMORY], gamma = 1, *q = b->p;
    memcpy(q, b->g, b->size * sizeof *q);
    for (int i = 0; i < b->kept; i++) {
        int at = (b->newest - i + MEMORY) % MEMORY;
        a[at] = b->rho[at] * ark_tile_dot(b->s + (size_t)at * b->size, q, b->size);
        add_scaled(q, -a[at], b->y + (size_t)at * b->size, b->size);
    }
    if (b->kept > 0) { /* the scale of the newest step */
        const double *y = b->y + (size_t)b->newest * b->size;
        memcpy(b->q, y, b->size * sizeof *y);
        precondition(s, b, b->q);
        gamma = 1 / (b->rho[b->newest] * ark_tile_dot(y, b->q, b->size));
    } else if (!s->gram.g) {
        gamma = 1 / fmax(norm(b->g, b->size), DBL_MIN);
    }
    precondition(s, b, q);
    for (size_t i = 0; i < b->size; i++) {
        q[i] *= gamma;
    }
    for (int i = b->kept - 1; i >= 0; i--) {
        int at = (b->newest - i + MEMORY) % MEMORY;
        double beta = b->rho[at] * ark_tile_dot(b->y + (size_t)at * b->size, q, b->size);
        add_scaled(q, a[at] - beta, b->s + (size_t)at * b->size, b->size);
    }
    for (size_t i = 0; i < b->size; i++) {
        q[i] = -q[i];
    }
    b->slope = ark_tile_dot(b->g, q, b->size);
}

static void try_step(problem *b, double step) {
    b->step = step;
    memcpy(b->trial, b->x, b->size * sizeof *b->x);
    add_scaled(b->trial, step, b->p, b->size);
}

static void start_search(const solver *s, problem *b) {
    direction(s, b);
    if (!(b->slope < 0)) { /* rounding has spoilt the curvature: begin again */
        b->kept = 0;
        direction(s, b);
    }
    b->trials = 0;
    try_step(b, 1);
}

static bool converged(const solver *s, const problem *b) {
    return norm(b->g, b->size) <= s->p->tolerance * fmax(1, norm(b->x, b->size));
}

/* The step and the change of the gradient become the newest pair; the trial point becomes the point. */
static void accept(problem *b) {
    int at = (b->newest + 1) % MEMORY;
    double *s = b->s + (size_t)at * b->size, *y = b->y + (size_t)at * b->size;
    for (size_t i = 0; i < b->size; i++) {
        s[i] = b->trial[i] - b->x[i];
        y[i] = b->g_trial[i] - b->g[i];
    }
    double sy = ark_tile_dot(s, y, b->size);
    if (sy > 1e-14 * norm(s, b->size) * norm(y, b->size)) {
        b->rho[at] = 1 / sy;
        b->newest = at;
        b->kept += b->kept < MEMORY;
    }
    memcpy(b->x, b->trial, b->size * sizeof *b->x);
    memcpy(b->g, b->g_trial, b->size * sizeof *b->g);
    b->f = b->f_trial;
}

/* Adding t |W|^2 / 2 to the objective changes value, gradient and remembered curvature exactly. */
static void change_l2(const solver *s, problem *b, double t) {
    size_t d = s->p->data->d;
    for (size_t k = 0; k < b->m; k++) {
        size_t at = k * (d + 1);
        b->f += 0.5 * t * ark_tile_dot(b->x + at, b->x + at, d);
        add_scaled(b->g + at, t, b->x + at, d);
        for (size_t i = 0; i < MEMORY; i++) {
            add_scaled(b->y + i * b->size + at, t, b->s + i * b->size + at, d);
        }
    }
    b->l2 += t;
    for (int i = 0; i < b->kept; i++) {
        int at = (b->newest - i + MEMORY) % MEMORY;
        const double *step = b->s + (size_t)at * b->size, *y = b->y + (size_t)at * b->size;
        double sy = ark_tile_dot(step, y, b->size);
        if (!(sy > 1e-10 * norm(step, b->size) * norm(y, b->size))) {
            b->kept = i; /* older ones go with it */
            break;
        }
        b->rho[at] = 1 / sy;
    }
}

/* A softmax does not change when all biases shift: of these optima the one whose biases add up to zero. */
static void centre_biases(double *w, size_t m, size_t d) {
    double mean = 0;
    for (size_t k = 0; k < m; k++) {
        mean += w[k * (d + 1) + d] / (double)m;
    }
    for (size_t k = 0; k < m; k++) {
        w[k * (d + 1) + d] -= mean;
    }
}

/* Keep the fit at this C and go to the next. */
static void finish(solver *s, problem *b, bool ok) {
    const ark_logreg *p = s->p;
    size_t d = p->data->d, per_c = p->softmax ? 1 : p->m;
    double *w = s->w + (b->c * p->m + b->first) * (d + 1);
    memcpy(w, b->x, b->size * sizeof *b->x);
    if (p->softmax) {
        centre_biases(w, p->m, d);
    }
    s->fit[b->c * per_c + (p->softmax ? 0 : b->first)] =
        (ark_logreg_fit){.loss = b->f, .iterations = b->iterations, .converged = ok};
    b->iterations = 0;
    if (++b->c == p->nC) {
        b->done = true;
        return;
    }
    double l2 = 1 / (p->C[b->c] * (double)b->used);
    change_l2(s, b, l2 - b->l2);
    b->l2 = l2;
}

/* At a new point: stop, go to the next C, or search along a new direction. */
static void go_on(solver *s, problem *b) {
    while (!b->done) {
        bool ok = converged(s, b);
        if (!ok && (s->p->max_iterations == 0 || b->iterations < s->p->max_iterations)) {
            start_search(s, b);
            return;
        }
        finish(s, b, ok);
    }
}

/* The trial point has been evaluated. */
static void decide(solver *s, problem *b) {
    if (!b->started) {
        b->started = true;
        b->f = b->f_trial;
        memcpy(b->g, b->g_trial, b->size * sizeof *b->g);
        go_on(s, b);
        return;
    }
    double t = b->step, wanted = b->f + 1e-4 * t * b->slope;
    /* Near the optimum differences of f are rounding; the slope still tells (Hager & Zhang, 2005). */
    bool level = b->f_trial <= b->f + 4 * DBL_EPSILON * fabs(b->f) &&
                 ark_tile_dot(b->g_trial, b->p, b->size) <= -0.8 * b->slope;
    if (b->f_trial <= wanted || level) {
        accept(b);
        b->iterations++;
        if (s->p->on_iteration) {
            s->p->on_iteration(s->p->ctx, s->p->softmax ? 0 : b->first, b->c, b->iterations, b->f);
        }
        go_on(s, b);
        return;
    }
    if (++b->trials == MOST_TRIALS || b->step < 1e-18) {
        /* Nothing lower along a direction of descent: the precision of the objective, which is convex and
         * smooth, is reached. */
        finish(s, b, true);
        go_on(s, b);
        return;
    }
    double better = -b->slope * t * t / (2 * (b->f_trial - b->f - b->slope * t)); /* of the parabola */
    try_step(b, better > 0.1 * t && better < 0.5 * t ? better : better >= 0.5 * t ? 0.5 * t : 0.1 * t);
}

/* --- rounds --- */

/* Task of ark_parallel: gather one problem's sums, and let it decide. */
static void advance(void *ctx, int64_t task, int thread) {
    (void)thread;
    solver *s = ctx;
    problem *b = &s->problems[s->active[task]];
    const ark__lr_rows *r = &s->rows;
    size_t d = s->p->data->d, A = r->A, first = s->at[task];
    double rows = (double)b->used, norm2 = 0;
    memset(b->g_trial, 0, b->size * sizeof *b->g_trial);
    b->f_trial = 0;
    for (size_t block = 0; block < ARK__LR_BLOCKS; block++) {
        for (size_t k = 0; k < b->m; k++) {
            double *g = b->g_trial + k * (d + 1);
            b->f_trial += r->loss[block * A + first + k] / rows;
            add_scaled(g, 1 / rows, r->grad + (block * A + first + k) * r->width, d);
            g[d] += r->dbias[block * A + first + k] / rows;
        }
    }
    for (size_t k = 0; k < b->m; k++) {
        const double *w = b->trial + k * (d + 1);
        add_scaled(b->g_trial + k * (d + 1), b->l2, w, d);
        norm2 += ark_tile_dot(w, w, d);
    }
    b->f_trial += 0.5 * b->l2 * norm2;
    decide(s, b);
}

/* The trial points of the problems that are not done, as weights of the walk. */
static void ask(solver *s) {
    ark__lr_rows *r = &s->rows;
    size_t d = s->p->data->d;
    s->n_active = r->A = 0;
    for (size_t i = 0; i < s->n; i++) {
        const problem *b = &s->problems[i];
        if (b->done) {
            continue;
        }
        s->at[s->n_active] = r->A;
        s->active[s->n_active++] = i;
        for (size_t k = 0; k < b->m; k++, r->A++) {
            memcpy(r->w + r->A * r->width, b->trial + k * (d + 1), d * sizeof *r->w);
            r->bias[r->A] = b->trial[k * (d + 1) + d];
            r->ask[r->A] = b->first + k;
        }
    }
}

static ark_status problem_new(solver *s, size_t i) {
    const ark_logreg *p = s->p;
    problem *b = &s->problems[i];
    size_t d = p->data->d;
    *b = (problem){.first = i, .m = p->softmax ? p->m : 1, .used = s->rows.used[i]};
    b->size = b->m * (d + 1);
    if (b->used == 0) {
        return ARK_ERR(ARK_EINVAL, "logistic regression: no labelled row for output %zu", i);
    }
    b->l2 = 1 / (p->C[0] * (double)b->used);
    ARK_TRY(ARK_NEW(&b->x, (6 + 2 * (size_t)MEMORY) * b->size, "the state of L-BFGS"));
    b->g = b->x + b->size;
    b->trial = b->g + b->size;
    b->g_trial = b->trial + b->size;
    b->p = b->g_trial + b->size;
    b->q = b->p + b->size;
    b->s = b->q + b->size;
    b->y = b->s + MEMORY * b->size;
    memcpy(b->x, s->w + i * (d + 1), b->size * sizeof *b->x);
    memcpy(b->trial, b->x, b->size * sizeof *b->x);
    return ARK_OK;
}

static ark_status check(const ark_logreg *p) {
    size_t size;
    if (p->data->n == 0 || p->m == 0 || p->nC == 0) {
        return ARK_ERR(ARK_EINVAL, "logistic regression on %zu rows for %zu classes", p->data->n, p->m);
    }
    for (size_t c = 0; c < p->nC; c++) {
        if (!(p->C[c] > 0) || !isfinite(p->C[c]) || !(p->tolerance > 0) || p->max_iterations < 0) {
            return ARK_ERR(ARK_EINVAL, "logistic regression: C %g, tolerance %g, %d iterations: out of range",
                p->C[c], p->tolerance, p->max_iterations);
        }
    }
    if (ark_mul(p->m, p->data->d + 1, &size) || size > INT_MAX / 32) {
        return ARK_ERR(ARK_EINVAL, "logistic regression: %zu classes x %zu features", p->m, p->data->d);
    }
    return ARK_OK;
}

static ark_status prepare(solver *s) {
    const ark_logreg *p = s->p;
    s->n = p->softmax ? 1 : p->m;
    ARK_TRY(ark__lr_rows_new(p, &s->rows));
    ARK_TRY(ARK_NEW(&s->problems, s->n, "fits"));
    ARK_TRY(ARK_NEW(&s->active, s->n, "fits"));
    ARK_TRY(ARK_NEW(&s->at, s->n, "fits"));
    for (size_t i = 0; i < s->n; i++) {
        ARK_TRY(problem_new(s, i));
    }
    ARK_TRY(ark__gram_new(p, &s->gram));
    return factors(s);
}

ark_status ark_logreg_minimise(const ark_logreg *p, double *w, ark_logreg_fit *fit) {
    ARK_TRY(check(p));
    solver s = {.p = p, .w = w, .fit = fit};
    ark_status st = prepare(&s);
    while (st == ARK_OK) {
        ask(&s);
        if (s.n_active == 0) {
            break;
        }
        ark__lr_rows_run(&s.rows);
        ark_parallel(p->threads, (int64_t)s.n_active, advance, &s);
    }
    for (size_t i = 0; s.problems && i < s.n; i++) {
        ark_free(s.problems[i].x);
    }
    ark_free(s.problems);
    ark_free(s.active);
    ark_free(s.at);
    ark__gram_free(&s.gram);
    ark__lr_rows_free(&s.rows);
    return st;
}
