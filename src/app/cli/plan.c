/* arkfm plan: nodes, shapes, FLOPs and memory of a network, before anything runs and without its weights. */
#include "app/cli/cli.h"
#include "app/cli/model_cli.h"
#include "base/alloc.h"
#include "base/err.h"
#include "base/file.h"
#include "core/ops.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct args {
    const char *model, *dtype, *mode, *backend, *key;
    int64_t batch;
    bool memory, train, recompute;
    ark_dtype cdt;
} args;

typedef struct planned {
    ark_dev *dev;
    ark_model *described; /* of a weight file, else NULL */
    ark_net net;          /* borrowed from described, or an encoder alone */
    ark_params *params;
    ark_plan *plan;
} planned;

/* --- making --- */

/* A training step's plan as the trainer builds it for one data set: trunk, one head with its loss, and the
 * consistency loss; with an encoder alone, the trunk. For inference: trunk and every head. */
static void record(planned *p, bool train) {
    ark_plan *plan = p->plan;
    ark_net_tensors t = ark_net_trunk(plan, &p->net);
    int heads = train && p->net.n_heads > 1 ? 1 : p->net.n_heads;
    for (int i = 0; i < heads; i++) {
        const ark_head *h = &p->net.heads[i];
        int64_t dims[2] = {ark_plan_batch(plan), h->n_classes};
        ark_tensor *logits = ark_net_head(plan, &p->net, t.projected, i);
        if (train) {
            ark_tensor *labels = ark_plan_input(plan, "labels", 2, dims, false);
            ark_tensor *mask = ark_plan_input(plan, "mask", 2, dims, false);
            ark_plan_output(plan, h->task == ARK_MULTICLASS ? ark_softmax_ce(plan, logits, labels, mask)
                                                            : ark_bce_logits(plan, logits, labels, mask));
        }
    }
    if (train) {
        int64_t dims[2] = {ark_plan_batch(plan), ark_net_features(&p->net)};
        ark_plan_label(plan, "consistency");
        ark_plan_output(
            plan, ark_mse(plan, t.projected, ark_plan_input(plan, "teacher_features", 2, dims, false)));
    }
}

static ark_status make(const cli_ctx *c, const args *a, planned *p) {
    ark_model_opts o = {.key = a->key};
    if (ark_path_exists(a->model)) {
        ARK_TRY(ark_model_describe(a->model, &o, &p->described));
        p->net = p->described->net;
    } else {
        ARK_TRY(ark_arch_parse(a->model, &p->net.arch));
    }
    ARK_TRY(ark_dev_open(a->backend, c->threads, &p->dev));
    ARK_TRY(ark_params_new(&p->params));
    ARK_TRY(ark_net_declare(&p->net, p->params));
    ARK_TRY(ark_plan_new(p->params, (int)a->batch, a->cdt, &p->plan));
    record(p, a->train);
    if (a->recompute) {
        ark_plan_recompute(p->plan);
    }
    return ark_plan_finish(p->plan, p->dev, a->train ? ARK_PLAN_TRAIN : ARK_PLAN_INFER);
}

static void drop(planned *p) {
    ark_plan_free(p->plan);
    ark_params_free(p->params);
    if (p->dev) {
        ark_dev_close(p->dev);
    }
    ark_model_free(p->described);
}

/* --- the memory map --- */

typedef struct row {
    const ark_tensor *t;
    bool grad;
    int64_t offset, bytes;
    int first, last; /* steps of the run: node i's forward is step i; -1 before the run */
} row;

static int by_offset(const void *a, const void *b) {
    const row *x = a, *y = b;
    if (x->offset != y->offset) {
        return x->offset < y->offset ? -1 : 1;
    }
    return (x->first > y->first) - (x->first < y->first);
}

static ark_status memory_map(const ark_plan *plan, row **rows, int *n) {
    int tensors = ark_plan_tensor_count(plan);
    ARK_TRY(ARK_NEW(rows, (ARK_MAX_LIVES + 1) * (size_t)tensors, "a memory map"));
    *n = 0;
    for (int i = 0; i < tensors; i++) {
        const ark_tensor *t = ark_plan_tensor(plan, i);
        int64_t bytes = ark_numel(t) * (int64_t)ark_dtype_bytes(t->dtype);
        for (int k = 0; k < t->lives.n; k++) {
            (*rows)[(*n)++] = (row){t, false, t->offset, bytes, t->lives.at[k].first, t->lives.at[k].last};
        }
        if (t->grad_lives.n) {
            (*rows)[(*n)++] =
                (row){t, true, t->grad_offset, bytes, t->grad_lives.at[0].first, t->grad_lives.at[0].last};
        }
    }
    qsort(*rows, (size_t)*n, sizeof **rows, by_offset);
    return ARK_OK;
}

