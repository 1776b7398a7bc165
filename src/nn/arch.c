#include "nn/arch.h"

#include "base/err.h"
#include "base/str.h"

#include <stdio.h>
#include <string.h>

enum { MAX_SIDE_PX = 4096, MAX_EMBED = 4096, MAX_DEPTH = 64, MAX_HEADS = 256, MAX_WINDOW = 64 };

typedef struct named {
    const char *name;
    int embed, depths[4], heads[4];
} named;

static const named known[] = {
    {"swin_tiny", 96, {2, 2, 6, 2}, {3, 6, 12, 24}},
    {"swin_small", 96, {2, 2, 18, 2}, {3, 6, 12, 24}},
    {"swin_base", 128, {2, 2, 18, 2}, {4, 8, 16, 32}},
    {"swin_large", 192, {2, 2, 18, 2}, {6, 12, 24, 48}},
};
enum { KNOWN = sizeof known / sizeof known[0] };

int ark_arch_features(const ark_arch *a) {
    return a->embed << (a->stages - 1);
}

int ark_arch_side(const ark_arch *a, int stage) {
    int side = a->size_px / a->patch;
    for (int i = 0; i < stage; i++) {
        side = (side + 1) / 2;
    }
    return side;
}

int ark_arch_window(const ark_arch *a, int stage) {
    int side = ark_arch_side(a, stage);
    return side <= a->window ? side : a->window;
}

static ark_status in_range(const char *what, int value, int low, int high) {
    if (value < low || value > high) {
        return ARK_ERR(ARK_EINVAL, "architecture: %s = %d is outside %d..%d", what, value, low, high);
    }
    return ARK_OK;
}

ark_status ark_arch_check(const ark_arch *a) {
    ARK_TRY(in_range("size", a->size_px, a->patch, MAX_SIDE_PX));
    ARK_TRY(in_range("embed", a->embed, 1, MAX_EMBED));
    ARK_TRY(in_range("window", a->window, 1, MAX_WINDOW));
    ARK_TRY(in_range("number of stages", a->stages, 1, ARK_MAX_STAGES));
    if (a->size_px % a->patch) {
        return ARK_ERR(
            ARK_EINVAL, "architecture: size %d is not a multiple of the patch side %d", a->size_px, a->patch);
    }
    for (int i = 0; i < a->stages; i++) {
        ARK_TRY(in_range("depth", a->depths[i], 1, MAX_DEPTH));
        ARK_TRY(in_range("heads", a->heads[i], 1, MAX_HEADS));
        if ((a->embed << i) % a->heads[i]) {
            return ARK_ERR(ARK_EINVAL,
                "architecture: stage %d has %d channels, not a multiple of its %d heads", i, a->embed << i,
                a->heads[i]);
        }
    }
    return ARK_OK;
}

/* "2-2-6-2" into list; the count must agree between depths and heads. */
static ark_status parse_list(const char *key, const char *text, int *list, int *count) {
    char word[16];
    int n = 0;
    for (const char *s = text; *s;) {
        size_t len = strcspn(s, "-");
        int64_t v;
        if (len >= sizeof word || n == ARK_MAX_STAGES) {
            return ARK_ERR(ARK_EINVAL, "architecture: bad list %s=%s (at most %d numbers joined by '-')", key,
                text, ARK_MAX_STAGES);
        }
        memcpy(word, s, len);
        word[len] = '\0';
        if (!ark_parse_i64(word, &v) || v < 1 || v > MAX_HEADS) {
            return ARK_ERR(ARK_EINVAL, "architecture: bad number '%s' in %s=%s", word, key, text);
        }
        list[n++] = (int)v;
        s += len + (s[len] == '-');
    }
    if (*count && *count != n) {
        return ARK_ERR(
            ARK_EINVAL, "architecture: %s=%s has %d numbers, the other list has %d", key, text, n, *count);
    }
    *count = n;
    return ARK_OK;
}

