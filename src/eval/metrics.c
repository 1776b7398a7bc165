#include "eval/metrics.h"

#include "base/alloc.h"
#include "base/err.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char no_positive[] = "no positive row";
static const char no_negative[] = "no negative row";

static ark_metric value(double v) {
    return (ark_metric){.value = v};
}

static ark_metric undefined(const char *why) {
    return (ark_metric){.value = NAN, .why = why};
}

static ark_metric ratio(size_t part, size_t whole, const char *why) {
    return whole ? value((double)part / (double)whole) : undefined(why);
}

/* --- ranking --- */

typedef struct item {
    double score;
    uint32_t row;
    uint8_t positive;
} item;

static int by_descending_score(const void *a, const void *b) {
    const item *p = a, *q = b;
    if (p->score != q->score) {
        return p->score > q->score ? -1 : 1;
    }
    return (p->row > q->row) - (p->row < q->row);
}

static ark_status bad_value(const ark_eval_table *t, size_t row, size_t k, const char *what, double v) {
    if (t->names) {
        return ARK_ERR(ARK_EINVAL, "row %zu, class %s: %s, got %g", row, t->names[k], what, v);
    }
    return ARK_ERR(ARK_EINVAL, "row %zu: %s, got %g", row, what, v);
}

/* The rows of class k that have a label, unsorted. items: room for t->n. */
static ark_status gather(const ark_eval_table *t, size_t k, bool may_miss, item *items, size_t *count) {
    size_t n = 0;
    for (size_t i = 0; i < t->n; i++) {
        double score = t->score[i * t->K + k], label = t->label[i * t->K + k];
        if (may_miss && isnan(label)) {
            continue;
        }
        if (label != 0 && label != 1) {
            return bad_value(t, i, k, "label must be 0 or 1", label);
        }
        if (!isfinite(score)) {
            return bad_value(t, i, k, "score must be a finite number", score);
        }
        items[n++] = (item){.score = score, .row = (uint32_t)i, .positive = label == 1};
    }
    *count = n;
    return ARK_OK;
}

/* Fill r, whose arrays have room for n, from sorted items. */
static void group_ties(const item *items, size_t n, ark_ranked *r) {
    size_t tp = 0, fp = 0;
    for (size_t i = 0; i < n; i++) {
        r->row[i] = items[i].row;
        r->positive[i] = items[i].positive;
        tp += items[i].positive;
        fp += !items[i].positive;
        if (i + 1 == n || items[i + 1].score != items[i].score) {
            size_t g = r->groups++;
            r->end[g] = i + 1;
            r->threshold[g] = items[i].score;
            r->tp[g] = tp;
            r->fp[g] = fp;
        }
    }
    r->n = n;
    r->positives = tp;
    r->negatives = fp;
}

static ark_status rank_class(const ark_eval_table *t, size_t k, bool may_miss, ark_ranked *out) {
    ark_ranked r = {0};
    item *items = NULL;
    size_t n = 0;
    if (t->n > INT32_MAX) {
        return ARK_ERR(ARK_EINVAL, "%zu rows, limit %d", t->n, INT32_MAX);
    }
    ark_status st = ARK_NEW(&items, t->n, "rows to sort");
    if (st == ARK_OK) {
        st = gather(t, k, may_miss, items, &n);
    }
    if (st != ARK_OK) {
        goto done;
    }
    if (n > 0) {
        qsort(items, n, sizeof *items, by_descending_score);
    }
    if ((st = ARK_NEW(&r.row, n, "ranked rows")) != ARK_OK ||
        (st = ARK_NEW(&r.positive, n, "ranked labels")) != ARK_OK ||
        (st = ARK_NEW(&r.end, n, "ties")) != ARK_OK ||
        (st = ARK_NEW(&r.threshold, n, "thresholds")) != ARK_OK ||
        (st = ARK_NEW(&r.tp, n, "true positives")) != ARK_OK ||
        (st = ARK_NEW(&r.fp, n, "false positives")) != ARK_OK) {
        goto done;
    }
    group_ties(items, n, &r);
    *out = r;
    r = (ark_ranked){0};
done:
    ark_ranked_free(&r);
    ark_free(items);
    return st;
}

