#include "train/model_card.h"

#include "base/err.h"
#include "base/file.h"

#include <math.h>
#include <stdio.h>

static void put_number(ark_writer *w, double v, const char *end) {
    if (isfinite(v)) {
        ark_writer_printf(w, "%.4f%s", v, end);
    } else {
        ark_writer_printf(w, "-%s", end);
    }
}

static const char *task_text(ark_task t) {
    static const char *const names[] = {"multi-label", "binary", "multi-class"};
    return names[t];
}

static void put_heads(ark_writer *w, const ark_net *net) {
    ark_writer_printf(
        w, "\n## Heads, classes in output order\n\n| head | dataset | task | classes |\n|---|---|---|---|\n");
    for (int i = 0; i < net->n_heads; i++) {
        const ark_head *h = &net->heads[i];
        ark_writer_printf(w, "| %d | %s | %s | ", i, h->dataset, task_text(h->task));
        for (int k = 0; k < h->n_classes; k++) {
            ark_writer_printf(w, "%s%s", k ? ", " : "", h->classes[k]);
        }
        ark_writer_printf(w, " |\n");
    }
}

static void put_data(ark_writer *w, const ark_setup *s) {
    ark_writer_printf(
        w, "\n## Training data\n\n| dataset | train | val | test | patients |\n|---|---|---|---|---|\n");
    for (int i = 0; i < s->n_lanes; i++) {
        const ark_dataset *d = s->lanes[i].data;
        uint32_t patients = 0;
        for (size_t k = 0; k < d->n; k++) {
            patients = d->patient[k] + 1 > patients ? d->patient[k] + 1 : patients;
        }
        ark_writer_printf(w, "| %s | %zu | %zu | %zu | %u |\n", d->name, d->rows_n[ARK_TRAIN],
            d->rows_n[ARK_VAL], d->rows_n[ARK_TEST], patients);
    }
}

/* What data.exclusions took out, when it was given. */
static void put_dropped(ark_writer *w, const ark_train_config *c, const ark_setup *s) {
    if (!c->exclusions[0]) {
        return;
    }
    ark_writer_printf(w, "\nImages left out by an exclusion list (`data.exclusions`), not counted above:\n\n"
                         "| dataset | train | val | test |\n|---|---|---|---|\n");
    for (int i = 0; i < s->n_lanes; i++) {
        const ark_dataset *d = s->lanes[i].data;
        ark_writer_printf(w, "| %s | %zu | %zu | %zu |\n", d->name, d->dropped[ARK_TRAIN],
            d->dropped[ARK_VAL], d->dropped[ARK_TEST]);
    }
}

static void put_results(ark_writer *w, const ark_card_row *rows, size_t n) {
    ark_writer_printf(w, "\n## Results\n\n| dataset | split | model | images | classes counted | mean AUROC "
                         "| mean AP | accuracy | "
                         "loss |\n|---|---|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < n; i++) {
        const ark_card_row *r = &rows[i];
        ark_writer_printf(w, "| %s | %s | %s | %lld | %d of %d | ", r->dataset, r->split, r->model,
            (long long)r->n, r->defined, r->classes);
        put_number(w, r->auroc, " | ");
        put_number(w, r->ap, " | ");
        put_number(w, r->accuracy, " | ");
        put_number(w, r->loss, " |\n");
    }
    ark_writer_printf(w,
        "\nA class without a positive or without a negative in a split has no AUROC; it is left out of "
        "the mean.\n");
}

ark_status ark_model_card_write(const char *path, const ark_train_config *c, const ark_setup *s,
    int64_t parameters, const ark_card_row *rows, size_t n_rows) {
    ark_writer w;
    char arch[256];
    ARK_TRY(ark_writer_open(&w, path));
    ark_writer_printf(&w,
        "# Model card\n\nFoundation Ark: one encoder trained cyclically on %d datasets, each with its "
        "own head.\n\n",
        s->n_lanes);
    ark_writer_printf(&w,
        "- Intended use: research on chest radiographs. **Not for diagnosis.** Not a medical device.\n"
        "- Architecture: `%s`, projector %s, %lld parameters\n",
        ark_arch_print(&s->net.arch, arch, sizeof arch), ark_projector_name(s->net.projector),
        (long long)parameters);
    ark_writer_printf(&w,
        "- Input: grey image, squashed to %d x %d (a centre crop comes out of %d x %d), mean %.4f %.4f %.4f, "
        "standard deviation %.4f %.4f %.4f\n",
        s->pre.size_px, s->pre.size_px, s->pre.resize_px, s->pre.resize_px, (double)s->pre.mean[0],
        (double)s->pre.mean[1], (double)s->pre.mean[2], (double)s->pre.std[0], (double)s->pre.std[1],
        (double)s->pre.std[2]);
    ark_writer_printf(&w, "- Seed %lld; the resolved configuration is in config.yaml\n", (long long)c->seed);
    put_heads(&w, &s->net);
    put_data(&w, s);
    put_dropped(&w, c, s);
    put_results(&w, rows, n_rows);
    ark_writer_printf(&w, "\n## Limitations\n\nScores are not calibrated and no operating point has been "
                          "chosen. Performance on "
                          "other hospitals, devices, ages or views than those above is unknown.\n");
    return ark_writer_commit(&w);
}
