/* arkfm synth: phantom chest datasets. */
#include "app/cli/cli.h"

#include "base/par.h"
#include "synth/synth.h"

#include <stdio.h>
#include <time.h>

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int print(
    const cli_ctx *c, const char *dir, const ark_synth_opts *o, const ark_synth_result *r, double took) {
    if (!c->json) {
        printf("%s: %d datasets of %lld images, %d x %d pixels, %lld patients, %lld files, %.1f s\n"
               "next: arkfm pretrain %s/pretrain.yaml --out RUN\n",
            dir, r->datasets, (long long)o->images, (int)o->side, (int)o->side, (long long)r->patients,
            (long long)r->files, took, dir);
        return 0;
    }
    return cli_print_json(json_pack("{s:s, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:f}", "dir", dir, "datasets",
        r->datasets, "images_per_dataset", (json_int_t)o->images, "images", (json_int_t)r->images, "patients",
        (json_int_t)r->patients, "files", (json_int_t)r->files, "size", (json_int_t)o->side, "seed",
        (json_int_t)o->seed, "seconds", took));
}

int cmd_synth(cli_ctx *c, int argc, char **argv) {
    ark_synth_opts o = ark_synth_default_opts();
    int64_t seed = (int64_t)o.seed;
    const cli_opt opts[] = {
        {"--seed", CLI_INT, "N", &seed, "everything follows from it (default 1)"},
        {"--images", CLI_INT, "N", &o.images, "images per dataset (default 200, at least 20)"},
        {"--size", CLI_INT, "N", &o.side, "side in pixels (default 128)"},
        {"--severity", CLI_FLOAT, "X", &o.severity,
            "0 findings from subtle to plain (default) .. 1 only the plainest, easy to learn from few "
            "images"},
        {"--force", CLI_FLAG, NULL, &o.replace,
            "write into a folder that is not empty, replacing its phantom datasets"},
    };
    int rc = cli_parse(c, argc, argv, opts, CLI_COUNT(opts), 1, 1);
    if (rc) {
        cli_done(c, opts, CLI_COUNT(opts));
        return rc;
    }
    o.seed = (uint64_t)seed;
    o.threads = c->threads ? c->threads : ark_cpu_count();
    ark_synth_result r;
    double start = seconds();
    ark_status st = ark_synth_write(c->pos[0], &o, &r);
    rc = st ? cli_fail(c, st) : print(c, c->pos[0], &o, &r, seconds() - start);
    cli_done(c, opts, CLI_COUNT(opts));
    return rc;
}
