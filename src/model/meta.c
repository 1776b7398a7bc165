/* The network's description as JSON text in __metadata__: keys config, heads, preprocessing. */
#include "base/alloc.h"
#include "base/err.h"
#include "data/dataset.h"
#include "model/weight_file.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

enum { MAX_HEADS = 1024, MAX_CLASSES = 65536, MAX_WIDTH = 65536 };

static const char *const filters[] = {"bilinear", "bicubic", "box", "lanczos"};
enum { FILTERS = sizeof filters / sizeof filters[0], TASKS = ARK_MULTICLASS + 1 };

/* --- writing --- */

/* The shortest decimal that is this float: 0.485 rather than 0.485000014. */
static json_t *json_float(float x) {
    double scale = 1;
    for (int digits = 0; digits <= 9; digits++, scale *= 10) {
        double r = round(x * scale) / scale;
        if ((float)r == x) {
            return json_real(r);
        }
    }
    return json_real(x);
}

static ark_status put(ark_st_writer *w, const char *key, json_t *value) {
    char *text = value ? json_dumps(value, JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;
    json_decref(value);
    if (!text) {
        return ARK_ERR(ARK_EINVAL, "metadata %s: not representable as JSON (names must be UTF-8)", key);
    }
    ark_status st = ark_st_writer_meta(w, key, text);
    json_free_t release;
    json_get_alloc_funcs(NULL, &release);
    release(text);
    return st;
}

static json_t *heads_json(const ark_net *net) {
    json_t *list = json_array();
    for (int i = 0; i < net->n_heads; i++) {
        const ark_head *h = &net->heads[i];
        json_t *classes = json_array();
        for (int k = 0; k < h->n_classes; k++) {
            json_array_append_new(classes, json_string(h->classes[k]));
        }
        if (json_array_size(classes) != (size_t)h->n_classes) {
            json_decref(classes);
            json_decref(list);
            return NULL;
        }
        json_array_append_new(list, json_pack("{s:s,s:s,s:o}", "dataset", h->dataset, "task",
                                        ark_task_name(h->task), "classes", classes));
    }
    return list;
}

static json_t *floats3(const float x[3]) {
    return json_pack("[o,o,o]", json_float(x[0]), json_float(x[1]), json_float(x[2]));
}

ark_status ark_meta_write(ark_st_writer *w, const ark_net *net, const ark_preproc *pre) {
    char arch[256];
    ARK_TRY(ark_st_writer_meta(w, "format", "arkfm"));
    ARK_TRY(ark_st_writer_meta(w, "version", "1"));
    ARK_TRY(put(w, "config",
        json_pack("{s:s,s:o,s:s,s:i}", "arch", ark_arch_print(&net->arch, arch, sizeof arch), "drop_path",
            json_float(net->drop_path), "projector", ark_projector_name(net->projector), "projector_dim",
            net->projector == ARK_PROJECTOR_NONE ? 0 : net->projector_dim)));
    ARK_TRY(put(w, "heads", heads_json(net)));
    return put(w, "preprocessing",
        json_pack("{s:i,s:i,s:s,s:o,s:o}", "size", pre->size_px, "resize", pre->resize_px, "filter",
            filters[pre->filter], "mean", floats3(pre->mean), "std", floats3(pre->std)));
}

/* --- reading --- */

/* What is being read, for messages. */
typedef struct where {
    const char *path, *key;
} where;

static ark_status wrong(const where *w, const char *name, const char *expected) {
    return ARK_ERR(ARK_EFORMAT, "%s: metadata %s: %s is not %s", w->path, w->key, name, expected);
}

static ark_status load(const ark_weight_file *f, const where *w, json_t **out) {
    const char *text = ark_tensor_file_meta(f->file, w->key);
    json_error_t e;
    if (!text) {
        return ARK_ERR(ARK_EFORMAT, "%s: no metadata %s", w->path, w->key);
    }
    *out = json_loads(text, JSON_REJECT_DUPLICATES, &e);
    return *out ? ARK_OK : ARK_ERR(ARK_EFORMAT, "%s: metadata %s: %s", w->path, w->key, e.text);
}

static ark_status get_int(const where *w, const json_t *map, const char *name, int low, int high, int *out) {
    const json_t *v = json_object_get(map, name);
    if (!json_is_integer(v) || json_integer_value(v) < low || json_integer_value(v) > high) {
        return ARK_ERR(ARK_EFORMAT, "%s: metadata %s: %s is not a whole number in %d..%d", w->path, w->key,
            name, low, high);
    }
    *out = (int)json_integer_value(v);
    return ARK_OK;
}

static ark_status get_word(
    const where *w, const json_t *map, const char *name, const char *const *words, int n, int *out) {
    const char *text = json_string_value(json_object_get(map, name));
    for (int i = 0; text && i < n; i++) {
        if (!strcmp(text, words[i])) {
            *out = i;
            return ARK_OK;
        }
    }
    return ARK_ERR(ARK_EFORMAT, "%s: metadata %s: unknown %s '%s'", w->path, w->key, name, text ? text : "");
}

static ark_status get_floats3(const where *w, const json_t *map, const char *name, float out[3]) {
    const json_t *list = json_object_get(map, name);
    for (size_t i = 0; i < 3; i++) {
        const json_t *v = json_array_get(list, i);
        if (json_array_size(list) != 3 || !json_is_number(v)) {
            return wrong(w, name, "a list of three numbers");
        }
        out[i] = (float)json_number_value(v);
    }
    return ARK_OK;
}

static ark_status read_config(const where *w, const json_t *map, ark_net *net) {
    static const char *const projectors[] = {"none", "linear", "mlp"};
    const char *arch = json_string_value(json_object_get(map, "arch"));
    const json_t *drop = json_object_get(map, "drop_path");
    int projector = 0;
    if (!arch) {
        return wrong(w, "arch", "a string");
    }
    if (ark_arch_parse(arch, &net->arch) != ARK_OK) {
        return ark__err_prefix(ARK_EFORMAT, "%s: metadata %s", w->path, w->key);
    }
    if (!json_is_number(drop) || !(json_number_value(drop) >= 0 && json_number_value(drop) < 1)) {
        return wrong(w, "drop_path", "a number in [0,1)");
    }
    net->drop_path = (float)json_number_value(drop);
    ARK_TRY(get_word(w, map, "projector", projectors, 3, &projector));
    net->projector = (ark_projector)projector;
    return get_int(w, map, "projector_dim", projector ? 1 : 0, MAX_WIDTH, &net->projector_dim);
}

static ark_status read_head(const where *w, const json_t *map, ark_head *h) {
    const char *tasks[TASKS];
    int task = 0;
    for (int t = 0; t < TASKS; t++) {
        tasks[t] = ark_task_name((ark_task)t);
    }
    const char *dataset = json_string_value(json_object_get(map, "dataset"));
    const json_t *classes = json_object_get(map, "classes");
    size_t n = json_array_size(classes);
    if (!dataset) {
        return wrong(w, "dataset", "a string");
    }
    if (n < 1 || n > MAX_CLASSES) {
        return wrong(w, "classes", "a list of 1..65536 names");
    }
    ARK_TRY(get_word(w, map, "task", tasks, TASKS, &task));
    h->task = (ark_task)task;
    ARK_TRY(ARK_NEW(&h->classes, n, "class names"));
    h->n_classes = (int)n;
    h->dataset = ark_strdup(dataset);
    for (size_t k = 0; k < n; k++) {
        const char *name = json_string_value(json_array_get(classes, k));
        if (!name) {
            return wrong(w, "classes", "a list of names");
        }
        h->classes[k] = ark_strdup(name);
        if (!h->classes[k] || !h->dataset) {
            return ARK_ERR(ARK_ENOMEM, "%s: out of memory for class names", w->path);
        }
    }
    return ARK_OK;
}

static ark_status read_heads(const where *w, const json_t *list, ark_net *net) {
    size_t n = json_array_size(list);
    if (!json_is_array(list) || n > MAX_HEADS) {
        return wrong(w, "the text", "a list of at most 1024 heads");
    }
    ARK_TRY(ARK_NEW(&net->heads, n, "heads"));
    net->n_heads = (int)n;
    for (size_t i = 0; i < n; i++) {
        ARK_TRY(read_head(w, json_array_get(list, i), &net->heads[i]));
    }
    return ARK_OK;
}

static ark_status read_preprocessing(const where *w, const json_t *map, ark_preproc *pre) {
    int filter = 0;
    ARK_TRY(get_int(w, map, "size", 1, 4096, &pre->size_px));
    ARK_TRY(get_int(w, map, "resize", 1, 8192, &pre->resize_px));
    ARK_TRY(get_word(w, map, "filter", filters, FILTERS, &filter));
    pre->filter = (ark_filter)filter;
    ARK_TRY(get_floats3(w, map, "mean", pre->mean));
    ARK_TRY(get_floats3(w, map, "std", pre->std));
    if (ark_preproc_check(pre) != ARK_OK) {
        return ark__err_prefix(ARK_EFORMAT, "%s: metadata %s", w->path, w->key);
    }
    return ARK_OK;
}

ark_status ark_meta_read(const ark_weight_file *f, ark_net *net_out, ark_preproc *pre_out) {
    ark_net net = {0};
    ark_preproc pre = {0};
    json_t *config = NULL, *heads = NULL, *images = NULL;
    where w_config = {f->path, "config"}, w_heads = {f->path, "heads"}, w_images = {f->path, "preprocessing"};
    ark_status st = load(f, &w_config, &config);
    st = st ? st : load(f, &w_heads, &heads);
    st = st ? st : load(f, &w_images, &images);
    st = st ? st : read_config(&w_config, config, &net);
    st = st ? st : read_heads(&w_heads, heads, &net);
    st = st ? st : read_preprocessing(&w_images, images, &pre);
    if (st == ARK_OK && pre.size_px != net.arch.size_px) {
        st = ARK_ERR(ARK_EFORMAT, "%s: images of %d px for a network of %d px", f->path, pre.size_px,
            net.arch.size_px);
    }
    json_decref(config);
    json_decref(heads);
    json_decref(images);
    if (st != ARK_OK) {
        ark_net_free(&net);
        return st;
    }
    *net_out = net;
    *pre_out = pre;
    return ARK_OK;
}
