/* arkfm zeroshot: classes of a dataset scored by heads trained on others. */
#include "study/zeroshot.h"
#include "app/cli/cli.h"
#include "app/cli/model_cli.h"
#include "app/cli/run_file.h"
#include "app/cli/study_cli.h"
#include "base/err.h"

#include <stdio.h>
#include <string.h>

static void print_text(const json_t *o) {
    size_t i, j;
    json_t *target, *from;
    json_array_foreach(json_object_get(o, "map"), i, target) {
        cli_put_text(stdout, json_string_value(json_object_get(target, "target")));
        printf(":");
        json_array_foreach(json_object_get(target, "from"), j, from) {
            printf(" ");
            cli_put_text(stdout, json_string_value(json_object_get(from, "head")));
            printf("/");
            cli_put_text(stdout, json_string_value(json_object_get(from, "class")));
        }
        printf("%s\n", j ? "" : " none");
    }
    printf("\n");
    cli_study_print_split(json_object_get(o, "result"), json_string_value(json_object_get(o, "split")),
        cli_json_value(o, "level"));
}

static bool is_run_file(const char *path) {
    const char *dot = strrchr(path, '.');
    return dot && (!strcmp(dot, ".yaml") || !strcmp(dot, ".yml"));
}

/* WEIGHTS --data FILE --dataset NAME is a run file of these two values. */
static int take_data(cli_study *s, const char *data, const char *dataset) {
    char assignment[4300];
    snprintf(assignment, sizeof assignment, "data.config=%.4200s", data ? data : "");
    if (data && ark_study_config_set(&s->config, assignment) != ARK_OK) {
        return CLI_USAGE;
    }
    snprintf(assignment, sizeof assignment, "data.dataset=%.200s", dataset ? dataset : "");
    return !dataset || ark_study_config_set(&s->config, assignment) == ARK_OK ? 0 : CLI_USAGE;
}

static int run(cli_ctx *c, cli_study_args *a, const char *data, const char *dataset, int argc, char **argv) {
    static cli_study s; /* large; one per process */
    json_t *result;
    const char *run_file = is_run_file(c->pos[0]) ? c->pos[0] : NULL;
    const char *weights = c->pos[0];
    if (!run_file) {
        if (a->from.n > 0) {
            return cli_usage("the weights are given twice: %s and --from", weights);
        }
        a->from = (cli_list){.items = &weights, .n = 1};
    }
    int rc = cli_study_open(c, ARK_STUDY_ZEROSHOT, run_file, a, 1, argc, argv, &s);
    rc = rc ? rc : take_data(&s, data, dataset);
    if (rc == 0) {
        ark_status st = ark_study_zeroshot(&s.job, run_file, &result);
        rc = st != ARK_OK ? cli_fail(c, st) : cli_study_print(c, result, print_text);
    }
    cli_study_close(&s);
    if (!run_file) {
        a->from = (cli_list){0};
    }
    return rc;
}

int cmd_zeroshot(cli_ctx *c, int argc, char **argv) {
    cli_study_args a = {0};
    const char *data = NULL, *dataset = NULL;
    const cli_opt opts[] = {
        CLI_STUDY_OPTIONS(a),
        {"--data", CLI_STR, "DATASETS.yaml", &data, "the same as --set data.config="},
        {"--dataset", CLI_STR, "NAME", &dataset, "the same as --set data.dataset="},
    };
    int rc = cli_parse(c, argc, argv, opts, CLI_COUNT(opts), 1, -1);
    rc = rc ? rc : cli_take_run_file(c, &a.sets);
    rc = rc ? rc : run(c, &a, data, dataset, argc, argv);
    cli_done(c, opts, CLI_COUNT(opts));
    return rc;
}
