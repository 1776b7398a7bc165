/* arkfm bench: speed of a training step or of inference on random data, beside what this processor can do;
 * bench_data.c has what comes before. */
#include "app/cli/bench_data.h"
#include "app/cli/cli.h"
#include "app/cli/model_cli.h"
#include "backend/cpu/peak.h"
#include "base/alloc.h"
#include "base/err.h"
#include "base/par.h"
#include "base/rng.h"
#include "train/trainer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PROJECTOR_DIM = 1376, CLASSES = 14, WARM_UPS = 2, MAX_RUNS = CLI_BENCH_MAX_RUNS };

typedef struct args {
    const char *mode, *model, *dtype, *backend, *sets;
    int64_t batch, runs;
    cli_list images;
    bool step, data, recompute;
    ark_dtype cdt;
    int threads;
} args;

/* The network of the published Ark: linear projector, one head of 14 findings (training only). */
typedef struct subject {
    ark_dev *dev;
    ark_net net;
    ark_params *params;   /* inference; a trainer has its own */
    ark_session *session; /* inference */
    ark_trainer *trainer; /* step */
    float *images, *labels, *mask, *features;
    double flop_per_image;
} subject;

typedef struct result {
    double seconds[MAX_RUNS]; /* sorted */
    double peak_rss_bytes, peak_flops, copy_bytes;
    const char *peak_dtype;
} result;

/* --- what is measured --- */

static ark_status new_net(const args *a, ark_net *net) {
    ARK_TRY(ark_arch_parse(a->model, &net->arch));
    net->projector = ARK_PROJECTOR_LINEAR;
    net->projector_dim = PROJECTOR_DIM;
    if (!a->step) {
        return ARK_OK;
    }
    ARK_TRY(ARK_NEW(&net->heads, 1, "a head"));
    net->n_heads = 1;
    net->heads[0] = (ark_head){.dataset = ark_strdup("bench"), .task = ARK_MULTILABEL, .n_classes = CLASSES};
    ARK_TRY(ARK_NEW(&net->heads[0].classes, CLASSES, "class names"));
    for (int k = 0; k < CLASSES; k++) {
        net->heads[0].classes[k] = ark_strdup("finding");
        if (!net->heads[0].dataset || !net->heads[0].classes[k]) {
            return ARK_ERR(ARK_ENOMEM, "out of memory for class names");
        }
    }
    return ARK_OK;
}

static ark_status new_data(const args *a, subject *s) {
    size_t batch = (size_t)a->batch, side = (size_t)s->net.arch.size_px;
    size_t pixels = batch * (size_t)s->net.arch.in_chans * side * side;
    ark_rng r = ark_rng_at(0, ARK_RNG_TEST, 0, 0, 0);
    ARK_TRY(ARK_NEW(&s->images, pixels, "images"));
    ARK_TRY(ARK_NEW(&s->labels, batch * CLASSES, "labels"));
    ARK_TRY(ARK_NEW(&s->mask, batch * CLASSES, "labels"));
    ARK_TRY(ARK_NEW(&s->features, batch * PROJECTOR_DIM, "features"));
    for (size_t i = 0; i < pixels; i++) {
        s->images[i] = (float)ark_rng_normal(&r);
    }
    for (size_t i = 0; i < batch * CLASSES; i++) {
        s->labels[i] = ark_rng_f32(&r) > 0.5f;
        s->mask[i] = 1;
    }
    return ARK_OK;
}

static ark_status new_inference(const args *a, subject *s) {
    ARK_TRY(ark_params_new(&s->params));
    ARK_TRY(ark_net_declare(&s->net, s->params));
    ARK_TRY(ark_params_alloc(s->params, s->dev, 1u << ARK_COL_STUDENT, a->cdt == ARK_BF16));
    ARK_TRY(ark_params_init(s->params, ARK_COL_STUDENT, 0));
    ARK_TRY(ark_session_new(&s->net, s->params, s->dev, (int)a->batch, a->cdt, &s->session));
    s->flop_per_image = ark_plan_flops_fwd(ark_session_plan(s->session)) / (double)a->batch;
    return ARK_OK;
}

static ark_status new_training(const args *a, subject *s) {
    ark_trainer_opts o = {.batch = (int)a->batch,
        .cdt = a->cdt,
        .teacher = true,
        .recompute = a->recompute,
        .optim = {.momentum = 0.9}};
    ARK_TRY(ark_trainer_new(&s->net, &o, s->dev, &s->trainer));
    s->flop_per_image = ark_trainer_flops_per_image(s->trainer);
    return ARK_OK;
}