ark_status ark_rank(const double *score, const double *label, size_t n, ark_ranked *out) {
    ark_eval_table t = {.score = score, .label = label, .n = n, .K = 1};
    return rank_class(&t, 0, false, out);
}

ark_status ark_rank_class(const ark_eval_table *t, size_t k, ark_ranked *out) {
    return rank_class(t, k, true, out);
}

void ark_ranked_free(ark_ranked *r) {
    ark_free(r->row);
    ark_free(r->positive);
    ark_free(r->end);
    ark_free(r->threshold);
    ark_free(r->tp);
    ark_free(r->fp);
    *r = (ark_ranked){0};
}

/* --- areas --- */

/* The areas as sums over groups of tied scores, fed in descending order. A negative row beats no positive
 * above it and half of those tied with it; doubled, the count stays a whole number. */
typedef struct areas {
    uint64_t pos, neg, wins2;
    double precision_sum; /* sum of precision over positive rows */
} areas;

static void areas_add(areas *a, uint64_t pos, uint64_t neg) {
    a->wins2 += neg * (2 * a->pos + pos);
    a->pos += pos;
    a->neg += neg;
    if (pos > 0) {
        a->precision_sum += (double)pos * ((double)a->pos / (double)(a->pos + a->neg));
    }
}

static void areas_result(const areas *a, ark_metric *auroc, ark_metric *ap) {
    if (a->pos == 0 || a->neg == 0) {
        *auroc = *ap = undefined(a->pos == 0 ? no_positive : no_negative);
        return;
    }
    *auroc = value((double)a->wins2 / (2 * (double)a->pos * (double)a->neg));
    *ap = value(a->precision_sum / (double)a->pos);
}

static void unweighted(const ark_ranked *r, ark_metric *auroc, ark_metric *ap) {
    areas a = {0};
    for (size_t g = 0; g < r->groups; g++) {
        areas_add(&a, r->tp[g] - a.pos, r->fp[g] - a.neg);
    }
    areas_result(&a, auroc, ap);
}

ark_metric ark_auroc(const ark_ranked *r) {
    ark_metric auroc, ap;
    unweighted(r, &auroc, &ap);
    return auroc;
}

ark_metric ark_average_precision(const ark_ranked *r) {
    ark_metric auroc, ap;
    unweighted(r, &auroc, &ap);
    return ap;
}

void ark_weighted_auc(const ark_ranked *r, const uint32_t *weight, ark_metric *auroc, ark_metric *ap) {
    areas a = {0};
    size_t i = 0;
    for (size_t g = 0; g < r->groups; g++) {
        uint64_t all = 0, pos = 0;
        for (; i < r->end[g]; i++) {
            uint64_t w = weight[r->row[i]];
            all += w;
            pos += r->positive[i] ? w : 0;
        }
        areas_add(&a, pos, all - pos);
    }
    areas_result(&a, auroc, ap);
}

/* --- curves --- */

static ark_status curve_new(const ark_ranked *r, ark_curve *out) {
    if (r->positives == 0 || r->negatives == 0) {
        return ARK_ERR(ARK_EINVAL, "no curve: %s", r->positives == 0 ? no_positive : no_negative);
    }
    ark_curve c = {0};
    ark_status st = ARK_NEW(&c.x, r->groups + 1, "curve");
    if (st == ARK_OK) {
        st = ARK_NEW(&c.y, r->groups + 1, "curve");
    }
    if (st != ARK_OK) {
        ark_curve_free(&c);
        return st;
    }
    *out = c;
    return ARK_OK;
}

void ark_curve_free(ark_curve *c) {
    ark_free(c->x);
    ark_free(c->y);
    *c = (ark_curve){0};
}

ark_status ark_roc_curve(const ark_ranked *r, ark_curve *out) {
    ARK_TRY(curve_new(r, out));
    size_t tp0 = 0, fp0 = 0; /* the last point kept */
    out->n = 1;              /* (0,0) */
    for (size_t g = 0; g < r->groups; g++) {
        size_t tp = r->tp[g], fp = r->fp[g];
        bool last = g + 1 == r->groups;
        /* on the straight line from the last kept point to the next one (products below 2^62) */
        if (!last &&
            (uint64_t)(tp - tp0) * (r->fp[g + 1] - fp0) == (uint64_t)(fp - fp0) * (r->tp[g + 1] - tp0)) {
            continue;
        }
        out->x[out->n] = (double)fp / (double)r->negatives;
        out->y[out->n++] = (double)tp / (double)r->positives;
        tp0 = tp;
        fp0 = fp;
    }
    return ARK_OK;
}

