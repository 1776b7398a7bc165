/* Zero-shot: classes of a dataset scored by heads that were trained on other datasets. */
#ifndef ARK_STUDY_ZEROSHOT_H
#define ARK_STUDY_ZEROSHOT_H

#include "study/study.h"

/** run_file: where the section `map` stands (class of the dataset: [HEAD/CLASS, ...]), or NULL. Classes
 *  that it does not name are matched by name and synonym in every head; one that nothing matches is left
 *  out and listed with the nearest name. No label of the dataset is used but for the metrics. Writes
 *  results.json, classes.csv, predictions.csv, report.html. @return also ARK_EINVAL: a head or class of the
 *  map that is not there; no class that is matched. */
ark_status ark_study_zeroshot(const ark_study_job *job, const char *run_file, json_t **result) ARK_MUST_CHECK;

#endif
