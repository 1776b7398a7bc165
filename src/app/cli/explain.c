/* arkfm explain: where in an image a class comes from, as a heat map over the image. */
#include "eval/explain.h"
#include "app/cli/cli.h"
#include "app/cli/model_cli.h"
#include "base/alloc.h"
#include "base/err.h"
#include "data/loader.h"
#include "io/npy.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct args {
    const char *weights, *image, *head, *cls, *out, *map;
    double strength;
    cli_model_args model;
} args;

/* What was explained, for the report. */
typedef struct result {
    int head, k, rows, cols, width, height;
    float logit;
    double probability, peak_x, peak_y; /* place of the maximum, as shares of width and height */
    bool empty;                         /* nothing speaks for the class */
} result;

static int find_class(const ark_head *h, const char *name) {
    for (int k = 0; k < h->n_classes; k++) {
        if (!strcmp(h->classes[k], name)) {
            return k;
        }
    }
    return -1;
}

/* The class asked for: in the head asked for, or in the only head that has it. */
static ark_status find_output(const args *a, const ark_net *net, result *r) {
    char where[512] = "";
    int found = 0;
    if (a->head && cli_find_head(net, a->head) < 0) {
        return cli_no_head(a->weights, net, a->head);
    }
    for (int i = 0; i < net->n_heads; i++) {
        int k = find_class(&net->heads[i], a->cls);
        if (k < 0 || (a->head && strcmp(net->heads[i].dataset, a->head))) {
            continue;
        }
        size_t len = strlen(where);
        snprintf(where + len, sizeof where - len, "%s%s", found ? ", " : "", net->heads[i].dataset);
        r->head = found++ ? r->head : i;
        r->k = r->head == i ? k : r->k;
    }
    if (found == 1) {
        return ARK_OK;
    }
    if (found > 1) {
        return ARK_ERR(
            ARK_EINVAL, "class '%s' is in several heads (%s): choose one with --head", a->cls, where);
    }
    return ARK_ERR(ARK_EINVAL, "%s: no class '%s'%s%s (arkfm inspect lists them)", a->weights, a->cls,
        a->head ? " in head " : "", a->head ? a->head : "");
}

/* The probability that predict gives this class. */
static ark_status probability_of(const cli_model *m, const float *pixels, result *r) {
    const ark_head *h = &m->model->net.heads[r->head];
    float **logits = NULL, *row = NULL;
    ark_status st = ARK_NEW(&logits, (size_t)m->model->net.n_heads, "heads");
    st = st ? st : ARK_NEW(&row, (size_t)h->n_classes, "a head");
    if (st == ARK_OK) {
        logits[r->head] = row;
        ark_outputs out = {.logits = logits};
        st = ark_session_run(m->session, ARK_COL_STUDENT, pixels, 1, &out);
    }
    if (st == ARK_OK) {
        ark_logits_to_probabilities(h->task, row, 1, h->n_classes);
        r->probability = (double)row[r->k];
    }
    ark_free(logits);
    ark_free(row);
    return st;
}

static void find_peak(const float *heat, result *r) {
    size_t best = 0, n = (size_t)r->width * (size_t)r->height;
    for (size_t i = 1; i < n; i++) {
        best = heat[i] > heat[best] ? i : best;
    }
    r->empty = heat[best] <= 0;
    r->peak_x = ((double)(best % (size_t)r->width) + 0.5) / r->width;
    r->peak_y = ((double)(best / (size_t)r->width) + 0.5) / r->height;
}

/* The heat map at the image's own size, over the image. */
static ark_status write_overlay(const args *a, const float *map, result *r) {
    ark_image im = {0};
    float *heat = NULL;
    uint8_t *rgb = NULL;
    ARK_TRY(ark_image_read(a->image, NULL, &im));
    ark_image_to8(&im);
    size_t pixels = (size_t)im.width * (size_t)im.height;
    r->width = im.width;
    r->height = im.height;
    ark_status st = ARK_NEW(&heat, pixels, "a heat map");
    st = st ? st : ARK_NEW(&rgb, 3 * pixels, "an overlay");
    if (st == ARK_OK) {
        ark_heat_resize(map, r->rows, r->cols, heat, im.height, im.width);
        find_peak(heat, r);
        ark_heat_overlay(im.px8, heat, pixels, a->strength, rgb);
        st = ark_png_write(a->out, im.width, im.height, 3, rgb);
    }
    ark_image_free(&im);
    ark_free(heat);
    ark_free(rgb);
    return st;
}

