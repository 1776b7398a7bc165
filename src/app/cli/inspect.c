/* arkfm inspect: what is in a safetensors file; for weights of ours or of a Swin also network and heads. */
#include "app/cli/cli.h"
#include "app/cli/model_cli.h"
#include "base/err.h"
#include "data/dataset.h"
#include "io/safetensors.h"
#include "model/model.h"
#include "model/weight_file.h"

#include <stdio.h>
#include <string.h>

/* What is shown. model is NULL for a file that is no network we know. */
typedef struct content {
    ark_st_file *st;
    ark_model *model;
    int64_t parameters;
    size_t bytes; /* of all tensors */
} content;

/* Floating-point tensors are parameters, but for the attention masks that old files carry. */
static bool is_parameter(const ark_st_tensor *t) {
    bool real =
        t->dtype == ARK_ST_F16 || t->dtype == ARK_ST_BF16 || t->dtype == ARK_ST_F32 || t->dtype == ARK_ST_F64;
    const char *dot = strrchr(t->name, '.');
    return real && !(dot && !strcmp(dot, ".attn_mask"));
}

static ark_status read_content(const char *path, content *c) {
    ark_model_opts o = {0};
    ARK_TRY(ark_st_open(path, &c->st));
    for (size_t i = 0; i < ark_st_count(c->st); i++) {
        const ark_st_tensor *t = ark_st_at(c->st, i);
        c->bytes += t->bytes;
        c->parameters += is_parameter(t) ? t->numel : 0;
    }
    ark_status st = ark_model_describe(path, &o, &c->model);
    const char *format = ark_st_meta(c->st, "format");
    bool ours = format && !strcmp(format, "arkfm");
    return ours || st == ARK_ENOMEM ? st : ARK_OK; /* of others, only what can be understood is shown */
}

/* --- JSON --- */

static json_t *json_shape(const ark_st_tensor *t) {
    json_t *list = json_array();
    for (int i = 0; i < t->ndim; i++) {
        json_array_append_new(list, json_integer(t->shape[i]));
    }
    return list;
}

static json_t *json_heads(const ark_net *net) {
    json_t *list = json_array();
    for (int i = 0; i < net->n_heads; i++) {
        const ark_head *h = &net->heads[i];
        json_t *classes = json_array();
        for (int k = 0; k < h->n_classes; k++) {
            json_array_append_new(classes, cli_text(h->classes[k]));
        }
        json_array_append_new(list, json_pack("{s:o,s:s,s:o}", "dataset", cli_text(h->dataset), "task",
                                        ark_task_name(h->task), "classes", classes));
    }
    return list;
}

static int print_json(const char *path, const content *c) {
    json_t *tensors = json_array(), *meta = json_object();
    for (size_t i = 0; i < ark_st_count(c->st); i++) {
        const ark_st_tensor *t = ark_st_at(c->st, i);
        json_array_append_new(
            tensors, json_pack("{s:o,s:s,s:o,s:I}", "name", cli_text(t->name), "dtype",
                         ark_st_dtype_name(t->dtype), "shape", json_shape(t), "bytes", (json_int_t)t->bytes));
    }
    for (size_t i = 0; i < ark_st_meta_count(c->st); i++) {
        const char *key, *value;
        ark_st_meta_at(c->st, i, &key, &value);
        json_object_set_new(meta, key, cli_text(value));
    }
    json_t *o = json_pack("{s:o,s:I,s:I,s:o,s:o}", "file", cli_text(path), "parameters",
        (json_int_t)c->parameters, "bytes", (json_int_t)c->bytes, "metadata", meta, "tensors", tensors);
    if (c->model) {
        const ark_net *net = &c->model->net;
        char arch[256];
        json_object_set_new(o, "architecture", json_string(ark_arch_print(&net->arch, arch, sizeof arch)));
        json_object_set_new(o, "size_assumed", json_boolean(c->model->size_assumed));
        json_object_set_new(o, "projector", json_string(ark_projector_name(net->projector)));
        json_object_set_new(o, "projector_dim", json_integer(net->projector_dim));
        json_object_set_new(o, "heads", json_heads(net));
    }
    return cli_print_json(o);
}

/* --- text --- */

static void print_network(const ark_model *m) {
    const ark_net *net = &m->net;
    char arch[256];
    printf("architecture  %s%s\n", ark_arch_print(&net->arch, arch, sizeof arch),
        m->size_assumed ? "  (size assumed)"
        : m->ours       ? ""
                        : "  (from shapes)");
    printf("projector     %s", ark_projector_name(net->projector));
    printf(net->projector == ARK_PROJECTOR_NONE ? "\n" : " %d\n", net->projector_dim);
    for (int i = 0; i < net->n_heads; i++) {
        const ark_head *h = &net->heads[i];
        printf("head %-8d ", i);
        cli_put_text(stdout, h->dataset);
        printf(", %s, %d class%s: ", ark_task_name(h->task), h->n_classes, h->n_classes == 1 ? "" : "es");
        for (int k = 0; k < h->n_classes; k++) {
            fputs(k ? ", " : "", stdout);
            cli_put_text(stdout, h->classes[k]);
        }
        putchar('\n');
    }
}

static int print_text(const char *path, const content *c) {
    printf("file          ");
    cli_put_text(stdout, path);
    printf("\ntensors       %zu, %zu bytes\nparameters    %lld\n", ark_st_count(c->st), c->bytes,
        (long long)c->parameters);
    if (c->model) {
        print_network(c->model);
    }
    for (size_t i = 0; i < ark_st_meta_count(c->st); i++) {
        const char *key, *value;
        ark_st_meta_at(c->st, i, &key, &value);
        printf("metadata      ");
        cli_put_text(stdout, key);
        printf(" = ");
        cli_put_text(stdout, value);
        putchar('\n');
    }
    printf("\n%-6s %-20s %12s  %s\n", "dtype", "shape", "bytes", "name");
    for (size_t i = 0; i < ark_st_count(c->st); i++) {
        const ark_st_tensor *t = ark_st_at(c->st, i);
        char shape[192] = "scalar";
        for (int k = 0, n = 0; k < t->ndim; k++) {
            n +=
                snprintf(shape + n, sizeof shape - (size_t)n, "%s%lld", k ? " " : "", (long long)t->shape[k]);
        }
        printf("%-6s %-20s %12zu  ", ark_st_dtype_name(t->dtype), shape, t->bytes);
        cli_put_text(stdout, t->name);
        putchar('\n');
    }
    return cli_flush();
}

int cmd_inspect(cli_ctx *ctx, int argc, char **argv) {
    content c = {0};
    int rc = cli_parse(ctx, argc, argv, NULL, 0, 1, 1);
    if (rc == 0) {
        ark_status st = read_content(ctx->pos[0], &c);
        rc = st != ARK_OK ? cli_fail(ctx, st)
             : ctx->json  ? print_json(ctx->pos[0], &c)
                          : print_text(ctx->pos[0], &c);
    }
    ark_model_free(c.model);
    ark_st_close(c.st);
    cli_done(ctx, NULL, 0);
    return rc;
}
