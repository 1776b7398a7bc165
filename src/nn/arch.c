/* Text to architecture and back, by the tables of the families. */
#include "nn/arch.h"

#include "base/err.h"
#include "base/str.h"
#include "nn/encoder.h"

#include <stdio.h>
#include <string.h>

enum { MAX_NAMES = 64, MAX_KEYS = 16, MAX_WORD = 128 };

int ark_arch_features(const ark_arch *a) {
    return a->family->features(a);
}

static int *slot(ark_arch *a, const ark_arch_key *k) {
    return (int *)(void *)((char *)a + k->offset);
}

static const int *value_of(const ark_arch *a, const ark_arch_key *k) {
    return (const int *)(const void *)((const char *)a + k->offset);
}

ark_status ark_arch_check(const ark_arch *a) {
    for (const ark_arch_key *k = a->family->keys; k->name; k++) {
        if (k->list && (a->stages < 1 || a->stages > ARK_MAX_STAGES)) {
            return ARK_ERR(ARK_EINVAL, "architecture: number of stages = %d is outside 1..%d", a->stages,
                ARK_MAX_STAGES);
        }
        for (int i = 0; i < (k->list ? a->stages : 1); i++) {
            int v = value_of(a, k)[i];
            if (v < k->low || v > k->high) {
                return ARK_ERR(
                    ARK_EINVAL, "architecture: %s = %d is outside %d..%d", k->name, v, k->low, k->high);
            }
        }
    }
    return a->family->check(a);
}

/* --- parsing --- */

/* "2-2-6-2" into list; the count must agree between the lists of a family. */
static ark_status parse_list(const ark_arch_key *k, const char *text, int *list, int *count) {
    char word[16];
    int n = 0;
    for (const char *s = text; *s;) {
        size_t len = strcspn(s, "-");
        int64_t v;
        if (len >= sizeof word || n == ARK_MAX_STAGES) {
            return ARK_ERR(ARK_EINVAL, "architecture: bad list %s=%s (at most %d numbers joined by '-')",
                k->name, text, ARK_MAX_STAGES);
        }
        memcpy(word, s, len);
        word[len] = '\0';
        if (!ark_parse_i64(word, &v) || v < k->low || v > k->high) {
            return ARK_ERR(ARK_EINVAL, "architecture: bad number '%s' in %s=%s", word, k->name, text);
        }
        list[n++] = (int)v;
        s += len + (s[len] == '-');
    }
    if (*count && *count != n) {
        return ARK_ERR(ARK_EINVAL, "architecture: %s=%s has %d numbers, the other list has %d", k->name, text,
            n, *count);
    }
    *count = n;
    return ARK_OK;
}

static ark_status parse_word(const ark_arch_key *k, const char *text, int *out) {
    for (int v = k->low; v <= k->high; v++) {
        if (!strcmp(text, k->words[v - k->low])) {
            *out = v;
            return ARK_OK;
        }
    }
    const char *near = ark_nearest(text, k->words, k->high - k->low + 1);
    return ARK_ERR(ARK_EINVAL, "architecture: unknown %s '%s'%s%s", k->name, text,
        near ? ", did you mean " : "", near ? near : "");
}

static ark_status parse_pair(const char *key, const char *value, ark_arch *a) {
    const char *names[MAX_KEYS];
    int n = 0;
    for (const ark_arch_key *k = a->family->keys; k->name && n < MAX_KEYS; k++) {
        int64_t v;
        names[n++] = k->name;
        if (strcmp(key, k->name)) {
            continue;
        }
        if (k->list) {
            return parse_list(k, value, slot(a, k), &a->stages);
        }
        if (k->words) {
            return parse_word(k, value, slot(a, k));
        }
        if (!ark_parse_i64(value, &v) || v < k->low || v > k->high) {
            return ARK_ERR(
                ARK_EINVAL, "architecture: %s=%s is not a number in %d..%d", key, value, k->low, k->high);
        }
        *slot(a, k) = (int)v;
        return ARK_OK;
    }
    const char *near = ark_nearest(key, names, n);
    return ARK_ERR(ARK_EINVAL, "architecture: unknown key '%s'%s%s", key, near ? ", did you mean " : "",
        near ? near : "");
}

