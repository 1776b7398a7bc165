#include "model/seg_model.h"

#include "base/alloc.h"
#include "base/err.h"
#include "model/model.h"
#include "model/weight_file.h"

#include <jansson.h>
#include <string.h>

enum { MAX_CLASSES = 64, MAX_CHANNELS = 4096 };

static char *describe(const ark_seg_net *net, char *const *classes, double threshold) {
    json_t *names = json_array();
    for (int k = 0; k < net->classes; k++) {
        json_array_append_new(names, json_string(classes[k]));
    }
    json_t *o = json_pack("{s:s,s:i,s:o,s:f}", "decoder", "upernet", "channels", net->channels, "classes",
        names, "threshold", threshold);
    size_t n = o ? json_dumpb(o, NULL, 0, JSON_COMPACT) : 0;
    char *text = n ? ark_calloc(n + 1, 1) : NULL;
    if (text) {
        json_dumpb(o, text, n, JSON_COMPACT);
    }
    json_decref(o);
    return text;
}

ark_status ark_seg_model_save(const char *path, const ark_seg_net *net, const ark_preproc *pre,
    char *const *classes, double threshold, const ark_params *params, ark_column column) {
    const ark_net encoder = {.arch = net->arch, .projector = ARK_PROJECTOR_NONE, .drop_path = net->drop_path};
    char *text = describe(net, classes, threshold);
    if (!text) {
        return ARK_ERR(ARK_EINVAL, "%s: class names must be UTF-8", path);
    }
    const char *extra[] = {"segmentation", text, NULL};
    ark_status st = ark_weights_save(path, &encoder, pre, params, column, extra);
    ark_free(text);
    return st;
}

static ark_status bad(const ark_weight_file *f, const char *what) {
    return ARK_ERR(ARK_EFORMAT, "%s: segmentation: %s", f->path, what);
}

static ark_status read_classes(const ark_weight_file *f, const json_t *names, ark_seg_model *m) {
    size_t n = json_array_size(names);
    if (n < 1 || n > MAX_CLASSES) {
        return bad(f, "expected 1 to 64 class names");
    }
    ARK_TRY(ARK_NEW(&m->classes, n, "class names"));
    m->net.classes = (int)n;
    for (size_t k = 0; k < n; k++) {
        const char *name = json_string_value(json_array_get(names, k));
        if (!name || !name[0]) {
            return bad(f, "a class without a name");
        }
        m->classes[k] = ark_strdup(name);
        if (!m->classes[k]) {
            return ARK_ERR(ARK_ENOMEM, "out of memory for class names");
        }
    }
    return ARK_OK;
}

static ark_status read_description(const ark_weight_file *f, ark_seg_model *m) {
    const char *text = f->ours ? ark_tensor_file_meta(f->file, "segmentation") : NULL;
    if (!text) {
        return ARK_ERR(ARK_EFORMAT, "%s holds no segmentation model (arkfm segment trains one)", f->path);
    }
    json_t *o = json_loads(text, 0, NULL);
    const char *decoder = json_string_value(json_object_get(o, "decoder"));
    json_int_t channels = json_integer_value(json_object_get(o, "channels"));
    m->threshold = json_number_value(json_object_get(o, "threshold"));
    m->net.channels = (int)channels;
    ark_status st = ARK_OK;
    if (!decoder || strcmp(decoder, "upernet") != 0) {
        st = bad(f, "the decoder is not upernet");
    } else if (channels < 1 || channels > MAX_CHANNELS) {
        st = bad(f, "channels are not in 1..4096");
    } else if (!(m->threshold > 0 && m->threshold < 1)) {
        st = bad(f, "the threshold is not between 0 and 1");
    }
    st = st ? st : read_classes(f, json_object_get(o, "classes"), m);
    json_decref(o);
    return st;
}

static ark_status load(const ark_weight_file *f, ark_dev *dev, ark_seg_model *m) {
    ark_net encoder = {0};
    ark_match match = {0};
    ARK_TRY(read_description(f, m));
    ARK_TRY(ark_meta_read(f, &encoder, &m->pre));
    m->net.arch = encoder.arch;
    ark_net_free(&encoder);
    ARK_TRY(ark_params_new(&m->params));
    ARK_TRY(ark_seg_net_declare(&m->net, m->params));
    ARK_TRY(ark_match_weights(f, m->params, 0, &match));
    ark_status st = ark_match_complete(f, &match);
    st = st ? st : ark_params_alloc(m->params, dev, 1u << ARK_COL_STUDENT, false);
    st = st ? st : ark_match_fill(f, &match, m->params, ARK_COL_STUDENT);
    ark_match_free(&match);
    return st;
}

ark_status ark_seg_model_open(const char *path, ark_dev *dev, ark_seg_model **out) {
    ark_weight_file *f;
    ark_seg_model *m;
    ARK_TRY(ark_weight_file_open(path, NULL, &f));
    ark_status st = ARK_NEW(&m, 1, "a segmentation model");
    if (st != ARK_OK) {
        ark_weight_file_close(f);
        return st;
    }
    st = load(f, dev, m);
    ark_weight_file_close(f);
    if (st != ARK_OK) {
        ark_seg_model_free(m);
        return st;
    }
    *out = m;
    return ARK_OK;
}

void ark_seg_model_free(ark_seg_model *m) {
    if (!m) {
        return;
    }
    for (int k = 0; m->classes && k < m->net.classes; k++) {
        ark_free(m->classes[k]);
    }
    ark_free(m->classes);
    ark_params_free(m->params);
    ark_free(m);
}
