#include "app/cli/model_cli.h"

#include "base/alloc.h"
#include "base/err.h"

#include <ctype.h>
#include <string.h>
#include <time.h>

int cli_dtype(const char *word, ark_dtype *out) {
    static const char *const words[] = {"f32", "bf16"};
    for (int i = 0; i < 2; i++) {
        if (!strcmp(word, words[i])) {
            *out = i ? ARK_BF16 : ARK_F32;
            return 0;
        }
    }
    return cli_unknown("--dtype", word, words, CLI_COUNT(words));
}

int cli_weight_check(const cli_model_args *a) {
    static const char *const words[] = {"bicubic", "geometric"};
    if (a->tables && strcmp(a->tables, words[0]) && strcmp(a->tables, words[1])) {
        return cli_unknown("--resize-tables", a->tables, words, CLI_COUNT(words));
    }
    return 0;
}

int cli_model_check(const cli_model_args *a) {
    ark_dtype dt;
    if (a->batch < 1 || a->batch > 4096) {
        return cli_usage("--batch: %lld is outside 1..4096", (long long)a->batch);
    }
    int rc = cli_weight_check(a);
    return rc ? rc : cli_dtype(a->dtype, &dt);
}

ark_model_opts cli_weight_opts(const cli_model_args *a) {
    return (ark_model_opts){.arch = a->arch,
        .key = a->key,
        .heads = a->heads,
        .size_px = a->size_px,
        .geometric_tables = a->tables && !strcmp(a->tables, "geometric"),
        .allow_missing = a->allow_missing};
}

void cli_weight_tell(const cli_ctx *c, const ark_model *m, bool key_given) {
    if (m->note[0] && !key_given) {
        fprintf(stderr, "arkfm %s: ", c->verb);
        cli_put_text(stderr, m->note);
        fputs("; --key chooses\n", stderr);
    }
    if (m->size_assumed) {
        fprintf(stderr, "arkfm %s: the file does not tell its input size: %d px assumed (--arch sets it)\n",
            c->verb, m->net.arch.size_px);
    }
    if (m->report[0]) {
        fprintf(stderr, "arkfm %s: left as initialised, or unused: ", c->verb);
        cli_put_text(stderr, m->report);
        fputc('\n', stderr);
    }
}

json_t *cli_unmatched(const ark_model *m) {
    json_t *list = json_array();
    for (size_t i = 0; i < m->n_unmatched; i++) {
        json_array_append_new(list, cli_text(m->unmatched[i]));
    }
    return list;
}

ark_status cli_model_open(const cli_ctx *c, const char *path, const cli_model_args *a, cli_model *out) {
    cli_model m = {0};
    ark_dtype cdt = strcmp(a->dtype, "bf16") ? ARK_F32 : ARK_BF16;
    ark_model_opts o = cli_weight_opts(a);
    o.bf16 = cdt == ARK_BF16;
    ark_status st = ark_dev_open(a->backend, c->threads, &m.dev);
    st = st ? st : ark_model_open(path, &o, m.dev, &m.model);
    st = st ? st : ark_session_new(&m.model->net, m.model->params, m.dev, (int)a->batch, cdt, &m.session);
    if (st != ARK_OK) {
        cli_model_close(&m);
        return st;
    }
    cli_weight_tell(c, m.model, a->key != NULL);
    *out = m;
    return ARK_OK;
}

void cli_model_close(cli_model *m) {
    ark_session_free(m->session);
    ark_model_free(m->model);
    if (m->dev) {
        ark_dev_close(m->dev);
    }
    *m = (cli_model){0};
}

int cli_find_head(const ark_net *net, const char *dataset) {
    for (int i = 0; i < net->n_heads; i++) {
        if (!strcmp(net->heads[i].dataset, dataset)) {
            return i;
        }
    }
    return -1;
}

ark_status cli_no_head(const char *weights, const ark_net *net, const char *dataset) {
    char names[512] = "";
    size_t len = 0;
    for (int i = 0; i < net->n_heads && len < sizeof names; i++) {
        len +=
            (size_t)snprintf(names + len, sizeof names - len, "%s%s", i ? ", " : "", net->heads[i].dataset);
    }
    return ARK_ERR(ARK_EINVAL, "%s has no head '%s'; its heads are: %s", weights, dataset, names);
}

void cli_put_text(FILE *f, const char *s) {
    for (; *s; s++) {
        fputc(iscntrl((unsigned char)*s) ? '?' : *s, f);
    }
}

json_t *cli_text(const char *s) {
    json_t *text = json_string(s);
    if (text) {
        return text;
    }
    char *ascii = ark_strdup(s);
    for (char *p = ascii; p && *p; p++) {
        *p = *p & 0x80 ? '?' : *p;
    }
    text = ascii ? json_string(ascii) : NULL;
    ark_free(ascii);
    return text;
}

double cli_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
