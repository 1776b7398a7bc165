/* arkfm finetune RUN.yaml --from WEIGHTS --out DIR: a new head on any weights, trials, results with
 * intervals. */
#include "train/finetune.h"
#include "app/cli/cli.h"
#include "app/cli/train_cli.h"
#include "base/alloc.h"
#include "base/err.h"
#include "base/file.h"

#include <stdio.h>
#include <string.h>

enum { TEXT_LIMIT = 64 << 20 };

typedef struct args {
    const char *config, *from, *out, *on_bad;
    bool resume;
    cli_list sets;
} args;

/* results.txt to stdout. */
static int print_text(const cli_ctx *c, const char *out) {
    char path[4200], *text;
    size_t len;
    snprintf(path, sizeof path, "%s/results.txt", out);
    ark_status st = ark_file_read(path, TEXT_LIMIT, &text, &len);
    if (st != ARK_OK) {
        return cli_fail(c, st);
    }
    fwrite(text, 1, len, stdout);
    ark_free(text);
    return cli_flush();
}

/* The summary; the trials' own reports stay in results.json. */
static int print_json(const char *out, json_t *results) {
    json_t *trials = json_array(), *all = json_object_get(results, "trials");
    for (size_t i = 0; i < json_array_size(all); i++) {
        json_t *t = json_deep_copy(json_array_get(all, i));
        json_object_del(t, "val");
        json_object_del(t, "test");
        json_array_append_new(trials, t);
    }
    json_object_set_new(results, "trials", trials);
    json_object_set_new(results, "out", json_string(out));
    return cli_print_json(json_incref(results));
}

static ark_status configure(const args *a, ark_finetune_config *fc, int *usage) {
    char assignment[64];
    ARK_TRY(ark_finetune_config_read(a->config, fc));
    for (size_t i = 0; i < a->sets.n; i++) {
        if (ark_finetune_config_set(fc, a->sets.items[i]) != ARK_OK) {
            *usage = CLI_USAGE;
            return ARK_EINVAL;
        }
    }
    snprintf(assignment, sizeof assignment, "data.on_bad_sample=%.32s", a->on_bad ? a->on_bad : "");
    if (a->on_bad && ark_finetune_config_set(fc, assignment) != ARK_OK) {
        *usage = CLI_USAGE;
        return ARK_EINVAL;
    }
    if (!a->from && !ark_finetune_config_has_from(fc)) {
        *usage = cli_usage("--from WEIGHTS is missing ('random' starts from scratch)");
        return ARK_EINVAL;
    }
    return a->from ? ark_finetune_config_from(fc, a->from) : ARK_OK;
}

static int run(cli_ctx *c, const args *a) {
    ark_finetune_config fc;
    cli_display d = {0};
    json_t *results = NULL;
    int usage = 0;
    ark_status st = configure(a, &fc, &usage);
    if (st == ARK_OK) {
        ark_train_opts o = cli_train_opts(c, a->resume, &d);
        st = ark_finetune(&fc, a->out, &o, &results);
        cli_display_end(&d);
    }
    int rc = usage     ? usage
             : st      ? cli_fail(c, st)
             : c->json ? print_json(a->out, results)
                       : print_text(c, a->out);
    json_decref(results);
    ark_finetune_config_free(&fc);
    return rc;
}

int cmd_finetune(cli_ctx *c, int argc, char **argv) {
    args a = {0};
    const cli_opt opts[] = {
        {"--from", CLI_STR, "WEIGHTS", &a.from,
            "weight file to start from, or 'random' for the baseline from scratch (model.arch says what)"},
        {"--out", CLI_STR, "DIR", &a.out, "run folder, made if missing"},
        {"--resume", CLI_FLAG, NULL, &a.resume,
            "go on with the run in DIR: finished trials are kept; starts afresh if DIR is empty"},
        {"--set", CLI_LIST, "KEY=VALUE", &a.sets,
            "override a value of RUN.yaml; may be given more than once"},
        {"--on-bad-sample", CLI_STR, "fail|skip", &a.on_bad, "what an unreadable image does (default fail)"},
    };
    int rc = cli_parse(c, argc, argv, opts, CLI_COUNT(opts), 1, -1);
    rc = rc ? rc : cli_take_assignments(c, &a.sets);
    if (rc == 0 && !a.out) {
        rc = cli_usage("--out DIR is missing");
    }
    if (rc == 0) {
        a.config = c->pos[0];
        rc = run(c, &a);
    }
    cli_done(c, opts, CLI_COUNT(opts));
    return rc;
}
