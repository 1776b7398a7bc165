/* arkfm inspect: what is in a weight file, safetensors or .pth; of a network that is known also its
 * description and every tensor that does not fit it. */
#include "app/cli/cli.h"
#include "app/cli/model_cli.h"
#include "base/err.h"
#include "data/dataset.h"
#include "io/tensor_file.h"
#include "model/model.h"
#include "model/weight_file.h"

#include <stdio.h>
#include <string.h>

/* What is shown. has_model is false for a file that is no network we know. */
typedef struct content {
    ark_weight_file *weights;
    const ark_tensor_file *file; /* of weights */
    bool has_model;
    ark_model model;
    ark_match match;
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

static ark_status describe(const ark_model_opts *o, content *c) {
    ark_params *params = NULL;
    ARK_TRY(ark_model_describe_file(c->weights, o, &c->model));
    ark_status st = ark_params_new(&params);
    st = st ? st : ark_net_declare(&c->model.net, params);
    st = st ? st : ark_match_weights(c->weights, params, ARK_MATCH_RESIZE_TABLES, &c->match);
    ark_params_free(params);
    c->has_model = st == ARK_OK;
    return st;
}

static ark_status read_content(const char *path, const ark_model_opts *o, content *c) {
    ARK_TRY(ark_weight_file_open(path, o->key, &c->weights));
    c->file = c->weights->file;
    for (size_t i = 0; i < ark_tensor_file_count(c->file); i++) {
        const ark_st_tensor *t = ark_tensor_file_at(c->file, i);
        c->bytes += t->bytes;
        c->parameters += is_parameter(t) ? t->numel : 0;
    }
    ark_status st = describe(o, c);
    bool asked = c->weights->ours || o->arch || o->heads || st == ARK_ENOMEM;
    return asked ? st : ARK_OK; /* of others, only what can be understood is shown */
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

static json_t *json_unmatched(const ark_match *m) {
    json_t *list = json_array();
    for (size_t i = 0; i < m->bad; i++) {
        json_array_append_new(list, cli_text(m->keys[i]));
    }
    return list;
}

/* What stands beside the tensors in a .pth: {"key": "epoch", "value": 50}, {"key": "teacher", "tensors":
 * 329}, ... */
static json_t *json_keys(const ark_pth_file *pth) {
    json_t *list = json_array();
    for (size_t i = 0; i < ark_pth_item_count(pth); i++) {
        const ark_pth_item *item = ark_pth_item_at(pth, i);
        json_t *value = item->tensors     ? json_integer((json_int_t)item->tensors)
                        : item->is_number ? cli_number(item->number)
                                          : cli_text(item->text);
        json_array_append_new(list,
            json_pack("{s:o,s:o}", "key", cli_text(item->key), item->tensors ? "tensors" : "value", value));
    }
    return list;
}

static int print_json(const char *path, const content *c) {
    json_t *tensors = json_array(), *meta = json_object();
    for (size_t i = 0; i < ark_tensor_file_count(c->file); i++) {
        const ark_st_tensor *t = ark_tensor_file_at(c->file, i);
        json_array_append_new(
            tensors, json_pack("{s:o,s:s,s:o,s:I}", "name", cli_text(t->name), "dtype",
                         ark_st_dtype_name(t->dtype), "shape", json_shape(t), "bytes", (json_int_t)t->bytes));
    }
    for (size_t i = 0; i < ark_tensor_file_meta_count(c->file); i++) {
        const char *key, *value;
        ark_tensor_file_meta_at(c->file, i, &key, &value);
        json_object_set_new(meta, key, cli_text(value));
    }
    json_t *o = json_pack("{s:o,s:s,s:I,s:I,s:o,s:o}", "file", cli_text(path), "container",
        ark_tensor_format_name(ark_tensor_file_format(c->file)), "parameters", (json_int_t)c->parameters,
        "bytes", (json_int_t)c->bytes, "metadata", meta, "tensors", tensors);
    const ark_pth_file *pth = ark_tensor_file_pth(c->file);
    if (pth) {
        json_object_set_new(o, "key", cli_text(ark_pth_key(pth)));
        json_object_set_new(o, "keys", json_keys(pth));
        json_object_set_new(o, "others", json_integer((json_int_t)ark_pth_others(pth)));
    }
    if (c->has_model) {
        const ark_net *net = &c->model.net;
        char arch[256];
        json_object_set_new(o, "architecture", json_string(ark_arch_print(&net->arch, arch, sizeof arch)));
        json_object_set_new(o, "size_assumed", json_boolean(c->model.size_assumed));
        json_object_set_new(o, "projector", json_string(ark_projector_name(net->projector)));
        json_object_set_new(o, "projector_dim", json_integer(net->projector_dim));
        json_object_set_new(o, "heads", json_heads(net));
        json_object_set_new(o, "unmatched", json_unmatched(&c->match));
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

static void print_keys(const ark_pth_file *pth) {
    for (size_t i = 0; i < ark_pth_item_count(pth); i++) {
        const ark_pth_item *item = ark_pth_item_at(pth, i);
        printf("%-13s ", !strcmp(item->key, ark_pth_key(pth)) ? "key, shown" : "key");
        cli_put_text(stdout, item->key);
        fputs(item->tensors ? ": " : " = ", stdout);
        cli_put_text(stdout, item->text);
        putchar('\n');
    }
    if (ark_pth_others(pth)) {
        printf("others        %zu things beside the tensors that are none\n", ark_pth_others(pth));
    }
}

static void print_unmatched(const ark_match *m) {
    for (size_t i = 0; i < m->bad; i++) {
        printf("unmatched     ");
        cli_put_text(stdout, m->keys[i]);
        putchar('\n');
    }
}

static int print_text(const char *path, const content *c) {
    printf("file          ");
    cli_put_text(stdout, path);
    printf("\ncontainer     %s\ntensors       %zu, %zu bytes\nparameters    %lld\n",
        ark_tensor_format_name(ark_tensor_file_format(c->file)), ark_tensor_file_count(c->file), c->bytes,
        (long long)c->parameters);
    if (c->has_model) {
        print_network(&c->model);
        print_unmatched(&c->match);
    }
    if (ark_tensor_file_pth(c->file)) {
        print_keys(ark_tensor_file_pth(c->file));
    }
    for (size_t i = 0; i < ark_tensor_file_meta_count(c->file); i++) {
        const char *key, *value;
        ark_tensor_file_meta_at(c->file, i, &key, &value);
        printf("metadata      ");
        cli_put_text(stdout, key);
        printf(" = ");
        cli_put_text(stdout, value);
        putchar('\n');
    }
    printf("\n%-6s %-20s %12s  %s\n", "dtype", "shape", "bytes", "name");
    for (size_t i = 0; i < ark_tensor_file_count(c->file); i++) {
        const ark_st_tensor *t = ark_tensor_file_at(c->file, i);
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
    cli_model_args a = CLI_MODEL_DEFAULTS;
    const cli_opt opts[] = {
        {"--key", CLI_STR, "KEY", &a.key,
            "which weights of a .pth (default: teacher, else state_dict, model, ...)"},
        {"--arch", CLI_STR, "NAME", &a.arch, "architecture to compare with, instead of the file's"},
        {"--heads", CLI_STR, "ark6|FILE.yaml", &a.heads, "names of heads and classes"},
    };
    int rc = cli_parse(ctx, argc, argv, opts, CLI_COUNT(opts), 1, 1);
    if (rc == 0) {
        ark_model_opts o = cli_weight_opts(&a);
        ark_status st = read_content(ctx->pos[0], &o, &c);
        rc = st != ARK_OK ? cli_fail(ctx, st)
             : ctx->json  ? print_json(ctx->pos[0], &c)
                          : print_text(ctx->pos[0], &c);
    }
    ark_match_free(&c.match);
    ark_model_clear(&c.model);
    ark_weight_file_close(c.weights);
    cli_done(ctx, opts, CLI_COUNT(opts));
    return rc;
}
