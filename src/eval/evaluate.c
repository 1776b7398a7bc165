#include "eval/evaluate.h"

#include "base/alloc.h"
#include "base/err.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { CROPS = 10 };

/* One pass over a split. */
typedef struct pass {
    const ark_head *head;
    const ark_dataset *data;
    bool ten_crop;
    int *column; /* K: the dataset's column of each head class; -1 = masked */
    float *logits;
    size_t capacity; /* rows of logits */
    double loss_sum, loss_n;
} pass;

const char *ark_seen_name(ark_seen seen) {
    static const char *const names[] = {"centre", "ten-crop", "plain"};
    return names[seen];
}

static int find_name(char *const *names, int n, const char *name) {
    for (int i = 0; i < n; i++) {
        if (!strcmp(names[i], name)) {
            return i;
        }
    }
    return -1;
}

static const char *join(char *const *names, int n, char *buf, size_t cap) {
    size_t len = 0;
    buf[0] = '\0';
    for (int i = 0; i < n && len < cap; i++) {
        len += (size_t)snprintf(buf + len, cap - len, "%s%s", i ? ", " : "", names[i]);
    }
    return buf;
}

static ark_status map_classes(pass *p, ark_split split) {
    const ark_head *h = p->head;
    const ark_dataset *d = p->data;
    for (int k = 0; k < d->n_classes; k++) {
        char ours[320], theirs[320];
        if (find_name(h->classes, h->n_classes, d->classes[k]) < 0) {
            return ARK_ERR(ARK_EINVAL, "dataset %s has classes [%s], head %s has [%s]: no '%s'", d->name,
                join(d->classes, d->n_classes, theirs, sizeof theirs), h->dataset,
                join(h->classes, h->n_classes, ours, sizeof ours), d->classes[k]);
        }
    }
    ARK_TRY(ARK_NEW(&p->column, (size_t)h->n_classes, "class columns"));
    for (int k = 0; k < h->n_classes; k++) {
        bool left_out = split == ARK_TEST && d->test_classes &&
                        find_name(d->test_classes, d->n_test_classes, h->classes[k]) < 0;
        p->column[k] = left_out ? -1 : find_name(d->classes, d->n_classes, h->classes[k]);
    }
    return ARK_OK;
}

/* Label and mask of one sample, per head class. */
static void read_labels(const pass *p, uint32_t sample, float *label, float *mask) {
    const float *row = p->data->labels + (size_t)sample * (size_t)p->data->n_classes;
    for (int k = 0; k < p->head->n_classes; k++) {
        float v = p->column[k] < 0 ? NAN : row[p->column[k]];
        mask[k] = v == 0 || v == 1;
        label[k] = v == 1;
    }
}

/* -log softmax(z)[label], or 0 when the row has no counted class that is 1. */
static double cross_entropy(const float *z, const float *label, const float *mask, int k, double *n) {
    double top = z[0], sum = 0, target = 0;
    bool labelled = false;
    for (int i = 0; i < k; i++) {
        top = z[i] > top ? z[i] : top;
        if (mask[i] > 0 && label[i] > 0) {
            target = z[i];
            labelled = true;
        }
    }
    for (int i = 0; i < k; i++) {
        sum += exp(z[i] - top);
    }
    *n += labelled;
    return labelled ? top + log(sum) - target : 0;
}

/* Sum over counted labels of log(1 + e^z) - y z, in the form that does not overflow. */
static double binary_cross_entropy(const float *z, const float *label, const float *mask, int k, double *n) {
    double sum = 0;
    for (int i = 0; i < k; i++) {
        if (mask[i] > 0) {
            sum += fmax(z[i], 0) - (double)z[i] * label[i] + log1p(exp(-fabs((double)z[i])));
            *n += 1;
        }
    }
    return sum;
}

