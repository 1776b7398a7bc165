#include "eval/features.h"

#include "base/alloc.h"
#include "base/err.h"

#include <math.h>
#include <string.h>

static ark_status allocate(ark_features *f, size_t n) {
    ARK_TRY(ARK_NEW(&f->x, n * f->d, "embeddings"));
    ARK_TRY(ARK_NEW(&f->label, n * f->K, "labels"));
    ARK_TRY(ARK_NEW(&f->sample, n, "samples"));
    return ARK_NEW(&f->patient, n, "patients");
}

static void copy_labels(ark_features *f, const ark_dataset *d, uint32_t sample) {
    for (size_t k = 0; k < f->K; k++) {
        float v = d->labels[(size_t)sample * f->K + k];
        f->label[f->n * f->K + k] = v == 0 || v == 1 ? (double)v : NAN;
    }
    f->sample[f->n] = sample;
    f->patient[f->n] = d->patient[sample];
}

static ark_status run(ark_session *s, ark_column column, ark_layer layer, ark_loader *loader,
    const ark_dataset *d, ark_features *f) {
    const ark_batch *b;
    for (;;) {
        ARK_TRY(ark_loader_next(loader, &b));
        if (!b) {
            f->skipped = ark_loader_skipped(loader, NULL);
            return ARK_OK;
        }
        float *at = f->x + f->n * f->d;
        ark_outputs o = {.encoder = layer == ARK_LAYER_ENCODER ? at : NULL,
            .projected = layer == ARK_LAYER_PROJECTOR ? at : NULL};
        ARK_TRY(ark_session_run(s, column, b->student, b->rows, &o));
        for (int i = 0; i < b->n; i++) {
            copy_labels(f, d, b->sample[i]);
            f->n++;
        }
    }
}

/* The dataset's patient ids, renumbered in order of appearance: resampling wants groups that occur. */
static ark_status number_patients(ark_features *f, const ark_dataset *d) {
    uint32_t *seen, largest = 0;
    for (size_t i = 0; i < d->n; i++) {
        largest = d->patient[i] > largest ? d->patient[i] : largest;
    }
    ARK_TRY(ARK_NEW(&seen, (size_t)largest + 1, "patients"));
    for (size_t i = 0; i < f->n; i++) {
        uint32_t *id = &seen[f->patient[i]]; /* 0 = not seen, else number + 1 */
        if (*id == 0) {
            *id = (uint32_t)++f->patients;
        }
        f->patient[i] = *id - 1;
    }
    ark_free(seen);
    return ARK_OK;
}

ark_status ark_features_read(ark_session *s, ark_column column, const ark_net *net, ark_layer layer,
    ark_loader *loader, const ark_dataset *data, ark_split split, ark_features *out) {
    int d = layer == ARK_LAYER_ENCODER ? ark_arch_features(&net->arch) : ark_net_features(net);
    ark_features f = {.d = (size_t)d, .K = (size_t)data->n_classes};
    ark_source source = {.data = data, .split = split};
    ark_pass pass = {.sources = &source, .n_sources = 1, .views = ARK_VIEWS_PLAIN};
    ark_status st = ARK_OK;
    if (data->rows_n[split] == 0) {
        st = ARK_ERR(ARK_EINVAL, "%s: no image in split %s", data->name, ark_split_name(split));
    }
    st = st ? st : allocate(&f, data->rows_n[split]);
    st = st ? st : ark_loader_begin(loader, &pass);
    st = st ? st : run(s, column, layer, loader, data, &f);
    st = st ? st : number_patients(&f, data);
    if (st != ARK_OK) {
        ark_features_free(&f);
        return st;
    }
    *out = f;
    return ARK_OK;
}

ark_status ark_features_wrap(
    float *x, size_t d, uint32_t *sample, size_t n, const ark_dataset *data, ark_features *out) {
    ark_features f = {.d = d, .K = (size_t)data->n_classes, .x = x, .sample = sample};
    ark_status st = ARK_NEW(&f.label, n * f.K, "labels");
    st = st ? st : ARK_NEW(&f.patient, n, "patients");
    while (st == ARK_OK && f.n < n) {
        copy_labels(&f, data, sample[f.n]);
        f.n++;
    }
    st = st ? st : number_patients(&f, data);
    if (st != ARK_OK) {
        ark_features_free(&f);
        return st;
    }
    *out = f;
    return ARK_OK;
}

void ark_features_free(ark_features *f) {
    ark_free(f->x);
    ark_free(f->label);
    ark_free(f->sample);
    ark_free(f->patient);
    *f = (ark_features){0};
}

ark_labelled ark_features_labelled(const ark_features *f) {
    return (ark_labelled){.f32 = f->x, .label = f->label, .n = f->n, .d = f->d, .K = f->K};
}
