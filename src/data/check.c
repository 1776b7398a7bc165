/* The check: reading the datasets, class counts, patients; the order of work. */
#include "data/check_priv.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/file.h"
#include "base/par.h"
#include "io/yaml.h"

#include <math.h>
#include <string.h>

ark_check_opts ark_check_default_opts(void) {
    return (ark_check_opts){
        .images = true, .near_bits = 31, .min_correlation = 0.9, .threads = ark_cpu_count()};
}

static ark_status count_labels(ark_check_set *s) {
    const ark_dataset *d = s->data;
    for (int split = 0; split < ARK_SPLIT_COUNT; split++) {
        ARK_TRY(ARK_NEW(&s->labels[split], (size_t)d->n_classes, "class counts"));
    }
    for (size_t i = 0; i < d->n; i++) {
        for (int k = 0; k < d->n_classes; k++) {
            float v = d->labels[i * (size_t)d->n_classes + (size_t)k];
            ark_check_labels *c = &s->labels[d->split[i]][k];
            c->positive += v == 1;
            c->negative += v == 0;
            c->uncertain += v == -1;
            c->missing += isnan(v) != 0;
        }
    }
    return ARK_OK;
}

/* Bit of split s of every patient. */
static ark_status patient_splits(const ark_dataset *d, uint8_t **out, size_t *n) {
    *n = 0;
    for (size_t i = 0; i < d->n; i++) {
        *n = d->patient[i] >= *n ? (size_t)d->patient[i] + 1 : *n;
    }
    ARK_TRY(ARK_NEW(out, *n, "patients"));
    for (size_t i = 0; i < d->n; i++) {
        (*out)[d->patient[i]] |= (uint8_t)(1u << d->split[i]);
    }
    return ARK_OK;
}

/* Patients per split and in two; their images are dropped from the split that should not know them. */
static ark_status count_patients(ark_check *c, ark_check_set *s) {
    const unsigned train = 1u << ARK_TRAIN, val = 1u << ARK_VAL, test = 1u << ARK_TEST;
    uint8_t *splits;
    size_t n;
    ARK_TRY(patient_splits(s->data, &splits, &n));
    for (size_t p = 0; p < n; p++) {
        for (int k = 0; k < ARK_SPLIT_COUNT; k++) {
            s->patients[k] += splits[p] >> k & 1;
        }
        s->shared[ARK_TRAIN_VAL] += (splits[p] & (train | val)) == (train | val);
        s->shared[ARK_TRAIN_TEST] += (splits[p] & (train | test)) == (train | test);
        s->shared[ARK_VAL_TEST] += (splits[p] & (val | test)) == (val | test);
    }
    for (size_t i = 0; i < s->data->n; i++) {
        unsigned others = splits[s->data->patient[i]] & ~(1u << s->data->split[i]);
        bool drop =
            (s->data->split[i] == ARK_TRAIN && others) || (s->data->split[i] == ARK_VAL && (others & test));
        c->drop[s->first + i] = drop ? ARK_DROP_PATIENT : ARK_KEEP;
        c->leaked[s->first + i] =
            (s->data->split[i] == ARK_VAL && (others & train)) || (s->data->split[i] == ARK_TEST && others);
    }
    ark_free(splits);
    return ARK_OK;
}

/* A set that cannot be read keeps the reason; lack of memory ends the check. */
static ark_status read_set(const char *path, const char *name, ark_check_set *s) {
    s->name = ark_strdup(name);
    if (!s->name) {
        return ARK_ERR(ARK_ENOMEM, "out of memory: %s", name);
    }
    ark_status st = ark_datasets_read(path, &name, 1, &s->held);
    if (st == ARK_OK) {
        s->data = &s->held->items[0];
        return count_labels(s);
    }
    s->error = st == ARK_ENOMEM ? NULL : ark_strdup(ark_err_msg());
    return s->error ? ARK_OK : st;
}

static ark_status read_sets(const char *path, const char *const *names, size_t n, ark_check *c) {
    ark_yaml *y;
    ARK_TRY(ark_yaml_read(path, &y));
    ark_status st = ARK_OK;
    if (!y->root || y->root->kind != ARK_YAML_MAP || y->root->count == 0) {
        st = ARK_ERR(ARK_EINVAL, "%s: expected a map of dataset names", path);
    }
    if (st == ARK_OK && !names) {
        names = y->root->keys;
        n = y->root->count;
    }
    st = st == ARK_OK ? ARK_NEW(&c->sets, n, "datasets") : st;
    for (size_t i = 0; st == ARK_OK && i < n; i++) {
        c->n_sets = i + 1;
        c->sets[i].first = c->n;
        st = read_set(path, names[i], &c->sets[i]);
        c->n += c->sets[i].data ? c->sets[i].data->n : 0;
        c->n_errors += c->sets[i].error != NULL;
    }
    ark_yaml_free(y);
    if (st == ARK_OK && c->n >= UINT32_MAX / 2) {
        st = ARK_ERR(ARK_EFORMAT, "%s: %zu images, limit %u", path, c->n, UINT32_MAX / 2);
    }
    return st;
}

