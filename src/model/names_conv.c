/* Names that other writers give the tensors of convolutional networks: torchvision's and Meta's ConvNeXt, torchvision's
 * DenseNet before 0.3 ("norm.1") and models that keep one inside ("densenet121.features"), and what every network with
 * batch norm has and nobody needs. */
#include "model/state_family.h"

#include <stdio.h>
#include <string.h>

static bool starts(const char *s, const char *head, const char **rest) {
    size_t n = strlen(head);
    if (strncmp(s, head, n)) {
        return false;
    }
    *rest = s + n;
    return true;
}

static bool ends(const char *s, const char *tail) {
    size_t n = strlen(s), m = strlen(tail);
    return n >= m && !strcmp(s + n - m, tail);
}

/* Up to three digits and a dot. */
static bool number(const char *s, int *n, const char **rest) {
    int v = 0, digits = 0;
    for (; s[digits] >= '0' && s[digits] <= '9' && digits < 4; digits++) {
        v = 10 * v + (s[digits] - '0');
    }
    if (!digits || digits > 3 || s[digits] != '.') {
        return false;
    }
    *n = v;
    *rest = s + digits + 1;
    return true;
}

static bool drop(char out[ARK_WEIGHT_NAME_MAX]) {
    out[0] = '\0';
    return true;
}

/* A name in three parts, or false when it is too long. */
static bool put(char out[ARK_WEIGHT_NAME_MAX], const char *a, const char *b, const char *c) {
    int n = snprintf(out, ARK_WEIGHT_NAME_MAX, "%s%s%s", a, b, c);
    return n >= 0 && n < ARK_WEIGHT_NAME_MAX;
}

/* --- ResNet ---------------------------------------------------------------------------------- */

bool ark_resnet_name(const char *name, char out[ARK_WEIGHT_NAME_MAX]) {
    const char *rest;
    return ends(name, ".num_batches_tracked") || starts(name, "fc.", &rest) ? drop(out) : false;
}

/* --- DenseNet -------------------------------------------------------------------------------- */

bool ark_densenet_name(const char *name, char out[ARK_WEIGHT_NAME_MAX]) {
    const char *own = name, *rest;
    if (starts(name, "densenet121.", &own) && !starts(own, "features.", &rest)) {
        return drop(out); /* a classifier of any form */
    }
    if (!strcmp(own, "classifier.weight") || !strcmp(own, "classifier.bias") ||
        ends(own, ".num_batches_tracked")) {
        return drop(out);
    }
    static const char *const parts[] = {".norm.1.", ".norm.2.", ".conv.1.", ".conv.2."};
    static const char *const current[] = {".norm1.", ".norm2.", ".conv1.", ".conv2."};
    for (int i = 0; i < 4 && starts(own, "features.denseblock", &rest); i++) {
        const char *at = strstr(own, parts[i]);
        if (at) {
            char head[ARK_WEIGHT_NAME_MAX];
            snprintf(head, sizeof head, "%.*s", (int)(at - own), own);
            return put(out, head, current[i], at + strlen(parts[i]));
        }
    }
    return own != name && put(out, own, "", "");
}

/* --- ConvNeXt -------------------------------------------------------------------------------- */

typedef struct pair {
    const char *from, *to;
} pair;

/* One of the pairs at the start of `part`, behind the block's name. */
static bool renamed(
    char out[ARK_WEIGHT_NAME_MAX], int stage, int block, const char *part, const pair *pairs) {
    char head[64];
    snprintf(head, sizeof head, "stages.%d.blocks.%d.", stage, block);
    for (; pairs->from; pairs++) {
        const char *rest;
        if (starts(part, pairs->from, &rest)) {
            return put(out, head, pairs->to, rest);
        }
    }
    return false;
}

/* A stage's entry: the stem for the first, the downsampling for the others. */
static bool entry(char out[ARK_WEIGHT_NAME_MAX], int stage, const char *part) {
    char head[64];
    snprintf(head, sizeof head, stage ? "stages.%d.downsample." : "stem.", stage);
    return put(out, head, part, "");
}

/* torchvision/models/convnext.py: features.N, even: entries, odd: stages; classifier.0 is the norm of the head. */
static bool from_torchvision(const char *name, char out[ARK_WEIGHT_NAME_MAX]) {
    static const pair pairs[] = {{"block.0.", "conv_dw."}, {"block.2.", "norm."}, {"block.3.", "mlp.fc1."},
        {"block.5.", "mlp.fc2."}, {"layer_scale", "gamma"}, {NULL, NULL}};
    const char *part, *rest;
    int n, j;
    if (starts(name, "classifier.0.", &rest)) {
        return put(out, "head.norm.", rest, "");
    }
    if (starts(name, "classifier.2.", &rest)) {
        return drop(out);
    }
    if (!starts(name, "features.", &rest) || !number(rest, &n, &part) || !number(part, &j, &rest)) {
        return false;
    }
    return n % 2 ? renamed(out, n / 2, j, rest, pairs) : j < 2 && entry(out, n / 2, part);
}

/* Meta's release: downsample_layers.N and stages.N.J. Its last norm is called norm, as others' are: see
 * ark_convnext_settle. */
static bool from_meta(const char *name, char out[ARK_WEIGHT_NAME_MAX]) {
    static const pair pairs[] = {{"dwconv.", "conv_dw."}, {"norm.", "norm."}, {"pwconv1.", "mlp.fc1."},
        {"pwconv2.", "mlp.fc2."}, {"gamma", "gamma"}, {NULL, NULL}};
    const char *part, *rest;
    int n, j;
    if (starts(name, "downsample_layers.", &rest) && number(rest, &n, &part)) {
        return entry(out, n, part);
    }
    return starts(name, "stages.", &rest) && number(rest, &n, &part) && number(part, &j, &rest) &&
           renamed(out, n, j, rest, pairs);
}

bool ark_convnext_name(const char *name, char out[ARK_WEIGHT_NAME_MAX]) {
    return from_torchvision(name, out) || from_meta(name, out);
}

const char *ark_convnext_settle(const char *name) {
    if (!strcmp(name, "norm.weight")) {
        return "head.norm.weight";
    }
    return strcmp(name, "norm.bias") ? NULL : "head.norm.bias";
}
