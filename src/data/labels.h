/* What an uncertain or missing label means in a training batch. */
#ifndef ARK_DATA_LABELS_H
#define ARK_DATA_LABELS_H

#include "data/dataset.h"

/** Label row of one sample: labels and mask (width) are zeroed, then class k goes to columns[k] (NULL = k).
 *  -1 follows data->uncertain, NaN follows data->missing. Smoothed labels (LSR, Pham et al. 2021: ones
 * U(0.55,0.85), zeros U(0,0.3)) are drawn from (seed, dataset_id, sample, class): fixed over the whole run.
 */
void ark_labels_fill(const ark_dataset *data, uint32_t dataset_id, uint32_t sample, uint64_t seed,
    const int *columns, int width, float *labels, float *mask);

#endif