static ark_status compare(ark_check *c, const ark_check_opts *o) {
    ark__pictures p = {0};
    ark_status st = ARK_NEW(&p.file, c->n, "hashes of images");
    st = st == ARK_OK ? ARK_NEW(&p.pixels, c->n, "hashes of images") : st;
    st = st == ARK_OK ? ARK_NEW(&p.hashes, 2 * c->n, "hashes of images") : st;
    st = st == ARK_OK ? ARK_NEW(&p.parent, c->n, "groups of images") : st;
    st = st == ARK_OK ? ark__check_read(c, o, &p) : st;
    st = st == ARK_OK ? ark__check_match(c, o, &p) : st;
    st = st == ARK_OK ? ark__check_groups(c, &p) : st;
    ark_free(p.file);
    ark_free(p.pixels);
    ark_free(p.hashes);
    ark_free(p.parent);
    return st;
}

static ark_status run(
    const char *path, const char *const *names, size_t n_names, const ark_check_opts *o, ark_check *c) {
    c->complete = true;
    ARK_TRY(read_sets(path, names, n_names, c));
    ARK_TRY(ARK_NEW(&c->drop, c->n, "images"));
    ARK_TRY(ARK_NEW(&c->leaked, c->n, "images"));
    ARK_TRY(ARK_NEW(&c->match, c->n, "images"));
    ARK_TRY(ARK_NEW(&c->distance, c->n, "images"));
    ARK_TRY(ARK_NEW(&c->overlap, 9 * c->n_sets * c->n_sets, "overlaps"));
    for (size_t i = 0; i < c->n_sets; i++) {
        if (c->sets[i].data && c->sets[i].data->pack) {
            return ARK_ERR(
                ARK_EINVAL, "%s: %s is a pack: check the files that it was made from", path, c->sets[i].name);
        }
        if (c->sets[i].data) {
            ARK_TRY(count_patients(c, &c->sets[i]));
        }
    }
    ARK_TRY(compare(c, o));
    for (size_t i = 0; i < c->n; i++) {
        c->dropped[c->drop[i]]++;
        c->leaks += c->leaked[i];
    }
    return ARK_OK;
}

ark_status ark_check_run(
    const char *path, const char *const *names, size_t n_names, const ark_check_opts *opts, ark_check **out) {
    ark_check *c;
    if (opts->near_bits > ARK_NEAR_MAX) {
        return ARK_ERR(ARK_EINVAL, "near duplicates within %d bits: limit %d", opts->near_bits, ARK_NEAR_MAX);
    }
    ARK_TRY(ARK_NEW(&c, 1, "a check"));
    ark_status st = run(path, names, n_names, opts, c);
    if (st != ARK_OK) {
        ark_check_free(c);
        return st;
    }
    *out = c;
    return ARK_OK;
}

void ark_check_free(ark_check *c) {
    if (!c) {
        return;
    }
    for (size_t i = 0; i < c->n_sets; i++) {
        ark_free(c->sets[i].name);
        ark_free(c->sets[i].error);
        ark_datasets_free(c->sets[i].held);
        for (int k = 0; k < ARK_SPLIT_COUNT; k++) {
            ark_free(c->sets[i].labels[k]);
        }
    }
    for (size_t i = 0; i < c->bad_listed; i++) {
        ark_free(c->bad[i].reason);
    }
    ark_free(c->sets);
    ark_free(c->bad);
    ark_free(c->members);
    ark_free(c->start);
    ark_free(c->match);
    ark_free(c->distance);
    ark_free(c->drop);
    ark_free(c->leaked);
    ark_free(c->overlap);
    ark_free(c);
}

const ark_check_set *ark_check_locate(const ark_check *c, uint32_t image, size_t *sample) {
    size_t lo = 0, hi = c->n_sets; /* the last set that begins at or before it and has samples */
    while (hi - lo > 1) {
        size_t mid = lo + (hi - lo) / 2;
        if (c->sets[mid].first <= image) {
            lo = mid;
        } else {
            hi = mid;
        }
    }
    *sample = image - c->sets[lo].first;
    return &c->sets[lo];
}

size_t ark_check_cell(const ark_check *c, uint32_t image) {
    size_t sample;
    const ark_check_set *s = ark_check_locate(c, image, &sample);
    return 3 * (size_t)(s - c->sets) + s->data->split[sample];
}

bool ark_check_leaks(size_t a, size_t b) {
    size_t from = a % 3, to = b % 3;
    return from == ARK_TRAIN ? to != ARK_TRAIN : from == ARK_VAL && to == ARK_TEST && a / 3 == b / 3;
}

ark_status ark_check_write_exclusions(const ark_check *c, const char *path) {
    static const char *const reasons[] = {
        NULL, "the same picture is in another split", "the same patient is in another split", "unreadable"};
    ark_writer w;
    ARK_TRY(ark_writer_open(&w, path));
    ark_writer_printf(&w, "dataset,split,image,reason\n");
    for (size_t i = 0; i < c->n; i++) {
        size_t sample;
        if (c->drop[i] == ARK_KEEP) {
            continue;
        }
        const ark_check_set *s = ark_check_locate(c, (uint32_t)i, &sample);
        const char *texts[] = {s->name, ark_split_name((ark_split)s->data->split[sample]),
            ark_dataset_image_name(s->data, sample), reasons[c->drop[i]]};
        for (int t = 0; t < 4; t++) {
            ark_writer_printf(&w, t ? ",\"" : "\"");
            for (const char *p = texts[t]; *p; p++) {
                ark_writer_put(&w, "\"\"", *p == '"' ? 2 : 0);
                ark_writer_put(&w, p, *p != '"');
            }
            ark_writer_put(&w, "\"", 1);
        }
        ark_writer_put(&w, "\n", 1);
    }
    return ark_writer_commit(&w);
}
