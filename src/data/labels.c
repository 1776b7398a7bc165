#include "data/labels.h"

#include "base/rng.h"

#include <math.h>
#include <stdbool.h>

/* Label that stands in for "uncertain"; false when it is masked. */
static bool uncertain_label(ark_uncertain rule, ark_rng r, float *label) {
    switch (rule) {
    case ARK_LSR_ONES:
        *label = (float)ark_rng_range(&r, 0.55, 0.85);
        return true;
    case ARK_LSR_ZEROS:
        *label = (float)ark_rng_range(&r, 0, 0.3);
        return true;
    case ARK_ONES:
        *label = 1;
        return true;
    case ARK_ZEROS:
        *label = 0;
        return true;
    case ARK_MASK:
        break;
    }
    return false;
}

void ark_labels_fill(const ark_dataset *data, uint32_t dataset_id, uint32_t sample, uint64_t seed,
    const int *columns, int width, float *labels, float *mask) {
    for (int i = 0; i < width; i++) {
        labels[i] = mask[i] = 0;
    }
    const float *row = data->labels + (size_t)sample * (size_t)data->n_classes;
    for (int k = 0; k < data->n_classes; k++) {
        float label = row[k];
        bool counts = true;
        if (isnan(label)) {
            label = 0;
            counts = data->missing == ARK_MISSING_ZERO;
        } else if (label < 0) {
            label = 0;
            ark_rng r = ark_rng_at(seed, ARK_RNG_LABEL, dataset_id, sample, (uint32_t)k);
            counts = uncertain_label(data->uncertain, r, &label);
        }
        int column = columns ? columns[k] : k;
        labels[column] = label;
        mask[column] = counts ? 1 : 0;
    }
}
