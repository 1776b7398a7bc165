/* arkfm readout: logistic regression on frozen embeddings of several models, compared on
 * the same test images. */
#include "app/cli/readout.h"

#include "app/cli/cli.h"
#include "backend/backend.h"
#include "base/alloc.h"
#include "base/err.h"
#include "model/model.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct request {
    const char *data, *dataset, *layer, *html, *backend;
    cli_list models, runs;
    int64_t batch, bootstrap, seed;
    double level;
    char command[2048];
} request;

/* "name=value" -> both parts; the name is the value's own where there is no '='. */
static void split_pair(const char *text, char *name, size_t cap, const char **value) {
    const char *eq = strchr(text, '=');
    *value = eq ? eq + 1 : text;
    snprintf(name, cap, "%.*s", eq ? (int)(eq - text) : (int)strlen(text), text);
}

/* The first model's architecture with fresh weights is the floor that every pretraining must beat. */
static ark_status open_model(const request *q, const comparison *c, int i, ark_dev *dev, ark_model **m) {
    ark_model_opts mo = {0};
    bool random = !strcmp(c->items[i].weights, "random");
    const char *path = random ? c->items[0].weights : c->items[i].weights;
    if (random && (i == 0 || !strcmp(path, "random"))) {
        return ARK_ERR(
            ARK_EINVAL, "--model %s=random needs a weight file as the first --model", c->items[i].name);
    }
    ARK_TRY(ark_model_open(path, &mo, dev, m));
    return random ? ark_params_init((*m)->params, ARK_COL_STUDENT, (uint64_t)q->seed) : ARK_OK;
}

static ark_status read_splits(
    const request *q, const ark_dataset *d, ark_model *m, ark_dev *dev, ark_features f[ARK_SPLIT_COUNT]) {
    ark_loader *loader = NULL;
    ark_session *session = NULL;
    ark_loader_opts lo = ark_loader_default_opts();
    lo.batch = (int)q->batch;
    lo.workers = dev->threads;
    lo.width = d->n_classes;
    lo.pre = m->pre;
    bool encoder = q->layer && !strcmp(q->layer, "encoder");
    ark_layer layer =
        encoder || m->net.projector == ARK_PROJECTOR_NONE ? ARK_LAYER_ENCODER : ARK_LAYER_PROJECTOR;
    ark_status st = ark_loader_new(&lo, &loader);
    st = st ? st : ark_session_new(&m->net, m->params, dev, (int)q->batch, ARK_F32, &session);
    for (int s = 0; s < ARK_SPLIT_COUNT && st == ARK_OK; s++) {
        st = ark_features_read(session, ARK_COL_STUDENT, &m->net, layer, loader, d, (ark_split)s, &f[s]);
    }
    ark_session_free(session);
    ark_loader_free(loader);
    return st;
}

/* Fit on train, choose C on validation, score the test split. */
static ark_status fit(const ark_dataset *d, ark_dev *dev, ark_features f[ARK_SPLIT_COUNT], contender *out) {
    ark_readout_opts ro = ark_readout_default_opts();
    ark_readout r;
    ro.task = d->task == ARK_MULTICLASS ? ARK_READOUT_MULTICLASS : ARK_READOUT_MULTILABEL;
    ro.threads = dev->threads;
    ark_labelled train = ark_features_labelled(&f[ARK_TRAIN]), val = ark_features_labelled(&f[ARK_VAL]);
    ark_labelled test = ark_features_labelled(&f[ARK_TEST]);
    ARK_TRY(ark_readout_fit(&train, &val, &ro, &r));
    ark_status st = ARK_NEW(&out->score, test.n * test.K, "scores");
    st = st ? st : ark_readout_predict(&r, &test, dev->threads, out->score);
    ark_readout_mask_labels(&r, f[ARK_TEST].label, test.n);
    out->C = r.C[r.best];
    ark_readout_free(&r);
    return st;
}

static ark_eval_table table_of(const contender *c, const ark_dataset *d) {
    return (ark_eval_table){.score = c->score,
        .label = c->test.label,
        .n = c->test.n,
        .K = c->test.K,
        .names = (const char *const *)d->classes};
}

static ark_bootstrap_opts bootstrap_of(const request *q, const contender *c) {
    return (ark_bootstrap_opts){.replicates = q->bootstrap,
        .seed = (uint64_t)q->seed,
        .level = q->level,
        .group = c->test.patient,
        .groups = c->test.patients};
}

