#include "study/inputs.h"

#include "base/alloc.h"
#include "base/err.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void ark_study_say(const ark_study_hooks *h, const char *fmt, ...) {
    char line[1024];
    if (!h || !h->on_message) {
        return;
    }
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    h->on_message(h->arg, line);
}

ark_status ark_study_dataset(const ark_study_config *c, ark_datasets **out) {
    const char *name = c->dataset;
    if (!c->data_config[0]) {
        return ARK_ERR(ARK_EINVAL, "data.config is missing: the dataset YAML file");
    }
    ARK_TRY(ark_datasets_read(c->data_config, name[0] ? &name : NULL, name[0] ? 1 : 0, out));
    ark_status st = ARK_OK;
    if ((*out)->n != 1) {
        st = ARK_ERR(
            ARK_EINVAL, "%s has %zu datasets: data.dataset must name one of them", c->data_config, (*out)->n);
    } else if (c->exclusions[0]) {
        st = ark_datasets_exclude(*out, c->exclusions);
    }
    if (st != ARK_OK) {
        ark_datasets_free(*out);
        *out = NULL;
    }
    return st;
}

ark_status ark_study_need_split(const ark_study_inputs *in, ark_split split) {
    if (in->f[split].n == 0) {
        return ARK_ERR(ARK_EINVAL, "%s: no image in split %s", in->data->name, ark_split_name(split));
    }
    return ARK_OK;
}

static ark_status check_finite(const ark_study_inputs *in, ark_split split) {
    const ark_features *f = &in->f[split];
    for (size_t i = 0; i < f->n * f->d; i++) {
        if (!isfinite(f->x[i])) {
            return ARK_ERR(ARK_EINVAL, "%s: %s row %zu (%s), feature %zu: not a finite number", in->source,
                ark_split_name(split), i / f->d, in->data->paths[f->sample[i / f->d]], i % f->d);
        }
    }
    return ARK_OK;
}

/* Upstream's test_diseases_name: test metrics are about these classes alone. */
static void mask_test_classes(ark_study_inputs *in) {
    const ark_dataset *d = in->data;
    ark_features *f = &in->f[ARK_TEST];
    for (int k = 0; k < d->n_classes && d->test_classes; k++) {
        bool wanted = false;
        for (int j = 0; j < d->n_test_classes; j++) {
            wanted = wanted || !strcmp(d->classes[k], d->test_classes[j]);
        }
        for (size_t i = 0; i < f->n && !wanted; i++) {
            f->label[i * f->K + (size_t)k] = NAN;
        }
    }
}

static ark_status read(const ark_study_config *c, const ark_study_source *source, const char *cache_dir,
    int threads, const ark_study_hooks *hooks, ark_study_inputs *in) {
    const char *from = source->weights ? source->weights : source->embeddings;
    ARK_TRY(ark_study_dataset(c, &in->sets));
    in->data = &in->sets->items[0];
    in->source = ark_strdup(from);
    if (!in->source) {
        return ARK_ERR(ARK_ENOMEM, "out of memory for the inputs");
    }
    if (source->weights) {
        ARK_TRY(ark__study_embed(c, source->weights, in->data, cache_dir, threads, hooks, in));
    } else {
        ARK_TRY(ark__study_arrays(source, in->data, in->f));
        in->layer = "given";
    }
    for (int s = 0; s < ARK_SPLIT_COUNT; s++) {
        const ark_features *f = &in->f[s];
        if (f->n > 0 && in->d && f->d != in->d) {
            return ARK_ERR(ARK_EINVAL, "%s: %zu features in split %s, %zu in another", in->source, f->d,
                ark_split_name((ark_split)s), in->d);
        }
        in->d = f->n > 0 ? f->d : in->d;
        ARK_TRY(check_finite(in, (ark_split)s));
    }
    mask_test_classes(in);
    return ARK_OK;
}

ark_status ark_study_inputs_read(const ark_study_config *c, const ark_study_source *source,
    const char *cache_dir, int threads, const ark_study_hooks *hooks, ark_study_inputs *out) {
    ark_study_inputs in = {0};
    ark_status st = read(c, source, cache_dir, threads, hooks, &in);
    if (st != ARK_OK) {
        ark_study_inputs_free(&in);
        return st;
    }
    *out = in;
    return ARK_OK;
}

void ark_study_inputs_free(ark_study_inputs *in) {
    for (int s = 0; s < ARK_SPLIT_COUNT; s++) {
        ark_features_free(&in->f[s]);
    }
    ark_datasets_free(in->sets);
    ark_free(in->source);
    *in = (ark_study_inputs){0};
}
