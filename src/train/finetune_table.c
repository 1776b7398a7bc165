/* Results of a fine-tuning for people: results.csv, results.txt, model-card.md, all from results.json. */
#include "base/err.h"
#include "base/file.h"
#include "train/finetune_impl.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *text_of(const json_t *o, const char *key) {
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

static long long count_of(const json_t *o, const char *key) {
    return (long long)json_integer_value(json_object_get(o, key));
}

/* --- results.csv: split, class, metric, trials in which it exists, mean, sd, one column per trial --- */

static void put_number(ark_writer *w, const json_t *v) {
    ark_writer_printf(w, ",");
    if (json_is_real(v)) {
        ark_writer_printf(w, "%.9g", json_real_value(v));
    }
}

static void put_quoted(ark_writer *w, const char *s) {
    ark_writer_put(w, "\"", 1);
    for (; *s; s++) {
        ark_writer_put(w, "\"\"", *s == '"' ? 2 : 0);
        ark_writer_put(w, s, *s != '"');
    }
    ark_writer_put(w, "\"", 1);
}

static void put_metrics(ark_writer *w, const char *split, const char *name, json_t *o) {
    const char *metric;
    json_t *m;
    json_object_foreach(o, metric, m) {
        const json_t *values = json_object_get(m, "values");
        if (!values) {
            continue;
        }
        ark_writer_printf(w, "%s,", split);
        put_quoted(w, name);
        ark_writer_printf(w, ",%s,%lld", metric, count_of(m, "n"));
        put_number(w, json_object_get(m, "mean"));
        put_number(w, json_object_get(m, "sd"));
        for (size_t i = 0; i < json_array_size(values); i++) {
            put_number(w, json_array_get(values, i));
        }
        ark_writer_printf(w, "\n");
    }
}

static ark_status write_csv(const char *path, const json_t *results) {
    static const char *const splits[] = {"val", "test"};
    ark_writer w;
    ARK_TRY(ark_writer_open(&w, path));
    ark_writer_printf(&w, "split,class,metric,n,mean,sd");
    for (size_t i = 0; i < json_array_size(json_object_get(results, "trials")); i++) {
        ark_writer_printf(&w, ",trial_%zu", i + 1);
    }
    ark_writer_printf(&w, "\n");
    for (int i = 0; i < 2; i++) {
        const json_t *s = json_object_get(json_object_get(results, "summary"), splits[i]);
        const json_t *classes = json_object_get(s, "classes");
        if (s) {
            put_metrics(&w, splits[i], "(mean)", json_object_get(s, "macro"));
        }
        for (size_t k = 0; k < json_array_size(classes); k++) {
            json_t *c = json_array_get(classes, k);
            put_metrics(&w, splits[i], text_of(c, "name"), c);
        }
    }
    return ark_writer_commit(&w);
}

/* --- results.txt --- */

static const struct {
    const char *title, *key;
} columns[] = {{"AUROC", "auroc"}, {"AP", "ap"}, {"F1", "youden.f1"}, {"MCC", "youden.mcc"},
    {"accuracy", "youden.accuracy"}, {"sensitivity", "youden.sensitivity"},
    {"specificity", "youden.specificity"}};
enum { COLUMNS = sizeof columns / sizeof columns[0], NAME_WIDTH = 24 };

static void put_name(ark_writer *w, const char *name) {
    size_t len = strlen(name);
    ark_writer_printf(w, "%s%*s", name, len < NAME_WIDTH ? (int)(NAME_WIDTH - len) : 1, "");
}

static void put_mean_sd(ark_writer *w, const json_t *m) {
    const json_t *mean = json_object_get(m, "mean"), *sd = json_object_get(m, "sd");
    if (!json_is_real(mean)) {
        ark_writer_printf(w, " %13s", "-");
    } else if (!json_is_real(sd)) {
        ark_writer_printf(w, " %13.4f", json_real_value(mean));
    } else {
        ark_writer_printf(w, " %.4f±%.4f", json_real_value(mean), json_real_value(sd));
    }
}

