#include "app/cli/cli.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/str.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int cli_usage(const char *fmt, ...) {
    char text[900];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    (void)ARK_ERR(ARK_EINVAL, "%s", text);
    return CLI_USAGE;
}

int cli_unknown(const char *what, const char *word, const char *const *known, size_t n) {
    const char *near = ark_nearest(word, known, n);
    if (near) {
        return cli_usage("unknown %s '%s' (did you mean '%s'?)", what, word, near);
    }
    return cli_usage("unknown %s '%s'", what, word);
}

static int unknown_option(const char *word, const cli_opt *opts, size_t nopts) {
    const char *names[64] = {"--json", "--threads", "--help"};
    size_t n = 3;
    for (size_t i = 0; i < nopts && n < CLI_COUNT(names); i++) {
        names[n++] = opts[i].name;
    }
    return cli_unknown("option", word, names, n);
}

static int push(const char ***items, size_t *n, const char *s) {
    const char **more = ark_realloc(*items, (*n + 1) * sizeof *more);
    if (!more) {
        return cli_usage("out of memory");
    }
    more[(*n)++] = s;
    *items = more;
    return 0;
}

static int store(const cli_opt *o, const char *value) {
    switch (o->kind) {
    case CLI_FLAG:
        *(bool *)o->dst = true;
        return 0;
    case CLI_INT:
        return ark_parse_i64(value, o->dst)
                   ? 0
                   : cli_usage("%s: expected a whole number, got '%s'", o->name, value);
    case CLI_FLOAT:
        return ark_parse_f64(value, o->dst) ? 0
                                            : cli_usage("%s: expected a number, got '%s'", o->name, value);
    case CLI_STR:
        *(const char **)o->dst = value;
        return 0;
    case CLI_LIST: {
        cli_list *l = o->dst;
        return push(&l->items, &l->n, value);
    }
    }
    return cli_usage("%s: unknown kind", o->name);
}

/* The option a word names; *value points behind '=' when there is one. */
static const cli_opt *match(const char *word, const cli_opt *opts, size_t n, const char **value) {
    size_t len = strcspn(word, "=");
    *value = word[len] ? word + len + 1 : NULL;
    for (size_t i = 0; i < n; i++) {
        if (strlen(opts[i].name) == len && !memcmp(opts[i].name, word, len)) {
            return &opts[i];
        }
    }
    return NULL;
}

int cli_parse(
    cli_ctx *c, int argc, char **argv, const cli_opt *opts, size_t nopts, int min_pos, int max_pos) {
    int64_t threads = 0;
    const cli_opt common[] = {
        {"--json", CLI_FLAG, NULL, &c->json, "one JSON object on stdout"},
        {"--threads", CLI_INT, "N", &threads, "compute threads (default: all processors)"},
    };
    bool options = true;
    for (int i = 0; i < argc; i++) {
        const char *word = argv[i], *value;
        if (!options || word[0] != '-' || word[1] == '\0') {
            if (push(&c->pos, &c->npos, word)) {
                return CLI_USAGE;
            }
            continue;
        }
        if (!strcmp(word, "--")) {
            options = false;
            continue;
        }
        if (!strcmp(word, "--help") || !strcmp(word, "-h")) {
            printf("options:\n");
            for (size_t k = 0; k < nopts; k++) {
                printf("  %s %s\n      %s\n", opts[k].name, opts[k].arg ? opts[k].arg : "", opts[k].help);
            }
            for (size_t k = 0; k < CLI_COUNT(common); k++) {
                printf("  %s %s\n      %s\n", common[k].name, common[k].arg ? common[k].arg : "",
                    common[k].help);
            }
            return CLI_HELP;
        }
        const cli_opt *o = match(word, opts, nopts, &value);
        o = o ? o : match(word, common, CLI_COUNT(common), &value);
        if (!o) {
            char name[80];
            snprintf(name, sizeof name, "%.*s", (int)strcspn(word, "="), word);
            return unknown_option(name, opts, nopts);
        }
        if (o->kind == CLI_FLAG && value) {
            return cli_usage("%s takes no value", o->name);
        }
        if (o->kind != CLI_FLAG && !value) {
            if (i + 1 >= argc) {
                return cli_usage("%s needs a value (%s)", o->name, o->arg);
            }
            value = argv[++i];
        }
        if (store(o, value)) {
            return CLI_USAGE;
        }
    }
    if (threads < 0 || threads > 1024) {
        return cli_usage("--threads: %lld is outside 0..1024", (long long)threads);
    }
    c->threads = (int)threads;
    if (c->npos < (size_t)min_pos) {
        return cli_usage("missing argument");
    }
    if (max_pos >= 0 && c->npos > (size_t)max_pos) {
        return cli_usage("unexpected argument '%s'", c->pos[max_pos]);
    }
    return 0;
}

void cli_done(cli_ctx *c, const cli_opt *opts, size_t nopts) {
    for (size_t i = 0; i < nopts; i++) {
        if (opts[i].kind == CLI_LIST) {
            cli_list *l = opts[i].dst;
            ark_free(l->items);
            *l = (cli_list){0};
        }
    }
    ark_free(c->pos);
    c->pos = NULL;
    c->npos = 0;
}

int cli_fail(const cli_ctx *c, ark_status st) {
    const char *msg = ark_err_msg();
    fprintf(stderr, "arkfm %s: %s\n", c->verb, msg[0] ? msg : ark_status_text(st));
    return st == ARK_EINTERRUPTED ? 130 : 1;
}

json_t *cli_number(double v) {
    return isfinite(v) ? json_real(v) : json_null();
}

int cli_flush(void) {
    bool bad = fflush(stdout) != 0 || ferror(stdout);
    if (bad) {
        fprintf(stderr, "arkfm: cannot write to standard output\n");
    }
    return bad;
}

int cli_print_json(json_t *object) {
    bool bad = !object || json_dumpf(object, stdout, JSON_REAL_PRECISION(17) | JSON_ENCODE_ANY) != 0;
    json_decref(object);
    if (bad && !ferror(stdout)) {
        fprintf(stderr, "arkfm: cannot build the JSON object\n");
        return 1;
    }
    putchar('\n');
    return cli_flush();
}