static ark_status parse_keys(const char *text, ark_arch *a) {
    for (const char *s = text; *s;) {
        char pair[MAX_WORD];
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
    return ARK_OK;
}

/* An architecture of the family with every value that has a start. */
static ark_arch begin(const ark_encoder *family) {
    ark_arch a = {.family = family, .in_chans = 3};
    for (const ark_arch_key *k = family->keys; k->name; k++) {
        if (!k->list) {
            *slot(&a, k) = k->start;
        }
    }
    return a;
}

/* The family before the colon, the keys after it. */
static ark_status parse_generic(const char *text, const char *colon, ark_arch *out) {
    char name[MAX_WORD];
    const char *names[MAX_NAMES];
    int n = 0;
    const ark_encoder *family;
    while (n < MAX_NAMES && (family = ark_encoder_at(n)) != NULL) {
        names[n++] = family->name;
    }
    snprintf(name, sizeof name, "%.*s", (int)(colon - text < 100 ? colon - text : 100), text);
    family = ark_encoder_find(name);
    if (!family) {
        const char *near = ark_nearest(name, names, n);
        return ARK_ERR(ARK_EINVAL, "unknown architecture '%s:'%s%s", name, near ? ", did you mean " : "",
            near ? near : "");
    }
    ark_arch a = begin(family);
    ARK_TRY(parse_keys(colon + 1, &a));
    for (const ark_arch_key *k = family->keys; k->name; k++) {
        if (!k->start && !*value_of(&a, k)) {
            return ARK_ERR(ARK_EINVAL, "architecture: '%s' needs %s", text, k->name);
        }
    }
    *out = a;
    return ARK_OK;
}

/* The sizes of a family, "_224, _384", for messages. */
static const char *size_names(const ark_encoder *family, char *buf, size_t cap) {
    size_t n = 0;
    buf[0] = '\0';
    for (const ark_variant *s = family->sizes; s->name && n < cap; s++) {
        if (s->name[0]) {
            n += (size_t)snprintf(buf + n, cap - n, "%s%s", n ? ", " : "", s->name);
        }
    }
    return buf;
}

static ark_status parse_variant(
    const ark_encoder *family, const ark_variant *variant, const char *text, ark_arch *out) {
    const char *suffix = text + strlen(variant->name);
    for (const ark_variant *s = family->sizes; s->name; s++) {
        if (*suffix && strcmp(suffix, s->name)) {
            continue;
        }
        ark_arch a = begin(family);
        ARK_TRY(parse_keys(variant->keys, &a));
        ARK_TRY(parse_keys(s->keys, &a));
        *out = a;
        return ARK_OK;
    }
    char sizes[128];
    return ARK_ERR(
        ARK_EINVAL, "unknown architecture '%s': sizes are %s", text, size_names(family, sizes, sizeof sizes));
}

static ark_status parse_named(const char *text, ark_arch *out) {
    const char *names[MAX_NAMES];
    int n = 0;
    const ark_encoder *family;
    for (int i = 0; (family = ark_encoder_at(i)) != NULL; i++) {
        for (const ark_variant *v = family->variants; v->name; v++) {
            size_t len = strlen(v->name);
            if (!strncmp(text, v->name, len) && (!text[len] || text[len] == '_')) {
                return parse_variant(family, v, text, out);
            }
            if (n < MAX_NAMES) {
                names[n++] = v->name;
            }
        }
    }
    char list[512];
    size_t at = 0;
    for (int i = 0; i < n && at < sizeof list; i++) {
        at += (size_t)snprintf(list + at, sizeof list - at, "%s%s", i ? ", " : "", names[i]);
    }
    const char *near = ark_nearest(text, names, n);
    return ARK_ERR(ARK_EINVAL, "unknown architecture '%.100s'%s%s (%s, or FAMILY:key=value,...)", text,
        near ? ", did you mean " : "", near ? near : "", list);
}

ark_status ark_arch_parse(const char *text, ark_arch *out) {
    ark_arch a;
    const char *colon = strchr(text, ':');
    if (colon) {
        ARK_TRY(parse_generic(text, colon, &a));
    } else {
        ARK_TRY(parse_named(text, &a));
    }
    ARK_TRY(ark_arch_check(&a));
    *out = a;
    return ARK_OK;
}

/* --- printing --- */

const char *ark_arch_print(const ark_arch *a, char *buf, size_t cap) {
    size_t n = (size_t)snprintf(buf, cap, "%s:", a->family->name);
    const char *comma = "";
    for (const ark_arch_key *k = a->family->keys; k->name; k++) {
        const int *v = value_of(a, k);
        if (k->quiet && *v == k->start) {
            continue;
        }
        for (int i = 0; i < (k->list ? a->stages : 1) && n < cap; i++) {
            n +=
                (size_t)snprintf(buf + n, cap - n, "%s%s%s", i ? "-" : comma, i ? "" : k->name, i ? "" : "=");
            if (n < cap) {
                n += k->words ? (size_t)snprintf(buf + n, cap - n, "%s", k->words[v[i] - k->low])
                              : (size_t)snprintf(buf + n, cap - n, "%d", v[i]);
            }
        }
        comma = ",";
    }
    return buf;
}
