/* Names of heads that a state dict does not tell. */
#include "base/alloc.h"
#include "base/err.h"
#include "data/dataset.h"
#include "io/yaml.h"
#include "model/model.h"

#include <string.h>

/* The released weights of Ark and Ark+: datasets in the order of upstream's training configuration,
 * under the names its datasets_config.yaml and its file names have, classes in the order of that file.
 * RSNA's three classes exclude each other: Ark+ trains them with softmax cross-entropy (the first Ark
 * took three binary losses). */
static const char *const chexpert[] = {"No Finding", "Enlarged Cardiomediastinum", "Cardiomegaly",
    "Lung Opacity", "Lung Lesion", "Edema", "Consolidation", "Pneumonia", "Atelectasis", "Pneumothorax",
    "Pleural Effusion", "Pleural Other", "Fracture", "Support Devices", NULL};
static const char *const nih[] = {"Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule",
    "Pneumonia", "Pneumothorax", "Consolidation", "Edema", "Emphysema", "Fibrosis", "Pleural_Thickening",
    "Hernia", NULL};
static const char *const rsna[] = {"Normal", "No Lung Opacity/Not Normal", "Lung Opacity", NULL};
static const char *const vindr[] = {
    "PE", "Lung tumor", "Pneumonia", "Tuberculosis", "Other diseases", "No finding", NULL};
static const char *const shenzhen[] = {"TB", NULL};

static const struct {
    const char *dataset;
    ark_task task;
    int n;
    const char *const *classes;
} ark6[] = {
    {"MIMIC", ARK_MULTILABEL, 14, chexpert},
    {"CheXpert", ARK_MULTILABEL, 14, chexpert},
    {"ChestXray14", ARK_MULTILABEL, 14, nih},
    {"RSNAPneumonia", ARK_MULTICLASS, 3, rsna},
    {"VinDrCXR", ARK_MULTILABEL, 6, vindr},
    {"Shenzhen", ARK_BINARY, 1, shenzhen},
};
enum { ARK6 = sizeof ark6 / sizeof *ark6 };

static ark_status set_text(char **slot, const char *text) {
    char *copy = ark_strdup(text);
    if (!copy) {
        return ARK_ERR(ARK_ENOMEM, "out of memory for class names");
    }
    ark_free(*slot);
    *slot = copy;
    return ARK_OK;
}

static bool is_ark6(const ark_net *net) {
    bool same = net->n_heads == ARK6;
    for (int i = 0; i < ARK6 && same; i++) {
        same = net->heads[i].n_classes == ark6[i].n;
    }
    return same;
}

static ark_status name_ark6(ark_net *net) {
    for (int i = 0; i < ARK6; i++) {
        ark_head *h = &net->heads[i];
        h->task = ark6[i].task;
        ARK_TRY(set_text(&h->dataset, ark6[i].dataset));
        for (int k = 0; k < h->n_classes; k++) {
            ARK_TRY(set_text(&h->classes[k], ark6[i].classes[k]));
        }
    }
    return ARK_OK;
}

ark_status ark_heads_recognise(ark_net *net, bool *known) {
    *known = is_ark6(net);
    return *known ? name_ark6(net) : ARK_OK;
}

static ark_status read_task(const ark_yaml *y, const ark_yaml_node *entry, int classes, ark_task *out) {
    const ark_yaml_node *node = ark_yaml_get(entry, "task_type");
    const char *text = classes == 1 ? "binary" : "multi-label";
    node = node ? node : ark_yaml_get(entry, "task");
    if (node) {
        ARK_TRY(ark_yaml_str(y, node, "task", &text));
    }
    for (int t = ARK_MULTILABEL; t <= ARK_MULTICLASS; t++) {
        const char *name = ark_task_name((ark_task)t);
        if (!strncmp(text, name, strlen(name)) && (!text[strlen(name)] || text[strlen(name)] == ' ')) {
            *out = (ark_task)t;
            return ARK_OK;
        }
    }
    return ARK_ERR(ARK_EINVAL, "%s:%d: task '%s' is none of multi-label, binary, multi-class", y->path,
        node ? node->line : 0, text);
}

static ark_status read_entry(
    const ark_yaml *y, const ark_yaml_node *entry, const char *name, int line, int index, ark_head *h) {
    const ark_yaml_node *list = ark_yaml_get(entry, "diseases");
    list = list ? list : ark_yaml_get(entry, "classes");
    if (!list || list->kind != ARK_YAML_SEQ) {
        return ARK_ERR(ARK_EINVAL, "%s:%d: %s: no list 'diseases' (or 'classes')", y->path, line, name);
    }
    if (list->count != (size_t)h->n_classes) {
        return ARK_ERR(ARK_EINVAL, "%s:%d: %s: %zu classes, head %d has %d outputs", y->path, line, name,
            list->count, index, h->n_classes);
    }
    ARK_TRY(set_text(&h->dataset, name));
    for (size_t k = 0; k < list->count; k++) {
        const char *text;
        ARK_TRY(ark_yaml_str(y, list->items[k], name, &text));
        ARK_TRY(set_text(&h->classes[k], text));
    }
    return read_task(y, entry, h->n_classes, &h->task);
}

static ark_status name_from_yaml(const ark_yaml *y, const char *path, ark_net *net) {
    const ark_yaml_node *root = y->root;
    if (root->kind != ARK_YAML_MAP || root->count != (size_t)net->n_heads) {
        return ARK_ERR(ARK_EINVAL, "%s: %zu heads, %s has %d", y->path,
            root->kind == ARK_YAML_MAP ? root->count : 0, path, net->n_heads);
    }
    for (int i = 0; i < net->n_heads; i++) {
        ARK_TRY(read_entry(y, root->items[i], root->keys[i], root->key_lines[i], i, &net->heads[i]));
    }
    return ARK_OK;
}

ark_status ark_heads_name(const char *which, const char *path, ark_net *net) {
    ark_yaml *y;
    if (!strcmp(which, "ark6")) {
        return is_ark6(net)
                   ? name_ark6(net)
                   : ARK_ERR(ARK_EINVAL, "%s: its %d heads are not of 14, 14, 14, 3, 6 and 1 outputs", path,
                         net->n_heads);
    }
    ARK_TRY(ark_yaml_read(which, &y));
    ark_status st = name_from_yaml(y, path, net);
    ark_yaml_free(y);
    return st;
}
