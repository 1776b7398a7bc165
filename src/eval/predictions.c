#include "eval/predictions.h"

#include "base/err.h"
#include "base/file.h"

static void put_field(ark_writer *w, const char *s, const char *suffix) {
    ark_writer_put(w, "\"", 1);
    for (; *s; s++) {
        ark_writer_put(w, "\"\"", *s == '"' ? 2 : 0);
        ark_writer_put(w, s, *s != '"');
    }
    ark_writer_printf(w, "%s\"", suffix);
}

ark_status ark_predictions_write(
    const char *path, const ark_scores *s, const ark_head *head, const ark_dataset *data, bool with_patient) {
    ark_writer f;
    ARK_TRY(ark_writer_open(&f, path));
    ark_writer_printf(&f, "path%s", with_patient ? ",patient" : "");
    for (int k = 0; k < s->k; k++) {
        ark_writer_printf(&f, ",");
        put_field(&f, head->classes[k], "");
        ark_writer_printf(&f, ",");
        put_field(&f, head->classes[k], " score");
    }
    for (int64_t i = 0; i < s->n; i++) {
        ark_writer_printf(&f, "\n");
        put_field(&f, data->paths[s->sample[i]], "");
        if (with_patient) {
            ark_writer_printf(&f, ",%u", data->patient[s->sample[i]]);
        }
        for (int k = 0; k < s->k; k++) {
            int64_t at = i * s->k + k;
            const char *label = s->mask[at] > 0 ? (s->label[at] > 0 ? "1" : "0") : "";
            ark_writer_printf(&f, ",%s,%.9g", label, (double)s->prob[at]);
        }
    }
    ark_writer_printf(&f, "\n");
    return ark_writer_commit(&f);
}