static ark_status new_subject(const args *a, subject *s) {
    ARK_TRY(ark_dev_open(a->backend, a->threads, &s->dev));
    ARK_TRY(new_net(a, &s->net));
    ARK_TRY(new_data(a, s));
    return a->step ? new_training(a, s) : new_inference(a, s);
}

static void drop(subject *s) {
    ark_session_free(s->session);
    ark_trainer_free(s->trainer);
    ark_params_free(s->params);
    ark_net_free(&s->net);
    ark_free(s->images);
    ark_free(s->labels);
    ark_free(s->mask);
    ark_free(s->features);
    if (s->dev) {
        ark_dev_close(s->dev);
    }
}

/* One step as ../shared/peers/torch_ark_step.py makes it: teacher forward, student forward and backward on
 * half BCE, half MSE, one Nesterov update; or one forward pass to the projected features. */
static ark_status run_once(const args *a, subject *s, uint64_t number) {
    if (a->step) {
        ark_step step = {.n = (int)a->batch,
            .student = s->images,
            .teacher = s->images,
            .labels = s->labels,
            .mask = s->mask,
            .width = CLASSES,
            .consistency = 0.5,
            .lr = 0.01,
            .step = number};
        ark_step_result ignored;
        return ark_trainer_step(s->trainer, &step, &ignored);
    }
    ark_outputs out = {.projected = s->features};
    return ark_session_run(s->session, ARK_COL_STUDENT, s->images, a->batch, &out);
}

/* --- measuring --- */