static void put_summary(ark_writer *w, const char *name, const json_t *s, int trials) {
    const json_t *classes = json_object_get(s, "classes");
    ark_writer_printf(w, "\n%s (%s): %lld images of %lld patients, mean%s over %d trial%s\n\n", name,
        text_of(s, "view"), count_of(s, "n"), count_of(s, "patients"),
        trials > 1 ? " ± standard deviation" : "", trials, trials > 1 ? "s" : "");
    put_name(w, "class");
    ark_writer_printf(w, "%7s %9s", "n", "positives");
    for (int i = 0; i < COLUMNS; i++) {
        ark_writer_printf(w, " %13s", columns[i].title);
    }
    for (size_t k = 0; k <= json_array_size(classes); k++) {
        bool last = k == json_array_size(classes);
        const json_t *c = last ? json_object_get(s, "macro") : json_array_get(classes, k);
        char mean[48];
        snprintf(mean, sizeof mean, "mean of %lld", count_of(s, "classes_defined"));
        ark_writer_printf(w, "\n");
        put_name(w, last ? mean : text_of(c, "name"));
        if (last) {
            ark_writer_printf(w, "%7s %9s", "", "");
        } else {
            ark_writer_printf(w, "%7lld %9lld", count_of(c, "n"), count_of(c, "positives"));
        }
        for (int i = 0; i < COLUMNS; i++) {
            put_mean_sd(w, json_object_get(c, columns[i].key));
        }
    }
    ark_writer_printf(w, "\n");
    for (size_t k = 0; k < json_array_size(classes); k++) {
        const json_t *c = json_array_get(classes, k);
        if (json_object_get(c, "undefined")) {
            ark_writer_printf(
                w, "%s: no AUROC, %s; left out of the mean\n", text_of(c, "name"), text_of(c, "undefined"));
        }
        if (!json_object_get(c, "youden.accuracy")) {
            ark_writer_printf(
                w, "%s: no operating point, validation has one kind of images only\n", text_of(c, "name"));
        }
    }
}

static void put_value_ci(ark_writer *w, const json_t *o, const char *key) {
    char ci[64];
    snprintf(ci, sizeof ci, "%s_ci", key);
    const json_t *v = json_object_get(o, key), *i = json_object_get(o, ci);
    char text[64] = "-";
    if (json_is_real(v) && json_is_array(i)) {
        snprintf(text, sizeof text, "%.4f (%.4f-%.4f)", json_real_value(v),
            json_real_value(json_array_get(i, 0)), json_real_value(json_array_get(i, 1)));
    } else if (json_is_real(v)) {
        snprintf(text, sizeof text, "%.4f", json_real_value(v));
    }
    ark_writer_printf(w, "  %-24s", text);
}

/* Intervals and calibration of one trial. */
static void put_trial(ark_writer *w, const json_t *trial, const char *split) {
    const json_t *s = json_object_get(trial, split), *classes = json_object_get(s, "classes");
    if (!s) {
        return;
    }
    ark_writer_printf(w, "\ntrial %lld, seed %lld, epoch %lld of %lld, %s: values with 95%% intervals\n\n",
        count_of(trial, "trial"), count_of(trial, "seed"), count_of(trial, "best_epoch"),
        count_of(trial, "epochs"), split);
    put_name(w, "class");
    ark_writer_printf(w, "  %-24s  %-24s  %-24s  %-24s  %s\n", "AUROC", "AP", "sensitivity (Youden)",
        "specificity (Youden)", "ECE -> calibrated");
    for (size_t k = 0; k <= json_array_size(classes); k++) {
        bool last = k == json_array_size(classes);
        const json_t *c = last ? json_object_get(s, "macro") : json_array_get(classes, k);
        const json_t *point = json_array_get(json_object_get(c, "points"), 0);
        const json_t *ece = json_object_get(c, "ece"), *after = json_object_get(c, "ece_calibrated");
        put_name(w, last ? "mean" : text_of(c, "name"));
        put_value_ci(w, c, "auroc");
        put_value_ci(w, c, "ap");
        put_value_ci(w, point, "sensitivity");
        put_value_ci(w, point, "specificity");
        if (json_is_real(ece) && json_is_real(after)) {
            ark_writer_printf(w, "  %.4f -> %.4f", json_real_value(ece), json_real_value(after));
        }
        ark_writer_printf(w, "\n");
    }
}

