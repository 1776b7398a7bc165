/* arkfm fewshot: probes on small samples of the training split. */
#include "study/fewshot.h"
#include "app/cli/cli.h"
#include "app/cli/model_cli.h"
#include "app/cli/run_file.h"
#include "app/cli/study_cli.h"

#include <stdio.h>

static void print_point(const json_t *source, const json_t *p) {
    const json_t *ci = json_object_get(p, "ci");
    cli_put_text(stdout, json_string_value(json_object_get(source, "name")));
    printf("\t%s\t%lld\t", json_string_value(json_object_get(p, "shots")),
        (long long)json_integer_value(json_object_get(p, "n")));
    if (json_is_number(json_object_get(p, "auroc"))) {
        printf("%.4f", cli_json_value(p, "auroc"));
    } else {
        printf("- (%s)", json_string_value(json_object_get(p, "auroc_undefined")));
    }
    if (json_is_array(ci)) {
        printf("\t[%.4f, %.4f]", json_number_value(json_array_get(ci, 0)),
            json_number_value(json_array_get(ci, 1)));
    }
    putchar('\n');
}

static void print_text(const json_t *o) {
    size_t i, j;
    json_t *source, *point;
    printf("source\tshots\tn\tmean AUROC\t%.0f %% interval over draws\n", 100 * cli_json_value(o, "level"));
    json_array_foreach(json_object_get(o, "sources"), i, source) {
        json_array_foreach(json_object_get(source, "points"), j, point) {
            print_point(source, point);
        }
    }
}

int cmd_fewshot(cli_ctx *c, int argc, char **argv) {
    static cli_study s; /* large; one per process */
    cli_study_args a = {0};
    json_t *result;
    const cli_opt opts[] = {CLI_STUDY_OPTIONS(a)};
    int rc = cli_parse(c, argc, argv, opts, CLI_COUNT(opts), 1, -1);
    rc = rc ? rc : cli_take_run_file(c, &a.sets);
    if (rc == 0) {
        rc = cli_study_open(c, ARK_STUDY_FEWSHOT, c->pos[0], &a, CLI_SOURCES, argc, argv, &s);
        if (rc == 0) {
            ark_status st = ark_study_fewshot(&s.job, &result);
            rc = st != ARK_OK ? cli_fail(c, st) : cli_study_print(c, result, print_text);
        }
        cli_study_close(&s);
    }
    cli_done(c, opts, CLI_COUNT(opts));
    return rc;
}
