/* arkfm embed: features of images, or of a prepared array, as a NumPy file. */
#include "app/cli/cli.h"
#include "app/cli/model_cli.h"
#include "base/alloc.h"
#include "base/err.h"
#include "base/mathsafe.h"
#include "io/npy.h"

#include <stdio.h>
#include <string.h>

typedef struct args {
    const char *weights, *list, *tensor, *out, *layer, *on_bad;
    cli_model_args model;
    bool skip;
} args;

typedef struct result {
    int64_t rows, width;
    float *values; /* (rows,width) */
    bool projected;
} result;

/* The features asked for: the projector's where the model has one, unless told otherwise. */
static ark_status choose_layer(const args *a, const ark_model *m, result *r) {
    bool has = m->net.projector != ARK_PROJECTOR_NONE;
    r->projected = a->layer ? !strcmp(a->layer, "projector") : has;
    if (r->projected && !has) {
        return ARK_ERR(ARK_EINVAL, "%s has no projector: --layer encoder", a->weights);
    }
    r->width = r->projected ? ark_net_features(&m->net) : ark_arch_features(&m->net.arch);
    return ARK_OK;
}

static ark_status run(const cli_model *m, const result *r, const float *images, int64_t n, int64_t at) {
    float *dst = r->values + at * r->width;
    ark_outputs out = {.encoder = r->projected ? NULL : dst, .projected = r->projected ? dst : NULL};
    return ark_session_run(m->session, ARK_COL_STUDENT, images, n, &out);
}

static ark_status new_values(result *r, size_t rows) {
    size_t n;
    if (ark_mul(rows, (size_t)r->width, &n)) {
        return ARK_ERR(ARK_ENOMEM, "%zu rows of %lld features", rows, (long long)r->width);
    }
    return ARK_NEW(&r->values, n, "features");
}

/* --- from an array --- */

static ark_status read_tensor(const args *a, ark_npy *x) {
    ARK_TRY(ark_npy_read(a->tensor, x));
    if (x->ndim != 4 || x->shape[0] < 1 || x->shape[1] != 3 || x->shape[2] != x->shape[3] ||
        x->shape[2] < 1 || x->shape[2] > 4096) {
        ark_npy_free(x);
        return ARK_ERR(ARK_EFORMAT, "%s: not an array of shape (B,3,S,S), S at most 4096", a->tensor);
    }
    return ARK_OK;
}

static ark_status embed_tensor(const cli_ctx *c, args *a, cli_model *m, result *r) {
    ark_npy x = {0};
    ARK_TRY(read_tensor(a, &x));
    a->model.size_px = (int)x.shape[2];
    ark_status st = cli_model_open(c, a->weights, &a->model, m);
    if (st == ARK_OK && m->model->net.arch.size_px != x.shape[2]) {
        st = ARK_ERR(ARK_EINVAL, "%s holds images of %lld px, %s wants %d px", a->tensor,
            (long long)x.shape[2], a->weights, m->model->net.arch.size_px);
    }
    st = st ? st : choose_layer(a, m->model, r);
    st = st ? st : new_values(r, (size_t)x.shape[0]);
    st = st ? st : run(m, r, x.data, x.shape[0], 0);
    r->rows = x.shape[0];
    ark_npy_free(&x);
    return st;
}

/* --- from files --- */

static ark_status embed_batches(const args *a, const cli_model *m, cli_images *im, result *r) {
    const ark_preproc *pre = &m->model->pre;
    size_t *index;
    float *pixels;
    int most = (int)a->model.batch, n = 0;
    ARK_TRY(ARK_NEW(&index, (size_t)most, "a batch of images"));
    ark_status st =
        ARK_NEW(&pixels, (size_t)most * 3 * (size_t)pre->size_px * (size_t)pre->size_px, "a batch of images");
    while (st == ARK_OK) {
        st = cli_images_next(im, pre, "embed", most, pixels, index, &n);
        if (st != ARK_OK || n == 0) {
            break;
        }
        st = run(m, r, pixels, n, r->rows);
        r->rows += n;
    }
    ark_free(pixels);
    ark_free(index);
    return st;
}

