/* arkfm predict: every head's probabilities for images. */
#include "app/cli/cli.h"
#include "app/cli/model_cli.h"
#include "app/cli/points.h"
#include "base/alloc.h"
#include "base/err.h"
#include "data/dataset.h"

#include <stdio.h>
#include <string.h>

typedef struct args {
    const char *weights, *format, *head, *on_bad;
    cli_model_args model;
    bool skip, json;
} args;

/* What a run needs: logits of every wanted head for one batch. */
typedef struct run {
    const ark_net *net;
    cli_images images;
    float *pixels;
    size_t *index;
    float **logits; /* per head, NULL = not wanted */
    json_t *list;   /* JSON results, or NULL */
    cli_decided decided;
} run;

static ark_status new_run(const args *a, const ark_model *m, run *r) {
    size_t batch = (size_t)a->model.batch, side = (size_t)m->pre.size_px;
    bool any = false;
    ARK_TRY(ARK_NEW(&r->pixels, batch * 3 * side * side, "a batch of images"));
    ARK_TRY(ARK_NEW(&r->index, batch, "a batch of images"));
    ARK_TRY(ARK_NEW(&r->logits, (size_t)m->net.n_heads, "heads"));
    for (int i = 0; i < m->net.n_heads; i++) {
        if (!a->head || !strcmp(a->head, m->net.heads[i].dataset)) {
            ARK_TRY(ARK_NEW(&r->logits[i], batch * (size_t)m->net.heads[i].n_classes, "logits"));
            any = true;
        }
    }
    if (!any) {
        return cli_no_head(a->weights, &m->net, a->head);
    }
    r->list = a->json ? json_array() : NULL;
    return cli_decided_open(m, a->weights, batch, &r->decided);
}

static void drop_run(run *r) {
    for (int i = 0; r->logits && i < r->net->n_heads; i++) {
        ark_free(r->logits[i]);
    }
    cli_decided_close(&r->decided, r->net);
    ark_free(r->logits);
    ark_free(r->index);
    ark_free(r->pixels);
    cli_images_free(&r->images);
    json_decref(r->list);
}

/* A CSV field, quoted where RFC 4180 asks for it. */
static void put_field(const char *s) {
    bool quote = s[strcspn(s, ",\"\r\n")] != '\0';
    if (!quote) {
        fputs(s, stdout);
        return;
    }
    putchar('"');
    for (; *s; s++) {
        if (*s == '"') {
            putchar('"');
        }
        putchar(*s);
    }
    putchar('"');
}

static void put_csv(const run *r, int head, int i, const char *path, const float *p) {
    const ark_head *h = &r->net->heads[head];
    for (int k = 0; k < h->n_classes; k++) {
        put_field(path);
        putchar(',');
        put_field(h->dataset);
        putchar(',');
        put_field(h->classes[k]);
        printf(",%.6g", (double)p[k]);
        cli_decided_csv(&r->decided, r->net, head, i, k, p[k]);
        putchar('\n');
    }
}

static json_t *json_head(const run *r, int head, int i, const float *p) {
    const ark_head *h = &r->net->heads[head];
    json_t *list = json_array();
    for (int k = 0; k < h->n_classes; k++) {
        json_t *o = json_pack("{s:o,s:f}", "class", cli_text(h->classes[k]), "probability", (double)p[k]);
        cli_decided_json(&r->decided, r->net, head, i, k, p[k], o);
        json_array_append_new(list, o);
    }
    return json_pack(
        "{s:o,s:s,s:o}", "head", cli_text(h->dataset), "task", ark_task_name(h->task), "predictions", list);
}

/* Row i of the batch, which is image `path`. */
static void put_image(run *r, int i, const char *path) {
    json_t *heads = r->list ? json_array() : NULL;
    for (int k = 0; k < r->net->n_heads; k++) {
        const ark_head *h = &r->net->heads[k];
        if (!r->logits[k]) {
            continue;
        }
        const float *p = r->logits[k] + (size_t)i * (size_t)h->n_classes;
        if (heads) {
            json_array_append_new(heads, json_head(r, k, i, p));
        } else {
            put_csv(r, k, i, path, p);
        }
    }
    if (heads) {
        json_array_append_new(r->list, json_pack("{s:o,s:o}", "path", cli_text(path), "heads", heads));
    }
}

