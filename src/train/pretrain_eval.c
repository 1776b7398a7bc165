/* Validation and test of a running pretraining: every dataset by its own head, student and teacher. */
#include "base/err.h"
#include "eval/evaluate.h"
#include "train/pretrain_impl.h"
#include "train/training.h"

#include <math.h>

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
    ark_training_scored what = {
        .dataset = d->name, .model = model, .split = name, .epoch = r->at.epoch, .step = r->at.step, .n = n};
    st = ark_training_log_summary(r->log, r->o, &what, &sum);
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
