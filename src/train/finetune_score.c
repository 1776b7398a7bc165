/* What a trained trial leaves: operating points from validation, the model, predictions, reports. */
#include "base/alloc.h"
#include "base/err.h"
#include "eval/predictions.h"
#include "model/model.h"
#include "train/finetune_impl.h"
#include "train/training.h"

#include <math.h>
#include <stdio.h>

static ark_status evaluate(ark__trial *t, ark_split split, ark_seen seen, ark_scores *out) {
    const ark_setup *s = &t->f->setup;
    ark_eval_opts o = {.split = split,
        .batch = (int)t->c.batch,
        .ten_crop = seen == ARK_SEEN_TENCROP,
        .plain = seen == ARK_SEEN_PLAIN};
    return ark_evaluate(t->session, ARK_COL_STUDENT, &s->net, 0, t->loader, s->lanes[0].data, 0, &o, out);
}

static ark_status write_predictions(const ark__trial *t, const ark_scores *s, const char *name) {
    char path[ARK__FT_PATH];
    ARK_TRY(ark__finetune_path(path, t->dir, name));
    return ark_predictions_write(path, s, &t->f->setup.net.heads[0], t->f->setup.lanes[0].data, true);
}

/* Report and CSV of one split. */
static ark_status tell(ark__trial *t, ark_split split, ark_seen seen, const ark_scores *s,
    const ark_decisions *d, json_t *result) {
    const ark_setup *setup = &t->f->setup;
    ark_report_opts o = {.replicates = t->f->c->replicates,
        .seed = (uint64_t)t->f->c->run.seed, /* the same resamples in every trial */
        .threads = t->f->o->threads,
        .level = 0.95};
    ark_split_report r;
    char name[32];
    snprintf(name, sizeof name, "%s.csv", ark_split_name(split));
    ARK_TRY(write_predictions(t, s, name));
    ARK_TRY(ark_split_report_make(
        s, &setup->net.heads[0], setup->lanes[0].data, d, ark_decisions_for(d, seen), &o, &r));
    json_t *j = ark_split_report_json(&r);
    ark_training_say(t->f->o, "trial %d %s, epoch %lld, %s: loss %.4f, AUROC %.4f, AP %.4f, accuracy %.4f",
        t->number, ark_split_name(split), (long long)t->at.best_epoch, ark_seen_name(seen), r.loss,
        r.auroc.value, r.ap.value, r.accuracy);
    ark_split_report_free(&r);
    if (!j) {
        return ARK_ERR(ARK_EINVAL, "results of %s: names must be UTF-8", setup->lanes[0].data->name);
    }
    json_object_set_new(j, "view", json_string(ark_seen_name(seen)));
    json_object_set_new(result, ark_split_name(split), j);
    return ARK_OK;
}

/* Temperature and thresholds for every view that `predict` and `eval` may ask for; the scores of the test
 * view are kept. */
static ark_status decide(ark__trial *t, ark_seen test_view, ark_decisions *d, ark_scores *kept) {
    const ark_head *head = &t->f->setup.net.heads[0];
    d->rules[d->n_rules++] = (ark_decision_rule){.rule = ARK_OP_YOUDEN};
    if (t->f->c->sensitivity > 0) {
        d->rules[d->n_rules++] =
            (ark_decision_rule){.rule = ARK_OP_SENSITIVITY, .target = t->f->c->sensitivity};
    }
    for (int seen = 0; seen < ARK_SEEN_COUNT; seen++) {
        ark_scores s;
        if (seen == ARK_SEEN_TENCROP && seen != (int)test_view) {
            continue; /* ten times the cost, for a view that was not asked for */
        }
        ARK_TRY(evaluate(t, ARK_VAL, (ark_seen)seen, &s));
        ark_status st = ark_decisions_choose(d, head, (ark_seen)seen, &s);
        if (st == ARK_OK && seen == (int)test_view) {
            const char *why = ark_decisions_for(d, test_view)->temperature_why;
            if (why) {
                ark_training_say(t->f->o, "no temperature: %s", why);
            }
            *kept = s;
            continue;
        }
        ark_scores_free(&s);
        ARK_TRY(st);
    }
    return ARK_OK;
}

static ark_status save_model(ark__trial *t, const ark_decisions *d) {
    char path[ARK__FT_PATH], *text;
    const ark_setup *s = &t->f->setup;
    ARK_TRY(ark__finetune_path(path, t->dir, "model.safetensors"));
    ARK_TRY(ark_decisions_text(d, &s->net.heads[0], &text));
    const char *extra[] = {"operating_points", text, NULL};
    ark_status st =
        ark_weights_save(path, &s->net, &s->pre, ark_trainer_params(t->trainer), ARK_COL_STUDENT, extra);
    ark_free(text);
    return st;
}

static ark_status score_test(ark__trial *t, ark_seen view, const ark_decisions *d, json_t *result) {
    const ark_dataset *data = t->f->setup.lanes[0].data;
    ark_scores s;
    if (data->rows_n[ARK_TEST] == 0) {
        ark_training_say(
            t->f->o, "%s has no test split: only validation is reported, which chose the epoch", data->name);
        return ARK_OK;
    }
    ARK_TRY(evaluate(t, ARK_TEST, view, &s));
    ark_status st = tell(t, ARK_TEST, view, &s, d, result);
    ark_scores_free(&s);
    return st;
}

static json_t *head_of_result(const ark__trial *t) {
    bool by_auroc = t->f->c->select == ARK_SELECT_AUROC;
    json_t *config = ark_ckpt_config_json(&t->ckpt);
    for (size_t i = 0; t->ckpt.may_change[i]; i++) {
        json_object_del(config, t->ckpt.may_change[i]); /* a result does not depend on these */
    }
    return json_pack("{s:i,s:I,s:I,s:I,s:I,s:I,s:s,s:f,s:o}", "trial", t->number, "seed",
        (json_int_t)t->c.seed, "epochs", (json_int_t)t->at.epoch, "best_epoch", (json_int_t)t->at.best_epoch,
        "images", (json_int_t)t->at.images, "skipped", (json_int_t)t->at.skipped, "selected_by",
        by_auroc ? "auroc" : "loss", "best_value", by_auroc ? 1 - t->at.best_loss : t->at.best_loss, "config",
        config);
}

ark_status ark__trial_score(ark__trial *t) {
    ark_seen view = t->f->c->ten_crop ? ARK_SEEN_TENCROP : ARK_SEEN_CENTRE;
    ark_decisions d = {0};
    ark_scores val = {0};
    char path[ARK__FT_PATH];
    json_t *result = head_of_result(t);
    ark_status st = result ? decide(t, view, &d, &val) : ARK_ERR(ARK_EINVAL, "results must be UTF-8");
    st = st ? st : save_model(t, &d); /* before the test split is looked at */
    st = st ? st : tell(t, ARK_VAL, view, &val, &d, result);
    st = st ? st : score_test(t, view, &d, result);
    st = st ? st : ark__finetune_path(path, t->dir, "result.json");
    st = st ? st : ark__json_write(path, result);
    ark_scores_free(&val);
    ark_decisions_free(&d);
    json_decref(result);
    return st;
}
