/* Validation and test of a running pretraining: every dataset by its own head, student and teacher. */
#include "base/err.h"
#include "eval/evaluate.h"
#include "train/pretrain_impl.h"

#include <math.h>
#include <stdio.h>

/* Names of the classes whose AUROC does not exist in the split, "" when all do. */
static const char *undefined_names(const ark_summary *sum, char *buf, size_t cap) {
    size_t len = 0;
    buf[0] = '\0';
    for (int k = 0; k < sum->k && len < cap; k++) {
        if (!isfinite(sum->classes[k].auroc)) {
            len += (size_t)snprintf(buf + len, cap - len, "%s%s", len ? ", " : "", sum->classes[k].name);
        }
    }
    return buf;
}

static ark_status log_summary(ark_pretrain_run *r, const char *dataset, const char *model, const char *split,
    int64_t n, const ark_summary *sum) {
    char tag[200], undefined[512];
    snprintf(tag, sizeof tag, "%s/%s/%s", split, dataset, model);
    undefined_names(sum, undefined, sizeof undefined);
    ark_run_log_begin(r->log, split, tag, r->at.step);
    ark_run_log_int(r->log, "epoch", r->at.epoch);
    ark_run_log_text(r->log, "dataset", dataset);
    ark_run_log_text(r->log, "model", model);
    ark_run_log_int(r->log, "n", n);
    ark_run_log_int(r->log, "classes", sum->k);
    ark_run_log_int(r->log, "classes_defined", sum->defined);
    if (undefined[0]) {
        ark_run_log_text(r->log, "undefined", undefined);
    }
    ark_run_log_real(r->log, "loss", sum->loss);
    ark_run_log_real(r->log, "auroc", sum->mean_auroc);
    ark_run_log_real(r->log, "ap", sum->mean_ap);
    ark_run_log_real(r->log, "accuracy", sum->accuracy);
    ark__pretrain_say(r, "  %s %s %s: loss %.4f, AUROC %.4f (%d of %d classes%s%s), AP %.4f, accuracy %.4f",
        split, dataset, model, sum->loss, sum->mean_auroc, sum->defined, sum->k,
        undefined[0] ? "; undefined: " : "", undefined, sum->mean_ap, sum->accuracy);
    return ark_run_log_end(r->log);
}

static ark_status evaluate_one(
    ark_pretrain_run *r, const ark_lane *l, ark_column column, ark_split split, double *loss) {
    const ark_dataset *d = l->data;
    ark_eval_opts eo = {.split = split, .batch = (int)r->c->batch};
    ark_scores scores;
    ark_summary sum;
    *loss = NAN;
    if (d->rows_n[split] == 0) {
        return ARK_OK;
    }
    ARK_TRY(ark_evaluate(r->session, column, &r->setup.net, l->head, r->loader, d, l->id, &eo, &scores));
    ark_status st = ark_summarize(&scores, &r->setup.net.heads[l->head], &sum);
    int64_t n = scores.n;
    ark_scores_free(&scores);
    ARK_TRY(st);
    const char *model = column == ARK_COL_TEACHER ? "teacher" : "student", *name = ark_split_name(split);
    st = log_summary(r, d->name, model, name, n, &sum);
    if (r->n_rows < ARK_PRETRAIN_ROWS) {
        r->rows[r->n_rows++] = (ark_card_row){.dataset = d->name,
            .model = model,
            .split = name,
            .n = n,
            .classes = sum.k,
            .defined = sum.defined,
            .auroc = sum.mean_auroc,
            .ap = sum.mean_ap,
            .accuracy = sum.accuracy,
            .loss = sum.loss};
    }
    *loss = sum.loss;
    ark_summary_free(&sum);
    return st;
}

ark_status ark__pretrain_evaluate(ark_pretrain_run *r, ark_split split, double *mean) {
    double sum = 0, loss;
    int n = 0;
    for (int i = 0; i < r->setup.n_lanes; i++) {
        const ark_lane *l = &r->setup.lanes[i];
        ARK_TRY(evaluate_one(r, l, ARK_COL_STUDENT, split, &loss));
        if (r->c->teacher) {
            ARK_TRY(evaluate_one(r, l, ARK_COL_TEACHER, split, &loss));
        }
        sum += isfinite(loss) ? loss : 0;
        n += isfinite(loss);
    }
    *mean = n ? sum / n : NAN;
    return ARK_OK;
}