static ark_status explain(const args *a, const cli_model *m, result *r) {
    const ark_preproc *pre = &m->model->pre;
    size_t side = (size_t)pre->size_px;
    ark_explainer *e = NULL;
    float *pixels = NULL, *map = NULL;
    ARK_TRY(find_output(a, &m->model->net, r));
    ark_status st = ARK_NEW(&pixels, 3 * side * side, "an image");
    st = st ? st : ark_load_plain(a->image, pre, NULL, pixels);
    st = st ? st : ark_explainer_new(&m->model->net, m->model->params, m->dev, &e);
    if (st == ARK_OK) {
        ark_explainer_grid(e, &r->rows, &r->cols);
        st = ARK_NEW(&map, (size_t)r->rows * (size_t)r->cols, "a heat map");
    }
    st = st ? st : ark_explain(e, ARK_COL_STUDENT, pixels, r->head, r->k, map, &r->logit);
    st = st ? st : probability_of(m, pixels, r);
    st = st ? st : write_overlay(a, map, r);
    if (st == ARK_OK && a->map) {
        st = ark_npy_write_f32(a->map, 2, (int64_t[]){r->rows, r->cols}, map);
    }
    ark_explainer_free(e);
    ark_free(pixels);
    ark_free(map);
    return st;
}

static int report(const cli_ctx *c, const args *a, const ark_net *net, const result *r) {
    const ark_head *h = &net->heads[r->head];
    if (r->empty) {
        fprintf(stderr, "arkfm explain: no part of the image speaks for %s: the map is empty\n", a->cls);
    }
    if (!c->json) {
        printf("%s %s: probability %.4f, logit %.4f; heat map %d x %d over %s\n", h->dataset,
            h->classes[r->k], r->probability, (double)r->logit, r->rows, r->cols, a->out);
        return cli_flush();
    }
    json_t *peak = r->empty ? json_null() : json_pack("[f,f]", r->peak_x, r->peak_y);
    return cli_print_json(json_pack("{s:o,s:o,s:s,s:f,s:f,s:[i,i],s:o,s:o}", "head", cli_text(h->dataset),
        "class", cli_text(h->classes[r->k]), "method", "grad-cam", "probability", r->probability, "logit",
        (double)r->logit, "grid", r->rows, r->cols, "peak", peak, "out", cli_text(a->out)));
}

int cmd_explain(cli_ctx *ctx, int argc, char **argv) {
    args a = {.strength = 0.6, .model = CLI_MODEL_DEFAULTS};
    const cli_opt opts[] = {
        {"--class", CLI_STR, "NAME", &a.cls, "class to explain"},
        {"--head", CLI_STR, "NAME", &a.head, "dataset of the head, where several have the class"},
        {"-o", CLI_STR, "OUT.png", &a.out, "heat map over the image, at the image's own size"},
        {"--map", CLI_STR, "OUT.npy", &a.map, "also the map itself, at the network's resolution"},
        {"--strength", CLI_FLOAT, "X", &a.strength,
            "weight of the colour where the map is highest (default 0.6)"},
        CLI_MODEL_OPTIONS(a.model),
    };
    cli_model m = {0};
    result r = {0};
    int rc = cli_parse(ctx, argc, argv, opts, CLI_COUNT(opts), 2, 2);
    rc = rc ? rc : cli_model_check(&a.model);
    if (rc == 0 && (!a.cls || !a.out)) {
        rc = cli_usage("--class and -o are needed");
    }
    if (rc == 0 && !(a.strength >= 0 && a.strength <= 1)) {
        rc = cli_usage("--strength: %g is outside 0..1", a.strength);
    }
    if (rc == 0) {
        a.weights = ctx->pos[0];
        a.image = ctx->pos[1];
        cli_model_bound(&a.model, 1);
        ark_status st = cli_model_open(ctx, a.weights, &a.model, &m);
        st = st ? st : explain(&a, &m, &r);
        rc = st != ARK_OK ? cli_fail(ctx, st) : report(ctx, &a, &m.model->net, &r);
    }
    cli_model_close(&m);
    cli_done(ctx, opts, CLI_COUNT(opts));
    return rc;
}
