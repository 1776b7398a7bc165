/* arkfm data pack: datasets with resized images in one file. */
#include "app/cli/data_verbs.h"

#include "app/cli/model_cli.h"
#include "base/err.h"
#include "base/file.h"
#include "base/par.h"
#include "data/pack.h"
#include "io/yaml.h"
#include "train/config.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t stop_requested;

static void on_signal(int sig) {
    (void)sig;
    stop_requested = 1;
}

static bool should_stop(void *arg) {
    (void)arg;
    return stop_requested != 0;
}

/* Ten times a second on a terminal, every ten seconds in a log. */
typedef struct display {
    bool terminal, open_line;
    double began, last;
} display;

static void on_progress(void *arg, size_t done, size_t all) {
    display *d = arg;
    double t = cli_seconds();
    if (t - d->last < (d->terminal ? 0.1 : 10)) {
        return;
    }
    d->last = t;
    fprintf(stderr, "%s%zu of %zu images, %.0f s%s", d->terminal ? "\r" : "", done, all, t - d->began,
        d->terminal ? "\033[K" : "\n");
    d->open_line = d->terminal;
}

typedef struct args {
    const char *codec, *filter, *on_bad;
    int64_t size, quality; /* -1: not given */
    bool resume, verify;
    cli_list datasets;
} args;

/* Words and ranges: 0, or CLI_USAGE. */
static int options(const cli_ctx *c, const args *a, ark_pack_opts *o) {
    static const char *const codecs[] = {"raw", "png", "jpeg"};
    static const char *const filters[] = {"bilinear", "bicubic"};
    *o = ark_pack_default_opts();
    int rc = cli_on_bad(a->on_bad, &o->skip_bad);
    o->threads = c->threads ? c->threads : ark_cpu_count();
    o->resume = a->resume;
    if (a->resume) { /* what is not given is as it was */
        o->side_px = o->filter = -1;
        o->quality = 0;
        o->codec = 0;
    }
    if (rc == 0 && a->size >= 0) {
        rc = a->size <= 4096 ? 0 : cli_usage("--size: %lld is outside 0..4096", (long long)a->size);
        o->side_px = (int)a->size;
    }
    if (rc == 0 && a->quality >= 0) {
        rc = a->quality >= 1 && a->quality <= 100
                 ? 0
                 : cli_usage("--quality: %lld is outside 1..100", (long long)a->quality);
        o->quality = (int)a->quality;
    }
    if (rc == 0 && a->codec) {
        size_t i = 0;
        for (; i < CLI_COUNT(codecs) && strcmp(codecs[i], a->codec) != 0; i++) {
        }
        rc = i < CLI_COUNT(codecs) ? 0 : cli_unknown("--codec", a->codec, codecs, CLI_COUNT(codecs));
        o->codec = (ark_pack_codec)(ARK_PACK_RAW + i);
    }
    if (rc == 0 && a->filter) {
        bool cubic = !strcmp(a->filter, "bicubic");
        rc = cubic || !strcmp(a->filter, "bilinear")
                 ? 0
                 : cli_unknown("--filter", a->filter, filters, CLI_COUNT(filters));
        o->filter = cubic ? ARK_BICUBIC : ARK_BILINEAR;
    }
    return rc;
}

/* ---- what to pack ---- */

/* From CONFIG: a dataset file, or a run's file, which also says how large images must be. */
typedef struct input {
    ark_train_config run;
    bool is_run;
    const char *config;
    const char **names; /* NULL = all */
    size_t n;
    const char *split[256]; /* the run's, pointing into its list */
} input;

/* A run's file has `data: {config: ...}`; in a dataset's entry that would be an unknown key. */
static ark_status is_run_file(const char *path, bool *out) {
    ark_yaml *y;
    ARK_TRY(ark_yaml_read(path, &y));
    *out = ark_yaml_get(ark_yaml_get(y->root, "data"), "config") != NULL;
    ark_yaml_free(y);
    return ARK_OK;
}

/* "a,b" -> names, in place. */
static ark_status run_names(input *in) {
    for (char *s = in->run.datasets; *s;) {
        size_t len = strcspn(s, ",");
        bool more = s[len] == ',';
        if (in->n == CLI_COUNT(in->split)) {
            return ARK_ERR(ARK_EINVAL, "data.datasets: more than %zu names", in->n);
        }
        s[len] = '\0';
        in->split[in->n++] = s;
        s += len + more;
    }
    in->names = in->n ? in->split : NULL;
    return ARK_OK;
}

static ark_status read_run(const char *path, const args *a, ark_pack_opts *o, input *in) {
    ark_arch arch;
    ARK_TRY(ark_config_read(path, &in->run));
    ARK_TRY(ark_arch_parse(in->run.arch, &arch));
    ARK_TRY(run_names(in));
    in->config = in->run.data_config;
    if (!o->resume && a->size < 0) {
        o->side_px = in->run.resize_px ? (int)in->run.resize_px : ark_preproc_default(arch.size_px).resize_px;
    }
    if (!o->resume && !a->filter) {
        o->filter = (int)in->run.filter;
    }
    return ARK_OK;
}

static ark_status find_input(const char *path, const args *a, ark_pack_opts *o, input *in) {
    *in = (input){.config = path};
    if (!ark_path_is_dir(path)) {
        ARK_TRY(is_run_file(path, &in->is_run));
    }
    ARK_TRY(in->is_run ? read_run(path, a, o, in) : ARK_OK);
    if (a->datasets.n) {
        in->names = a->datasets.items;
        in->n = a->datasets.n;
    }
    return ARK_OK;
}

