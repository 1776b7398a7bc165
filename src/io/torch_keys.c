/* The outermost dict of a checkpoint: what stands in it, and which part of it is the weights. */
#include "base/alloc.h"
#include "base/err.h"
#include "io/torch_file_impl.h"

#include <string.h>

enum { MAX_ITEMS = 1000, MAX_TEXT = 200 };

size_t ark__pth_tensors_in(const ark_pv *v) {
    size_t n = 0;
    for (uint32_t i = 0; v->kind == ARK_PV_DICT && i < v->n; i += 2) {
        bool named = v->items[i]->kind == ARK_PV_STR || v->items[i]->kind == ARK_PV_BYTES;
        n += named && ark_torch_as_tensor(v->items[i + 1]) != NULL;
    }
    return n;
}

/* A CALL's class: that of the innermost function. */
static const ark_pv *class_of(const ark_pv *v) {
    while (v->kind == ARK_PV_CALL) {
        v = v->callee;
    }
    return v;
}

static void describe(const ark_pv *v, ark_pth_item *item, char text[MAX_TEXT]) {
    const ark_pv *c = class_of(v);
    switch ((ark_pv_kind)v->kind) {
    case ARK_PV_NONE:
        snprintf(text, MAX_TEXT, "none");
        break;
    case ARK_PV_BOOL:
    case ARK_PV_INT:
        item->is_number = true;
        item->number = (double)v->i;
        snprintf(text, MAX_TEXT, v->kind == ARK_PV_INT ? "%lld" : v->i ? "true" : "false", (long long)v->i);
        break;
    case ARK_PV_FLOAT:
        item->is_number = true;
        item->number = v->f;
        snprintf(text, MAX_TEXT, "%.15g", v->f);
        break;
    case ARK_PV_BIG:
        snprintf(text, MAX_TEXT, "a whole number of %u bytes", v->n);
        break;
    case ARK_PV_STR:
    case ARK_PV_BYTES:
        snprintf(text, MAX_TEXT, "%.*s", v->n < 150 ? (int)v->n : 150, v->s);
        break;
    case ARK_PV_TUPLE:
    case ARK_PV_LIST:
    case ARK_PV_SET:
        snprintf(text, MAX_TEXT, "a list of %u", v->n);
        break;
    case ARK_PV_DICT:
        item->tensors = ark__pth_tensors_in(v);
        snprintf(text, MAX_TEXT, item->tensors ? "%zu tensors" : "a dict of %zu",
            item->tensors ? item->tensors : (size_t)v->n / 2);
        break;
    case ARK_PV_GLOBAL:
    case ARK_PV_CALL:
    case ARK_PV_PERSID:
        if (c->kind == ARK_PV_GLOBAL) {
            int n = c->n < 90 ? (int)c->n : 90, m = ark_pv_name_len(c) < 90 ? (int)ark_pv_name_len(c) : 90;
            snprintf(text, MAX_TEXT, "an object of %.*s.%.*s", n, c->module, m, c->name);
        } else {
            snprintf(text, MAX_TEXT, "a storage");
        }
        break;
    }
}

ark_status ark__pth_list_items(ark_pth_file *f) {
    const ark_pv *root = f->root;
    size_t n = root->kind == ARK_PV_DICT ? root->n / 2 : 0;
    n = n < MAX_ITEMS ? n : MAX_ITEMS;
    ARK_TRY(ARK_NEW(&f->items, n, "keys"));
    for (uint32_t i = 0; root->kind == ARK_PV_DICT && i < root->n && f->items_n < n; i += 2) {
        const ark_pv *key = root->items[i], *value = root->items[i + 1];
        char text[MAX_TEXT] = "";
        if ((key->kind != ARK_PV_STR && key->kind != ARK_PV_BYTES) || ark_torch_as_tensor(value)) {
            continue;
        }
        ark_pth_item *item = &f->items[f->items_n++];
        describe(value, item, text);
        item->key = ark_strndup(key->s, key->n < 255 ? key->n : 255);
        item->text = ark_strdup(text);
        if (!item->key || !item->text) {
            return ARK_ERR(ARK_ENOMEM, "%s: out of memory for its keys", f->path);
        }
    }
    return ARK_OK;
}

