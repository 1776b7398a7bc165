/* The text files of a phantom dataset. */
#ifndef ARK_SYNTH_TABLES_H
#define ARK_SYNTH_TABLES_H

#include "synth/cohort.h"

enum { ARK_SYNTH_NAME_MAX = 64 };

/** File name of an image and its masks: NG00012_1.png, patient and study. */
void ark_synth_image_name(const ark_cohort *c, uint32_t image, char name[ARK_SYNTH_NAME_MAX]);

/** dir/labels.csv: path, patient_id, split, sex, age, view, one column per class (multi-class: one column
 * `label`), mask_lungs, mask_heart, mask_clavicles. A blank field is a missing label. */
ark_status ark_synth_write_labels(const ark_cohort *c, const char *dir) ARK_MUST_CHECK;

/** dir/truth.csv: a row per lesion (finding, side R or L of the patient, centre x and y and size in fractions
 * of the image) and the image's cardiothoracic ratio; one row with finding "none" where there is nothing. */
ark_status ark_synth_write_truth(const ark_cohort *c, const char *dir) ARK_MUST_CHECK;

/** dir/datasets.yaml and dir/pretrain.yaml. */
ark_status ark_synth_write_configs(const char *dir) ARK_MUST_CHECK;

#endif