/* ---- printing ---- */

static int print_pack(const cli_ctx *c, const char *dir, const ark_pack_result *r, double took) {
    if (c->json) {
        return cli_print_json(json_pack("{s:o,s:I,s:I,s:I,s:I,s:I,s:i,s:s,s:f}", "pack", cli_text(dir),
            "datasets", (json_int_t)r->datasets, "images", (json_int_t)r->images, "made", (json_int_t)r->made,
            "unreadable", (json_int_t)r->bad, "bytes", (json_int_t)r->bytes, "size", r->side_px, "codec",
            ark_pack_codec_name(r->codec), "seconds", took));
    }
    printf("%s: %zu images of %zu datasets, ", dir, r->images, r->datasets);
    if (r->side_px) {
        printf("%d x %d pixels, ", r->side_px, r->side_px);
    }
    printf("%s, %.1f MB, %.1f s", ark_pack_codec_name(r->codec), 1e-6 * (double)r->bytes, took);
    if (r->made < r->images) {
        printf(", %zu were there", r->images - r->made);
    }
    if (r->bad) {
        printf(", %zu unreadable", r->bad);
    }
    printf("\nuse it: arkfm pretrain RUN.yaml --set data.config=%s, or --data %s\n", dir, dir);
    return cli_flush();
}

static int verify(const cli_ctx *c, const char *dir) {
    ark_pack_report r;
    ark_status st = ark_pack_verify(dir, &r);
    if (st != ARK_OK) {
        return cli_fail(c, st);
    }
    if (r.damaged) {
        fprintf(stderr, "arkfm data pack: %s; in all %zu of %zu records are damaged\n", r.first, r.damaged,
            r.records);
        return 1;
    }
    if (c->json) {
        return cli_print_json(json_pack("{s:o,s:I,s:I,s:I,s:I}", "pack", cli_text(dir), "records",
            (json_int_t)r.records, "images", (json_int_t)r.images, "bytes", (json_int_t)r.bytes, "damaged",
            (json_int_t)r.damaged));
    }
    printf("%s: %zu images, %zu records, %.1f MB: all checksums agree\n", dir, r.images, r.records,
        1e-6 * (double)r.bytes);
    return cli_flush();
}

static int pack(const cli_ctx *c, const args *a, ark_pack_opts o) {
    display d = {.terminal = isatty(STDERR_FILENO), .began = cli_seconds()};
    d.last = d.began;
    ark_pack_result r;
    struct sigaction sa = {
        .sa_handler = on_signal, .sa_flags = SA_RESTART | SA_RESETHAND}; /* twice: at once */
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
    signal(SIGXFSZ, SIG_IGN); /* a file-size limit is then an error of write, as a full disk is */
    o.on_progress = on_progress;
    o.should_stop = should_stop;
    o.user = &d;
    input in;
    ark_status st = find_input(c->pos[0], a, &o, &in);
    st = st ? st : ark_pack_write(in.config, in.names, in.n, c->pos[1], &o, &r);
    if (in.is_run) {
        ark_config_free(&in.run);
    }
    if (d.open_line) {
        fputc('\n', stderr);
    }
    if (st != ARK_OK) {
        return cli_fail(c, st);
    }
    if (!a->verify) {
        return print_pack(c, c->pos[1], &r, cli_seconds() - d.began);
    }
    return verify(c, c->pos[1]);
}

int cmd_data_pack(cli_ctx *c, int argc, char **argv) {
    args a = {.size = -1, .quality = -1};
    const cli_opt opts[] = {
        {"--size", CLI_INT, "N", &a.size,
            "side that images are squashed to (default: what CONFIG's run squashes to, or 256, as models of "
            "224 px need "
            "it); 0 keeps their own size"},
        {"--filter", CLI_STR, "bilinear|bicubic", &a.filter,
            "of the resizing, as the run's (default bilinear)"},
        {"--codec", CLI_STR, "raw|png|jpeg", &a.codec,
            "raw (default) is read without a copy, png is smaller and as exact, jpeg smallest and lossy"},
        {"--quality", CLI_INT, "Q", &a.quality, "of jpeg, 1 to 100 (default 90)"},
        {"--dataset", CLI_LIST, "NAME", &a.datasets, "may be given more than once (default: all of CONFIG)"},
        {"--resume", CLI_FLAG, NULL, &a.resume, "go on with an interrupted pack"},
        {"--on-bad-sample", CLI_STR, "fail|skip", &a.on_bad,
            "an unreadable image stops the packing (default), or is noted and fails when it is read"},
        {"--verify", CLI_FLAG, NULL, &a.verify,
            "compare all checksums of a pack: afterwards, or alone with DIR as the only argument"},
    };
    ark_pack_opts o;
    int rc = cli_parse(c, argc, argv, opts, CLI_COUNT(opts), 1, 2);
    rc = rc ? rc : options(c, &a, &o);
    if (rc == 0 && c->npos == 1) {
        rc = a.verify ? verify(c, c->pos[0]) : cli_usage("the folder of the pack is missing");
    } else if (rc == 0) {
        rc = pack(c, &a, o);
    }
    cli_done(c, opts, CLI_COUNT(opts));
    return rc;
}
