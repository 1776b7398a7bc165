/* arkbench: one op at a time, right and fast.
 *
 *   arkbench [--mode C|B|P] [--dtype f32|bf16] [--threads N] [--batch N] [--backend NAME]
 *            PROBLEM... | @FILE...
 *
 * C compares a backend with ref (exit 1 when one differs), B runs with 1, 2 and 3 threads and wants equal
 * bytes, P (the default) times forward and backward and divides by what this machine reaches in the same run:
 * the fraction is the larger of arithmetic / peak arithmetic and bytes / peak copy rate, over the time.
 * Problems are explained in problem.h. */
#include "backend/cpu/peak.h"
#include "base/alloc.h"
#include "base/err.h"
#include "problem.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { REPEATS = 7, MAX_PROBLEMS = 512 };

typedef struct {
    char mode;
    const char *backend;
    ark_dtype dtype;
    int threads, batch;
    double gflops, gbs; /* measured peaks, for mode P */
    double sum_ms[2], sum_floor[2];
    int failed;
} bench;

/* One thread is timed by the processor time it got, so that other programs disturb it
 * less; several by the clock on the wall. */
static double seconds(const bench *o) {
    struct timespec t;
    clock_gettime(o->threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- C and B: comparing --------------------------------------------------------------------- */

typedef struct {
    const char *what;
    const void *a, *b;
    ark_dtype dtype;
    int64_t n;
} pair;

/* Outputs and gradients of two beds of the same problem. */
static int pairs_of(const bed *x, const bed *y, pair out[8]) {
    static const char *const names[ARK_MAX_IN] = {"d0", "d1", "d2", "d3"};
    const ark_tensor *to = x->node->out;
    int n = 0;
    out[n++] =
        (pair){"out", ark_ptr(&x->call, to), ark_ptr(&y->call, y->node->out), to->dtype, ark_numel(to)};
    for (int i = 0; i < x->node->n_in; i++) {
        const ark_tensor *t = x->node->in[i];
        if (t && x->node->want_grad[i]) {
            out[n++] = (pair){names[i], ark_grad_ptr(&x->call, t), ark_grad_ptr(&y->call, y->node->in[i]),
                t->kind == ARK_T_PARAM ? ARK_F32 : t->dtype, ark_numel(t)};
        }
    }
    return n;
}

static double value(const void *p, ark_dtype dtype, int64_t i) {
    return dtype == ARK_F32 ? (double)((const float *)p)[i]
                            : (double)ark_bf16_to_f32(((const uint16_t *)p)[i]);
}

/* Root mean square difference over root mean square of b. */
static double relative(const pair *p) {
    double diff = 0.0, norm = 0.0;
    for (int64_t i = 0; i < p->n; i++) {
        double a = value(p->a, p->dtype, i), b = value(p->b, p->dtype, i);
        diff += (a - b) * (a - b);
        norm += b * b;
    }
    return norm > 0.0 ? sqrt(diff / norm) : sqrt(diff);
}

static ark_status run_both(bed *b) {
    ARK_TRY(bed_fill(b, 7));
    ARK_TRY(bed_forward(b));
    return bed_backward(b);
}

static ark_status compare(bench *o, const problem *q, const char *backend, int threads, bool bitwise) {
    bed x, y;
    ARK_TRY(bed_new(&x, q, o->backend, bitwise ? 1 : o->threads, o->batch, o->dtype));
    ark_status st = bed_new(&y, q, backend, threads, o->batch, o->dtype);
    if (st == ARK_OK) {
        st = run_both(&x);
        st = st == ARK_OK ? run_both(&y) : st;
        pair pairs[8];
        int n = st == ARK_OK ? pairs_of(&x, &y, pairs) : 0;
        double limit = o->dtype == ARK_F32 ? 3e-6 : 1e-2;
        for (int i = 0; i < n; i++) {
            const pair *p = &pairs[i];
            bool equal = memcmp(p->a, p->b, (size_t)p->n * ark_dtype_bytes(p->dtype)) == 0;
            double error = relative(p);
            bool good = bitwise ? equal : error <= limit;
            printf("%s %-4s %s %.2e  %s\n", good ? "pass" : "FAIL", p->what, bitwise ? "threads" : "error",
                bitwise ? (double)threads : error, q->text);
            o->failed += !good;
        }
        bed_free(&y);
    }
    bed_free(&x);
    return st;
}

/* ---- P: timing ------------------------------------------------------------------------------ */

static ark_status best_of(const bench *o, bed *b, ark_status (*run)(bed *), double *ms) {
    ARK_TRY(run(b));
    *ms = INFINITY;
    for (int i = 0; i < REPEATS; i++) {
        double start = seconds(o);
        ARK_TRY(run(b));
        *ms = fmin(*ms, 1e3 * (seconds(o) - start));
    }
    return ARK_OK;
}

static void report(bench *o, const problem *q, int pass, double ms, double flops, double bytes) {
    static const char *const names[2] = {"fwd", "bwd"};
    double floor_ms = fmax(flops / o->gflops, bytes / o->gbs) / 1e6;
    printf("%s %9.3f ms %7.1f GFLOP/s %6.1f GB/s  %5.1f %% of floor  x%d  %s\n", names[pass], ms,
        flops / ms / 1e6, bytes / ms / 1e6, 100.0 * floor_ms / ms, q->count, q->text);
    o->sum_ms[pass] += q->count * ms;
    o->sum_floor[pass] += q->count * floor_ms;
}

static ark_status time_node(bench *o, const problem *q) {
    bed b;
    ARK_TRY(bed_new(&b, q, o->backend, o->threads, o->batch, o->dtype));
    double fwd = 0.0, bwd = 0.0;
    ark_status st = bed_fill(&b, 7);
    st = st == ARK_OK ? best_of(o, &b, bed_forward, &fwd) : st;
    st = st == ARK_OK ? best_of(o, &b, bed_backward, &bwd) : st;
    if (st == ARK_OK) {
        report(o, q, 0, fwd, ark_node_flops_fwd(b.node, o->batch), bed_bytes(&b, false));
        report(o, q, 1, bwd, ark_node_flops_bwd(b.node, o->batch), bed_bytes(&b, true));
    }
    bed_free(&b);
    return st;
}

static ark_status run_flat(
    const ark_dev *dev, const char *op, float *const col[4], uint16_t *half, int64_t n) {
    ark_dev *d = (ark_dev *)(uintptr_t)dev;
    const ark_backend *be = dev->backend;
    if (strcmp(op, "ema") == 0) {
        return be->ema(d, col[0], col[1], 0.9f, n);
    }
    if (strcmp(op, "sgd") == 0) {
        ark_sgd o = {.lr = 1e-3f, .momentum = 0.9f, .grad_scale = 1.0f, .nesterov = true};
        return be->sgd(d, col[0], col[1], col[2], n, &o);
    }
    if (strcmp(op, "adamw") == 0) {
        ark_adamw o = {
            .lr = 1e-3f, .beta1 = 0.9f, .beta2 = 0.999f, .eps = 1e-8f, .grad_scale = 1.0f, .t = 10};
        return be->adamw(d, col[0], col[1], col[2], col[3], n, &o);
    }
    double sum;
    return strcmp(op, "norm") == 0 ? be->sum_squares(d, col[0], n, &sum) : be->to_bf16(d, half, col[0], n);
}

static ark_status time_flat(bench *o, const problem *q) {
    const int64_t n = q->dims[0];
    static const struct {
        const char *op;
        double bytes;
    } traffic[] = {{"ema", 12}, {"sgd", 20}, {"adamw", 28}, {"norm", 4}, {"to_bf16", 6}};
    ark_dev *dev;
    ARK_TRY(ark_dev_open(o->backend, o->threads, &dev));
    float *col[4] = {NULL};
    ark_status st = ARK_OK;
    for (int i = 0; i < 4 && st == ARK_OK; i++) {
        void *p = NULL;
        st = dev->backend->alloc(dev, (size_t)n * sizeof(float), &p);
        col[i] = p;
    }
    double best = INFINITY, bytes = 0.0;
    for (size_t i = 0; i < sizeof traffic / sizeof *traffic; i++) {
        bytes = strcmp(q->op, traffic[i].op) == 0 ? traffic[i].bytes * (double)n : bytes;
    }
    for (int i = 0; i <= REPEATS && st == ARK_OK; i++) {
        double start = seconds(o);
        st = run_flat(dev, q->op, col, (uint16_t *)col[3], n);
        best = i ? fmin(best, 1e3 * (seconds(o) - start)) : best;
    }
    if (st == ARK_OK) {
        report(o, q, 1, best, 0.0, bytes);
    }
    for (int i = 0; i < 4; i++) {
        dev->backend->free(dev, col[i]);
    }
    ark_dev_close(dev);
    return st;
}

/* ---- command line --------------------------------------------------------------------------- */

static ark_status run_line(bench *o, const char *line) {
    problem q;
    ARK_TRY(problem_parse(line, &q));
    if (o->mode == 'P') {
        return problem_is_flat(&q) ? time_flat(o, &q) : time_node(o, &q);
    }
    if (problem_is_flat(&q)) {
        return ARK_OK;
    }
    if (o->mode == 'C') {
        return compare(o, &q, "ref", 1, false);
    }
    ARK_TRY(compare(o, &q, o->backend, 2, true));
    return compare(o, &q, o->backend, 3, true);
}

static ark_status run_file(bench *o, const char *path) {
    FILE *f = fopen(path, "r");
    if (!f) {
        return ARK_ERR(ARK_EIO, "%s: cannot be opened", path);
    }
    char line[PROBLEM_TEXT];
    ark_status st = ARK_OK;
    while (st == ARK_OK && fgets(line, sizeof line, f)) {
        line[strcspn(line, "#\n")] = '\0';
        if (line[strspn(line, " \t")] != '\0') {
            st = run_line(o, line);
        }
    }
    fclose(f);
    return st;
}

static int option(bench *o, const char *name, const char *v) {
    if (strcmp(name, "--mode") == 0 && strchr("CBP", v[0])) {
        o->mode = v[0];
    } else if (strcmp(name, "--dtype") == 0) {
        o->dtype = strcmp(v, "bf16") == 0 ? ARK_BF16 : ARK_F32;
    } else if (strcmp(name, "--threads") == 0) {
        o->threads = (int)strtol(v, NULL, 10);
    } else if (strcmp(name, "--batch") == 0) {
        o->batch = (int)strtol(v, NULL, 10);
    } else if (strcmp(name, "--backend") == 0) {
        o->backend = v;
    } else {
        return 0;
    }
    return 1;
}

static ark_status begin(bench *o) {
    if (o->mode != 'P') {
        return ARK_OK;
    }
    double f32, bf16;
    ARK_TRY(ark_cpu_peak(o->threads, &f32, &bf16, &o->gbs));
    printf("peak %.1f GFLOP/s f32, %.1f bf16, copy %.1f GB/s; batch %d, %s\n", f32, bf16, o->gbs, o->batch,
        ark_dtype_name(o->dtype));
    o->gflops = o->dtype == ARK_BF16 && !isnan(bf16) ? bf16 : f32;
    return ARK_OK;
}

int main(int argc, char **argv) {
    bench o = {.mode = 'P', .backend = "cpu", .batch = 16};
    int i = 1;
    for (; i + 1 < argc && strncmp(argv[i], "--", 2) == 0; i += 2) {
        if (!option(&o, argv[i], argv[i + 1])) {
            fprintf(stderr, "arkbench: unknown option %s %s\n", argv[i], argv[i + 1]);
            return 2;
        }
    }
    if (i >= argc) {
        fprintf(stderr, "usage: arkbench [--mode C|B|P] [--dtype f32|bf16] [--threads N] [--batch N] "
                        "[--backend NAME] PROBLEM... | @FILE...\n");
        return 2;
    }
    ark_status st = begin(&o);
    for (; i < argc && st == ARK_OK; i++) {
        st = argv[i][0] == '@' ? run_file(&o, argv[i] + 1) : run_line(&o, argv[i]);
    }
    if (st != ARK_OK) {
        fprintf(stderr, "arkbench: %s\n", ark_err_msg());
        return 1;
    }
    if (o.mode == 'P') {
        printf("sum: fwd %.1f ms (%.1f %% of floor), bwd and updates %.1f ms (%.1f %%)\n", o.sum_ms[0],
            100.0 * o.sum_floor[0] / o.sum_ms[0], o.sum_ms[1], 100.0 * o.sum_floor[1] / o.sum_ms[1]);
    }
    return o.failed ? 1 : 0;
}
