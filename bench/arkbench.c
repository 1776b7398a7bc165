/* arkbench: one op at a time, right and fast.
 *
 *   arkbench [--mode C|B|P] [--dtype f32|bf16] [--threads N] [--batch N] [--backend NAME]
 *            [--worst N] [--json] PROBLEM... | @FILE...
 *
 * C compares a backend with ref (exit 1 when one differs), B runs with 1, 2 and 3 threads and wants equal
 * bytes, P (the default) times forward and backward beside their floors. A floor is the larger of FLOPs /
 * peak arithmetic and bytes / copy rate, both measured in the same run; the bytes are those that must move at
 * least once. --worst lists where most time goes above the floor, counts included; --json prints one object.
 *
 * The copy rate is that of memory. An op whose tensors stay in a cache from one repetition to the next beats
 * it and shows more than 100 % of its byte floor: no error, and no promise for the step, where other ops have
 * used the cache in between. A larger --batch takes it out of the cache.
 * Problems are explained in problem.h, the floors in docs/performance.md. */
#include "backend/cpu/peak.h"
#include "base/alloc.h"
#include "base/err.h"
#include "problem.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { REPEATS = 7, MAX_ROWS = 1024, MAX_KINDS = 32 };

static const char *const passes[2] = {"fwd", "bwd"};

/* One pass of one problem, timed. */
typedef struct {
    problem q;
    int pass; /* 0 forward, 1 backward or update */
    double ms, floor_ms, flops, bytes;
    bool arithmetic; /* which of the two floors is the larger */
} row;