/* "layers.0.blocks.1.attn linear", "image", "layers.0.blocks.1.norm1 statistics" */
static const char *tensor_label(const ark_plan *plan, const ark_tensor *t, char *buf, size_t cap) {
    if (t->producer < 0) {
        snprintf(buf, cap, "%s", t->name);
        return buf;
    }
    const ark_node *node = ark_plan_node(plan, t->producer);
    snprintf(buf, cap, "%s %s", node->label, t == node->out ? ark_op_name(node->op) : "saved");
    return buf;
}

/* --- totals --- */

typedef struct totals {
    int64_t parameters;
    int columns; /* f32 columns of that many elements: student, or student, teacher, gradient and momentum */
    double param_bytes, fwd, bwd; /* FLOPs per image */
    size_t acts, scratch;
} totals;

static totals sum_up(const args *a, const planned *p) {
    totals t = {.parameters = ark_params_numel(p->params),
        .columns = a->train ? 4 : 1,
        .fwd = ark_plan_flops_fwd(p->plan) / (double)a->batch,
        .bwd = a->train ? ark_plan_flops_bwd(p->plan) / (double)a->batch : 0,
        .acts = ark_plan_act_bytes(p->plan),
        .scratch = ark_plan_scratch_bytes(p->plan)};
    int copies = a->cdt == ARK_BF16 ? (a->train ? 2 : 1) : 0;
    t.param_bytes = (double)ark_params_elems(p->params) * (4 * t.columns + 2 * copies);
    return t;
}

/* --- printing --- */

static const char *shape_text(const ark_tensor *t, char *buf, size_t cap) {
    size_t n = 0;
    for (int i = 0; i < t->ndim && n < cap; i++) {
        n += (size_t)snprintf(buf + n, cap - n, "%s%lld", i ? "x" : "", (long long)t->dims[i]);
    }
    return buf;
}

static const char *impl_of(const planned *p, const ark_node *n) {
    const char *impl = p->dev->backend->kernels[n->op].impl;
    return impl ? impl : p->dev->backend->name;
}

static void print_nodes(const planned *p, const args *a) {
    printf("%4s  %-34s %-12s %-8s %-20s %-5s %10s\n", "#", "node", "op", "kernel", "output", "type", "MFLOP");
    for (int i = 0; i < ark_plan_node_count(p->plan); i++) {
        const ark_node *n = ark_plan_node(p->plan, i);
        char shape[96];
        printf("%4d  %-34s %-12s %-8s %-20s %-5s %10.2f\n", i, n->label, ark_op_name(n->op), impl_of(p, n),
            shape_text(n->out, shape, sizeof shape), ark_dtype_name(n->out->dtype),
            ark_node_flops_fwd(n, a->batch) * 1e-6);
    }
}

static void print_map(const planned *p, const row *rows, int n) {
    printf("\n%12s %12s %11s  %s\n", "offset", "bytes", "lifetime", "tensor");
    for (int i = 0; i < n; i++) {
        char label[256], life[32];
        snprintf(life, sizeof life, "%d..%d", rows[i].first, rows[i].last);
        printf("%12lld %12lld %11s  %s%s\n", (long long)rows[i].offset, (long long)rows[i].bytes, life,
            rows[i].grad ? "gradient of " : "", tensor_label(p->plan, rows[i].t, label, sizeof label));
    }
}

static int print_text(const planned *p, const args *a, const row *rows, int n) {
    totals t = sum_up(a, p);
    print_nodes(p, a);
    if (a->memory) {
        print_map(p, rows, n);
    }
    printf("\nparameters   %12lld\n", (long long)t.parameters);
    printf("per image    %12.3f GFLOP forward", t.fwd * 1e-9);
    if (a->train) {
        printf(", %.3f backward", t.bwd * 1e-9);
    }
    printf("\nparameters   %12.1f MiB in %d column%s\n", t.param_bytes / 1048576, t.columns,
        t.columns == 1 ? "" : "s");
    printf("activations  %12.1f MiB (peak of the map)\n", (double)t.acts / 1048576);
    printf("scratch      %12.1f MiB\n", (double)t.scratch / 1048576);
    printf("total        %12.1f MiB for batch %lld, %s, %s\n",
        (t.param_bytes + (double)t.acts + (double)t.scratch) / 1048576, (long long)a->batch,
        ark_dtype_name(a->cdt), a->mode);
    return cli_flush();
}

