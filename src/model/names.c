/* Tensor names of other writers. Current timm keeps the downsample that leads into a stage at that stage's
 * start; timm before 0.9 and Microsoft's files keep it at the end of the stage before. */
#include "model/weight_file.h"

#include <stdio.h>
#include <string.h>

bool ark_weight_name(const char *file_name, bool downsample_at_end, char out[ARK_WEIGHT_NAME_MAX]) {
    const char *name = strncmp(file_name, "module.", 7) ? file_name : file_name + 7;
    int stage, at = 0;
    int n;
    if (downsample_at_end && sscanf(name, "layers.%3d.%n", &stage, &at) == 1 && at &&
        !strncmp(name + at, "downsample.", 11)) {
        n = snprintf(out, ARK_WEIGHT_NAME_MAX, "layers.%d.%s", stage + 1, name + at);
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
