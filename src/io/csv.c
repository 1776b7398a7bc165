#include "io/csv.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mathsafe.h"
#include "base/str.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_BYTES = 1 << 30, MAX_COLS = 100000 };

/* Fields are unquoted and terminated in place: a terminator always fits, because every field is followed by a
 * delimiter, a line end, or the NUL after the text. */
struct ark_csv {
    char *path;
    char *text;
    size_t rows, cols;
    uint32_t *cells; /* offset into text of every field, the header row first */
    uint32_t *lines; /* line of every row, the header row first */
    size_t first;    /* 1 when the first row is the header */
    char **names;    /* cols unique names */
    uint32_t *order; /* columns sorted by name, for look-up */
};

typedef struct reader {
    ark_csv *t;
    char *p, *end;
    size_t line;
    char delimiter;
    size_t cells, cells_cap, rows, rows_cap;
} reader;

static ark_status grow(uint32_t **items, size_t *cap, size_t need, const char *path) {
    if (need <= *cap) {
        return ARK_OK;
    }
    size_t want = *cap ? 2 * *cap : 256;
    uint32_t *more = ark_realloc(*items, want * sizeof **items);
    if (!more) {
        return ARK_ERR(ARK_ENOMEM, "%s: out of memory for %zu fields", path, want);
    }
    *items = more;
    *cap = want;
    return ARK_OK;
}

static ark_status add_cell(reader *r, const char *field) {
    ARK_TRY(grow(&r->t->cells, &r->cells_cap, r->cells + 1, r->t->path));
    r->t->cells[r->cells++] = (uint32_t)(field - r->t->text);
    return ARK_OK;
}

/* Length of the line end at p: 0 when there is none. */
static size_t eol(const reader *r) {
    if (r->p == r->end) {
        return 0;
    }
    if (*r->p == '\n') {
        return 1;
    }
    if (*r->p == '\r') {
        return r->p + 1 < r->end && r->p[1] == '\n' ? 2 : 1;
    }
    return 0;
}

/* Text between quotes; "" stands for one quote. Leaves p after the closing quote. */
static ark_status quoted_field(reader *r, char **close) {
    size_t opened = r->line;
    char *w = ++r->p;
    for (; r->p < r->end; *w++ = *r->p++) {
        if (*r->p == '"') {
            if (r->p + 1 == r->end || r->p[1] != '"') {
                *close = w;
                r->p++;
                return ARK_OK;
            }
            r->p++;
        } else if (*r->p == '\n' || (*r->p == '\r' && !(r->p + 1 < r->end && r->p[1] == '\n'))) {
            r->line++;
        }
    }
    return ARK_ERR(ARK_EFORMAT, "%s:%zu: quote opened here is never closed", r->t->path, opened);
}

/* One row of delimited fields; p stands after its line end. */
static ark_status delimited_row(reader *r) {
    for (;;) {
        char *field = r->p, *close;
        if (r->p < r->end && *r->p == '"') {
            ARK_TRY(quoted_field(r, &close));
            field++;
            if (r->p < r->end && *r->p != r->delimiter && !eol(r)) {
                return ARK_ERR(
                    ARK_EFORMAT, "%s:%zu: text follows the closing quote of a field", r->t->path, r->line);
            }
        } else {
            while (r->p < r->end && *r->p != r->delimiter && *r->p != '\n' && *r->p != '\r') {
                r->p++;
            }
            close = r->p;
        }
        ARK_TRY(add_cell(r, field));
        bool more = r->p < r->end && *r->p == r->delimiter;
        r->p += more ? 1 : eol(r);
        *close = '\0';
        if (!more) {
            return ARK_OK;
        }
    }
}

/* One row of fields between runs of blanks. */
static ark_status blank_row(reader *r) {
    for (;;) {
        while (r->p < r->end && (*r->p == ' ' || *r->p == '\t')) {
            r->p++;
        }
        if (r->p == r->end || eol(r)) {
            break;
        }
        char *field = r->p;
        while (r->p < r->end && *r->p != ' ' && *r->p != '\t' && *r->p != '\n' && *r->p != '\r') {
            r->p++;
        }
        ARK_TRY(add_cell(r, field));
        size_t n = eol(r);
        bool last = r->p == r->end || n;
        char *close = r->p;
        r->p += last ? n : 1;
        *close = '\0';
        if (last) {
            return ARK_OK;
        }
    }
    r->p += eol(r);
    return ARK_OK;
}