static ark_status contend(const request *q, comparison *c, int i, ark_dev *dev) {
    contender *k = &c->items[i];
    ark_features f[ARK_SPLIT_COUNT] = {0};
    ark_model *m = NULL;
    ark_macro macro;
    ark_status st = open_model(q, c, i, dev, &m);
    st = st ? st : read_splits(q, c->data, m, dev, f);
    ark_model_free(m);
    st = st ? st : fit(c->data, dev, f, k);
    ark_features_free(&f[ARK_TRAIN]);
    ark_features_free(&f[ARK_VAL]);
    k->test = f[ARK_TEST];
    ARK_TRY(st);
    ark_eval_table t = table_of(k, c->data);
    ark_bootstrap_opts bo = bootstrap_of(q, k);
    ARK_TRY(ARK_NEW(&k->classes, t.K, "metrics per class"));
    ARK_TRY(ARK_NEW(&k->class_ci, t.K, "intervals per class"));
    ARK_TRY(ark_table_metrics(&t, k->classes, &macro));
    ARK_TRY(ark_bootstrap_table(&t, &bo, k->class_ci, NULL, &k->macro));
    if (i > 0) {
        ark_eval_table first = table_of(&c->items[0], c->data);
        ARK_TRY(ark_bootstrap_paired(&first, &t, &bo, &k->against));
    }
    return ARK_OK;
}

static json_t *interval(const ark_interval *ci) {
    return json_pack("[o,o]", cli_number(ci->low), cli_number(ci->high));
}

static int print_json(const comparison *c) {
    json_t *o = json_object(), *models = json_array();
    json_object_set_new(o, "dataset", json_string(c->data->name));
    json_object_set_new(o, "n", json_integer((json_int_t)c->items[0].test.n));
    json_object_set_new(o, "level", json_real(c->level));
    json_object_set_new(o, "replicates", json_integer(c->replicates));
    for (int i = 0; i < c->n; i++) {
        const contender *k = &c->items[i];
        json_t *m = json_object(), *classes = json_array();
        json_object_set_new(m, "name", json_string(k->name));
        json_object_set_new(m, "auroc", cli_number(k->macro.auroc.estimate.value));
        json_object_set_new(m, "auroc_ci", interval(&k->macro.auroc.ci));
        json_object_set_new(m, "ap", cli_number(k->macro.ap.estimate.value));
        json_object_set_new(m, "ap_ci", interval(&k->macro.ap.ci));
        json_object_set_new(m, "C", cli_number(k->C));
        json_object_set_new(m, "embedding", json_integer((json_int_t)k->test.d));
        if (i > 0) {
            json_object_set_new(m, "first_minus_this", cli_number(k->against.difference.estimate.value));
            json_object_set_new(m, "first_minus_this_ci", interval(&k->against.difference.ci));
            json_object_set_new(m, "p", cli_number(k->against.p));
        }
        for (size_t j = 0; j < k->test.K; j++) {
            json_array_append_new(
                classes, json_pack("{s:s,s:I,s:I,s:o,s:o,s:o}", "name", c->data->classes[j], "n",
                             (json_int_t)k->classes[j].n, "positives", (json_int_t)k->classes[j].positives,
                             "auroc", cli_number(k->classes[j].auroc.value), "auroc_ci",
                             interval(&k->class_ci[j].ci), "ap", cli_number(k->classes[j].ap.value)));
        }
        json_object_set_new(m, "classes", classes);
        json_array_append_new(models, m);
    }
    json_object_set_new(o, "models", models);
    return cli_print_json(o);
}

static void print_text(const comparison *c) {
    printf("linear readout on %s, %zu test images, %.0f %% intervals from %lld resamples of patients\n\n",
        c->data->name, c->items[0].test.n, 100 * c->level, (long long)c->replicates);
    printf("%-22s %-26s %-26s %s\n", "model", "mean AUROC", "mean AP", "first minus this");
    for (int i = 0; i < c->n; i++) {
        const contender *k = &c->items[i];
        char auc[64], ap[64], diff[80] = "";
        snprintf(auc, sizeof auc, "%.4f [%.4f, %.4f]", k->macro.auroc.estimate.value, k->macro.auroc.ci.low,
            k->macro.auroc.ci.high);
        snprintf(ap, sizeof ap, "%.4f [%.4f, %.4f]", k->macro.ap.estimate.value, k->macro.ap.ci.low,
            k->macro.ap.ci.high);
        if (i > 0) {
            snprintf(diff, sizeof diff, "%+.4f [%+.4f, %+.4f] p %.3f", k->against.difference.estimate.value,
                k->against.difference.ci.low, k->against.difference.ci.high, k->against.p);
        }
        printf("%-22s %-26s %-26s %s\n", k->name, auc, ap, diff);
    }
}

