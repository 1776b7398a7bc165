/* Scores of a split, and what is left of them: tables, masks and overlays. */
#include "base/alloc.h"
#include "base/err.h"
#include "base/file.h"
#include "eval/mask_picture.h"
#include "train/segment_impl.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static ark_status score_batch(
    const ark__segment *s, const ark_mask_batch *b, size_t first, ark__seg_scores *out) {
    const size_t side = (size_t)s->pre.size_px, pixels = side * side, K = (size_t)s->net.classes;
    for (size_t i = 0; i < (size_t)b->n * K; i++) {
        const size_t at = i / K * pixels * K + i % K;
        ark_overlap o;
        ARK_TRY(
            ark_overlap_count(s->prob + at, b->target + at, b->count + at, pixels, K, s->c->threshold, &o));
        out->dice[first * K + i] = ark_dice(&o).value;
        out->iou[first * K + i] = ark_iou(&o).value;
    }
    return ARK_OK;
}

static double mean_of(const ark_mean_stat *stats, size_t K) {
    double sum = 0;
    size_t n = 0;
    for (size_t k = 0; k < K; k++) {
        if (stats[k].defined) {
            sum += stats[k].mean.estimate.value;
            n++;
        }
    }
    return n ? sum / (double)n : NAN;
}

/* Means per class; column: room for n values. */
static ark_status summarise(const ark__segment *s, const ark_mask_set *set, const uint32_t *rows,
    double *column, uint32_t *patient, ark__seg_scores *out) {
    const size_t K = (size_t)s->net.classes;
    for (size_t i = 0; i < out->n; i++) {
        patient[i] = set->patient[rows[i]];
    }
    const ark_bootstrap_opts o = {.replicates = s->c->replicates,
        .seed = (uint64_t)s->c->seed,
        .level = 0.95,
        .group = patient,
        .groups = set->patients};
    for (size_t k = 0; k < 2 * K; k++) {
        const double *from = k < K ? out->dice : out->iou;
        for (size_t i = 0; i < out->n; i++) {
            column[i] = from[i * K + k % K];
        }
        ARK_TRY(ark_bootstrap_mean(column, out->n, &o, k < K ? &out->dice_stat[k] : &out->iou_stat[k - K]));
    }
    out->mean_dice = mean_of(out->dice_stat, K);
    out->mean_iou = mean_of(out->iou_stat, K);
    return ARK_OK;
}

static ark_status new_scores(size_t n, size_t K, ark__seg_scores *out) {
    out->n = n;
    ARK_TRY(ARK_NEW(&out->dice, n * K, "scores"));
    ARK_TRY(ARK_NEW(&out->iou, n * K, "scores"));
    ARK_TRY(ARK_NEW(&out->dice_stat, K, "scores"));
    return ARK_NEW(&out->iou_stat, K, "scores");
}

ark_status ark__segment_score(ark__segment *s, ark_column column, const ark_mask_set *set,
    const uint32_t *rows, size_t n, ark__seg_scores *out) {
    const size_t most = (size_t)s->c->batch;
    *out = (ark__seg_scores){0};
    double *values = NULL;
    uint32_t *patient = NULL;
    ark_status st = new_scores(n, (size_t)s->net.classes, out);
    st = st ? st : ARK_NEW(&values, n, "scores");
    st = st ? st : ARK_NEW(&patient, n, "patients");
    for (size_t at = 0; at < n && st == ARK_OK; at += most) {
        const ark_mask_batch *b;
        const int some = (int)(n - at < most ? n - at : most);
        st = ark_mask_loader_read(s->loader, set, rows + at, some, NULL, 0, 0, 0, &b);
        st = st ? st : ark_seg_trainer_predict(s->trainer, column, b->image, some, s->prob);
        st = st ? st : score_batch(s, b, at, out);
    }
    st = st ? st : summarise(s, set, rows, values, patient, out);
    ark_free(values);
    ark_free(patient);
    return st;
}