static ark_status parse_pair(const char *key, const char *value, ark_arch *a) {
    static const char *const keys[] = {"embed", "depths", "heads", "window", "size", "patch"};
    if (!strcmp(key, "depths")) {
        return parse_list(key, value, a->depths, &a->stages);
    }
    if (!strcmp(key, "heads")) {
        return parse_list(key, value, a->heads, &a->stages);
    }
    int *const slots[] = {&a->embed, NULL, NULL, &a->window, &a->size_px, &a->patch};
    for (int i = 0; i < 6; i++) {
        int64_t v;
        if (!slots[i] || strcmp(key, keys[i])) {
            continue;
        }
        if (!ark_parse_i64(value, &v) || v < 1 || v > MAX_SIDE_PX) {
            return ARK_ERR(
                ARK_EINVAL, "architecture: %s=%s is not a number in 1..%d", key, value, MAX_SIDE_PX);
        }
        *slots[i] = (int)v;
        return ARK_OK;
    }
    const char *near = ark_nearest(key, keys, 6);
    return ARK_ERR(ARK_EINVAL, "architecture: unknown key '%s'%s%s", key, near ? ", did you mean " : "",
        near ? near : "");
}

static ark_status parse_generic(const char *text, ark_arch *a) {
    for (const char *s = text; *s;) {
        char pair[128];
        size_t len = strcspn(s, ",");
        if (len >= sizeof pair) {
            return ARK_ERR(ARK_EINVAL, "architecture: entry longer than %zu characters", sizeof pair - 1);
        }
        memcpy(pair, s, len);
        pair[len] = '\0';
        char *eq = strchr(pair, '=');
        if (!eq) {
            return ARK_ERR(ARK_EINVAL, "architecture: '%s' is not key=value", pair);
        }
        *eq = '\0';
        ARK_TRY(parse_pair(pair, eq + 1, a));
        s += len + (s[len] == ',');
    }
    if (!a->embed || !a->depths[0] || !a->heads[0]) {
        return ARK_ERR(ARK_EINVAL, "architecture: 'swin:%s' needs embed, depths and heads", text);
    }
    return ARK_OK;
}

static ark_status parse_named(const char *text, ark_arch *a) {
    for (int i = 0; i < KNOWN; i++) {
        size_t len = strlen(known[i].name);
        const char *suffix = text + len;
        if (strncmp(text, known[i].name, len) || (*suffix && *suffix != '_')) {
            continue;
        }
        a->embed = known[i].embed;
        a->stages = 4;
        memcpy(a->depths, known[i].depths, sizeof known[i].depths);
        memcpy(a->heads, known[i].heads, sizeof known[i].heads);
        if (!*suffix || !strcmp(suffix, "_224")) {
            a->size_px = 224;
            a->window = 7;
            return ARK_OK;
        }
        if (!strcmp(suffix, "_384") || !strcmp(suffix, "_768")) {
            a->size_px = suffix[1] == '3' ? 384 : 768;
            a->window = 12;
            return ARK_OK;
        }
        return ARK_ERR(ARK_EINVAL, "unknown architecture '%s': sizes are _224, _384, _768", text);
    }
    const char *names[KNOWN];
    for (int i = 0; i < KNOWN; i++) {
        names[i] = known[i].name;
    }
    const char *near = ark_nearest(text, names, KNOWN);
    return ARK_ERR(ARK_EINVAL,
        "unknown architecture '%s'%s%s (swin_tiny|small|base|large[_224|_384|_768], or swin:...)", text,
        near ? ", did you mean " : "", near ? near : "");
}

ark_status ark_arch_parse(const char *text, ark_arch *out) {
    ark_arch a = {.patch = 4, .in_chans = 3, .window = 7, .size_px = 224};
    if (!strncmp(text, "swin:", 5)) {
        ARK_TRY(parse_generic(text + 5, &a));
    } else {
        ARK_TRY(parse_named(text, &a));
    }
    ARK_TRY(ark_arch_check(&a));
    *out = a;
    return ARK_OK;
}

const char *ark_arch_print(const ark_arch *a, char *buf, size_t cap) {
    size_t n = (size_t)snprintf(buf, cap, "swin:embed=%d,depths=", a->embed);
    for (int i = 0; i < a->stages && n < cap; i++) {
        n += (size_t)snprintf(buf + n, cap - n, "%s%d", i ? "-" : "", a->depths[i]);
    }
    for (int i = 0; i < a->stages && n < cap; i++) {
        n += (size_t)snprintf(buf + n, cap - n, "%s%d", i ? "-" : ",heads=", a->heads[i]);
    }
    if (n < cap) {
        n += (size_t)snprintf(buf + n, cap - n, ",window=%d,size=%d", a->window, a->size_px);
    }
    if (a->patch != 4 && n < cap) {
        snprintf(buf + n, cap - n, ",patch=%d", a->patch);
    }
    return buf;
}
