/* Parts of image paths: patterns find a patient or a label in one, templates make one of columns. */
#include "data/dataset_priv.h"

#include "base/err.h"
#include "base/str.h"

#include <string.h>

ark_status ark__pattern_check(const char *pattern) {
    const char *hole = strstr(pattern, "{}");
    if (!hole || strchr(hole + 2, '{') || strcspn(pattern, "{") != (size_t)(hole - pattern)) {
        return ARK_ERR(ARK_EINVAL, "'%s' is not a pattern: text around one {}, as in patient{}/", pattern);
    }
    if (pattern[2] == '\0') {
        return ARK_ERR(
            ARK_EINVAL, "'%s' would be the whole file name: text must come before or after {}", pattern);
    }
    return ARK_OK;
}

size_t ark__pattern_find(const char *pattern, const char *path, const char **at) {
    const char *hole = strstr(pattern, "{}"), *suffix = hole + 2;
    size_t n_prefix = (size_t)(hole - pattern), n_suffix = strlen(suffix), len = 0;
    const char *start = n_prefix ? NULL : ark_path_base(path), *p = path;
    for (; *p; p++) {
        if (n_suffix && start && p > start && !strncmp(p, suffix, n_suffix)) {
            *at = start;
            len = (size_t)(p - start);
            start = NULL;
        }
        if (n_prefix && !strncmp(p, pattern, n_prefix)) {
            start = p + n_prefix;
        }
    }
    if (!n_suffix && start && p > start) {
        *at = start;
        len = (size_t)(p - start);
    }
    return len;
}

/* Next {column} or {column:N} at p: its column in name (cap bytes), *limit characters (SIZE_MAX = all), and
 * where it ends; NULL when malformed. */
static const char *hole_at(const char *p, char *name, size_t cap, size_t *limit) {
    const char *end = strchr(p, '}');
    size_t len = end ? (size_t)(end - p - 1) : cap;
    if (len == 0 || len >= cap) {
        return NULL;
    }
    memcpy(name, p + 1, len);
    name[len] = '\0';
    *limit = SIZE_MAX;
    char *colon = strrchr(name, ':');
    if (colon) {
        int64_t n;
        if (!ark_parse_i64(colon + 1, &n) || n < 1 || n > ARK__MAX_PATH || colon == name) {
            return NULL;
        }
        *limit = (size_t)n;
        *colon = '\0';
    }
    return end + 1;
}

ark_status ark__template_check(const char *template, const ark_csv *t) {
    char name[256];
    for (const char *p = template; (p = strchr(p, '{')) != NULL;) {
        size_t limit, col;
        p = hole_at(p, name, sizeof name, &limit);
        if (!p) {
            return ARK_ERR(ARK_EINVAL, "'%s' is not a template: {column} or {column:N}", template);
        }
        if (t) {
            ARK_TRY(ark_csv_need(t, name, &col));
        }
    }
    return ARK_OK;
}

ark_status ark__template_expand(const char *template, const ark_csv *t, size_t row, char *out, size_t cap) {
    size_t len = 0;
    for (const char *p = template; *p;) {
        const char *text = p;
        size_t n = 1;
        if (*p == '{') {
            char name[256];
            size_t limit, col;
            p = hole_at(p, name, sizeof name, &limit);
            ARK_ASSERT(p); /* ark__template_check */
            ARK_TRY(ark_csv_need(t, name, &col));
            text = ark_csv_get(t, row, col);
            n = strlen(text) < limit ? strlen(text) : limit;
        } else {
            p++;
        }
        if (n >= cap - len) {
            return ARK_ERR(ARK_EFORMAT, "%s:%zu: image path over %zu bytes", ark_csv_path(t),
                ark_csv_line(t, row), cap - 1);
        }
        memcpy(out + len, text, n);
        len += n;
    }
    out[len] = '\0';
    return ARK_OK;
}
