/* Rows of a dataset under construction: growing columns, one block for all paths, dense patient numbers. */
#include "data/dataset_priv.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/mathsafe.h"
#include "base/str.h"

#include <math.h>
#include <string.h>

static const uint32_t NO_PATIENT = UINT32_MAX; /* until ark__rows_finish */

/* Give the array *column (any object pointer type) room for n elements. */
static ark_status resize(void *column, size_t n, size_t size) {
    void *p;
    memcpy(&p, column, sizeof p);
    size_t bytes;
    void *q = ark_mul(n, size, &bytes) ? NULL : ark_realloc(p, bytes);
    if (!q) {
        return ARK_ERR(ARK_ENOMEM, "out of memory: %zu x %zu bytes of a dataset", n, size);
    }
    memcpy(column, &q, sizeof q);
    return ARK_OK;
}

static ark_status resize_all(ark__rows *r, size_t n) {
    ark_dataset *d = r->d;
    size_t row_bytes;
    if (ark_mul((size_t)d->n_classes, sizeof(float), &row_bytes)) {
        row_bytes = SIZE_MAX;
    }
    ARK_TRY(resize(&r->path_at, n, sizeof *r->path_at));
    ARK_TRY(resize(&d->split, n, sizeof *d->split));
    ARK_TRY(resize(&d->labels, n, row_bytes));
    ARK_TRY(resize(&d->patient, n, sizeof *d->patient));
    ARK_TRY(resize(&d->sex, n, sizeof *d->sex));
    ARK_TRY(resize(&d->age, n, sizeof *d->age));
    ARK_TRY(resize(&d->view, n, sizeof *d->view));
    r->cap = n;
    return ARK_OK;
}

/* data_dir with one slash at its end; "./x.png" says no more than "x.png". */
static ark_status set_dir(const char *data_dir, char **out) {
    size_t n = strlen(data_dir);
    while (n > 1 && data_dir[n - 1] == '/') {
        n--;
    }
    if (n == 1 && data_dir[0] == '.') {
        n = 0;
    }
    ARK_TRY(ARK_NEW(out, n + 2, "a path"));
    memcpy(*out, data_dir, n);
    if (n && data_dir[n - 1] != '/') {
        (*out)[n] = '/';
    }
    return ARK_OK;
}

ark_status ark__rows_begin(ark__rows *r) {
    size_t K = (size_t)r->d->n_classes;
    ARK_TRY(set_dir(r->spec->data_dir, &r->d->dir));
    ARK_TRY(ARK_NEW(&r->labels, K, "a row of labels"));
    ARK_TRY(ARK_NEW(&r->first, K, "a row of labels"));
    ARK_TRY(ARK_NEW(&r->votes, 3 * K, "votes"));
    ARK_TRY(ARK_NEW(&r->path, (size_t)ARK__MAX_PATH + 1, "a path"));
    return ARK_NEW(&r->image, (size_t)ARK__MAX_PATH + 1, "a path");
}

ark_status ark__rows_reserve(ark__rows *r, size_t more) {
    if (more > ARK__MAX_SAMPLES - r->d->n) {
        return ARK_ERR(ARK_EFORMAT, "%s: more than %d samples", r->spec->name, ARK__MAX_SAMPLES);
    }
    return resize_all(r, r->d->n + more);
}

