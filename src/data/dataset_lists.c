/* Headerless lists, one image a line: PATH NUMBERS, separated by blanks or commas.
 *
 *   00000001_000.png 0 1 0 0 0 0 0 0 0 0 0 0 0 0     ChestX-ray14: K numbers (or K+1, the last "no finding")
 *   CHNCXR_0001_0.png,0                              Shenzhen: K = 1
 *   0a1b-2c3d.png 2                                  RSNA: number of the class, or one-hot
 *   3 image.jpeg pneumonia cohen                     COVIDx: patient, image, class name, source
 *   00000001_000.png                                 a name: labels_list or label_in_path has the label */
#include "data/dataset_priv.h"

#include "base/err.h"

#include <math.h>
#include <string.h>

static bool is_separator(char c) {
    return c == ' ' || c == '\t' || c == ',';
}

static bool is_number(const char *s, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (!((s[i] >= '0' && s[i] <= '9') || (s[i] == '-' && i == 0) || s[i] == '.')) {
            return false;
        }
    }
    return n > 0 && n < 16;
}

/* Fields from the end of the line while they are numbers; the first field is never one. Returns how many,
 * their starts in at (from the last to the first, at most cap), and cuts the line behind the path. */
static size_t cut_numbers(char *line, char **at, size_t cap) {
    size_t n = 0;
    char *end = line + strlen(line);
    while (n < cap) {
        while (end > line && is_separator(end[-1])) {
            end--;
        }
        *end = '\0';
        char *start = end;
        while (start > line && !is_separator(start[-1])) {
            start--;
        }
        if (start == line || !is_number(start, (size_t)(end - start))) {
            break;
        }
        at[n++] = start;
        end = start;
    }
    while (end > line && is_separator(end[-1])) {
        *--end = '\0';
    }
    return n;
}

static ark_status class_number(ark__rows *r, const char *text, const char *file, size_t line) {
    int v = 0;
    for (const char *p = text; *p; p++) {
        if (*p < '0' || *p > '9' || v > ARK__MAX_CLASSES) {
            v = -1;
            break;
        }
        v = 10 * v + (*p - '0');
    }
    if (v < 0 || v >= r->d->n_classes) {
        return ARK_ERR(ARK_EFORMAT, "%s:%zu: class number '%s', expected 0 to %d", file, line, text,
            r->d->n_classes - 1);
    }
    ark__label_class(r, v);
    return ARK_OK;
}

/* Labels of a line whose fields are at[n-1] .. at[0]. */
static ark_status read_numbers(ark__rows *r, char *const *at, size_t n, const char *file, size_t line) {
    size_t k = (size_t)r->d->n_classes;
    bool multiclass = r->spec->task == ARK_MULTICLASS;
    if (multiclass && n == 1) {
        return class_number(r, at[0], file, line);
    }
    if (n != k && (multiclass || n != k + 1)) {
        return ARK_ERR(ARK_EFORMAT, "%s:%zu: %zu numbers after the image name, expected %zu%s", file, line, n,
            k, multiclass ? " or a class number" : "");
    }
    for (size_t i = 0; i < k; i++) {
        const char *text = at[n - 1 - i];
        if (!ark__label_parse(text, &r->labels[i])) {
            return ARK_ERR(ARK_EFORMAT, "%s:%zu: column '%s': '%s' is not a label (1, 0 or -1)", file, line,
                r->d->classes[i], text);
        }
    }
    return ark__label_check(r, file, line);
}

/* COVIDx's four words. false: the line is none of that kind. */
static bool read_words(ark__rows *r, char *line, ark__row *row) {
    char *word[5];
    size_t n = 0;
    for (char *p = line; *p && n < 5;) {
        size_t len = strcspn(p, " \t");
        word[n++] = p;
        p += len;
        p += strspn(p, " \t");
    }
    if (r->spec->task != ARK_MULTICLASS || n != 4) {
        return false;
    }
    for (int k = 0; k < r->d->n_classes; k++) {
        size_t len = strcspn(word[2], " \t");
        if (strlen(r->d->classes[k]) == len && !strncmp(r->d->classes[k], word[2], len)) {
            word[1][-1] = word[2][-1] = '\0';
            word[0][strcspn(word[0], " \t")] = '\0';
            word[1][strcspn(word[1], " \t")] = '\0';
            row->patient = word[0];
            row->image = word[1];
            ark__label_class(r, k);
            return true;
        }
    }
    return false;
}

static ark_status read_line(
    ark__rows *r, const ark__columns *c, char *text, ark_split split, const char *file, size_t line) {
    char *at[ARK__MAX_CLASSES + 2];
    ark__row row = {.image = text, .patient = "", .split = split, .age = NAN, .labels = r->labels};
    bool named = c->tables[ARK__FROM_LABELS] != NULL; /* the lines say which images, and no more */
    if (!named && !read_words(r, text, &row)) {
        size_t n = cut_numbers(text, at, ARK__MAX_CLASSES + 2);
        named = n == 0 && r->spec->label_in_path;
        if (n == 0 && !named) {
            return ARK_ERR(ARK_EFORMAT, "%s:%zu: expected an image name and %d labels, got '%.60s'", file,
                line, r->d->n_classes, text);
        }
        if (n) {
            ARK_TRY(read_numbers(r, at, n, file, line));
        }
    }
    if (c->tables[ARK__FROM_LABELS]) {
        cut_numbers(text, at, ARK__MAX_CLASSES + 2); /* labels of another source are passed over */
    }
    return ark__list_row(r, c, &row, !named, file, line);
}

ark_status ark__list_rows(
    ark__rows *r, const ark__columns *c, const char *path, char *text, size_t len, ark_split split) {
    if (memchr(text, '\0', len)) {
        return ARK_ERR(ARK_EFORMAT, "%s: a NUL byte, not a text file", path);
    }
    size_t lines = len && text[len - 1] != '\n';
    for (const char *p = text; (p = strchr(p, '\n')) != NULL; p++) {
        lines++;
    }
    ARK_TRY(ark__rows_reserve(r, lines));
    char *p = text;
    for (size_t line = 1; *p; line++) {
        char *end = p + strcspn(p, "\n"), *next = *end ? end + 1 : end;
        while (end > p && (end[-1] == '\r' || is_separator(end[-1]))) {
            end--;
        }
        *end = '\0';
        if (end > p) { /* blank lines are passed over */
            ARK_TRY(read_line(r, c, p, split, path, line));
        }
        p = next;
    }
    return ARK_OK;
}
