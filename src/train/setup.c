#include "train/setup.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/str.h"
#include "data/pack.h"

#include <stdio.h>
#include <string.h>

enum { MAX_DATASETS = 256 };

/* "a,b,c" -> names pointing into a copy. */
static ark_status split_names(const char *joined, char **copy, const char **names, size_t *n) {
    *copy = ark_strdup(joined);
    if (!*copy) {
        return ARK_ERR(ARK_ENOMEM, "out of memory for dataset names");
    }
    *n = 0;
    for (char *s = *copy; *s;) {
        size_t len = strcspn(s, ",");
        bool more = s[len] == ',';
        s[len] = '\0';
        if (*n == MAX_DATASETS) {
            return ARK_ERR(ARK_EINVAL, "data.datasets: more than %d names", MAX_DATASETS);
        }
        for (size_t i = 0; i < *n; i++) {
            if (!strcmp(names[i], s)) {
                return ARK_ERR(ARK_EINVAL, "data.datasets: %s is named twice", s);
            }
        }
        names[(*n)++] = s;
        s += len + more;
    }
    return ARK_OK;
}

static ark_status read_datasets(const ark_train_config *c, ark_datasets **out) {
    char *copy = NULL;
    const char *names[MAX_DATASETS];
    size_t n = 0;
    ark_status st = split_names(c->datasets, &copy, names, &n);
    if (st == ARK_OK) {
        st = ark_datasets_read(c->data_config, n ? names : NULL, n, out);
    }
    if (st == ARK_OK && c->exclusions[0]) {
        st = ark_datasets_exclude(*out, c->exclusions);
    }
    ark_free(copy);
    return st;
}

static ark_status add_class(ark_head *h, const char *name) {
    char **more = ark_realloc(h->classes, (size_t)(h->n_classes + 1) * sizeof *more);
    if (!more) {
        return ARK_ERR(ARK_ENOMEM, "out of memory for class names");
    }
    h->classes = more;
    more[h->n_classes] = ark_strdup(name);
    if (!more[h->n_classes]) {
        return ARK_ERR(ARK_ENOMEM, "out of memory for class names");
    }
    h->n_classes++;
    return ARK_OK;
}

static int find_class(const ark_head *h, const char *name) {
    for (int k = 0; k < h->n_classes; k++) {
        if (!strcmp(h->classes[k], name)) {
            return k;
        }
    }
    return -1;
}

static ark_status new_head(ark_net *net, const char *dataset, ark_task task, ark_head **out) {
    ark_head *h = &net->heads[net->n_heads];
    h->task = task;
    h->dataset = ark_strdup(dataset);
    net->n_heads++;
    *out = h;
    return h->dataset ? ARK_OK : ARK_ERR(ARK_ENOMEM, "out of memory for a head");
}

/* One head per dataset, or the union: equal names share an output (the single-head ablation). */
static ark_status build_heads(ark_setup *s, bool union_head) {
    ark_head *h = NULL;
    ARK_TRY(ARK_NEW(&s->net.heads, s->datasets->n, "heads"));
    for (int i = 0; i < s->n_lanes; i++) {
        ark_lane *lane = &s->lanes[i];
        const ark_dataset *d = lane->data;
        if (!union_head || i == 0) {
            ARK_TRY(
                new_head(&s->net, union_head ? "union" : d->name, union_head ? ARK_MULTILABEL : d->task, &h));
        }
        lane->head = s->net.n_heads - 1;
        ARK_TRY(ARK_NEW(&lane->columns, (size_t)d->n_classes, "class columns"));
        for (int k = 0; k < d->n_classes; k++) {
            int at = find_class(h, d->classes[k]);
            if (at < 0) {
                ARK_TRY(add_class(h, d->classes[k]));
                at = h->n_classes - 1;
            }
            lane->columns[k] = at;
        }
    }
    return ARK_OK;
}

/* Concurrent training sees all heads side by side in a label row; otherwise a row is one head's. */
static void place_columns(ark_setup *s, bool concurrent) {
    for (int i = 0; i < s->n_lanes; i++) {
        ark_lane *lane = &s->lanes[i];
        int base = 0;
        for (int h = 0; concurrent && h < lane->head; h++) {
            base += s->net.heads[h].n_classes;
        }
        for (int k = 0; k < lane->data->n_classes; k++) {
            lane->columns[k] += base;
        }
        int end = base + s->net.heads[lane->head].n_classes;
        s->width = end > s->width ? end : s->width;
        lane->task = concurrent ? 0 : lane->head;
    }
}

static ark_preproc make_preproc(const ark_train_config *c, int size_px) {
    ark_preproc p = ark_preproc_default(size_px);
    p.resize_px = c->resize_px ? (int)c->resize_px : p.resize_px;
    p.filter = (ark_filter)c->filter;
    for (int i = 0; i < 3 && c->normalization == 1; i++) {
        p.mean[i] = 0.5056f;
        p.std[i] = 0.252f;
    }
    return p;
}