ark_status ark_pr_curve(const ark_ranked *r, ark_curve *out) {
    ARK_TRY(curve_new(r, out));
    out->y[0] = 1;
    for (size_t g = 0; g < r->groups; g++) {
        out->x[g + 1] = (double)r->tp[g] / (double)r->positives;
        out->y[g + 1] = (double)r->tp[g] / (double)(r->tp[g] + r->fp[g]);
    }
    out->n = r->groups + 1;
    return ARK_OK;
}

/* --- decisions --- */

ark_confusion ark_confusion_at(const ark_ranked *r, double threshold) {
    size_t lo = 0, hi = r->groups; /* groups [0,lo) are at or above the threshold */
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (r->threshold[mid] >= threshold) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    ark_confusion c = {.tp = lo ? r->tp[lo - 1] : 0, .fp = lo ? r->fp[lo - 1] : 0};
    c.fn = r->positives - c.tp;
    c.tn = r->negatives - c.fp;
    return c;
}

ark_metric ark_accuracy(ark_confusion c) {
    return ratio(c.tp + c.tn, c.tp + c.fp + c.tn + c.fn, "no row");
}

ark_metric ark_sensitivity(ark_confusion c) {
    return ratio(c.tp, c.tp + c.fn, no_positive);
}

ark_metric ark_specificity(ark_confusion c) {
    return ratio(c.tn, c.tn + c.fp, no_negative);
}

ark_metric ark_precision(ark_confusion c) {
    return ratio(c.tp, c.tp + c.fp, "no row called positive");
}

ark_metric ark_f1(ark_confusion c) {
    return ratio(2 * c.tp, 2 * c.tp + c.fp + c.fn, "no row is or was called positive");
}

ark_metric ark_mcc(ark_confusion c) {
    double tp = (double)c.tp, fp = (double)c.fp, tn = (double)c.tn, fn = (double)c.fn;
    double margins = sqrt((tp + fp) * (tp + fn)) * sqrt((tn + fp) * (tn + fn));
    return margins > 0 ? value((tp * tn - fp * fn) / margins)
                       : undefined("labels or decisions are all of one class");
}

ark_status ark_multiclass_accuracy(
    const double *score, const int32_t *label, size_t n, size_t K, ark_metric *out) {
    size_t right = 0;
    for (size_t i = 0; i < n; i++) {
        if (label[i] < 0 || (size_t)label[i] >= K) {
            return ARK_ERR(ARK_EINVAL, "row %zu: label %d is outside 0..%zu", i, (int)label[i], K - 1);
        }
        size_t best = 0;
        for (size_t k = 0; k < K; k++) {
            double s = score[i * K + k];
            if (isnan(s)) {
                return ARK_ERR(ARK_EINVAL, "row %zu, class %zu: score is not a number", i, k);
            }
            if (s > score[i * K + best]) {
                best = k;
            }
        }
        right += best == (size_t)label[i];
    }
    *out = ratio(right, n, "no row");
    return ARK_OK;
}

/* --- tables --- */

ark_status ark_table_metrics(const ark_eval_table *t, ark_class_auc *per_class, ark_macro *macro) {
    double auroc = 0, ap = 0;
    size_t defined = 0;
    for (size_t k = 0; k < t->K; k++) {
        ark_ranked r;
        ARK_TRY(ark_rank_class(t, k, &r));
        ark_class_auc *m = &per_class[k];
        *m = (ark_class_auc){.n = r.n, .positives = r.positives};
        unweighted(&r, &m->auroc, &m->ap);
        ark_ranked_free(&r);
        if (ark_metric_defined(m->auroc)) {
            auroc += m->auroc.value;
            ap += m->ap.value;
            defined++;
        }
    }
    macro->classes = defined;
    macro->left_out = t->K - defined;
    macro->auroc = defined ? value(auroc / (double)defined) : undefined("no class has both labels");
    macro->ap = defined ? value(ap / (double)defined) : undefined("no class has both labels");
    return ARK_OK;
}