/* "teacher (329 tensors), epoch, ...", for messages. */
static void name_keys(const ark_pth_file *f, char *out, size_t cap) {
    size_t len = 0;
    out[0] = '\0';
    for (int with = 1; with >= 0; with--) {
        for (size_t i = 0; i < f->items_n && len + 100 < cap; i++) {
            const ark_pth_item *item = &f->items[i];
            if ((item->tensors > 0) == with) {
                len += (size_t)snprintf(out + len, cap - len, "%s%.40s%s%s%s", len ? ", " : "", item->key,
                    with ? " (" : "", with ? item->text : "", with ? ")" : "");
            }
        }
    }
}

static ark_status no_weights(const ark_pth_file *f) {
    ark_pth_item item = {0};
    char text[700];
    if (f->root->kind != ARK_PV_DICT) {
        describe(f->root, &item, text);
        return ARK_ERR(ARK_EFORMAT,
            "%s: holds %s, not tensors by name: in PyTorch, torch.save(model.state_dict(), ...)", f->path,
            text);
    }
    name_keys(f, text, sizeof text);
    return ARK_ERR(ARK_EFORMAT, "%s: no tensors by name in it; its keys are: %s", f->path, text);
}

/* A key, or keys joined by '/'. */
static const ark_pv *resolve(const ark_pv *v, const char *key) {
    char part[256];
    const ark_pv *whole = ark_pv_get(v, key);
    while (!whole && v && *key) {
        size_t n = strcspn(key, "/");
        if (n >= sizeof part) {
            return NULL;
        }
        memcpy(part, key, n);
        part[n] = '\0';
        v = ark_pv_get(v, part);
        key += n + (key[n] == '/');
    }
    return whole ? whole : v;
}

static ark_status chosen(ark_pth_file *f, const char *key, const ark_pv *v, const ark_pv **dict) {
    f->key = ark_strdup(key);
    *dict = v;
    return f->key ? ARK_OK : ARK_ERR(ARK_ENOMEM, "%s: out of memory for its keys", f->path);
}

static ark_status choose_named(ark_pth_file *f, const char *key, const ark_pv **dict) {
    bool outermost = !strcmp(key, ".");
    const ark_pv *v = outermost ? f->root : resolve(f->root, key);
    char text[700];
    if (!v || ark__pth_tensors_in(v) == 0) {
        name_keys(f, text, sizeof text);
        return ARK_ERR(ARK_EINVAL, "%s: %s '%.60s'; its keys are: %s", f->path,
            v ? "no tensors under key" : "no key", key, text[0] ? text : "tensors only");
    }
    return chosen(f, outermost ? "" : key, v, dict);
}

ark_status ark__pth_choose(ark_pth_file *f, const char *key, const ark_pv **dict) {
    static const char *const usual[] = {"teacher", "state_dict", "model", "model_state_dict", "net"};
    if (key) {
        return choose_named(f, key, dict);
    }
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) {
        const ark_pv *v = ark_pv_get(f->root, usual[i]);
        if (v && ark__pth_tensors_in(v) > 0) {
            return chosen(f, usual[i], v, dict);
        }
    }
    size_t found = 0;
    const ark_pth_item *only = NULL;
    for (size_t i = 0; i < f->items_n; i++) {
        found += f->items[i].tensors > 0;
        only = f->items[i].tensors ? &f->items[i] : only;
    }
    bool outermost = ark__pth_tensors_in(f->root) > 0;
    if (found + outermost == 0) {
        return no_weights(f);
    }
    if (found + outermost > 1) {
        char text[700];
        name_keys(f, text, sizeof text);
        return ARK_ERR(ARK_EINVAL, "%s: a key must choose the weights%s among: %s", f->path,
            outermost ? " (. for the tensors at the top)" : "", text);
    }
    return outermost ? chosen(f, "", f->root, dict)
                     : chosen(f, only->key, ark_pv_get(f->root, only->key), dict);
}