static void note_dropped(const ark_dataset *d, void (*on_note)(void *, const char *), void *arg) {
    char line[512];
    if (on_note && d->dropped[ARK_TRAIN] + d->dropped[ARK_VAL] + d->dropped[ARK_TEST]) {
        snprintf(line, sizeof line, "%s: left out by data.exclusions: %zu train, %zu val, %zu test images",
            d->name, d->dropped[ARK_TRAIN], d->dropped[ARK_VAL], d->dropped[ARK_TEST]);
        on_note(arg, line);
    }
}

static void note_gaps(const ark_lane *lane, void (*on_note)(void *, const char *), void *arg) {
    const ark_dataset *d = lane->data;
    for (int k = 0; k < d->n_classes; k++) {
        size_t positives = 0;
        for (size_t i = 0; i < d->rows_n[ARK_TRAIN]; i++) {
            positives += d->labels[(size_t)d->rows[ARK_TRAIN][i] * (size_t)d->n_classes + (size_t)k] == 1;
        }
        if (positives == 0 && on_note) {
            char line[512];
            snprintf(
                line, sizeof line, "%s: class %s has no positive training image", d->name, d->classes[k]);
            on_note(arg, line);
        }
    }
}

static ark_status build(const ark_train_config *c, ark_setup *s) {
    ARK_TRY(ark_arch_parse(c->arch, &s->net.arch));
    s->net.drop_path = (float)c->drop_path;
    s->net.projector = (ark_projector)c->projector;
    s->net.projector_dim = (int)c->projector_dim;
    s->pre = make_preproc(c, s->net.arch.size_px);
    ARK_TRY(ark_preproc_check(&s->pre));
    ARK_TRY(read_datasets(c, &s->datasets));
    ARK_TRY(ARK_NEW(&s->lanes, s->datasets->n, "datasets of the run"));
    s->n_lanes = (int)s->datasets->n;
    for (int i = 0; i < s->n_lanes; i++) {
        ark_dataset *d = &s->datasets->items[i];
        s->lanes[i] = (ark_lane){.data = d, .id = (uint32_t)i};
        ARK_TRY(ark_dataset_fits(d, &s->pre));
        d->uncertain = c->uncertain ? (ark_uncertain)(c->uncertain - 1) : d->uncertain;
        d->missing = c->missing ? (ark_missing)(c->missing - 1) : d->missing;
        if (d->rows_n[ARK_TRAIN] == 0) {
            return ARK_ERR(ARK_EINVAL, "%s: no training image%s", d->name,
                d->dropped[ARK_TRAIN] ? ": data.exclusions leaves none" : "");
        }
    }
    ARK_TRY(build_heads(s, c->union_head));
    place_columns(s, c->mode == ARK_CONCURRENT);
    return ARK_OK;
}

ark_status ark_setup_read(
    const ark_train_config *c, void (*on_note)(void *arg, const char *line), void *arg, ark_setup *out) {
    *out = (ark_setup){0};
    ark_status st = build(c, out);
    if (st != ARK_OK) {
        ark_setup_free(out);
        return st;
    }
    for (int i = 0; i < out->n_lanes; i++) {
        note_dropped(out->lanes[i].data, on_note, arg);
        note_gaps(&out->lanes[i], on_note, arg);
    }
    return ARK_OK;
}

void ark_setup_free(ark_setup *s) {
    for (int i = 0; i < s->n_lanes && s->lanes; i++) {
        ark_free(s->lanes[i].columns);
    }
    ark_free(s->lanes);
    ark_net_free(&s->net);
    ark_datasets_free(s->datasets);
    *s = (ark_setup){0};
}

ark_loader_opts ark_setup_loader(const ark_train_config *c, const ark_setup *s) {
    ark_loader_opts o = ark_loader_default_opts();
    o.seed = (uint64_t)c->seed;
    o.batch = (int)c->batch;
    o.workers = (int)c->workers;
    o.ring = (int)c->ring;
    o.width = s->width;
    o.pre = s->pre;
    o.teacher_geometry = c->teacher_view == 1;
    o.drop_last = c->drop_last;
    o.on_bad = (ark_on_bad)c->on_bad;
    o.cache_mb = (size_t)c->cache_mb;
    return o;
}

ark_trainer_opts ark_setup_trainer(const ark_train_config *c) {
    return (ark_trainer_opts){
        .batch = (int)c->batch,
        .cdt = (ark_dtype)c->dtype,
        .seed = (uint64_t)c->seed,
        .teacher = c->teacher,
        .teacher_independent = c->teacher_start == ARK_TEACHER_INDEPENDENT,
        .multiclass_bce = c->multiclass_loss == 1,
        .concurrent = c->mode == ARK_CONCURRENT,
        .recompute = c->recompute,
        .optim =
            {
                .adamw = c->optimizer == ARK_ADAMW,
                .momentum = c->momentum,
                .decay = c->weight_decay,
                .beta1 = c->adam_beta1,
                .beta2 = c->adam_beta2,
                .eps = c->adam_eps,
                .clip = c->clip_grad,
            },
    };
}