static ark_status read_row(reader *r) {
    size_t before = r->cells, started = r->line;
    ARK_TRY(r->delimiter == ' ' ? blank_row(r) : delimited_row(r));
    r->line++;
    size_t fields = r->cells - before;
    if (fields == 0) {
        return ARK_OK; /* only blanks */
    }
    if (r->rows == 0) {
        if (fields > MAX_COLS) {
            return ARK_ERR(ARK_EFORMAT, "%s: %zu columns, limit %d", r->t->path, fields, MAX_COLS);
        }
        r->t->cols = fields;
    } else if (fields != r->t->cols) {
        return ARK_ERR(ARK_EFORMAT, "%s:%zu: %zu fields, expected %zu as in line %u", r->t->path, started,
            fields, r->t->cols, r->t->lines[0]);
    }
    ARK_TRY(grow(&r->t->lines, &r->rows_cap, r->rows + 1, r->t->path));
    r->t->lines[r->rows++] = (uint32_t)started;
    return ARK_OK;
}

static ark_status read_rows(ark_csv *t, size_t n, char delimiter) {
    reader r = {.t = t, .p = t->text, .end = t->text + n, .line = 1, .delimiter = delimiter};
    if (n >= 3 && !memcmp(t->text, "\xef\xbb\xbf", 3)) {
        r.p += 3;
    }
    const char *nul = memchr(t->text, 0, n);
    if (nul) {
        return ARK_ERR(ARK_EFORMAT, "%s: NUL byte at offset %zu: not a text file in UTF-8", t->path,
            (size_t)(nul - t->text));
    }
    while (r.p < r.end) {
        size_t blank = eol(&r);
        if (blank) {
            r.p += blank;
            r.line++;
            continue;
        }
        ARK_TRY(read_row(&r));
    }
    if (r.rows == 0) {
        return ARK_ERR(ARK_EFORMAT, "%s: empty file", t->path);
    }
    t->rows = r.rows - t->first;
    return ARK_OK;
}

/* A header name and its place, to find repeats by sorting. */
typedef struct named {
    const char *name;
    uint32_t col;
} named;

static int by_name(const void *a, const void *b) {
    const named *x = a, *y = b;
    int c = strcmp(x->name, y->name);
    return c ? c : (x->col > y->col) - (x->col < y->col);
}

static int name_is(const void *key, const void *item) {
    return strcmp(key, ((const named *)item)->name);
}

/* Unique names: the k-th repeat of X becomes X.k, skipping a name that the header already has. */
static ark_status set_names(ark_csv *t, named *sorted) {
    for (size_t j = 0; j < t->cols; j++) {
        sorted[j] = (named){t->text + t->cells[j], (uint32_t)j};
    }
    qsort(sorted, t->cols, sizeof *sorted, by_name);
    size_t repeat = 0;
    for (size_t i = 0; i < t->cols; i++) {
        const char *base = sorted[i].name;
        size_t room = strlen(base) + 16;
        char *name = ark_malloc(room);
        if (!name) {
            return ARK_ERR(ARK_ENOMEM, "%s: out of memory for column names", t->path);
        }
        t->names[sorted[i].col] = name;
        snprintf(name, room, "%s", base);
        if (i == 0 || strcmp(base, sorted[i - 1].name) != 0) {
            repeat = 0;
            continue;
        }
        do {
            snprintf(name, room, "%s.%zu", base, ++repeat);
        } while (bsearch(name, sorted, t->cols, sizeof *sorted, name_is));
    }
    return ARK_OK;
}

static ark_status number_names(ark_csv *t) {
    for (size_t j = 0; j < t->cols; j++) {
        char name[24];
        snprintf(name, sizeof name, "%zu", j);
        if (!(t->names[j] = ark_strdup(name))) {
            return ARK_ERR(ARK_ENOMEM, "%s: out of memory for column names", t->path);
        }
    }
    return ARK_OK;
}

