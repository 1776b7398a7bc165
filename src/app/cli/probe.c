/* arkfm probe: logistic regression on frozen embeddings, or a probe that was fitted before. */
#include "app/cli/cli.h"
#include "app/cli/run_file.h"
#include "app/cli/study_cli.h"
#include "base/err.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static void print_text(const json_t *o) {
    const json_t *fit = json_object_get(o, "fit");
    double level = cli_json_value(o, "level");
    if (fit) {
        const char *what = json_object_get(fit, "C") ? "C" : "epoch";
        printf("%s %g, selected by %s\n\n", what, cli_json_value(fit, what),
            json_string_value(json_object_get(fit, "selected_by")));
    }
    cli_study_print_split(json_object_get(o, "test"), "test split", level);
}

static void print_rows(const json_t *o) {
    printf("%lld rows, %lld classes\n", (long long)json_integer_value(json_object_get(o, "rows")),
        (long long)json_integer_value(json_object_get(o, "classes")));
}

/* A probe and an array, no run file: probabilities of every row. */
static int apply_to_rows(const cli_ctx *c, const char *probe, const cli_study_args *a) {
    json_t *result;
    if (!a->out) {
        return cli_usage("--out DIR is missing");
    }
    if (a->embeddings.n != 1 || a->from.n > 0 || a->sets.n > 0 || a->ids) {
        return cli_usage("without a run file --apply takes one --embeddings array, and nothing else");
    }
    ark_status st = ark_study_probe_rows(probe, a->embeddings.items[0], a->out, c->threads, &result);
    return st != ARK_OK ? cli_fail(c, st) : cli_study_print(c, result, print_rows);
}

static int run(
    cli_ctx *c, const char *apply, cli_study_args *a, const char *optimizer, int argc, char **argv) {
    static cli_study s; /* large; one per process */
    json_t *result;
    int rc = cli_study_open(c, ARK_STUDY_PROBE, c->pos[0], a, 1, argc, argv, &s);
    if (rc == 0 && optimizer) {
        char assignment[64];
        snprintf(assignment, sizeof assignment, "probe.optimizer=%.32s", optimizer);
        rc = ark_study_config_set(&s.config, assignment) == ARK_OK ? 0 : CLI_USAGE;
    }
    if (rc == 0) {
        ark_status st =
            apply ? ark_study_probe_apply(&s.job, apply, &result) : ark_study_probe(&s.job, &result);
        rc = st != ARK_OK ? cli_fail(c, st) : cli_study_print(c, result, print_text);
    }
    cli_study_close(&s);
    return rc;
}

int cmd_probe(cli_ctx *c, int argc, char **argv) {
    cli_study_args a = {0};
    const char *apply = NULL, *optimizer = NULL;
    const cli_opt opts[] = {
        CLI_STUDY_OPTIONS(a),
        {"--optimizer", CLI_STR, "lbfgs|adam", &optimizer, "the same as --set probe.optimizer="},
        {"--apply", CLI_STR, "PROBE.safetensors", &apply,
            "score the test split (or, without a run file, the rows of an array) with a fitted probe"},
    };
    int rc = cli_parse(c, argc, argv, opts, CLI_COUNT(opts), 0, -1);
    if (rc == 0 && apply && c->npos == 0) {
        rc = apply_to_rows(c, apply, &a);
    } else {
        rc = rc ? rc : c->npos ? cli_take_run_file(c, &a.sets) : cli_usage("the run file is missing");
        rc = rc ? rc : run(c, apply, &a, optimizer, argc, argv);
    }
    cli_done(c, opts, CLI_COUNT(opts));
    return rc;
}
