/* Tensor names of other writers. Current timm keeps the downsample that leads into a stage at that
 * stage's start; timm before 0.9 and Microsoft's files keep it at the end of the stage before.
 * torchvision numbers the parts of its Swin: features.0 is the patch embedding, then stages (odd) and
 * downsamples (even) in turn. */
#include "model/weight_file.h"

#include <stdio.h>
#include <string.h>

/* Where encoders are kept inside larger models: SimMIM pretraining (encoder.), detection and
 * segmentation (backbone.), Lightning and timm's wrappers (model.). */
static const char *const prefixes[] = {"", "backbone.", "encoder.", "model."};

/* Tensors that every encoder of some family has. */
static const char *const anchors[] = {"patch_embed.proj.weight", "features.0.0.weight",
    "features.conv0.weight", "conv_proj.weight", "conv1.weight", "stem.0.weight"};

#define COUNT(a) (sizeof(a) / sizeof *(a))

/* Whether the file has prefix + name, with or without "module." before it. */
static bool has(const ark_tensor_file *f, const char *prefix, const char *name) {
    char full[ARK_WEIGHT_NAME_MAX];
    snprintf(full, sizeof full, "module.%s%s", prefix, name);
    return ark_tensor_file_find(f, full) || ark_tensor_file_find(f, full + strlen("module."));
}

ark_name_rule ark_weight_rule(const ark_tensor_file *f) {
    ark_name_rule rule = {.prefix = ""};
    bool found = false;
    for (size_t i = 0; i < COUNT(prefixes) && !found; i++) {
        for (size_t k = 0; k < COUNT(anchors) && !found; k++) {
            found = has(f, prefixes[i], anchors[k]);
        }
        rule.prefix = found ? prefixes[i] : "";
    }
    if (has(f, rule.prefix, "layers.0.downsample.reduction.weight")) {
        rule.style = ARK_NAMES_STAGE_END;
    } else if (has(f, rule.prefix, "features.1.0.attn.relative_position_bias_table")) {
        rule.style = ARK_NAMES_TORCHVISION;
    }
    return rule;
}

static const char *without(const char *name, const char *prefix) {
    size_t n = strlen(prefix);
    return strncmp(name, prefix, n) ? name : name + n;
}

/* The number that begins s, at most three digits; *rest behind it and a dot. -1 when there is none. */
static int numbered(const char *s, const char **rest) {
    int n, at = 0;
    if (s[0] < '0' || s[0] > '9' || sscanf(s, "%3d.%n", &n, &at) != 1 || !at) {
        return -1;
    }
    *rest = s + at;
    return n;
}

/* torchvision/models/swin_transformer.py: features.N.J.part */
static int from_torchvision(const char *name, char out[ARK_WEIGHT_NAME_MAX]) {
    const char *part = name, *rest;
    int n = strncmp(name, "features.", 9) ? -1 : numbered(name + 9, &part);
    int j = n >= 0 && n % 2 ? numbered(part, &rest) : -1;
    if (n == 0) {
        const char *to = !strncmp(part, "0.", 2) ? "proj" : !strncmp(part, "2.", 2) ? "norm" : NULL;
        return snprintf(
            out, ARK_WEIGHT_NAME_MAX, to ? "patch_embed.%s.%s" : "%s%s", to ? to : "", to ? part + 2 : name);
    }
    if (j >= 0) {
        const char *mlp = !strncmp(rest, "mlp.0.", 6)   ? "mlp.fc1."
                          : !strncmp(rest, "mlp.3.", 6) ? "mlp.fc2."
                                                        : "";
        return snprintf(out, ARK_WEIGHT_NAME_MAX, "layers.%d.blocks.%d.%s%s", (n - 1) / 2, j, mlp,
            mlp[0] ? rest + 6 : rest);
    }
    return n > 0 && n % 2 == 0 ? snprintf(out, ARK_WEIGHT_NAME_MAX, "layers.%d.downsample.%s", n / 2, part)
                               : snprintf(out, ARK_WEIGHT_NAME_MAX, "%s", name);
}

bool ark_weight_name(const char *file_name, ark_name_rule rule, char out[ARK_WEIGHT_NAME_MAX]) {
    const char *name = without(without(file_name, "module."), rule.prefix), *part;
    int stage =
        rule.style == ARK_NAMES_STAGE_END && !strncmp(name, "layers.", 7) ? numbered(name + 7, &part) : -1;
    int n;
    if (rule.style == ARK_NAMES_TORCHVISION) {
        n = from_torchvision(name, out);
    } else if (stage >= 0 && !strncmp(part, "downsample.", 11)) {
        n = snprintf(out, ARK_WEIGHT_NAME_MAX, "layers.%d.%s", stage + 1, part);
    } else {
        n = snprintf(out, ARK_WEIGHT_NAME_MAX, "%s", name);
    }
    return n >= 0 && n < ARK_WEIGHT_NAME_MAX;
}

static bool ends_with(const char *s, const char *tail) {
    size_t n = strlen(s), m = strlen(tail);
    return n >= m && !strcmp(s + n - m, tail);
}

bool ark_weight_ignored(const char *name) {
    return (!strncmp(name, "head.", 5) && strncmp(name, "head.norm.", 10)) ||
           ends_with(name, ".relative_position_index") || ends_with(name, ".attn_mask");
}