/* Does a file name end like one: a dot and up to five letters and digits? */
static bool has_extension(const char *image) {
    const char *dot = strrchr(ark_path_base(image), '.');
    size_t n = dot ? strspn(dot + 1, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") : 0;
    return n >= 1 && n <= 5 && dot[n + 1] == '\0';
}

/* data_dir/subdir/image + suffix into r->path. */
static ark_status full_path(ark__rows *r, const ark__row *row, const char *file, size_t line, size_t *len) {
    const char *image = row->image, *sub = r->spec->subdirs[row->split];
    const char *suffix = r->spec->suffix_if_bare && has_extension(image) ? "" : r->spec->suffix;
    size_t n_image = strlen(image), n_suffix = strlen(suffix);
    size_t n_dir = image[0] == '/' ? 0 : strlen(r->d->dir);
    size_t n_sub = sub && image[0] != '/' ? strlen(sub) : 0;
    if (n_image == 0) {
        return ARK_ERR(ARK_EFORMAT, "%s:%zu: no image name", file, line);
    }
    if (n_image > ARK__MAX_PATH || n_dir + n_sub + 1 + n_image + n_suffix > ARK__MAX_PATH) {
        return ARK_ERR(ARK_EFORMAT, "%s:%zu: image path of %zu bytes, limit %d", file, line,
            n_dir + n_sub + 1 + n_image + n_suffix, ARK__MAX_PATH);
    }
    char *p = r->path;
    memcpy(p, r->d->dir, n_dir);
    p += n_dir;
    if (n_sub) {
        memcpy(p, sub, n_sub);
        p += n_sub;
        *p++ = '/';
    }
    memcpy(p, image, n_image);
    memcpy(p + n_image, suffix, n_suffix + 1);
    *len = (size_t)(p - r->path) + n_image + n_suffix;
    return ARK_OK;
}

static ark_status add_text(ark__rows *r, const char *s, size_t len, size_t *at) {
    if (r->text_cap - r->text_len < len + 1) {
        size_t cap = r->text_cap + r->text_cap / 2 + len + 4096;
        ARK_TRY(resize(&r->d->path_text, cap, 1));
        r->text_cap = cap;
    }
    memcpy(r->d->path_text + r->text_len, s, len + 1);
    *at = r->text_len;
    r->text_len += len + 1;
    return ARK_OK;
}

/* Split of a training row after hold_out: a uniform draw that depends on the patient's id alone, so that an
 * image more or less in the list moves no other. FNV-1a, finished as splitmix64. */
static ark_split hold_out(const ark__spec *s, const char *id) {
    uint64_t h = 0xcbf29ce484222325u;
    for (; *id; id++) {
        h = (h ^ (unsigned char)*id) * 0x100000001b3u;
    }
    h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9u;
    h = (h ^ (h >> 27)) * 0x94d049bb133111ebu;
    h ^= h >> 31;
    double percent = (double)(h >> 11) * (100.0 / 9007199254740992.0);
    return percent < s->hold_out[ARK_TEST]                          ? ARK_TEST
           : percent < s->hold_out[ARK_TEST] + s->hold_out[ARK_VAL] ? ARK_VAL
                                                                    : ARK_TRAIN;
}

/* The patient's id: as the list has it, or out of the path; "" when neither tells. May use r->path. */
static const char *patient_of(ark__rows *r, const ark__row *row) {
    const ark__spec *s = r->spec;
    const char *at;
    size_t n = 0;
    if (s->patient_in_path && (s->patient_by_path || !row->patient[0])) {
        n = ark__pattern_find(s->patient_in_path, row->image, &at);
    }
    if (n == 0 || n > ARK__MAX_PATH) {
        return s->patient_by_path ? "" : row->patient;
    }
    memcpy(r->path, at, n);
    r->path[n] = '\0';
    return r->path;
}

ark_status ark__rows_add(ark__rows *r, const ark__row *given, const char *file, size_t line) {
    ark_dataset *d = r->d;
    ark__row copy = *given, *row = &copy;
    if (ark__strset_has(&r->excluded, row->image)) {
        d->n_excluded++;
        return ARK_OK;
    }
    if (!(r->spec->views & ark__view_bit(row->view))) {
        d->n_other_views++;
        return ARK_OK;
    }
    ARK_ASSERT(d->n < r->cap);
    size_t len = 0, i = d->n, k = (size_t)d->n_classes;
    const char *id = patient_of(r, row);
    uint32_t patient = NO_PATIENT;
    if (id[0]) {
        ARK_TRY(ark__strset_add(&r->patients, id, &patient));
    }
    if (row->split == ARK_TRAIN && r->spec->hold_out[ARK_VAL] + r->spec->hold_out[ARK_TEST] > 0) {
        row->split = hold_out(r->spec, id[0] ? id : row->image);
    }
    ARK_TRY(full_path(r, row, file, line, &len));
    ARK_TRY(add_text(r, r->path, len, &r->path_at[i]));
    d->split[i] = (uint8_t)row->split;
    memcpy(d->labels + i * k, row->labels, k * sizeof(float));
    d->patient[i] = patient;
    d->sex[i] = row->sex;
    d->age[i] = row->age;
    d->view[i] = row->view;
    d->n++;
    return ARK_OK;
}

ark_status ark__rows_finish(ark__rows *r) {
    ark_dataset *d = r->d;
    if (d->n == 0) {
        return ARK_ERR(ARK_EFORMAT, "%s:%d: %s: no samples are left in its lists", r->spec->yaml->path,
            r->spec->line, d->name);
    }
    ARK_TRY(resize_all(r, d->n));
    ARK_TRY(resize(&d->path_text, r->text_len, 1));
    ARK_TRY(ARK_NEW(&d->paths, d->n, "paths of a dataset"));
    uint32_t next_patient = r->patients.n;
    for (size_t i = 0; i < d->n; i++) {
        d->paths[i] = d->path_text + r->path_at[i];
        if (d->patient[i] == NO_PATIENT) {
            d->patient[i] = next_patient++;
        }
        d->rows_n[d->split[i]]++;
    }
    for (int s = 0; s < ARK_SPLIT_COUNT; s++) {
        ARK_TRY(ARK_NEW(&d->rows[s], d->rows_n[s], "rows of a split"));
        size_t n = 0;
        for (size_t i = 0; i < d->n; i++) {
            if (d->split[i] == s) {
                d->rows[s][n++] = (uint32_t)i;
            }
        }
    }
    return ARK_OK;
}

void ark__rows_free(ark__rows *r) {
    ark_free(r->path_at);
    ark__strset_free(&r->patients);
    ark__strset_free(&r->excluded);
    ark_free(r->exclude_used);
    ark_free(r->labels);
    ark_free(r->path);
    ark_free(r->image);
    ark_free(r->first);
    ark_free(r->votes);
    ark_csv_free(r->labels_table);
    ark_csv_free(r->metadata_table);
    *r = (ark__rows){0};
}

bool ark__label_parse(const char *s, float *out) {
    if (!*s) {
        *out = NAN;
        return true;
    }
    float sign = 1;
    if (*s == '-') {
        sign = -1;
        s++;
    }
    if (*s != '0' && *s != '1') {
        return false;
    }
    float v = (float)(*s++ - '0');
    if (*s == '.') { /* 1.0, 0.000 */
        s++;
        while (*s == '0') {
            s++;
        }
    }
    *out = v == 0 ? 0 : sign * v;
    return !*s;
}

void ark__label_class(ark__rows *r, int index) {
    if (r->spec->task == ARK_BINARY) { /* names: negative, positive */
        r->labels[0] = index < 0 ? NAN : (float)index;
        return;
    }
    for (int k = 0; k < r->d->n_classes; k++) {
        r->labels[k] = index < 0 ? NAN : k == index ? 1 : 0;
    }
}

ark_status ark__label_check(const ark__rows *r, const char *file, size_t line) {
    if (r->spec->task != ARK_MULTICLASS) {
        return ARK_OK;
    }
    int ones = 0, blanks = 0, k = r->d->n_classes;
    for (int i = 0; i < k; i++) {
        ones += r->labels[i] == 1;
        blanks += isnan(r->labels[i]) != 0;
        if (r->labels[i] == -1) {
            return ARK_ERR(
                ARK_EFORMAT, "%s:%zu: column '%s': -1 in a multi-class row", file, line, r->d->classes[i]);
        }
    }
    if (blanks == k || (blanks == 0 && ones == 1)) {
        return ARK_OK;
    }
    return ARK_ERR(ARK_EFORMAT,
        "%s:%zu: multi-class row with %d ones and %d blanks in %d columns, expected one 1", file, line, ones,
        blanks, k);
}