/* Loss of every crop, then the mean of their probabilities. z: (crops,K), overwritten. */
static void score_sample(pass *p, float *z, int crops, const float *label, const float *mask, float *prob) {
    int k = p->head->n_classes;
    for (int c = 0; c < crops; c++) {
        const float *row = z + (size_t)c * (size_t)k;
        p->loss_sum += p->head->task == ARK_MULTICLASS
                           ? cross_entropy(row, label, mask, k, &p->loss_n)
                           : binary_cross_entropy(row, label, mask, k, &p->loss_n);
    }
    ark_logits_to_probabilities(p->head->task, z, crops, k);
    for (int i = 0; i < k; i++) {
        double sum = 0;
        for (int c = 0; c < crops; c++) {
            sum += z[c * k + i];
        }
        prob[i] = (float)(sum / crops);
    }
}

static ark_status reserve_logits(pass *p, size_t rows) {
    if (rows <= p->capacity) {
        return ARK_OK;
    }
    float *more = ark_realloc(p->logits, rows * (size_t)p->head->n_classes * sizeof *more);
    if (!more) {
        return ARK_ERR(ARK_ENOMEM, "out of memory for the logits of %zu images", rows);
    }
    p->logits = more;
    p->capacity = rows;
    return ARK_OK;
}

static ark_status run_pass(pass *p, ark_session *s, ark_column column, ark_outputs *outputs, int head,
    ark_loader *loader, ark_scores *out) {
    const ark_batch *b;
    int crops = p->ten_crop ? CROPS : 1;
    size_t k = (size_t)p->head->n_classes;
    for (;;) {
        ARK_TRY(ark_loader_next(loader, &b));
        if (!b) {
            return ARK_OK;
        }
        ARK_TRY(reserve_logits(p, (size_t)b->rows));
        outputs->logits[head] = p->logits;
        ARK_TRY(ark_session_run(s, column, b->student, b->rows, outputs));
        for (int i = 0; i < b->n; i++, out->n++) {
            size_t at = (size_t)out->n * k;
            out->sample[out->n] = b->sample[i];
            read_labels(p, b->sample[i], out->label + at, out->mask + at);
            score_sample(p, p->logits + (size_t)i * (size_t)crops * k, crops, out->label + at, out->mask + at,
                out->prob + at);
        }
    }
}

static ark_status new_scores(size_t n, size_t k, ark_scores *s) {
    s->k = (int)k;
    s->prob = ark_calloc(n, k * sizeof(float));
    s->label = ark_calloc(n, k * sizeof(float));
    s->mask = ark_calloc(n, k * sizeof(float));
    s->sample = ark_calloc(n, sizeof(uint32_t));
    bool ok = s->prob && s->label && s->mask && s->sample;
    return ok ? ARK_OK : ARK_ERR(ARK_ENOMEM, "out of memory for the scores of %zu images", n);
}

ark_status ark_evaluate(ark_session *s, ark_column column, const ark_net *net, int head, ark_loader *loader,
    const ark_dataset *data, uint32_t dataset_id, const ark_eval_opts *opts, ark_scores *out) {
    pass p = {.head = &net->heads[head], .data = data, .ten_crop = opts->ten_crop};
    ark_source source = {.data = data, .id = dataset_id, .split = opts->split};
    ark_pass order = {.sources = &source,
        .n_sources = 1,
        .views = opts->ten_crop ? ARK_VIEWS_TENCROP
                 : opts->plain  ? ARK_VIEWS_PLAIN
                                : ARK_VIEWS_TEST};
    ark_scores scores = {0};
    ark_outputs outputs = {0};
    ark_status st = ARK_NEW(&outputs.logits, (size_t)net->n_heads, "heads");
    st = st ? st : map_classes(&p, opts->split);
    st = st ? st : new_scores(data->rows_n[opts->split], (size_t)p.head->n_classes, &scores);
    st = st ? st : ark_loader_begin(loader, &order);
    st = st ? st : run_pass(&p, s, column, &outputs, head, loader, &scores);
    if (st == ARK_OK && scores.n == 0) {
        st = ARK_ERR(
            ARK_EINVAL, "dataset %s: no readable image in split %s", data->name, ark_split_name(opts->split));
    }
    ark_free(outputs.logits);
    ark_free(p.logits);
    ark_free(p.column);
    if (st != ARK_OK) {
        ark_scores_free(&scores);
        return st;
    }
    scores.loss = p.loss_n > 0 ? p.loss_sum / p.loss_n : NAN;
    scores.skipped = ark_loader_skipped(loader, NULL);
    *out = scores;
    return ARK_OK;
}