static ark_status compare(const request *q, comparison *c, ark_dev *dev) {
    for (int i = 0; i < c->n; i++) {
        ark_status st = contend(q, c, i, dev);
        if (st != ARK_OK) {
            return ark__err_prefix(st, "%s", c->items[i].name);
        }
    }
    return ARK_OK;
}

static void release(comparison *c) {
    for (int i = 0; i < c->n; i++) {
        ark_features_free(&c->items[i].test);
        ark_free(c->items[i].score);
        ark_free(c->items[i].classes);
        ark_free(c->items[i].class_ci);
    }
}

static int run(cli_ctx *ctx, const request *q) {
    ark_datasets *sets = NULL;
    ark_dev *dev = NULL;
    comparison c = {.n = (int)q->models.n, .replicates = q->bootstrap, .level = q->level};
    run_ref runs[READOUT_MAX];
    char run_names[READOUT_MAX][64];
    for (int i = 0; i < c.n; i++) {
        split_pair(q->models.items[i], c.items[i].name, sizeof c.items[i].name, &c.items[i].weights);
    }
    for (size_t i = 0; i < q->runs.n; i++) {
        split_pair(q->runs.items[i], run_names[i], sizeof run_names[i], &runs[i].dir);
        runs[i].name = run_names[i];
    }
    ark_status st = ark_datasets_read(q->data, &q->dataset, 1, &sets);
    st = st ? st : ark_dev_open(q->backend, ctx->threads, &dev);
    if (st == ARK_OK) {
        c.data = &sets->items[0];
        st = compare(q, &c, dev);
    }
    if (st == ARK_OK && q->html) {
        st = cli_readout_report(q->html, &c, runs, q->runs.n, q->command);
    }
    int rc = 0;
    if (st != ARK_OK) {
        rc = cli_fail(ctx, st);
    } else if (ctx->json) {
        rc = print_json(&c);
    } else {
        print_text(&c);
    }
    release(&c);
    ark_dev_close(dev);
    ark_datasets_free(sets);
    return rc;
}

static void remember_command(request *q, int argc, char **argv) {
    size_t n = (size_t)snprintf(q->command, sizeof q->command, "arkfm readout");
    for (int i = 0; i < argc && n < sizeof q->command; i++) {
        n += (size_t)snprintf(q->command + n, sizeof q->command - n, " %s", argv[i]);
    }
}

int cmd_readout(cli_ctx *c, int argc, char **argv) {
    request q = {.batch = 32, .bootstrap = 1000, .seed = 1, .level = 0.95, .backend = "cpu"};
    const cli_opt opts[] = {
        {"--data", CLI_STR, "DATASETS.yaml", &q.data, "dataset file, or a pack"},
        {"--dataset", CLI_STR, "NAME", &q.dataset, "target dataset: readouts are fitted on its train split"},
        {"--model", CLI_LIST, "NAME=WEIGHTS", &q.models,
            "a model to compare; WEIGHTS 'random' = untrained; repeat"},
        {"--layer", CLI_STR, "encoder|projector", &q.layer,
            "features to read (default: projector if there is one)"},
        {"--run", CLI_LIST, "NAME=DIR", &q.runs, "run folder whose training curves the report shows; repeat"},
        {"--html", CLI_STR, "FILE", &q.html, "write a self-contained report"},
        {"--bootstrap", CLI_INT, "N", &q.bootstrap, "resamples of patients (default 1000)"},
        {"--seed", CLI_INT, "N", &q.seed, "seed of resamples and random weights (default 1)"},
        {"--batch", CLI_INT, "N", &q.batch, "images per forward pass (default 32)"},
        {"--backend", CLI_STR, "NAME", &q.backend, "cpu, cuda or ref"},
    };
    static const char *const layers[] = {"encoder", "projector"};
    remember_command(&q, argc, argv);
    int rc = cli_parse(c, argc, argv, opts, CLI_COUNT(opts), 0, 0);
    if (rc == 0 && (!q.data || !q.dataset || q.models.n == 0)) {
        rc = cli_usage("--data, --dataset and at least one --model are needed");
    }
    if (rc == 0 && (q.models.n > READOUT_MAX || q.runs.n > READOUT_MAX)) {
        rc = cli_usage("more than %d models or runs", READOUT_MAX);
    }
    if (rc == 0 && q.layer && strcmp(q.layer, layers[0]) && strcmp(q.layer, layers[1])) {
        rc = cli_unknown("layer", q.layer, layers, 2);
    }
    if (rc == 0 && (q.bootstrap < 1 || q.batch < 1 || q.batch > 4096)) {
        rc = cli_usage("--bootstrap and --batch must be positive (batch at most 4096)");
    }
    if (rc == 0) {
        rc = run(c, &q);
    }
    cli_done(c, opts, CLI_COUNT(opts));
    return rc;
}
