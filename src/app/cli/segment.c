/* arkfm segment: train UperNet on any encoder; or apply a trained one to images. */
#include "app/cli/segment.h"
#include "app/cli/run_file.h"
#include "app/cli/train_cli.h"
#include "base/err.h"
#include "train/segment.h"

#include <stdio.h>
#include <string.h>

typedef struct args {
    const char *from, *out, *backend;
    bool resume;
    cli_list sets;
} args;

static bool is_run_file(const char *path) {
    const char *dot = strrchr(path, '.');
    return dot && (!strcmp(dot, ".yaml") || !strcmp(dot, ".yml"));
}

static ark_status configure(const cli_ctx *c, const args *a, ark_segment_config *sc, int *usage) {
    ARK_TRY(ark_segment_config_read(c->pos[0], sc));
    for (size_t i = 0; i < a->sets.n; i++) {
        if (ark_segment_config_set(sc, a->sets.items[i]) != ARK_OK) {
            *usage = CLI_USAGE;
            return ARK_EINVAL;
        }
    }
    if (!a->from && !ark_segment_config_has_from(sc)) {
        *usage = cli_usage("--from WEIGHTS is missing ('random' starts from scratch)");
        return ARK_EINVAL;
    }
    return a->from ? ark_segment_config_from(sc, a->from) : ARK_OK;
}

static void print_split(const json_t *results, const char *name) {
    const json_t *split = json_object_get(results, name), *classes = json_object_get(split, "classes"), *k;
    size_t i;
    json_array_foreach(classes, i, k) {
        const json_t *dice = json_object_get(k, "dice"), *iou = json_object_get(k, "iou");
        const json_t *ci = json_object_get(dice, "ci");
        if (!json_is_real(json_object_get(dice, "mean"))) {
            printf("%-15s %-12s no image has a mask that counts\n", name,
                json_string_value(json_object_get(k, "name")));
            continue;
        }
        printf("%-15s %-12s Dice %.4f [%.4f, %.4f], IoU %.4f, %lld images, lowest Dice %.4f\n", name,
            json_string_value(json_object_get(k, "name")), json_real_value(json_object_get(dice, "mean")),
            json_real_value(json_array_get(ci, 0)), json_real_value(json_array_get(ci, 1)),
            json_real_value(json_object_get(iou, "mean")),
            (long long)json_integer_value(json_object_get(k, "n")),
            json_real_value(json_object_get(dice, "lowest")));
    }
}

static int print_results(const cli_ctx *c, const args *a, json_t *results) {
    static const char *const splits[] = {"val", "test", "external_train", "external_val", "external_test"};
    if (c->json) {
        json_object_set_new(results, "out", json_string(a->out));
        return cli_print_json(json_incref(results));
    }
    printf("best epoch %lld of %lld, %lld training images, 95 %% intervals over patients\n",
        (long long)json_integer_value(json_object_get(results, "best_epoch")),
        (long long)json_integer_value(json_object_get(results, "epochs")),
        (long long)json_integer_value(json_object_get(results, "train_images")));
    for (size_t i = 0; i < CLI_COUNT(splits); i++) {
        print_split(results, splits[i]);
    }
    return cli_flush();
}

static int train(cli_ctx *c, const args *a) {
    ark_segment_config sc;
    cli_display d = {0};
    json_t *results = NULL;
    int usage = 0;
    ark_status st = configure(c, a, &sc, &usage);
    if (st == ARK_OK) {
        ark_train_opts o = cli_train_opts(c, a->resume, &d);
        st = ark_segment(&sc, a->out, &o, &results);
        cli_display_end(&d);
    }
    int rc = usage ? usage : st ? cli_fail(c, st) : print_results(c, a, results);
    json_decref(results);
    ark_segment_config_free(&sc);
    return rc;
}

int cmd_segment(cli_ctx *c, int argc, char **argv) {
    args a = {.backend = "cpu"};
    const cli_opt opts[] = {
        {"--from", CLI_STR, "WEIGHTS", &a.from,
            "weight file whose encoder starts the training, or 'random' (model.arch says what)"},
        {"--out", CLI_STR, "DIR", &a.out, "run folder; or where masks and overlays go"},
        {"--resume", CLI_FLAG, NULL, &a.resume, "go on with the run in DIR; starts afresh if DIR is empty"},
        {"--set", CLI_LIST, "KEY=VALUE", &a.sets,
            "override a value of RUN.yaml; may be given more than once"},
        {"--backend", CLI_STR, "NAME", &a.backend, "for applying a model: cpu (default), or ref"},
    };
    int rc = cli_parse(c, argc, argv, opts, CLI_COUNT(opts), 1, -1);
    const bool training = rc == 0 && is_run_file(c->pos[0]);
    if (training) {
        rc = cli_take_run_file(c, &a.sets);
    }
    if (rc == 0 && !a.out) {
        rc = cli_usage("--out DIR is missing");
    }
    if (rc == 0 && !training && c->npos < 2) {
        rc = cli_usage("expected RUN.yaml, or a segmentation model and images");
    }
    if (rc == 0) {
        rc = training ? train(c, &a) : cli_segment_apply(c, a.out, a.backend);
    }
    cli_done(c, opts, CLI_COUNT(opts));
    return rc;
}
