#include "study/zeroshot.h"

#include "backend/backend.h"
#include "base/alloc.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mathsafe.h"
#include "base/par.h"
#include "base/str.h"
#include "data/loader.h"
#include "model/model.h"
#include "model/session.h"
#include "report/grid.h"
#include "study/head_map.h"
#include "study/json.h"
#include "study/scored.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { ROCS = 8, CROPS = 10 };

typedef struct run {
    const ark_study_job *job;
    ark_datasets *sets;
    const ark_dataset *data;
    ark_dev *dev;
    ark_model *model;
    ark_session *session;
    ark_loader *loader;
    ark_head_map map;
    ark_split first, last; /* splits that are scored */
    /* results */
    uint32_t *sample; /* [n] */
    size_t n, room, skipped;
    double *prob;   /* (room,K); NaN for classes that nothing stands for */
    ark_features f; /* labels and patients of the rows; no embeddings */
    ark_scored scored;
    const char **left_out; /* [K] */
    float **logits;        /* [heads] (batch rows, K of the head) */
    int threads;
} run;

/* --- opening --- */

static ark_status choose_split(run *w) {
    const char *words[] = {"train", "val", "test", "all"}, *word = w->job->config->split;
    w->first = ARK_TRAIN;
    w->last = ARK_TEST;
    for (int s = 0; s < 4; s++) {
        if (!strcmp(word, words[s])) {
            w->first = s < 3 ? (ark_split)s : w->first;
            w->last = s < 3 ? (ark_split)s : w->last;
            for (int i = (int)w->first; i <= (int)w->last; i++) {
                w->room += w->data->rows_n[i];
            }
            return w->room ? ARK_OK : ARK_ERR(ARK_EINVAL, "%s: no image in split %s", w->data->name, word);
        }
    }
    const char *near = ark_nearest(word, words, 4);
    return ARK_ERR(ARK_EINVAL, "zeroshot.split: '%s' is not one of train, val, test, all%s%s%s", word,
        near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
}

static ark_status open_model(run *w) {
    const ark_study_config *c = w->job->config;
    bool bf16 = c->dtype == 1;
    ark_model_opts mo = {.bf16 = bf16};
    ark_loader_opts lo = ark_loader_default_opts();
    const char *weights = w->job->sources[0].weights;
    if (!weights) {
        return ARK_ERR(ARK_EINVAL, "zero-shot needs weights with heads, not embeddings");
    }
    ARK_TRY(ark_dev_open(c->backend, w->threads, &w->dev));
    ARK_TRY(ark_model_open(weights, &mo, w->dev, &w->model));
    ARK_TRY(ark_session_new(
        &w->model->net, w->model->params, w->dev, (int)c->batch, bf16 ? ARK_BF16 : ARK_F32, &w->session));
    lo.batch = (int)c->batch;
    lo.workers = (int)c->workers;
    lo.width = w->data->n_classes;
    lo.pre = w->model->pre;
    lo.on_bad = c->on_bad ? ARK_BAD_SKIP : ARK_BAD_FAIL;
    return ark_loader_new(&lo, &w->loader);
}

static ark_status check_map(const run *w) {
    size_t matched = 0;
    for (size_t k = 0; k < w->map.K; k++) {
        matched += w->map.target[k].n > 0;
        if (w->map.target[k].n == 0) {
            const char *near = w->map.target[k].nearest;
            ark_study_say(&w->job->hooks, "no head has a class for '%s'%s%s: left out", w->data->classes[k],
                near[0] ? ", the nearest is " : "", near);
        }
    }
    if (matched > 0) {
        return ARK_OK;
    }
    const char *near = w->map.target[0].nearest;
    return ARK_ERR(ARK_EINVAL,
        "no head of %s has a class of %s ('%s'%s%s): the section map tells which stand "
        "for which",
        w->job->sources[0].weights, w->data->name, w->data->classes[0], near[0] ? ", the nearest is " : "",
        near);
}

/* --- scoring --- */

/* The largest batch of rows that the loader can hand out. */
static size_t most_rows(const run *w) {
    size_t batch = (size_t)w->job->config->batch;
    return batch < CROPS ? CROPS : batch;
}

static ark_status allocate(run *w) {
    const ark_net *net = &w->model->net;
    size_t cells;
    if (ark_mul(w->room, w->map.K, &cells)) {
        return ARK_ERR(ARK_ENOMEM, "%zu images, %zu classes", w->room, w->map.K);
    }
    ARK_TRY(ARK_NEW(&w->sample, w->room, "samples"));
    ARK_TRY(ARK_NEW(&w->prob, cells, "probabilities"));
    ARK_TRY(ARK_NEW(&w->logits, (size_t)net->n_heads, "logits"));
    for (int h = 0; h < net->n_heads; h++) {
        ARK_TRY(ARK_NEW(&w->logits[h], most_rows(w) * (size_t)net->heads[h].n_classes, "logits"));
    }
    return ARK_OK;
}

/* One head class for one image, the mean over its crops. */
static double probability(const run *w, ark_head_class from, size_t first_row, size_t rows) {
    const ark_head *head = &w->model->net.heads[from.head];
    double sum = 0;
    for (size_t r = first_row; r < first_row + rows; r++) {
        sum += (double)w->logits[from.head][r * (size_t)head->n_classes + (size_t)from.class];
    }
    return sum / (double)rows;
}

/* Several head classes as one: mean of probabilities, or sigmoid of the mean log-odds. */
static double combine(const run *w, size_t k, size_t first_row, size_t rows) {
    const struct ark_head_target *t = &w->map.target[k];
    bool by_logit = w->job->config->ensemble == 1;
    double sum = 0;
    for (size_t i = 0; i < t->n; i++) {
        double p = probability(w, t->from[i], first_row, rows);
        if (by_logit) { /* float32 rounds to 0 and 1 */
            p = fmin(fmax(p, 1e-7), 1 - 1e-7);
            p = log(p / (1 - p));
        }
        sum += p;
    }
    sum /= (double)t->n;
    return t->n == 0 ? NAN : by_logit ? 1 / (1 + exp(-sum)) : sum;
}

static ark_status score_batch(run *w, const ark_batch *b) {
    const ark_net *net = &w->model->net;
    ark_outputs o = {.logits = w->logits};
    size_t per = (size_t)(b->rows / b->n);
    ARK_TRY(ark_session_run(w->session, ARK_COL_STUDENT, b->student, b->rows, &o));
    for (int h = 0; h < net->n_heads; h++) {
        ark_logits_to_probabilities(net->heads[h].task, w->logits[h], b->rows, net->heads[h].n_classes);
    }
    for (size_t i = 0; i < (size_t)b->n; i++) {
        w->sample[w->n] = b->sample[i];
        for (size_t k = 0; k < w->map.K; k++) {
            w->prob[w->n * w->map.K + k] = combine(w, k, i * per, per);
        }
        w->n++;
    }
    return ARK_OK;
}

static ark_status score_split(run *w, ark_split split) {
    ark_source source = {.data = w->data, .split = split};
    ark_pass pass = {.sources = &source,
        .n_sources = 1,
        .views = w->job->config->ten_crop ? ARK_VIEWS_TENCROP : ARK_VIEWS_PLAIN};
    const ark_batch *b;
    if (w->data->rows_n[split] == 0) {
        return ARK_OK;
    }
    ark_study_say(&w->job->hooks, "%s: scoring %zu images", ark_split_name(split), w->data->rows_n[split]);
    ARK_TRY(ark_loader_begin(w->loader, &pass));
    for (;;) {
        ARK_TRY(ark_loader_next(w->loader, &b));
        if (!b) {
            w->skipped += ark_loader_skipped(w->loader, NULL);
            return ARK_OK;
        }
        ARK_TRY(score_batch(w, b));
    }
}

static ark_status evaluate(run *w) {
    uint32_t *sample = w->sample;
    w->sample = NULL;
    ARK_TRY(ark_features_wrap(NULL, 0, sample, w->n, w->data, &w->f));
    ARK_TRY(ARK_NEW(&w->left_out, w->map.K, "classes"));
    for (size_t k = 0; k < w->map.K; k++) {
        w->left_out[k] = w->map.target[k].n == 0 ? "no head has a class for it" : NULL;
        for (size_t i = 0; i < w->n && w->map.target[k].n == 0; i++) {
            w->f.label[i * w->map.K + k] = NAN;
        }
    }
    ARK_TRY(ark_scored_new(w->prob, w->f.label, &w->f, (const char *const *)w->data->classes, &w->scored));
    w->scored.left_out = w->left_out;
    return ark_scored_evaluate(&w->scored, w->job->config, NULL, false, w->threads);
}

/* --- results --- */

static json_t *map_json(const run *w) {
    json_t *list = json_array();
    for (size_t k = 0; k < w->map.K; k++) {
        const struct ark_head_target *t = &w->map.target[k];
        json_t *o = json_object(), *from = json_array();
        for (size_t i = 0; i < t->n; i++) {
            const ark_head *h = &w->model->net.heads[t->from[i].head];
            json_array_append_new(from, json_pack("{s:o,s:o,s:s}", "head", ark_json_text(h->dataset), "class",
                                            ark_json_text(h->classes[t->from[i].class]), "output",
                                            h->task == ARK_MULTICLASS ? "softmax" : "sigmoid"));
        }
        json_object_set_new(o, "target", ark_json_text(w->data->classes[k]));
        json_object_set_new(o, "from", from);
        json_object_set_new(o, "by", json_string(t->given ? "map" : "name"));
        if (t->n == 0) {
            json_object_set_new(o, "nearest", t->nearest[0] ? ark_json_text(t->nearest) : json_null());
        }
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *all_json(const run *w) {
    const ark_study_config *c = w->job->config;
    json_t *o = json_object();
    json_object_set_new(o, "command", json_string("zeroshot"));
    json_object_set_new(o, "dataset", ark_json_text(w->data->name));
    json_object_set_new(o, "source", ark_json_text(w->job->sources[0].weights));
    json_object_set_new(o, "split", json_string(c->split));
    json_object_set_new(o, "ten_crop", json_boolean(c->ten_crop));
    json_object_set_new(o, "ensemble", json_string(c->ensemble ? "logit" : "probability"));
    json_object_set_new(o, "skipped", json_integer((json_int_t)w->skipped));
    json_object_set_new(o, "level", json_real(c->level));
    json_object_set_new(o, "seed", json_integer(c->seed));
    json_object_set_new(o, "map", map_json(w));
    json_object_set_new(o, "result", ark_scored_json(&w->scored));
    return o;
}

static ark_status add_map(const run *w, ark_html *h) {
    static const char *const head[] = {"target", "head", "class", "output"};
    size_t rows = 0;
    ark_grid g;
    for (size_t k = 0; k < w->map.K; k++) {
        rows += w->map.target[k].n ? w->map.target[k].n : 1;
    }
    ark_status st = ark_grid_new(&g, rows, 4);
    for (size_t k = 0; k < w->map.K && st == ARK_OK; k++) {
        const struct ark_head_target *t = &w->map.target[k];
        for (size_t i = 0; i < t->n; i++) {
            const ark_head *hd = &w->model->net.heads[t->from[i].head];
            ark_grid_put(&g, false, "%.60s", i ? "" : w->data->classes[k]);
            ark_grid_put(&g, false, "%.60s", hd->dataset);
            ark_grid_put(&g, false, "%.60s", hd->classes[t->from[i].class]);
            ark_grid_put(&g, false, "%s", hd->task == ARK_MULTICLASS ? "softmax" : "sigmoid");
        }
        if (t->n == 0) {
            ark_grid_put(&g, false, "%.60s", w->data->classes[k]);
            ark_grid_put(&g, false, "none");
            ark_grid_put(&g, false, "%s%.40s", t->nearest[0] ? "nearest: " : "", t->nearest);
            ark_grid_put(&g, false, "-");
        }
    }
    if (st == ARK_OK) {
        ark_grid_add(h, &g, head, 4, "Which head classes stand for the dataset's classes.");
    }
    ark_grid_free(&g);
    return st;
}

static ark_status fill(const run *w, ark_html *h) {
    char path[4400], *text;
    size_t len;
    ark_html_section(h, "Result");
    ARK_TRY(ark_scored_html_table(&w->scored, h, w->job->config->level));
    ark_html_section(h, "ROC curves");
    ARK_TRY(ark_scored_html_roc(&w->scored, h, w->job->config, ROCS, w->threads));
    ark_html_section(h, "Heads");
    ARK_TRY(add_map(w, h));
    ark_html_section(h, "How this was made");
    ark_html_para(h,
        "%zu images of %s (split %s), scored by the heads of %s; several head classes for one target are "
        "averaged (%s). Labels served the metrics alone. Unseen labels are not unseen images: whether these "
        "images were in a training set is for arkfm data check to say. Research software, not for diagnosis.",
        w->n, w->data->name, w->job->config->split, w->job->sources[0].weights,
        w->job->config->ensemble ? "log-odds" : "probabilities");
    if (w->job->command) {
        ark_html_code(h, w->job->command);
    }
    ARK_TRY(ark_file_read(ark_study_path(w->job, "config.yaml", path), 1 << 20, &text, &len));
    ark_html_code(h, text);
    ark_free(text);
    return ARK_OK;
}

static ark_status write_all(const run *w, json_t **result) {
    char path[4400], subtitle[300];
    ark_html *h = NULL;
    json_t *o = all_json(w);
    snprintf(subtitle, sizeof subtitle, "%.100s, %zu images; heads of %.120s", w->data->name, w->n,
        w->job->names[0]);
    ark_status st = ark_study_results(w->job, o);
    st = st ? st : ark_scored_write_classes(&w->scored, ark_study_path(w->job, "classes.csv", path));
    st = st ? st
            : ark_scored_write_predictions(
                  &w->scored, w->data, ark_study_path(w->job, "predictions.csv", path));
    st = st ? st : ark_html_new("Zero-shot", subtitle, &h);
    st = st ? st : fill(w, h);
    st = st ? st : ark_html_write(h, ark_study_path(w->job, "report.html", path));
    ark_html_free(h);
    if (st != ARK_OK) {
        json_decref(o);
        return st;
    }
    *result = o;
    return ARK_OK;
}

static void end(run *w) {
    for (int h = 0; w->logits && h < w->model->net.n_heads; h++) {
        ark_free(w->logits[h]);
    }
    ark_free(w->logits);
    ark_scored_free(&w->scored);
    ark_features_free(&w->f);
    ark_free(w->sample);
    ark_free(w->left_out);
    ark_free(w->prob);
    ark_head_map_free(&w->map);
    ark_loader_free(w->loader);
    ark_session_free(w->session);
    ark_model_free(w->model);
    if (w->dev) {
        ark_dev_close(w->dev);
    }
    ark_datasets_free(w->sets);
}

ark_status ark_study_zeroshot(const ark_study_job *job, const char *run_file, json_t **result) {
    run w = {.job = job, .threads = job->threads > 0 ? job->threads : ark_cpu_count()};
    ark_status st = ark_study_dataset(job->config, &w.sets);
    w.data = st == ARK_OK ? &w.sets->items[0] : NULL;
    st = st ? st : choose_split(&w);
    st = st ? st : open_model(&w);
    st = st ? st : ark_head_map_read(run_file, &w.model->net, w.data, &w.map);
    st = st ? st : check_map(&w);
    st = st ? st : ark_study_begin(job);
    st = st ? st : allocate(&w);
    for (int s = (int)w.first; s <= (int)w.last && st == ARK_OK; s++) {
        st = score_split(&w, (ark_split)s);
    }
    st = st ? st : evaluate(&w);
    st = st ? st : write_all(&w, result);
    end(&w);
    return st;
}
