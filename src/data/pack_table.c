/* The records of one dataset: what it is, and a row per sample. */
#include "base/alloc.h"
#include "base/err.h"
#include "data/dataset_priv.h"
#include "data/pack_priv.h"
#include "io/csv.h"

#include <math.h>
#include <string.h>

static const char *const tasks[] = {
    [ARK_MULTILABEL] = "multi-label", [ARK_BINARY] = "binary", [ARK_MULTICLASS] = "multi-class"};
static const char *const uncertains[] = {[ARK_LSR_ONES] = "lsr-ones",
    [ARK_ONES] = "ones",
    [ARK_ZEROS] = "zeros",
    [ARK_LSR_ZEROS] = "lsr-zeros",
    [ARK_MASK] = "mask"};
static const char *const missings[] = {[ARK_MISSING_MASK] = "mask", [ARK_MISSING_ZERO] = "zero"};
#define WORDS(a) (a), sizeof(a) / sizeof(a)[0]

enum { PATH, SPLIT, PATIENT, SEX, AGE, VIEW, FIRST_CLASS };

/* ---- writing ---- */

static json_t *names_json(char *const *names, int n) {
    json_t *a = json_array();
    for (int i = 0; i < n; i++) {
        json_array_append_new(a, json_string(names[i]));
    }
    if ((int)json_array_size(a) != n) { /* one was not UTF-8 */
        json_decref(a);
        return NULL;
    }
    return a;
}

ark_status ark__pack_dataset_json(const ark_dataset *d, ark_buf *out) {
    json_t *classes = names_json(d->classes, d->n_classes),
           *tests = names_json(d->test_classes, d->n_test_classes);
    json_t *o = json_pack("{s:s,s:s,s:s,s:s,s:o*,s:o*,s:I,s:s}", "name", d->name, "task", tasks[d->task],
        "uncertain", uncertains[d->uncertain], "missing", missings[d->missing], "classes", classes,
        "test_classes", tests, "samples", (json_int_t)d->n, "data_dir", d->data_dir ? d->data_dir : "");
    ark_status st = ark__pack_dump(classes && tests ? o : NULL, d->name, out);
    json_decref(o);
    return st;
}

/* A field, quoted where RFC 4180 wants it. */
static ark_status put_field(ark_buf *b, const char *s) {
    if (!s[strcspn(s, ",\"\r\n")] && s[0]) {
        return ark_buf_adds(b, s);
    }
    ARK_TRY(ark_buf_adds(b, "\""));
    for (const char *q; (q = strchr(s, '"')) != NULL; s = q + 1) {
        ARK_TRY(ark_buf_add(b, s, (size_t)(q - s)));
        ARK_TRY(ark_buf_adds(b, "\"\""));
    }
    ARK_TRY(ark_buf_adds(b, s));
    return ark_buf_adds(b, "\"");
}

/* Path of a sample without the dataset's folder. */
static const char *relative(const ark_dataset *d, size_t i) {
    const char *path = d->paths[i];
    size_t n = d->data_dir ? strlen(d->data_dir) : 0;
    while (n > 1 && d->data_dir[n - 1] == '/') {
        n--;
    }
    return n && !strncmp(path, d->data_dir, n) && path[n] == '/' && path[n + 1] != '/' ? path + n + 1 : path;
}

static ark_status put_row(const ark_dataset *d, size_t i, ark_buf *b) {
    char sex[2] = {d->sex[i], 0}, view[2] = {d->view[i], 0};
    ARK_TRY(put_field(b, relative(d, i)));
    ARK_TRY(ark_buf_addf(b, ",%s,%u,%s,", ark_split_name((ark_split)d->split[i]), d->patient[i], sex));
    ARK_TRY(isnan(d->age[i]) ? ARK_OK : ark_buf_addf(b, "%.9g", (double)d->age[i]));
    ARK_TRY(ark_buf_addf(b, ",%s", view));
    for (int k = 0; k < d->n_classes; k++) {
        float v = d->labels[i * (size_t)d->n_classes + (size_t)k];
        if (!isnan(v) && v != 0 && v != 1 && v != -1) {
            return ARK_ERR(
                ARK_EINVAL, "%s: %s: a label of %g cannot be packed", d->name, d->paths[i], (double)v);
        }
        ARK_TRY(ark_buf_adds(b, isnan(v) ? "," : v == 0 ? ",0" : v > 0 ? ",1" : ",-1"));
    }
    return ark_buf_adds(b, "\n");
}

