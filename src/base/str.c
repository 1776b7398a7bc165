#include "base/str.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/mathsafe.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void ark_buf_init(ark_buf *b, size_t limit) {
    *b = (ark_buf){.limit = limit};
}

void ark_buf_free(ark_buf *b) {
    ark_free(b->data);
    *b = (ark_buf){.limit = b->limit};
}

/* Room for n more bytes and the terminator. */
static ark_status reserve(ark_buf *b, size_t n) {
    size_t need;
    if (ark_add(b->len, n, &need) || need > b->limit) {
        return ARK_ERR(ARK_EFORMAT, "text of more than %zu bytes, limit %zu", b->len, b->limit);
    }
    if (need + 1 <= b->cap) {
        return ARK_OK;
    }
    size_t cap = b->cap ? b->cap : 256;
    while (cap < need + 1) {
        cap *= 2;
    }
    char *data = ark_realloc(b->data, cap);
    if (!data) {
        return ARK_ERR(ARK_ENOMEM, "out of memory: %zu bytes for text", cap);
    }
    b->data = data;
    b->cap = cap;
    return ARK_OK;
}

ark_status ark_buf_add(ark_buf *b, const void *bytes, size_t n) {
    ARK_TRY(reserve(b, n));
    if (n) {
        memcpy(b->data + b->len, bytes, n);
    }
    b->len += n;
    b->data[b->len] = '\0';
    return ARK_OK;
}

ark_status ark_buf_adds(ark_buf *b, const char *s) {
    return ark_buf_add(b, s, strlen(s));
}

ark_status ark_buf_addf(ark_buf *b, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0) {
        return ARK_ERR(ARK_EINVAL, "cannot format text");
    }
    ARK_TRY(reserve(b, (size_t)n));
    va_start(ap, fmt);
    vsnprintf(b->data + b->len, (size_t)n + 1, fmt, ap);
    va_end(ap);
    b->len += (size_t)n;
    return ARK_OK;
}

bool ark_parse_i64(const char *s, int64_t *out) {
    if (!(*s == '-' || *s == '+' || (*s >= '0' && *s <= '9'))) {
        return false;
    }
    char *end;
    errno = 0;
    long long v = strtoll(s, &end, 10);
    if (errno || end == s || *end) {
        return false;
    }
    *out = v;
    return true;
}

bool ark_parse_f64(const char *s, double *out) {
    static locale_t c_locale;
    if (!c_locale) {
        c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0); /* a race creates it twice, harmlessly */
    }
    if (!(*s == '-' || *s == '+' || *s == '.' || (*s >= '0' && *s <= '9'))) {
        return false;
    }
    char *end;
    double v = strtod_l(s, &end, c_locale);
    if (end == s || *end || !isfinite(v)) {
        return false;
    }
    *out = v;
    return true;
}

bool ark_parse_bool(const char *s, bool *out) {
    static const char *const yes[] = {"true", "yes", "on", "1"};
    static const char *const no[] = {"false", "no", "off", "0"};
    for (size_t i = 0; i < 4; i++) {
        if (!strcmp(s, yes[i]) || !strcmp(s, no[i])) {
            *out = !strcmp(s, yes[i]);
            return true;
        }
    }
    return false;
}

/* Levenshtein distance over the first 63 characters of each. */
static size_t distance(const char *a, const char *b) {
    enum { MAX = 63 };
    size_t na = strnlen(a, MAX), nb = strnlen(b, MAX);
    size_t row[MAX + 1];
    for (size_t j = 0; j <= nb; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= na; i++) {
        size_t diag = row[0];
        row[0] = i;
        for (size_t j = 1; j <= nb; j++) {
            size_t best = diag + (a[i - 1] != b[j - 1]);
            diag = row[j];
            if (row[j] + 1 < best) {
                best = row[j] + 1;
            }
            if (row[j - 1] + 1 < best) {
                best = row[j - 1] + 1;
            }
            row[j] = best;
        }
    }
    return row[nb];
}

const char *ark_nearest(const char *word, const char *const *words, size_t n) {
    const char *best = NULL;
    size_t limit = 1 + strlen(word) / 3;
    for (size_t i = 0; i < n; i++) {
        size_t d = distance(word, words[i]);
        if (d <= limit) {
            best = words[i];
            if (d == 0) {
                break;
            }
            limit = d - 1;
        }
    }
    return best;
}

char *ark_path_join(const char *dir, const char *name) {
    if (name[0] == '/' || dir[0] == '\0') {
        return ark_strdup(name);
    }
    size_t nd = strlen(dir), nn = strlen(name);
    while (nd > 1 && dir[nd - 1] == '/') {
        nd--;
    }
    char *out = ark_malloc(nd + nn + 2);
    if (out) {
        memcpy(out, dir, nd);
        out[nd] = '/';
        memcpy(out + nd + 1, name, nn + 1);
    }
    return out;
}

char *ark_path_dir(const char *path) {
    const char *slash = strrchr(path, '/');
    if (!slash) {
        return ark_strdup(".");
    }
    return slash == path ? ark_strdup("/") : ark_strndup(path, (size_t)(slash - path));
}

const char *ark_path_base(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}
