/* arkfm bias: one probe by subgroup, and probes trained on other shares of men and women. */
#include "study/bias.h"
#include "app/cli/cli.h"
#include "app/cli/model_cli.h"
#include "app/cli/run_file.h"
#include "app/cli/study_cli.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static void put(double v) {
    if (isfinite(v)) {
        printf("\t%.4f", v);
    } else {
        printf("\t-");
    }
}

static void print_groups(const json_t *o) {
    size_t i, j;
    json_t *g, *c;
    printf("group\tfinding\tn\tpositives\tAUROC\tfalse negative rate\tfalse positive rate\n");
    json_array_foreach(json_object_get(o, "subgroups"), i, g) {
        json_array_foreach(json_object_get(g, "classes"), j, c) {
            printf("%s %s\t", json_string_value(json_object_get(g, "attribute")),
                json_string_value(json_object_get(g, "group")));
            cli_put_text(stdout, json_string_value(json_object_get(c, "name")));
            printf("\t%lld\t%lld", (long long)json_integer_value(json_object_get(c, "n")),
                (long long)json_integer_value(json_object_get(c, "positives")));
            put(cli_json_value(c, "auroc"));
            put(cli_json_value(json_object_get(c, "fnr"), "value"));
            put(cli_json_value(json_object_get(c, "fpr"), "value"));
            putchar('\n');
        }
    }
}

static void print_text(const json_t *o) {
    size_t i;
    json_t *t;
    const json_t *design = json_object_get(o, "design");
    const char *left_out = json_string_value(json_object_get(design, "left_out"));
    print_groups(o);
    if (left_out) {
        printf("\nprobes by sex left out: %s\n", left_out);
        return;
    }
    printf("\nmeasure\ttested on\tfinding\tleast men\tmost men\tp\tp (Holm)\tbiased\n");
    json_array_foreach(json_object_get(design, "tests"), i, t) {
        printf("%s\t%s\t", json_string_value(json_object_get(t, "measure")),
            json_string_value(json_object_get(t, "test_sex")));
        cli_put_text(stdout, json_string_value(json_object_get(t, "finding")));
        put(cli_json_value(t, "mean_least_men"));
        put(cli_json_value(t, "mean_most_men"));
        put(cli_json_value(t, "p"));
        put(cli_json_value(t, "p_holm"));
        printf("\t%s\n", json_is_true(json_object_get(t, "biased")) ? "yes" : "");
    }
}

int cmd_bias(cli_ctx *c, int argc, char **argv) {
    static cli_study s; /* large; one per process */
    cli_study_args a = {0};
    json_t *result;
    const cli_opt opts[] = {CLI_STUDY_OPTIONS(a)};
    int rc = cli_parse(c, argc, argv, opts, CLI_COUNT(opts), 1, -1);
    rc = rc ? rc : cli_take_run_file(c, &a.sets);
    if (rc == 0) {
        rc = cli_study_open(c, ARK_STUDY_BIAS, c->pos[0], &a, 1, argc, argv, &s);
        if (rc == 0) {
            ark_status st = ark_study_bias(&s.job, &result);
            rc = st != ARK_OK ? cli_fail(c, st) : cli_study_print(c, result, print_text);
        }
        cli_study_close(&s);
    }
    cli_done(c, opts, CLI_COUNT(opts));
    return rc;
}