static json_t *json_node(const planned *p, const args *a, const ark_node *n) {
    json_t *shape = json_array();
    for (int i = 0; i < n->out->ndim; i++) {
        json_array_append_new(shape, json_integer(n->out->dims[i]));
    }
    return json_pack("{s:s,s:s,s:s,s:o,s:s,s:f,s:f}", "label", n->label, "op", ark_op_name(n->op), "impl",
        impl_of(p, n), "shape", shape, "dtype", ark_dtype_name(n->out->dtype), "flops_fwd",
        ark_node_flops_fwd(n, a->batch), "flops_bwd", a->train ? ark_node_flops_bwd(n, a->batch) : 0.0);
}

static int print_json(const planned *p, const args *a, const row *rows, int n_rows) {
    totals t = sum_up(a, p);
    json_t *nodes = json_array();
    char arch[256];
    for (int i = 0; i < ark_plan_node_count(p->plan); i++) {
        json_array_append_new(nodes, json_node(p, a, ark_plan_node(p->plan, i)));
    }
    json_t *o = json_pack("{s:s,s:s,s:I,s:s,s:s,s:I,s:I,s:f,s:f,s:f,s:I,s:I,s:o}", "architecture",
        ark_arch_print(&p->net.arch, arch, sizeof arch), "mode", a->mode, "batch", (json_int_t)a->batch,
        "dtype", ark_dtype_name(a->cdt), "backend", a->backend, "parameters", (json_int_t)t.parameters,
        "parameter_columns", (json_int_t)t.columns, "parameter_bytes", t.param_bytes, "flops_fwd_per_image",
        t.fwd, "flops_bwd_per_image", t.bwd, "activation_bytes", (json_int_t)t.acts, "scratch_bytes",
        (json_int_t)t.scratch, "nodes", nodes);
    json_t *map = a->memory ? json_array() : NULL;
    for (int i = 0; i < n_rows && map; i++) {
        char label[256];
        json_array_append_new(
            map, json_pack("{s:s,s:b,s:I,s:I,s:i,s:i}", "tensor",
                     tensor_label(p->plan, rows[i].t, label, sizeof label), "gradient", (int)rows[i].grad,
                     "offset", (json_int_t)rows[i].offset, "bytes", (json_int_t)rows[i].bytes, "first_use",
                     rows[i].first, "last_use", rows[i].last));
    }
    if (map) {
        json_object_set_new(o, "memory", map);
    }
    return cli_print_json(o);
}

static int check_usage(args *a) {
    static const char *const modes[] = {"infer", "train"};
    if (a->batch < 1 || a->batch > 65536) {
        return cli_usage("--batch: %lld is outside 1..65536", (long long)a->batch);
    }
    a->train = !strcmp(a->mode, modes[1]);
    if (!a->train && strcmp(a->mode, modes[0])) {
        return cli_unknown("--mode", a->mode, modes, CLI_COUNT(modes));
    }
    if (a->recompute && !a->train) {
        return cli_usage("--recompute needs --mode train");
    }
    return cli_dtype(a->dtype, &a->cdt);
}

int cmd_plan(cli_ctx *ctx, int argc, char **argv) {
    args a = {.dtype = "f32", .mode = "infer", .backend = "cpu", .batch = 1};
    const cli_opt opts[] = {
        {"--batch", CLI_INT, "N", &a.batch, "images per run (default: 1)"},
        {"--dtype", CLI_STR, "f32|bf16", &a.dtype, "compute type (default: f32)"},
        {"--mode", CLI_STR, "infer|train", &a.mode,
            "what is kept: a training step is planned for the first head (default: infer)"},
        {"--memory", CLI_FLAG, NULL, &a.memory,
            "every tensor's place and lifetime in steps of the run: node i runs forward in step i"},
        {"--recompute", CLI_FLAG, NULL, &a.recompute, "with --mode train: as train.recompute"},
        {"--backend", CLI_STR, "NAME", &a.backend, "cpu (default) or ref"},
        {"--key", CLI_STR, "KEY", &a.key, "which weights, where MODEL is a .pth"},
    };
    planned p = {0};
    row *rows = NULL;
    int n = 0, rc = cli_parse(ctx, argc, argv, opts, CLI_COUNT(opts), 1, 1);
    rc = rc ? rc : check_usage(&a);
    if (rc == 0) {
        a.model = ctx->pos[0];
        ark_status st = make(ctx, &a, &p);
        st = st || !a.memory ? st : memory_map(p.plan, &rows, &n);
        rc = st != ARK_OK ? cli_fail(ctx, st)
             : ctx->json  ? print_json(&p, &a, rows, n)
                          : print_text(&p, &a, rows, n);
    }
    ark_free(rows);
    drop(&p);
    cli_done(ctx, opts, CLI_COUNT(opts));
    return rc;
}