void ark__segment_scores_free(ark__seg_scores *scores) {
    ark_free(scores->dice);
    ark_free(scores->iou);
    ark_free(scores->dice_stat);
    ark_free(scores->iou_stat);
    *scores = (ark__seg_scores){0};
}

static json_t *number(double v) {
    return isfinite(v) ? json_real(v) : json_null();
}

static json_t *stat_json(const ark_mean_stat *s) {
    json_t *o = json_pack("{s:o,s:[o,o],s:o,s:o,s:o}", "mean", number(s->mean.estimate.value), "ci",
        number(s->mean.ci.low), number(s->mean.ci.high), "sd", number(s->sd), "median", number(s->median),
        "lowest", number(s->lowest));
    if (s->mean.estimate.why) {
        json_object_set_new(o, "undefined", json_string(s->mean.estimate.why));
    }
    return o;
}

json_t *ark__segment_scores_json(const ark__segment *s, const ark__seg_scores *scores) {
    json_t *classes = json_array();
    for (int k = 0; k < s->net.classes; k++) {
        json_array_append_new(
            classes, json_pack("{s:s,s:I,s:I,s:o,s:o}", "name", s->classes[k], "n",
                         (json_int_t)scores->dice_stat[k].defined, "undefined",
                         (json_int_t)scores->dice_stat[k].undefined, "dice", stat_json(&scores->dice_stat[k]),
                         "iou", stat_json(&scores->iou_stat[k])));
    }
    return json_pack("{s:I,s:o,s:o,s:f,s:s,s:o}", "images", (json_int_t)scores->n, "mean_dice",
        number(scores->mean_dice), "mean_iou", number(scores->mean_iou), "level", 0.95, "ci_method",
        "percentile bootstrap over patients", "classes", classes);
}

/* A field that may hold commas or quotes, by RFC 4180. */
static void put_field(ark_writer *w, const char *text) {
    ark_writer_put(w, "\"", 1);
    for (; *text; text++) {
        ark_writer_put(w, text, 1);
        if (*text == '"') {
            ark_writer_put(w, text, 1);
        }
    }
    ark_writer_put(w, "\"", 1);
}

static void put_value(ark_writer *w, double v) {
    if (isfinite(v)) {
        ark_writer_printf(w, ",%.6f", v);
    } else {
        ark_writer_put(w, ",", 1);
    }
}

ark_status ark__segment_scores_csv(const ark__segment *s, const ark_mask_set *set, const uint32_t *rows,
    const ark__seg_scores *scores, const char *name) {
    char path[ARK__SEG_PATH];
    ark_writer w;
    const size_t K = (size_t)s->net.classes;
    ARK_TRY(ark__segment_path(s, name, path));
    ARK_TRY(ark_writer_open(&w, path));
    ark_writer_printf(&w, "image,class,dice,iou\n");
    for (size_t i = 0; i < scores->n * K; i++) {
        put_field(&w, set->images[rows[i / K]]);
        ark_writer_put(&w, ",", 1);
        put_field(&w, s->classes[i % K]);
        put_value(&w, scores->dice[i]);
        put_value(&w, scores->iou[i]);
        ark_writer_put(&w, "\n", 1);
    }
    return ark_writer_commit(&w);
}

ark_status ark__segment_pictures(
    ark__segment *s, ark_column column, const ark_mask_set *set, const uint32_t *rows, size_t n) {
    const size_t side = (size_t)s->pre.size_px;
    char dir[ARK__SEG_PATH];
    const ark_mask_batch *b;
    ARK_TRY(ark__segment_path(s, "pictures", dir));
    for (size_t i = 0; i < n; i++) {
        ARK_TRY(i ? ARK_OK : ark_mkdirs(dir));
        ARK_TRY(ark_mask_loader_read(s->loader, set, rows + i, 1, NULL, 0, 0, 0, &b));
        ARK_TRY(ark_seg_trainer_predict(s->trainer, column, b->image, 1, s->prob));
        ARK_TRY(ark_mask_pictures_write(
            dir, set->images[rows[i]], s->prob, (int)side, s->net.classes, s->classes, s->c->threshold));
    }
    return ARK_OK;
}