ark_status ark__pack_table(const ark_dataset *d, ark_buf *b) {
    ark_status st = ark_buf_adds(b, "path,split,patient,sex,age,view");
    for (int k = 0; k < d->n_classes && st == ARK_OK; k++) {
        st = ark_buf_adds(b, ",");
        st = st ? st : put_field(b, d->classes[k]);
    }
    st = st ? st : ark_buf_adds(b, "\n");
    for (size_t i = 0; i < d->n && st == ARK_OK; i++) {
        st = put_row(d, i, b);
    }
    return st ? ark__err_prefix(st, "%s: table of %zu samples", d->name, d->n) : ARK_OK;
}

/* ---- reading ---- */

static ark_status copy_names(
    const char *path, const json_t *o, const char *key, size_t least, char ***names, int *count) {
    const json_t *a = json_object_get(o, key);
    size_t n = json_array_size(a);
    if (!json_is_array(a) || n < least || n > ARK__MAX_CLASSES) {
        return ARK_ERR(
            ARK_EFORMAT, "%s: '%s' of %zu names, expected %zu to %d", path, key, n, least, ARK__MAX_CLASSES);
    }
    if (n == 0) {
        return ARK_OK;
    }
    ARK_TRY(ARK_NEW(names, n, "class names"));
    *count = (int)n;
    for (size_t i = 0; i < n; i++) {
        const char *s = json_string_value(json_array_get(a, i));
        if (!s || !s[0]) {
            return ARK_ERR(ARK_EFORMAT, "%s: '%s' has a name that is none", path, key);
        }
        (*names)[i] = ark_strdup(s);
        if (!(*names)[i]) {
            return ARK_ERR(ARK_ENOMEM, "out of memory for class names");
        }
    }
    return ARK_OK;
}

static ark_status read_names(const char *path, const json_t *o, ark_dataset *d) {
    ARK_TRY(copy_names(path, o, "classes", 1, &d->classes, &d->n_classes));
    ARK_TRY(copy_names(path, o, "test_classes", 0, &d->test_classes, &d->n_test_classes));
    ark__strset seen = {0};
    ark_status st = ARK_OK;
    for (int k = 0; k < d->n_classes && st == ARK_OK; k++) {
        uint32_t id;
        st = ark__strset_add(&seen, d->classes[k], &id);
        if (st == ARK_OK && id != (uint32_t)k) {
            st = ARK_ERR(ARK_EFORMAT, "%s: class '%s' twice", path, d->classes[k]);
        }
    }
    for (int k = 0; k < d->n_test_classes && st == ARK_OK; k++) {
        if (!ark__strset_has(&seen, d->test_classes[k])) {
            st = ARK_ERR(
                ARK_EFORMAT, "%s: test class '%s' is not among the classes", path, d->test_classes[k]);
        }
    }
    ark__strset_free(&seen);
    return st;
}

static ark_status bad_field(const ark_csv *t, size_t row, size_t column) {
    return ARK_ERR(ARK_EFORMAT, "%s:%zu: column '%s': '%.64s'", ark_csv_path(t), ark_csv_line(t, row),
        ark_csv_name(t, column), ark_csv_get(t, row, column));
}

/* One of the letters, or nothing. */
static bool letter(const char *s, const char *letters, char *out) {
    *out = s[0];
    return !s[0] || (!s[1] && strchr(letters, s[0]));
}

static ark_status read_row(ark__rows *r, const ark_csv *t, size_t i, uint32_t *patient) {
    ark__row row = {.image = ark_csv_get(t, i, PATH), .patient = "", .age = NAN, .labels = r->labels};
    const char *split = ark_csv_get(t, i, SPLIT), *age = ark_csv_get(t, i, AGE);
    int s = ARK_SPLIT_COUNT - 1;
    while (s >= 0 && strcmp(split, ark_split_name((ark_split)s)) != 0) {
        s--;
    }
    int64_t number;
    double years;
    if (s < 0) {
        return bad_field(t, i, SPLIT);
    }
    if (!ark_parse_i64(ark_csv_get(t, i, PATIENT), &number) || number < 0 ||
        (size_t)number >= ark_csv_rows(t)) {
        return bad_field(t, i, PATIENT);
    }
    if (!letter(ark_csv_get(t, i, SEX), "MF", &row.sex)) {
        return bad_field(t, i, SEX);
    }
    if (!letter(ark_csv_get(t, i, VIEW), "PAL", &row.view)) {
        return bad_field(t, i, VIEW);
    }
    if (age[0]) {
        if (!ark_parse_f64(age, &years)) {
            return bad_field(t, i, AGE);
        }
        row.age = (float)years;
    }
    for (int k = 0; k < r->d->n_classes; k++) {
        if (!ark__label_parse(ark_csv_get(t, i, FIRST_CLASS + (size_t)k), &r->labels[k])) {
            return bad_field(t, i, FIRST_CLASS + (size_t)k);
        }
    }
    row.split = (ark_split)s;
    *patient = (uint32_t)number;
    ARK_TRY(ark__label_check(r, ark_csv_path(t), ark_csv_line(t, i)));
    return ark__rows_add(r, &row, ark_csv_path(t), ark_csv_line(t, i));
}