static ark_status index_names(ark_csv *t) {
    named *sorted;
    ARK_TRY(ARK_NEW(&sorted, t->cols, "column names"));
    ark_status st = ARK_NEW(&t->names, t->cols, "column names");
    if (st == ARK_OK) {
        st = t->first ? set_names(t, sorted) : number_names(t);
    }
    if (st == ARK_OK) {
        st = ARK_NEW(&t->order, t->cols, "column index");
    }
    if (st == ARK_OK) {
        for (size_t j = 0; j < t->cols; j++) {
            sorted[j] = (named){t->names[j], (uint32_t)j};
        }
        qsort(sorted, t->cols, sizeof *sorted, by_name);
        for (size_t j = 0; j < t->cols; j++) {
            t->order[j] = sorted[j].col;
        }
    }
    ark_free(sorted);
    return st;
}

/* Takes text, which is NUL-terminated beyond n. */
static ark_status table_of(
    char *text, size_t n, const char *path, char delimiter, bool header, ark_csv **out) {
    ark_csv *t;
    ark_status st = ARK_NEW(&t, 1, "a table");
    if (st != ARK_OK) {
        ark_free(text);
        return st;
    }
    t->text = text;
    t->first = header;
    t->path = ark_strdup(path);
    if (!t->path) {
        st = ARK_ERR(ARK_ENOMEM, "%s: out of memory", path);
    }
    if (st == ARK_OK) {
        st = read_rows(t, n, delimiter ? delimiter : ',');
    }
    if (st == ARK_OK) {
        st = index_names(t);
    }
    if (st != ARK_OK) {
        ark_csv_free(t);
        return st;
    }
    *out = t;
    return ARK_OK;
}

static ark_status read_file(const char *path, char delimiter, bool header, ark_csv **out) {
    char *text;
    size_t n;
    ARK_TRY(ark_file_read(path, MAX_BYTES, &text, &n));
    return table_of(text, n, path, delimiter, header, out);
}

ark_status ark_csv_read(const char *path, char delimiter, ark_csv **out) {
    return read_file(path, delimiter, true, out);
}

ark_status ark_csv_read_headerless(const char *path, char delimiter, ark_csv **out) {
    return read_file(path, delimiter, false, out);
}

ark_status ark_csv_parse(
    const char *text, size_t n, const char *name, char delimiter, bool header, ark_csv **out) {
    if (n > MAX_BYTES) {
        return ARK_ERR(ARK_EFORMAT, "%s: %zu bytes, limit %d", name, n, MAX_BYTES);
    }
    char *copy = ark_strndup(text, n);
    if (!copy) {
        return ARK_ERR(ARK_ENOMEM, "%s: out of memory for %zu bytes", name, n);
    }
    return table_of(copy, n, name, delimiter, header, out);
}

void ark_csv_free(ark_csv *t) {
    if (!t) {
        return;
    }
    for (size_t j = 0; t->names && j < t->cols; j++) {
        ark_free(t->names[j]);
    }
    ark_free(t->names);
    ark_free(t->order);
    ark_free(t->cells);
    ark_free(t->lines);
    ark_free(t->text);
    ark_free(t->path);
    ark_free(t);
}

const char *ark_csv_path(const ark_csv *t) {
    return t->path;
}

size_t ark_csv_rows(const ark_csv *t) {
    return t->rows;
}

size_t ark_csv_cols(const ark_csv *t) {
    return t->cols;
}

const char *ark_csv_name(const ark_csv *t, size_t col) {
    ARK_ASSERT(col < t->cols);
    return t->names[col];
}

long ark_csv_find(const ark_csv *t, const char *name) {
    size_t lo = 0, hi = t->cols;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int c = strcmp(name, t->names[t->order[mid]]);
        if (c == 0) {
            return (long)t->order[mid];
        }
        if (c < 0) {
            hi = mid;
        } else {
            lo = mid + 1;
        }
    }
    return -1;
}

ark_status ark_csv_need(const ark_csv *t, const char *name, size_t *col) {
    long at = ark_csv_find(t, name);
    if (at < 0) {
        const char *near = ark_nearest(name, (const char *const *)t->names, t->cols);
        return ARK_ERR(ARK_EFORMAT, "%s: no column '%s'%s%s%s", t->path, name, near ? " (did you mean '" : "",
            near ? near : "", near ? "'?)" : "");
    }
    *col = (size_t)at;
    return ARK_OK;
}

const char *ark_csv_get(const ark_csv *t, size_t row, size_t col) {
    ARK_ASSERT(row < t->rows && col < t->cols);
    return t->text + t->cells[(row + t->first) * t->cols + col];
}

size_t ark_csv_line(const ark_csv *t, size_t row) {
    ARK_ASSERT(row < t->rows);
    return t->lines[row + t->first];
}