/* Highest resident memory of this process, from the kernel; NaN where it does not say. */
static double peak_rss(void) {
    FILE *f = fopen("/proc/self/status", "r");
    char line[256];
    long long kib;
    double bytes = NAN;
    while (f && fgets(line, sizeof line, f)) {
        if (sscanf(line, "VmHWM: %lld kB", &kib) == 1) {
            bytes = 1024.0 * (double)kib;
        }
    }
    if (f) {
        fclose(f);
    }
    return bytes;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The yardstick comes last: its buffers must not count as memory of what is measured. */
static ark_status measure(const args *a, subject *s, result *r) {
    for (int64_t i = -WARM_UPS; i < a->runs; i++) {
        double start = cli_seconds();
        ARK_TRY(run_once(a, s, (uint64_t)(i + WARM_UPS)));
        if (i >= 0) {
            r->seconds[i] = cli_seconds() - start;
        }
    }
    qsort(r->seconds, (size_t)a->runs, sizeof r->seconds[0], by_value);
    r->peak_rss_bytes = peak_rss();
    double f32, bf16, copy;
    ARK_TRY(ark_cpu_peak(a->threads, &f32, &bf16, &copy));
    bool fast = a->cdt == ARK_BF16 && isfinite(bf16);
    r->peak_dtype = fast ? "bf16" : "f32";
    r->peak_flops = 1e9 * (fast ? bf16 : f32);
    r->copy_bytes = 1e9 * copy;
    return ARK_OK;
}

/* --- printing --- */

static double median(const args *a, const result *r) {
    return (r->seconds[(a->runs - 1) / 2] + r->seconds[a->runs / 2]) / 2;
}

static int print_result(const cli_ctx *c, const args *a, const subject *s, const result *r) {
    double t = median(a, r), speed = (double)a->batch / t,
           fraction = speed * s->flop_per_image / r->peak_flops;
    char arch[256];
    if (c->json) {
        json_t *o = json_pack("{s:s,s:s,s:s,s:I,s:s,s:s,s:i,s:I,s:f,s:f,s:f}", "mode", a->mode, "model",
            a->model, "architecture", ark_arch_print(&s->net.arch, arch, sizeof arch), "batch",
            (json_int_t)a->batch, "dtype", ark_dtype_name(a->cdt), "backend", a->backend, "threads",
            a->threads, "runs", (json_int_t)a->runs, "images_per_s", speed, "seconds_median", t,
            "seconds_min", r->seconds[0]);
        json_object_set_new(o, "recompute", json_boolean(a->recompute));
        json_object_set_new(o, "seconds_max", cli_number(r->seconds[a->runs - 1]));
        json_object_set_new(o, "flop_per_image", cli_number(s->flop_per_image));
        json_object_set_new(o, "peak_flops", cli_number(r->peak_flops));
        json_object_set_new(o, "peak_dtype", json_string(r->peak_dtype));
        json_object_set_new(o, "fraction_of_peak", cli_number(fraction));
        json_object_set_new(o, "copy_bytes_per_s", cli_number(r->copy_bytes));
        json_object_set_new(o, "peak_rss_bytes", cli_number(r->peak_rss_bytes));
        return cli_print_json(o);
    }
    printf("%s %s, batch %lld, %s, %d thread%s: median of %lld runs %.3f s (%.3f to %.3f)\n", a->mode,
        a->model, (long long)a->batch, ark_dtype_name(a->cdt), a->threads, a->threads == 1 ? "" : "s",
        (long long)a->runs, t, r->seconds[0], r->seconds[a->runs - 1]);
    printf("speed        %10.2f images/s\n", speed);
    printf("arithmetic   %10.2f GFLOP per image\n", s->flop_per_image * 1e-9);
    printf("reached      %10.1f GFLOP/s, %.1f %% of the measured %s peak of %.1f\n",
        speed * s->flop_per_image * 1e-9, 100 * fraction, r->peak_dtype, r->peak_flops * 1e-9);
    printf("copy         %10.1f GB/s read and written\n", r->copy_bytes * 1e-9);
    printf("memory       %10.1f MiB at most\n", r->peak_rss_bytes / 1048576);
    return cli_flush();
}

static int check_usage(const cli_ctx *c, args *a) {
    static const char *const modes[] = {"step", "infer", "data"};
    a->mode = c->pos[0];
    a->step = !strcmp(a->mode, modes[0]);
    a->data = !strcmp(a->mode, modes[2]);
    if (!a->step && !a->data && strcmp(a->mode, modes[1])) {
        return cli_unknown("bench", a->mode, modes, CLI_COUNT(modes));
    }
    if ((a->images.n || a->sets) && !a->data) {
        return cli_usage("%s belongs to 'bench data'", a->images.n ? "--image" : "--data");
    }
    if (a->images.n && a->sets) {
        return cli_usage("give --image or --data, not both");
    }
    if (a->batch < 1 || a->batch > 4096) {
        return cli_usage("--batch: %lld is outside 1..4096", (long long)a->batch);
    }
    if (a->runs < 1 || a->runs > MAX_RUNS) {
        return cli_usage("--runs: %lld is outside 1..%d", (long long)a->runs, MAX_RUNS);
    }
    if (a->recompute && !a->step) {
        return cli_usage("--recompute is for bench step");
    }
    return cli_dtype(a->dtype, &a->cdt);
}

int cmd_bench(cli_ctx *ctx, int argc, char **argv) {
    args a = {.model = "swin_tiny", .dtype = "f32", .backend = "cpu", .batch = 16, .runs = 5};
    const cli_opt opts[] = {
        {"--model", CLI_STR, "NAME", &a.model, "architecture (default: swin_tiny)"},
        {"--batch", CLI_INT, "N", &a.batch, "images per step (default: 16)"},
        {"--dtype", CLI_STR, "f32|bf16", &a.dtype, "compute type (default: f32)"},
        {"--runs", CLI_INT, "N", &a.runs, "timed runs after 2 warm-ups; the median counts (default: 5)"},
        {"--backend", CLI_STR, "NAME", &a.backend, "cpu (default) or ref"},
        {"--recompute", CLI_FLAG, NULL, &a.recompute,
            "a step's backward computes activations again instead of keeping them"},
        {"--image", CLI_LIST, "FILE", &a.images,
            "data: measure this file (again for more; default: two synthetic)"},
        {"--data", CLI_STR, "DATASETS|PACK", &a.sets,
            "data: measure images of these datasets, a run each, read anew"},
    };
    subject s = {0};
    result *r = NULL;
    int rc = cli_parse(ctx, argc, argv, opts, CLI_COUNT(opts), 1, 1);
    rc = rc ? rc : check_usage(ctx, &a);
    if (rc == 0 && a.data) {
        rc = cli_bench_data(ctx, &a.images, a.sets, a.runs);
    } else if (rc == 0) {
        a.threads = ctx->threads ? ctx->threads : ark_cpu_count();
        ark_status st = ARK_NEW(&r, 1, "timings");
        st = st ? st : new_subject(&a, &s);
        st = st ? st : measure(&a, &s, r);
        rc = st != ARK_OK ? cli_fail(ctx, st) : print_result(ctx, &a, &s, r);
    }
    drop(&s);
    ark_free(r);
    cli_done(ctx, opts, CLI_COUNT(opts));
    return rc;
}