static void put_text(ark_writer *w, const json_t *results) {
    const json_t *trials = json_object_get(results, "trials"), *s = json_object_get(results, "summary");
    ark_writer_printf(w, "%s, from %s\n%s\n", text_of(results, "dataset"), text_of(results, "from"),
        text_of(results, "arch"));
    const char *split = json_object_get(s, "test") ? "test" : "val";
    put_summary(w, split, json_object_get(s, split), (int)json_array_size(trials));
    ark_writer_printf(w, "F1 to specificity: at the threshold with the largest sensitivity + specificity on "
                         "validation.\n");
    for (size_t i = 0; i < json_array_size(trials); i++) {
        put_trial(w, json_array_get(trials, i), split);
    }
}

static ark_status write_text(const char *path, const json_t *results) {
    ark_writer w;
    ARK_TRY(ark_writer_open(&w, path));
    put_text(&w, results);
    return ark_writer_commit(&w);
}

ark_status ark__finetune_tables(const ark__finetune *f, const json_t *results) {
    char path[ARK__FT_PATH];
    ARK_TRY(ark__finetune_path(path, f->out_dir, "results.csv"));
    ARK_TRY(write_csv(path, results));
    ARK_TRY(ark__finetune_path(path, f->out_dir, "results.txt"));
    return write_text(path, results);
}

/* --- model-card.md --- */

static void put_card(ark_writer *w, const ark__finetune *f, const json_t *results) {
    const ark_dataset *d = f->setup.lanes[0].data;
    const ark_preproc *p = &f->setup.pre;
    const ark_head *h = &f->setup.net.heads[0];
    static const char *const kept[] = {"nothing", "the encoder", "encoder and projector"};
    ark_writer_printf(w,
        "# Model card\n\nA classifier for %s, fine-tuned from %s.\n\n"
        "- Intended use: research on chest radiographs. **Not for diagnosis.** Not a medical device.\n"
        "- Architecture: `%s`, head on %s; kept as it was: %s\n"
        "- Input: grey image, squashed to %d x %d (crops come out of %d x %d), mean %.4f %.4f %.4f, standard "
        "deviation %.4f %.4f %.4f\n"
        "- Images: %zu training, %zu validation, %zu test\n"
        "- Task: %s; outputs in order: ",
        d->name, text_of(results, "from"), text_of(results, "arch"),
        f->setup.net.projector == ARK_PROJECTOR_NONE ? "encoder features" : "projected features",
        kept[f->c->freeze], p->size_px, p->size_px, p->resize_px, p->resize_px, (double)p->mean[0],
        (double)p->mean[1], (double)p->mean[2], (double)p->std[0], (double)p->std[1], (double)p->std[2],
        d->rows_n[ARK_TRAIN], d->rows_n[ARK_VAL], d->rows_n[ARK_TEST], ark_task_name(h->task));
    for (int k = 0; k < h->n_classes; k++) {
        ark_writer_printf(w, "%s%s", k ? ", " : "", h->classes[k]);
    }
    ark_writer_printf(w,
        "\n- Epoch, temperature, thresholds and the preferred trial were chosen on the validation split; the "
        "test split was only scored\n- The resolved configuration is in config.yaml\n\n## Results\n\n```\n");
    put_text(w, results);
    ark_writer_printf(w,
        "```\n\n## Limitations\n\nOperating points and temperature hold for images like those "
        "of %s; at another prevalence predictive values differ. Performance on other hospitals, "
        "devices, ages or views is unknown.\n",
        d->name);
}

ark_status ark__finetune_card(const ark__finetune *f, const json_t *results) {
    char path[ARK__FT_PATH];
    ark_writer w;
    ARK_TRY(ark__finetune_path(path, f->out_dir, "model-card.md"));
    ARK_TRY(ark_writer_open(&w, path));
    put_card(&w, f, results);
    return ark_writer_commit(&w);
}