static ark_status embed_images(const cli_ctx *c, args *a, cli_model *m, cli_images *im, result *r) {
    ARK_TRY(a->list ? cli_images_from_list(c, a->list, im) : cli_images_from_args(c, 1, im));
    im->skip = a->skip;
    cli_model_bound(&a->model, im->n);
    ARK_TRY(cli_model_open(c, a->weights, &a->model, m));
    ARK_TRY(choose_layer(a, m->model, r));
    ARK_TRY(new_values(r, im->n));
    ARK_TRY(embed_batches(a, m, im, r));
    return r->rows ? ARK_OK : ARK_ERR(ARK_EINVAL, "none of %zu images could be read", im->n);
}

/* --- the verb --- */

static int print_result(const cli_ctx *c, const args *a, const cli_model *m, const cli_images *im,
    const result *r, double seconds) {
    const char *layer = r->projected ? "projector" : "encoder";
    if (c->json) {
        return cli_print_json(json_pack("{s:o,s:[I,I],s:s,s:f,s:o,s:o}", "file", cli_text(a->out), "shape",
            (json_int_t)r->rows, (json_int_t)r->width, "layer", layer, "seconds", seconds, "skipped",
            cli_images_skipped(im), "unmatched", cli_unmatched(m->model)));
    }
    printf("%s: %lld x %lld, %s, %.2f s", a->out, (long long)r->rows, (long long)r->width, layer, seconds);
    if (im->skipped) {
        printf(", %zu skipped", im->skipped);
    }
    putchar('\n');
    return cli_flush();
}

static int check_usage(const cli_ctx *c, args *a) {
    static const char *const layers[] = {"encoder", "projector"};
    int sources = (c->npos > 1) + (a->list != NULL) + (a->tensor != NULL);
    if (sources != 1) {
        return cli_usage("%s of IMAGE..., --list FILE and --tensor X.npy", sources ? "only one" : "need one");
    }
    if (!a->out) {
        return cli_usage("-o OUT.npy is required");
    }
    if (a->layer && strcmp(a->layer, layers[0]) && strcmp(a->layer, layers[1])) {
        return cli_unknown("--layer", a->layer, layers, CLI_COUNT(layers));
    }
    int rc = cli_on_bad(a->on_bad, &a->skip);
    return rc ? rc : cli_model_check(&a->model);
}

int cmd_embed(cli_ctx *ctx, int argc, char **argv) {
    args a = {.model = CLI_MODEL_DEFAULTS};
    const cli_opt opts[] = {
        {"-o", CLI_STR, "OUT.npy", &a.out, "float32 array (rows, features), required"},
        {"--list", CLI_STR, "FILE", &a.list, "image paths, one a line, instead of arguments"},
        {"--tensor", CLI_STR, "X.npy", &a.tensor, "float32 array (B,3,S,S), normalised, fed as it is"},
        {"--layer", CLI_STR, "encoder|projector", &a.layer,
            "which features (default: projector where the model has one)"},
        {"--on-bad-sample", CLI_STR, "fail|skip", &a.on_bad,
            "an unreadable image ends the run (default), or gets no row and is named on stderr"},
        CLI_MODEL_OPTIONS(a.model),
    };
    cli_model m = {0};
    cli_images im = {0};
    result r = {0};
    int rc = cli_parse(ctx, argc, argv, opts, CLI_COUNT(opts), 1, -1);
    rc = rc ? rc : check_usage(ctx, &a);
    if (rc == 0) {
        double start = cli_seconds();
        a.weights = ctx->pos[0];
        ark_status st = a.tensor ? embed_tensor(ctx, &a, &m, &r) : embed_images(ctx, &a, &m, &im, &r);
        int64_t shape[2] = {r.rows, r.width};
        st = st ? st : ark_npy_write_f32(a.out, 2, shape, r.values);
        rc = st != ARK_OK ? cli_fail(ctx, st) : print_result(ctx, &a, &m, &im, &r, cli_seconds() - start);
    }
    ark_free(r.values);
    cli_images_free(&im);
    cli_model_close(&m);
    cli_done(ctx, opts, CLI_COUNT(opts));
    return rc;
}