typedef struct {
    char mode;
    const char *backend;
    ark_dtype dtype;
    int threads, batch, worst;
    bool json;
    double gflops, gbs; /* measured peaks, for mode P */
    row *rows;
    int n_rows, failed;
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
static int pairs_of(const bed *x, const bed *y, pair out[1 + ARK_MAX_IN]) {
    static const char *const names[ARK_MAX_IN] = {"d0", "d1", "d2", "d3", "d4", "d5"};
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
    bed_seed(b, 7);
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

/* Time above the floor in a whole step. */
static double lost_ms(const row *r) {
    return r->q.count * (r->ms - r->floor_ms);
}

static void print_row(const row *r) {
    printf("%s %9.3f ms  floor %9.3f %-10s %6.1f %%  x%-2d %s\n", passes[r->pass], r->ms, r->floor_ms,
        r->arithmetic ? "arithmetic" : "bytes", 100.0 * r->floor_ms / r->ms, r->q.count, r->q.text);
}

static ark_status report(bench *o, const problem *q, int pass, double ms, double flops, double bytes) {
    if (o->n_rows == MAX_ROWS) {
        return ARK_ERR(ARK_EINVAL, "more than %d timings", MAX_ROWS);
    }
    double arithmetic = flops / o->gflops / 1e6, moving = bytes / o->gbs / 1e6;
    row *r = &o->rows[o->n_rows++];
    *r = (row){*q, pass, ms, fmax(arithmetic, moving), flops, bytes, arithmetic >= moving};
    if (!o->json) {
        print_row(r);
    }
    return ARK_OK;
}

static ark_status time_node(bench *o, const problem *q) {
    bed b;
    ARK_TRY(bed_new(&b, q, o->backend, o->threads, o->batch, o->dtype));
    double fwd = 0.0, bwd = 0.0;
    ark_status st = bed_fill(&b, 7);
    st = st == ARK_OK ? best_of(o, &b, bed_forward, &fwd) : st;
    st = st == ARK_OK ? report(o, q, 0, fwd, ark_node_flops_fwd(b.node, o->batch), bed_bytes(&b, false)) : st;
    if (bed_has_backward(&b)) {
        bed_seed(&b, 7);
        st = st == ARK_OK ? best_of(o, &b, bed_backward, &bwd) : st;
        st = st == ARK_OK ? report(o, q, 1, bwd, ark_node_flops_bwd(b.node, o->batch), bed_bytes(&b, true))
                          : st;
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
    if (o->dtype == ARK_F32 && strcmp(q->op, "to_bf16") == 0) {
        return ARK_OK; /* no part of a step in f32 */
    }
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
    st = st == ARK_OK ? report(o, q, 1, best, 0.0, bytes) : st;
    for (int i = 0; i < 4; i++) {
        dev->backend->free(dev, col[i]);
    }
    ark_dev_close(dev);
    return st;
}

/* ---- P: what came out ----------------------------------------------------------------------- */

typedef struct {
    const char *op;
    double ms[2], floor_ms[2];
} kind;

/* Times and floors of a step by op, in order of appearance. An op that beat its floor counts as at the floor,
 * so that it does not hide another's loss. */
static int kinds_of(const bench *o, kind k[MAX_KINDS]) {
    int n = 0;
    for (const row *r = o->rows; r < o->rows + o->n_rows; r++) {
        int i = 0;
        while (i < n && strcmp(k[i].op, r->q.op) != 0) {
            i++;
        }
        if (i == MAX_KINDS) {
            continue;
        }
        if (i == n) {
            k[n++] = (kind){.op = r->q.op};
        }
        k[i].ms[r->pass] += r->q.count * r->ms;
        k[i].floor_ms[r->pass] += r->q.count * fmin(r->floor_ms, r->ms);
    }
    return n;
}

/* Of a step: the teacher's forward, the student's forward and backward, the updates. */
static kind sum_of(const kind *k, int n) {
    kind sum = {.op = "sum"};
    for (int i = 0; i < n; i++) {
        for (int pass = 0; pass < 2; pass++) {
            sum.ms[pass] += k[i].ms[pass];
            sum.floor_ms[pass] += k[i].floor_ms[pass];
        }
    }
    return sum;
}

static double step_ms(const double ms[2]) {
    return 2 * ms[0] + ms[1];
}

static int by_lost(const void *a, const void *b) {
    double x = lost_ms(a), y = lost_ms(b);
    return (x < y) - (x > y);
}

static double percent(double floor_ms, double ms) {
    return ms > 0 ? 100.0 * floor_ms / ms : 0.0;
}

static void print_summary(bench *o) {
    kind k[MAX_KINDS];
    int n = kinds_of(o, k);
    kind sum = sum_of(k, n);
    printf("\n%-12s %10s %8s %10s %8s %10s %8s %8s\n", "by op", "fwd ms", "floor", "bwd ms", "floor",
        "step ms", "floor", "share");
    for (int i = 0; i <= n; i++) {
        const kind *x = i < n ? &k[i] : &sum;
        printf("%-12s %10.2f %6.1f %% %10.2f %6.1f %% %10.2f %6.1f %% %6.1f %%\n", x->op, x->ms[0],
            percent(x->floor_ms[0], x->ms[0]), x->ms[1], percent(x->floor_ms[1], x->ms[1]), step_ms(x->ms),
            percent(step_ms(x->floor_ms), step_ms(x->ms)), percent(step_ms(x->ms), step_ms(sum.ms)));
    }
    printf("step = twice forward (teacher, student) + backward and updates\n");
    if (o->worst) {
        qsort(o->rows, (size_t)o->n_rows, sizeof *o->rows, by_lost);
        printf("\nmost time above the floor (ms of one pass over the model)\n");
    }
    for (int i = 0; i < o->worst && i < o->n_rows && lost_ms(&o->rows[i]) > 0; i++) {
        printf("%9.2f  ", lost_ms(&o->rows[i]));
        print_row(&o->rows[i]);
    }
}

static void print_json(bench *o) {
    kind k[MAX_KINDS];
    int n = kinds_of(o, k);
    kind sum = sum_of(k, n);
    if (o->worst) {
        qsort(o->rows, (size_t)o->n_rows, sizeof *o->rows, by_lost);
        o->n_rows = o->worst < o->n_rows ? o->worst : o->n_rows;
    }
    printf("{\"dtype\": \"%s\", \"batch\": %d, \"threads\": %d, \"backend\": \"%s\", \"peak_flops\": %.6g, "
           "\"copy_bytes_per_s\": %.6g, \"ops\": [",
        ark_dtype_name(o->dtype), o->batch, o->threads, o->backend, 1e9 * o->gflops, 1e9 * o->gbs);
    for (int i = 0; i < o->n_rows; i++) {
        const row *r = &o->rows[i];
        printf("%s{\"problem\": \"%s\", \"op\": \"%s\", \"pass\": \"%s\", \"count\": %d, \"ms\": %.6g, "
               "\"floor_ms\": %.6g, \"bound\": \"%s\", \"fraction_of_floor\": %.6g, \"flop\": %.17g, "
               "\"bytes\": %.17g, \"lost_ms\": %.6g}",
            i ? ", " : "", r->q.text, r->q.op, passes[r->pass], r->q.count, r->ms, r->floor_ms,
            r->arithmetic ? "arithmetic" : "bytes", r->floor_ms / r->ms, r->flops, r->bytes, lost_ms(r));
    }
    printf("], \"fwd_ms\": %.6g, \"fwd_floor_ms\": %.6g, \"bwd_ms\": %.6g, \"bwd_floor_ms\": %.6g, "
           "\"step_ms\": %.6g, \"step_floor_ms\": %.6g}\n",
        sum.ms[0], sum.floor_ms[0], sum.ms[1], sum.floor_ms[1], step_ms(sum.ms), step_ms(sum.floor_ms));
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
    } else if (strcmp(name, "--worst") == 0) {
        o->worst = (int)strtol(v, NULL, 10);
    } else {
        return 0;
    }
    return 1;
}

static ark_status begin(bench *o) {
    if (o->mode != 'P') {
        return ARK_OK;
    }
    double bf16;
    ARK_TRY(ARK_NEW(&o->rows, MAX_ROWS, "timings"));
    ARK_TRY(ark_cpu_peak(o->threads, &o->gflops, &bf16, &o->gbs));
    if (!o->json) {
        printf("peak %.1f GFLOP/s f32, %.1f bf16, copy %.1f GB/s; batch %d, %s\n", o->gflops, bf16, o->gbs,
            o->batch, ark_dtype_name(o->dtype));
    }
    o->gflops = o->dtype == ARK_BF16 && !isnan(bf16) ? bf16 : o->gflops;
    return ARK_OK;
}

static ark_status run_all(bench *o, int n, char **what) {
    ARK_TRY(begin(o));
    for (int i = 0; i < n; i++) {
        ARK_TRY(what[i][0] == '@' ? run_file(o, what[i] + 1) : run_line(o, what[i]));
    }
    if (o->mode == 'P') {
        (o->json ? print_json : print_summary)(o);
    }
    return ARK_OK;
}

int main(int argc, char **argv) {
    bench o = {.mode = 'P', .backend = "cpu", .batch = 16};
    int i = 1;
    for (; i < argc && strncmp(argv[i], "--", 2) == 0; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            o.json = true;
        } else if (i + 1 < argc && option(&o, argv[i], argv[i + 1])) {
            i++;
        } else {
            fprintf(stderr, "arkbench: unknown option or value: %s\n", argv[i]);
            return 2;
        }
    }
    if (i >= argc) {
        fprintf(stderr, "usage: arkbench [--mode C|B|P] [--dtype f32|bf16] [--threads N] [--batch N] "
                        "[--backend NAME] [--worst N] [--json] PROBLEM... | @FILE...\n");
        return 2;
    }
    ark_status st = run_all(&o, argc - i, argv + i);
    ark_free(o.rows);
    if (st != ARK_OK) {
        fprintf(stderr, "arkbench: %s\n", ark_err_msg());
        return 1;
    }
    return o.failed ? 1 : 0;
}
