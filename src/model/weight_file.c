#include "model/state_family.h"

#include "base/alloc.h"
#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int by_name(const void *a, const void *b) {
    return strcmp(((const ark_weight_tensor *)a)->name, ((const ark_weight_tensor *)b)->name);
}

static int to_name(const void *key, const void *item) {
    return strcmp(key, ((const ark_weight_tensor *)item)->name);
}

const ark_st_tensor *ark_weight_file_find(const ark_weight_file *f, const char *name) {
    const ark_weight_tensor *w = f->n ? bsearch(name, f->items, f->n, sizeof *f->items, to_name) : NULL;
    return w ? w->t : NULL;
}

/* Masks (windows,M*M,M*M) exist where windows shift; in files that have them the grid is a whole number of
 * windows, so the first one tells the grid. */
static int side_of_mask(const ark_st_tensor *t) {
    int64_t across = 1, window = 1;
    if (t->ndim != 3) {
        return 0;
    }
    while (across < 4096 && across * across < t->shape[0]) {
        across++;
    }
    while (window < 64 && window * window < t->shape[1]) {
        window++;
    }
    bool square = across * across == t->shape[0] && window * window == t->shape[1];
    return square && across * window <= 4096 ? (int)(across * window) : 0;
}

/* The current name, where a family knows this one as another writer's; false when the tensor is of no use. */
static bool rename_foreign(char name[ARK_WEIGHT_NAME_MAX]) {
    const ark_state_family *family;
    char current[ARK_WEIGHT_NAME_MAX];
    for (int i = 0; (family = ark_state_family_at(i)) != NULL; i++) {
        if (family->rename && family->rename(name, current)) {
            memcpy(name, current, sizeof current);
            break;
        }
    }
    return name[0] != '\0';
}

static ark_weight_tensor *item(ark_weight_file *f, const char *name) {
    for (size_t i = 0; i < f->n; i++) {
        if (!strcmp(f->items[i].name, name)) {
            return &f->items[i];
        }
    }
    return NULL;
}

/* What only the whole file tells: Meta's ConvNeXt calls its last norm as Swin and ViT do theirs. */
static ark_status settle(ark_weight_file *f) {
    if (f->ours || !item(f, ark_state_convnext.key) || item(f, "head.norm.weight")) {
        return ARK_OK;
    }
    for (size_t i = 0; i < f->n; i++) {
        const char *name = ark_convnext_settle(f->items[i].name);
        char *copy = name ? ark_strdup(name) : NULL;
        if (name && !copy) {
            return ARK_ERR(ARK_ENOMEM, "%s: out of memory for tensor names", f->path);
        }
        if (copy) {
            ark_free(f->items[i].name);
            f->items[i].name = copy;
        }
    }
    return ARK_OK;
}

static ark_status rename_all(ark_weight_file *f) {
    ark_name_rule rule = ark_weight_rule(f->file);
    for (size_t i = 0; i < ark_tensor_file_count(f->file); i++) {
        const ark_st_tensor *t = ark_tensor_file_at(f->file, i);
        char name[ARK_WEIGHT_NAME_MAX];
        if (f->ours ? strlen(t->name) >= sizeof name : !ark_weight_name(t->name, rule, name)) {
            return ARK_ERR(ARK_EFORMAT, "%s: a tensor name of more than %d bytes: %.64s...", f->path,
                ARK_WEIGHT_NAME_MAX - 1, t->name);
        }
        if (!f->ours && !strcmp(name, "layers.0.blocks.1.attn_mask")) {
            f->first_side = side_of_mask(t);
        }
        if (!f->ours && (ark_weight_ignored(name) || !rename_foreign(name))) {
            continue;
        }
        ark_weight_tensor *w = &f->items[f->n];
        *w = (ark_weight_tensor){.name = ark_strdup(f->ours ? t->name : name), .t = t};
        if (!w->name) {
            return ARK_ERR(ARK_ENOMEM, "%s: out of memory for tensor names", f->path);
        }
        f->n++;
    }
    ARK_TRY(settle(f));
    qsort(f->items, f->n, sizeof *f->items, by_name);
    for (size_t i = 1; i < f->n; i++) {
        if (!strcmp(f->items[i - 1].name, f->items[i].name)) {
            return ARK_ERR(ARK_EFORMAT, "%s: %s and %s are the same tensor", f->path, f->items[i - 1].t->name,
                f->items[i].t->name);
        }
    }
    return ARK_OK;
}

/* Says what was chosen where a file holds several sets of weights. */
static void note_choice(ark_weight_file *f) {
    const ark_pth_file *pth = ark_tensor_file_pth(f->file);
    size_t len = 0;
    for (size_t i = 0; pth && i < ark_pth_item_count(pth) && len + 80 < sizeof f->note; i++) {
        const ark_pth_item *item = ark_pth_item_at(pth, i);
        if (item->tensors && strcmp(item->key, ark_pth_key(pth)) != 0) {
            len +=
                (size_t)snprintf(f->note + len, sizeof f->note - len, "%s%.40s", len ? ", " : "", item->key);
        }
    }
    if (len) {
        char others[sizeof f->note];
        memcpy(others, f->note, sizeof others);
        snprintf(f->note, sizeof f->note, "reads key %.80s (also there: %.200s)",
            ark_pth_key(pth)[0] ? ark_pth_key(pth) : ".", others);
    }
}

static ark_status look_at(ark_weight_file *f, const char *name) {
    f->path = ark_strdup(name);
    if (!f->path) {
        return ARK_ERR(ARK_ENOMEM, "%s: out of memory", name);
    }
    const char *format = ark_tensor_file_meta(f->file, "format"),
               *version = ark_tensor_file_meta(f->file, "version");
    f->ours = format && !strcmp(format, "arkfm");
    if (f->ours && (!version || strcmp(version, "1"))) {
        return ARK_ERR(ARK_EFORMAT, "%s: weight file version %s, this program reads version 1", name,
            version ? version : "(none)");
    }
    ARK_TRY(ARK_NEW(&f->items, ark_tensor_file_count(f->file), "tensor names"));
    note_choice(f);
    return rename_all(f);
}

ark_status ark_weight_file_adopt(ark_tensor_file *file, const char *name, ark_weight_file **out) {
    ark_weight_file *f;
    ark_status status = ARK_NEW(&f, 1, "a weight file");
    if (status != ARK_OK) {
        ark_tensor_file_close(file);
        return status;
    }
    f->file = file;
    status = look_at(f, name);
    if (status != ARK_OK) {
        ark_weight_file_close(f);
        return status;
    }
    *out = f;
    return ARK_OK;
}

ark_status ark_weight_file_open(const char *path, const char *key, ark_weight_file **out) {
    ark_tensor_file *file;
    ARK_TRY(ark_tensor_file_open(path, key, &file));
    return ark_weight_file_adopt(file, path, out);
}

void ark_weight_file_close(ark_weight_file *f) {
    if (!f) {
        return;
    }
    for (size_t i = 0; i < f->n; i++) {
        ark_free(f->items[i].name);
    }
    ark_free(f->items);
    ark_tensor_file_close(f->file);
    ark_free(f->path);
    ark_free(f);
}