void ark_scores_free(ark_scores *s) {
    ark_free(s->prob);
    ark_free(s->label);
    ark_free(s->mask);
    ark_free(s->sample);
    *s = (ark_scores){0};
}

ark_status ark_scores_table(const ark_scores *s, ark_eval_table *t, double **block) {
    size_t n = (size_t)s->n * (size_t)s->k;
    double *score;
    ARK_TRY(ARK_NEW(&score, 2 * n, "a table of scores"));
    double *label = score + n;
    for (size_t i = 0; i < n; i++) {
        score[i] = s->prob[i];
        label[i] = s->mask[i] > 0 ? s->label[i] : NAN;
    }
    *t = (ark_eval_table){.score = score, .label = label, .n = (size_t)s->n, .K = (size_t)s->k};
    *block = score;
    return ARK_OK;
}

/* Share of counted labels that the probability gets right at 0.5, of class k or (k < 0) of all. */
static double accuracy_at_half(const ark_scores *s, int k) {
    double right = 0, n = 0;
    for (int64_t r = 0; r < s->n; r++) {
        for (int i = k < 0 ? 0 : k; i < (k < 0 ? s->k : k + 1); i++) {
            int64_t at = r * s->k + i;
            n += s->mask[at] > 0;
            right += s->mask[at] > 0 && (s->prob[at] >= 0.5f) == (s->label[at] > 0);
        }
    }
    return n > 0 ? right / n : NAN;
}

/* Share of labelled samples whose likeliest class (the first of equal ones) is the true one. */
static double accuracy_argmax(const ark_scores *s) {
    double right = 0, n = 0;
    for (int64_t r = 0; r < s->n; r++) {
        const float *p = s->prob + r * s->k, *y = s->label + r * s->k, *m = s->mask + r * s->k;
        int best = 0;
        bool labelled = false;
        for (int i = 0; i < s->k; i++) {
            best = p[i] > p[best] ? i : best;
            labelled |= m[i] > 0 && y[i] > 0;
        }
        n += labelled;
        right += labelled && m[best] > 0 && y[best] > 0;
    }
    return n > 0 ? right / n : NAN;
}

ark_status ark_summarize(const ark_scores *s, const ark_head *head, ark_summary *out) {
    ark_summary sum = {.k = s->k, .loss = s->loss};
    ark_eval_table t;
    double *block;
    ark_class_auc *per_class = NULL;
    ark_macro macro;
    ARK_TRY(ark_scores_table(s, &t, &block));
    t.names = (const char *const *)head->classes;
    ark_status st = ARK_NEW(&sum.classes, (size_t)s->k, "metrics per class");
    st = st ? st : ARK_NEW(&per_class, (size_t)s->k, "metrics per class");
    st = st ? st : ark_table_metrics(&t, per_class, &macro);
    for (int k = 0; k < s->k && st == ARK_OK; k++) {
        sum.classes[k] = (ark_class_summary){.name = head->classes[k],
            .n = (int64_t)per_class[k].n,
            .positives = (int64_t)per_class[k].positives,
            .auroc = per_class[k].auroc.value,
            .ap = per_class[k].ap.value,
            .accuracy = accuracy_at_half(s, k)};
    }
    ark_free(per_class);
    ark_free(block);
    if (st != ARK_OK) {
        ark_summary_free(&sum);
        return st;
    }
    sum.defined = (int)macro.classes;
    sum.mean_auroc = macro.auroc.value;
    sum.mean_ap = macro.ap.value;
    sum.accuracy = head->task == ARK_MULTICLASS ? accuracy_argmax(s) : accuracy_at_half(s, -1);
    *out = sum;
    return ARK_OK;
}

void ark_summary_free(ark_summary *s) {
    ark_free(s->classes);
    *s = (ark_summary){0};
}
