/* arkfm data check: usage, progress, the summary as text. */
#include "app/cli/data_check.h"

#include "app/cli/data_verbs.h"
#include "app/cli/model_cli.h"
#include "base/err.h"
#include "io/yaml.h"
#include "train/config.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef struct args {
    cli_check check;
    const char *html, *exclusions;
    int64_t near_bits;
    bool no_images;
} args;

const char *cli_match_name(ark_match m) {
    static const char *const names[] = {"alone", "near", "pixels", "file"};
    return names[m];
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* On a terminal only; every 200 images is at most some ten times a second. */
static void show_progress(void *arg, size_t done, size_t total) {
    (void)arg;
    if (done % 200 == 0 || done == total) {
        fprintf(stderr, "\r%zu of %zu images%s", done, total, done == total ? "\n" : "");
    }
}

/* The dataset file of a run file is in its `data.config`; any other file is a dataset file itself. */
static ark_status find_datasets(const char *path, ark_train_config *run, bool *is_run) {
    ark_yaml *y;
    ARK_TRY(ark_yaml_read(path, &y));
    const ark_yaml_node *data = ark_yaml_get(y->root, "data");
    const ark_yaml_node *config = ark_yaml_get(data, "config");
    *is_run = config && config->kind == ARK_YAML_SCALAR;
    ark_yaml_free(y);
    return *is_run ? ark_config_read(path, run) : ARK_OK;
}

enum { MAX_NAMES = 256 };

static ark_status run_check(args *a, const char *path, ark_check **out) {
    ark_train_config run = {0};
    bool is_run = false;
    const char *names[MAX_NAMES], *file = path;
    size_t n = 0;
    ark_status st = find_datasets(path, &run, &is_run);
    if (st == ARK_OK && is_run) {
        file = run.data_config;
        for (char *s = run.datasets; *s && n < MAX_NAMES;) { /* the array is cut at its commas in place */
            size_t len = strcspn(s, ",");
            bool more = s[len] == ',';
            s[len] = '\0';
            names[n++] = s;
            s += len + more;
        }
    }
    double from = now();
    st = st == ARK_OK ? ark_check_run(file, n ? names : NULL, n, &a->check.opts, out) : st;
    a->check.seconds = now() - from;
    ark_config_free(&run);
    return st;
}

static void print_split(const ark_check_set *s, int split) {
    const ark_dataset *d = s->data;
    printf("  %-5s %8zu images, %zu patients", ark_split_name((ark_split)split), d->rows_n[split],
        s->patients[split]);
    for (int k = 0; k < d->n_classes && d->rows_n[split]; k++) {
        const ark_check_labels *l = &s->labels[split][k];
        printf("%s ", k ? "," : ";");
        cli_put_text(stdout, d->classes[k]);
        printf(" %zu", l->positive);
    }
    printf("\n");
}

static void print_set(const ark_check_set *s) {
    if (!s->data) {
        cli_put_text(stdout, s->name);
        printf(": NOT READ: %s\n", s->error);
        return;
    }
    cli_put_text(stdout, s->name);
    printf(": %s, %d classes\n", ark_task_name(s->data->task), s->data->n_classes);
    for (int split = 0; split < ARK_SPLIT_COUNT; split++) {
        print_split(s, split);
    }
    if (s->data->n_excluded + s->data->n_unlabelled + s->data->n_other_views) {
        printf("  left out: %zu excluded, %zu without labels, %zu of other views\n", s->data->n_excluded,
            s->data->n_unlabelled, s->data->n_other_views);
    }
    static const char *const pairs[] = {"train and val", "train and test", "val and test"};
    for (int p = 0; p < ARK_SPLIT_PAIRS; p++) {
        if (s->shared[p]) {
            printf("  LEAK: %zu patients in %s\n", s->shared[p], pairs[p]);
        }
    }
    if (s->conflicts) {
        printf("  %zu pictures occur more than once, with labels that contradict each other\n", s->conflicts);
    }
}

static void put_place(const ark_check *c, size_t cell) {
    cli_put_text(stdout, c->sets[cell / 3].name);
    printf(" %s", ark_split_name((ark_split)(cell % 3)));
}

static void print_overlaps(const ark_check *c) {
    size_t width = 3 * c->n_sets;
    for (int leaks = 1; leaks >= 0; leaks--) {
        for (size_t a = 0; a < width; a++) {
            for (size_t b = 0; b < width; b++) {
                size_t n = c->overlap[a * width + b];
                bool leak = ark_check_leaks(a, b);
                if (n && leak == (bool)leaks && (leak || (a <= b && !ark_check_leaks(b, a)))) {
                    printf("%s%zu images of ", leak ? "LEAK: " : "", n);
                    put_place(c, b);
                    printf("%s", a == b ? " occur more than once in " : " are also in ");
                    put_place(c, a);
                    printf("\n");
                }
            }
        }
    }
}

static int print_text(const args *a, const ark_check *c) {
    for (size_t i = 0; i < c->n_sets; i++) {
        print_set(&c->sets[i]);
    }
    for (size_t i = 0; i < c->bad_listed && i < 20; i++) {
        printf("UNREADABLE: %s\n", c->bad[i].reason);
    }
    if (c->n_bad > 20) {
        printf("UNREADABLE: %zu files in all\n", c->n_bad);
    }
    print_overlaps(c);
    if (!c->complete) {
        printf("more than %d similar pairs: not all were looked at\n", ARK_CHECK_MAX_PAIRS);
    }
    printf(
        "%zu images in %.1f s%s: %zu unreadable, %zu pictures more than once, %zu leaked images of val and "
        "test\n",
        c->n, a->check.seconds, a->no_images ? " (paths only)" : "", c->n_bad, c->n_groups, c->leaks);
    return cli_flush();
}

static int report(cli_ctx *ctx, const args *a, const ark_check *c) {
    ark_status st = a->html ? cli_check_html(&a->check, c, a->html) : ARK_OK;
    st = st == ARK_OK && a->exclusions ? ark_check_write_exclusions(c, a->exclusions) : st;
    if (st != ARK_OK) {
        return cli_fail(ctx, st);
    }
    int rc = ctx->json ? cli_print_json(cli_check_json(&a->check, c)) : print_text(a, c);
    return rc ? rc : c->leaks || c->n_bad || c->n_errors;
}

int cmd_data_check(cli_ctx *ctx, int argc, char **argv) {
    args a = {.check.opts = ark_check_default_opts()};
    a.near_bits = a.check.opts.near_bits;
    const cli_opt opts[] = {
        {"--html", CLI_STR, "FILE", &a.html, "also write a report as one HTML page"},
        {"--write-exclusions", CLI_STR, "FILE", &a.exclusions,
            "CSV of the images to leave out, for data.exclusions and eval --exclusions"},
        {"--near", CLI_INT, "N", &a.near_bits,
            "bits of 255 that the picture hashes of near duplicates may differ by, 0..47 (default: 31)"},
        {"--no-images", CLI_FLAG, NULL, &a.no_images,
            "open no image: lists, labels, patients and equal paths only"},
    };
    ark_check *c = NULL;
    int rc = cli_parse(ctx, argc, argv, opts, CLI_COUNT(opts), 1, 1);
    if (rc == 0 && (a.near_bits < 0 || a.near_bits > ARK_NEAR_MAX)) {
        rc = cli_usage("--near: %lld is outside 0..%d", (long long)a.near_bits, ARK_NEAR_MAX);
    }
    if (rc == 0) {
        a.check.config = ctx->pos[0];
        a.check.opts.images = !a.no_images;
        a.check.opts.near_bits = (int)a.near_bits;
        a.check.opts.threads = ctx->threads ? ctx->threads : a.check.opts.threads;
        a.check.opts.progress = isatty(STDERR_FILENO) ? show_progress : NULL;
        ark_status st = run_check(&a, ctx->pos[0], &c);
        rc = st != ARK_OK ? cli_fail(ctx, st) : report(ctx, &a, c);
    }
    ark_check_free(c);
    cli_done(ctx, opts, CLI_COUNT(opts));
    return rc;
}
