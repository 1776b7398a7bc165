#include "app/cli/study_cli.h"

#include "app/cli/model_cli.h"
#include "base/err.h"
#include "base/str.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static void on_message(void *arg, const char *line) {
    fprintf(stderr, "arkfm %s: ", (const char *)arg);
    cli_put_text(stderr, line);
    fputc('\n', stderr);
}

/* "NAME=WEIGHTS" or "NAME@ARRAYS"; without a name: the file's, without folder and extension. */
static void take_source(cli_study *s, const char *text, char mark) {
    size_t i = s->job.n;
    const char *at = strchr(text, mark);
    const char *value = at ? at + 1 : text;
    snprintf(s->paths[i], sizeof s->paths[i], "%s", value);
    if (at) {
        snprintf(s->names[i], sizeof s->names[i], "%.*s", (int)(at - text), text);
    } else {
        const char *base = ark_path_base(value), *dot = strrchr(base, '.');
        snprintf(s->names[i], sizeof s->names[i], "%.*s", dot && dot > base ? (int)(dot - base) : 120, base);
    }
    for (size_t j = 0; j < i; j++) { /* equal names would be equal folders and legends */
        if (!strcmp(s->names[j], s->names[i])) {
            size_t len = strlen(s->names[i]);
            snprintf(s->names[i] + len, sizeof s->names[i] - len, "-%zu", i + 1);
        }
    }
    s->name[i] = s->names[i];
    s->job.n++;
}

static bool simple_name(const char *name) {
    return name[0] && name[0] != '.' && !strchr(name, '/');
}

/* --from A,B and --from A --from B are the same. */
static int take_sources(const cli_study_args *a, size_t most, cli_study *s) {
    for (size_t i = 0; i < a->from.n + a->embeddings.n; i++) {
        bool weights = i < a->from.n;
        const char *text = weights ? a->from.items[i] : a->embeddings.items[i - a->from.n];
        char item[4096];
        do {
            size_t len = weights ? strcspn(text, ",") : strlen(text);
            if (s->job.n == most) {
                return cli_usage(most == 1 ? "only one of --from and --embeddings, with one value"
                                           : "more than %zu of --from and --embeddings",
                    most);
            }
            if (len >= sizeof item) {
                return cli_usage("--from or --embeddings is longer than %zu bytes", sizeof item);
            }
            snprintf(item, sizeof item, "%.*s", (int)len, text);
            size_t at = s->job.n;
            take_source(s, item, weights ? '=' : '@');
            if (!simple_name(s->names[at])) {
                return cli_usage("'%s' names no source: names are words without '/'", item);
            }
            s->sources[at].weights = weights ? s->paths[at] : NULL;
            s->sources[at].embeddings = weights ? NULL : s->paths[at];
            s->sources[at].ids = weights ? NULL : a->ids;
            text += len + (text[len] == ',');
        } while (*text);
    }
    return s->job.n ? 0 : cli_usage("--from WEIGHTS or --embeddings ARRAYS is missing");
}

static void remember_command(const cli_ctx *c, int argc, char **argv, cli_study *s) {
    size_t n = (size_t)snprintf(s->command, sizeof s->command, "arkfm %s", c->verb);
    for (int i = 0; i < argc && n < sizeof s->command; i++) {
        n += (size_t)snprintf(s->command + n, sizeof s->command - n, " %s", argv[i]);
    }
}

int cli_study_open(cli_ctx *c, ark_study_kind kind, const char *path, const cli_study_args *a, size_t most,
    int argc, char **argv, cli_study *s) {
    *s = (cli_study){.job = {.threads = c->threads}};
    if (!a->out) {
        return cli_usage("--out DIR is missing");
    }
    int rc = take_sources(a, most, s);
    if (rc) {
        return rc;
    }
    ark_status st = ark_study_config_read(kind, path, &s->config);
    if (st != ARK_OK) {
        return cli_fail(c, st);
    }
    for (size_t i = 0; i < a->sets.n; i++) {
        if (ark_study_config_set(&s->config, a->sets.items[i]) != ARK_OK) {
            return CLI_USAGE;
        }
    }
    remember_command(c, argc, argv, s);
    s->job.config = &s->config;
    s->job.sources = s->sources;
    s->job.names = s->name;
    s->job.out = a->out;
    s->job.command = s->command;
    s->job.hooks = (ark_study_hooks){.on_message = on_message, .arg = (void *)(uintptr_t)c->verb};
    return 0;
}

void cli_study_close(cli_study *s) {
    ark_study_config_free(&s->config);
}

double cli_json_value(const json_t *o, const char *key) {
    const json_t *v = json_object_get(o, key);
    return json_is_number(v) ? json_number_value(v) : NAN;
}

int cli_study_print(const cli_ctx *c, json_t *result, void (*text)(const json_t *result)) {
    if (c->json) {
        return cli_print_json(result);
    }
    text(result);
    json_decref(result);
    return cli_flush();
}

static void put(double v) {
    if (isfinite(v)) {
        printf(" %7.4f", v);
    } else {
        printf(" %7s", "-");
    }
}

static void put_row(
    const char *name, const json_t *o, const char *ci_key, const char *auroc, const char *ap) {
    const json_t *ci = json_object_get(o, ci_key);
    cli_put_text(stdout, name);
    printf("%*s", strlen(name) < 26 ? (int)(26 - strlen(name)) : 0, "");
    if (json_object_get(o, "positives")) {
        printf(" %6lld %6lld", (long long)json_integer_value(json_object_get(o, "n")),
            (long long)json_integer_value(json_object_get(o, "positives")));
    } else {
        printf(" %6s %6s", "", "");
    }
    put(cli_json_value(o, auroc));
    if (json_is_array(ci)) {
        printf(" [%.4f, %.4f]", json_number_value(json_array_get(ci, 0)),
            json_number_value(json_array_get(ci, 1)));
    } else {
        printf(" %16s", "");
    }
    put(cli_json_value(o, ap));
}

void cli_study_print_split(const json_t *split, const char *title, double level) {
    size_t i;
    json_t *c;
    const json_t *classes = json_object_get(split, "classes");
    printf("%s: %lld images, %.0f %% intervals\n\n%-26s %6s %6s %7s %-16s %7s %7s %7s %7s %7s\n", title,
        (long long)json_integer_value(json_object_get(split, "n")), 100 * level, "class", "n", "pos", "AUROC",
        "", "AP", "F1", "MCC", "sens.", "spec.");
    json_array_foreach(classes, i, c) {
        put_row(json_string_value(json_object_get(c, "name")), c, "ci", "auroc", "ap");
        put(cli_json_value(c, "f1"));
        put(cli_json_value(c, "mcc"));
        put(cli_json_value(c, "sensitivity"));
        put(cli_json_value(c, "specificity"));
        putchar('\n');
    }
    put_row("mean", split, "mean_auroc_ci", "mean_auroc", "mean_ap");
    put(cli_json_value(split, "mean_f1"));
    put(cli_json_value(split, "mean_mcc"));
    putchar('\n');
    json_array_foreach(classes, i, c) {
        const char *why = json_string_value(json_object_get(c, "auroc_undefined"));
        if (why) {
            printf("left out of the mean: ");
            cli_put_text(stdout, json_string_value(json_object_get(c, "name")));
            printf(" (%s)\n", why);
        }
    }
}
