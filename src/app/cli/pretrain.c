/* arkfm pretrain RUN.yaml --out DIR: train, show progress, stop cleanly on Ctrl-C. */
#include "train/pretrain.h"
#include "app/cli/cli.h"
#include "app/cli/train_cli.h"

#include <stdio.h>

static int print_result(const cli_ctx *c, const char *out, const ark_train_result *r) {
    if (!c->json) {
        printf("%s: %lld epochs, %lld images in %.1f s, validation loss %.4f, best after epoch %lld\n", out,
            (long long)r->epochs, (long long)r->images, r->seconds, r->val_loss, (long long)r->best_epoch);
        return 0;
    }
    json_t *o = json_object();
    json_object_set_new(o, "out", json_string(out));
    json_object_set_new(o, "epochs", json_integer(r->epochs));
    json_object_set_new(o, "steps", json_integer(r->steps));
    json_object_set_new(o, "images", json_integer(r->images));
    json_object_set_new(o, "skipped", json_integer(r->skipped));
    json_object_set_new(o, "val_loss", cli_number(r->val_loss));
    json_object_set_new(o, "best_epoch", json_integer(r->best_epoch));
    json_object_set_new(o, "best_val_loss", cli_number(r->best_loss));
    json_object_set_new(o, "seconds", cli_number(r->seconds));
    return cli_print_json(o);
}

static int run(
    cli_ctx *c, const char *config, const char *out, bool resume, const cli_list *sets, const char *on_bad) {
    ark_train_config tc;
    ark_status st = ark_config_read(config, &tc);
    for (size_t i = 0; i < sets->n && st == ARK_OK; i++) {
        if (ark_config_set(&tc, sets->items[i]) != ARK_OK) {
            ark_config_free(&tc);
            return CLI_USAGE;
        }
    }
    if (st == ARK_OK && on_bad) {
        char assignment[64];
        snprintf(assignment, sizeof assignment, "data.on_bad_sample=%.32s", on_bad);
        if (ark_config_set(&tc, assignment) != ARK_OK) {
            ark_config_free(&tc);
            return CLI_USAGE;
        }
    }
    ark_train_result result;
    cli_display d = {0};
    if (st == ARK_OK) {
        ark_train_opts o = cli_train_opts(c, resume, &d);
        st = ark_pretrain(&tc, out, &o, &result);
    }
    cli_display_end(&d);
    ark_config_free(&tc);
    return st == ARK_OK ? print_result(c, out, &result) : cli_fail(c, st);
}

int cmd_pretrain(cli_ctx *c, int argc, char **argv) {
    const char *out = NULL, *on_bad = NULL;
    bool resume = false;
    cli_list sets = {0};
    const cli_opt opts[] = {
        {"--out", CLI_STR, "DIR", &out, "run folder, made if missing"},
        {"--resume", CLI_FLAG, NULL, &resume, "go on with the run in DIR; starts afresh if DIR is empty"},
        {"--set", CLI_LIST, "KEY=VALUE", &sets, "override a value of RUN.yaml; may be given more than once"},
        {"--on-bad-sample", CLI_STR, "fail|skip", &on_bad, "what an unreadable image does (default fail)"},
    };
    int rc = cli_parse(c, argc, argv, opts, CLI_COUNT(opts), 1, -1);
    rc = rc ? rc : cli_take_assignments(c, &sets);
    if (rc == 0 && !out) {
        rc = cli_usage("--out DIR is missing");
    }
    if (rc == 0) {
        rc = run(c, c->pos[0], out, resume, &sets, on_bad);
    }
    cli_done(c, opts, CLI_COUNT(opts));
    return rc;
}