static ark_status predict_all(const args *a, const cli_model *m, run *r) {
    int n;
    if (!r->list) {
        printf("path,head,class,probability");
        cli_decided_header(&r->decided);
        putchar('\n');
    }
    for (;;) {
        ARK_TRY(cli_images_next(
            &r->images, &m->model->pre, "predict", (int)a->model.batch, r->pixels, r->index, &n));
        if (n == 0 && r->images.skipped == r->images.n) {
            return ARK_ERR(ARK_EINVAL, "none of %zu images could be read", r->images.n);
        }
        if (n == 0) {
            return ARK_OK;
        }
        ark_outputs out = {.logits = r->logits};
        ARK_TRY(ark_session_run(m->session, ARK_COL_STUDENT, r->pixels, n, &out));
        for (int k = 0; k < r->net->n_heads; k++) {
            if (r->logits[k]) {
                ark_logits_to_probabilities(
                    r->net->heads[k].task, r->logits[k], n, r->net->heads[k].n_classes);
                cli_decided_temper(&r->decided, r->net, k, r->logits[k], n);
            }
        }
        for (int i = 0; i < n; i++) {
            put_image(r, i, r->images.paths[r->index[i]]);
        }
    }
}

static ark_status run_verb(const cli_ctx *c, args *a, cli_model *m, run *r) {
    ARK_TRY(cli_images_from_args(c, 1, &r->images));
    r->images.skip = a->skip;
    cli_model_bound(&a->model, r->images.n);
    ARK_TRY(cli_model_open(c, a->weights, &a->model, m));
    r->net = &m->model->net;
    if (r->net->n_heads == 0) {
        return ARK_ERR(ARK_EINVAL, "%s has no head: nothing to predict (see arkfm embed)", a->weights);
    }
    ARK_TRY(new_run(a, m->model, r));
    fprintf(stderr, "arkfm predict: research use only: not for diagnosis%s\n",
        m->model->ours || m->model->heads_known ? "" : "; the file does not name its classes (see --heads)");
    return predict_all(a, m, r);
}

static int finish(const args *a, const cli_model *m, run *r) {
    if (r->images.skipped) {
        fprintf(stderr, "arkfm predict: %zu of %zu images skipped\n", r->images.skipped, r->images.n);
    }
    if (!r->list) {
        return cli_flush();
    }
    json_t *list = r->list;
    r->list = NULL;
    return cli_print_json(json_pack("{s:o,s:o,s:o,s:o}", "weights", cli_text(a->weights), "images", list,
        "skipped", cli_images_skipped(&r->images), "unmatched", cli_unmatched(m->model)));
}

static int check_usage(const cli_ctx *c, args *a) {
    static const char *const formats[] = {"csv", "json"};
    a->json = c->json || !strcmp(a->format, formats[1]);
    if (strcmp(a->format, formats[0]) && strcmp(a->format, formats[1])) {
        return cli_unknown("--format", a->format, formats, CLI_COUNT(formats));
    }
    int rc = cli_on_bad(a->on_bad, &a->skip);
    return rc ? rc : cli_model_check(&a->model);
}

int cmd_predict(cli_ctx *ctx, int argc, char **argv) {
    args a = {.format = "csv", .model = CLI_MODEL_DEFAULTS};
    const cli_opt opts[] = {
        {"--format", CLI_STR, "csv|json", &a.format,
            "csv: columns path,head,class,probability, and what was decided where the model has operating "
            "points "
            "(default); json: one object, as --json"},
        {"--head", CLI_STR, "NAME", &a.head, "only the head of this dataset (default: every head)"},
        {"--on-bad-sample", CLI_STR, "fail|skip", &a.on_bad,
            "an unreadable image ends the run (default), or is left out and named on stderr"},
        CLI_MODEL_OPTIONS(a.model),
    };
    cli_model m = {0};
    run r = {0};
    int rc = cli_parse(ctx, argc, argv, opts, CLI_COUNT(opts), 2, -1);
    rc = rc ? rc : check_usage(ctx, &a);
    if (rc == 0) {
        a.weights = ctx->pos[0];
        ark_status st = run_verb(ctx, &a, &m, &r);
        rc = st != ARK_OK ? cli_fail(ctx, st) : finish(&a, &m, &r);
    }
    drop_run(&r);
    cli_model_close(&m);
    cli_done(ctx, opts, CLI_COUNT(opts));
    return rc;
}