static ark_status read_rows(ark__rows *r, const ark_csv *t, uint32_t *patients) {
    ark_dataset *d = r->d;
    ARK_TRY(ark__rows_begin(r));
    ARK_TRY(ark__rows_reserve(r, ark_csv_rows(t)));
    for (size_t i = 0; i < ark_csv_rows(t); i++) {
        ARK_TRY(read_row(r, t, i, &patients[i]));
    }
    ARK_TRY(ark__rows_finish(r));
    memcpy(d->patient, patients, d->n * sizeof *patients); /* as numbered when it was packed */
    return ARK_OK;
}

static ark_status read_table(
    const ark_mdb_item *table, const char *name, const char *data_dir, ark_dataset *d) {
    ark_csv *t;
    uint32_t *patients = NULL;
    ARK_TRY(ark_csv_parse(
        (const char *)table->value + ARK__PACK_CRC, table->len - ARK__PACK_CRC, name, 0, true, &t));
    ark__spec spec = {.name = d->name,
        .task = d->task,
        .suffix = "",
        .data_dir = ark_strdup(data_dir),
        .views = ARK__ALL_VIEWS}; /* what was packed was wanted */
    ark__rows rows = {.spec = &spec, .d = d};
    ark_status st = spec.data_dir ? ARK_OK : ARK_ERR(ARK_ENOMEM, "out of memory for a path");
    if (st == ARK_OK && (ark_csv_cols(t) != FIRST_CLASS + (size_t)d->n_classes || ark_csv_rows(t) == 0)) {
        st = ARK_ERR(ARK_EFORMAT, "%s: %zu rows of %zu columns, expected %d columns", name, ark_csv_rows(t),
            ark_csv_cols(t), FIRST_CLASS + d->n_classes);
    }
    st = st ? st : ARK_NEW(&patients, ark_csv_rows(t), "patients");
    st = st ? st : read_rows(&rows, t, patients);
    ark_free(patients);
    ark__rows_free(&rows);
    d->data_dir = spec.data_dir; /* goes on with the dataset */
    ark_csv_free(t);
    return st;
}

static ark_status read_dataset(
    const char *path, const json_t *o, const ark_mdb_item *table, const char *data_dir, ark_dataset *d) {
    const char *name, *dir;
    int task = 0, uncertain = 0, missing = 0;
    int64_t samples = 0;
    ARK_TRY(ark__pack_text(path, o, "name", &name));
    ARK_TRY(ark__pack_text(path, o, "data_dir", &dir));
    ARK_TRY(ark__pack_word(path, o, "task", WORDS(tasks), &task));
    ARK_TRY(ark__pack_word(path, o, "uncertain", WORDS(uncertains), &uncertain));
    ARK_TRY(ark__pack_word(path, o, "missing", WORDS(missings), &missing));
    ARK_TRY(ark__pack_number(path, o, "samples", 1, ARK__MAX_SAMPLES, &samples));
    d->task = (ark_task)task;
    d->uncertain = (ark_uncertain)uncertain;
    d->missing = (ark_missing)missing;
    d->name = ark_strdup(name);
    if (!d->name) {
        return ARK_ERR(ARK_ENOMEM, "out of memory for a name");
    }
    ARK_TRY(read_names(path, o, d));
    char table_name[1024];
    snprintf(table_name, sizeof table_name, "%.900s: table of %.64s", path, name);
    ARK_TRY(read_table(table, table_name, data_dir ? data_dir : dir, d));
    return d->n == (size_t)samples ? ARK_OK
                                   : ARK_ERR(ARK_EFORMAT, "%s: %s: %zu rows, should be %lld", path, name,
                                         d->n, (long long)samples);
}

ark_status ark__pack_dataset_read(const char *path, const ark_mdb_item *json, const ark_mdb_item *table,
    const char *data_dir, ark_dataset *d) {
    json_t *o;
    ARK_TRY(ark__pack_check(path, table));
    ARK_TRY(ark__pack_json(path, json, &o));
    ark_status st = read_dataset(path, o, table, data_dir, d);
    json_decref(o);
    return st;
}
