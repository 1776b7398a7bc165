/* Headerless label lists. The first byte chooses the task and the number of classes; the rest is the list. */
#include "base/alloc.h"
#include "base/err.h"
#include "data/dataset_priv.h"
#include "fuzz.h"

#include <math.h>
#include <string.h>

enum { MAX_CLASSES = 3 };

/* What every accepted list must satisfy. */
static void check(const ark_dataset *d) {
    for (size_t i = 0; i < d->n; i++) {
        int ones = 0;
        for (int k = 0; k < d->n_classes; k++) {
            float v = d->labels[i * (size_t)d->n_classes + (size_t)k];
            ARK_ASSERT(isnan(v) || v == 0 || v == 1 || v == -1);
            ones += v == 1;
        }
        ARK_ASSERT(d->task != ARK_MULTICLASS || ones == 1);
        ARK_ASSERT(d->paths[i][0] && strlen(d->paths[i]) <= ARK__MAX_PATH);
        ARK_ASSERT(d->patient[i] < d->n);
        ARK_ASSERT(d->rows[ARK_VAL][i] == i);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    static const ark_task tasks[] = {ARK_MULTILABEL, ARK_BINARY, ARK_MULTICLASS, ARK_MULTICLASS};
    static char *names[MAX_CLASSES] = {"normal", "B", "C"};
    static float labels[MAX_CLASSES];
    static char path[ARK__MAX_PATH + 1];
    if (n == 0) {
        return 0;
    }
    ark_yaml yaml = {.path = "fuzz.yaml"};
    ark__spec spec = {.yaml = &yaml,
        .name = "d",
        .data_dir = "/data",
        .suffix = bytes[0] & 8 ? ".png" : "",
        .views = 15,
        .task = tasks[bytes[0] & 3]};
    char dir[] = "/data/";
    ark_dataset d = {.dir = dir,
        .name = "d",
        .task = spec.task,
        .classes = names,
        .n_classes = MAX_CLASSES - (bytes[0] >> 2 & 1)};
    if (d.task == ARK_BINARY) {
        d.n_classes = 1;
    }
    ark__rows rows = {.spec = &spec, .d = &d, .labels = labels, .path = path};
    char *text = ark_strndup((const char *)bytes + 1, n - 1);
    ARK_ASSERT(text);
    const ark__columns none = {.image = -1, .patient = {0, -1}, .sex = {0, -1}, .age = {0, -1}};
    if (ark__list_rows(&rows, &none, "fuzz.txt", text, n - 1, ARK_VAL) == ARK_OK &&
        ark__rows_finish(&rows) == ARK_OK) {
        check(&d);
    }
    rows.labels = NULL;
    rows.path = NULL;
    ark__rows_free(&rows);
    d.name = NULL;
    d.dir = NULL;
    d.classes = NULL;
    ark__dataset_clear(&d);
    ark_free(text);
    return 0;
}
