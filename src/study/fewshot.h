/* Few-shot curves: probes on small nested samples of the training split, several draws of each. */
#ifndef ARK_STUDY_FEWSHOT_H
#define ARK_STUDY_FEWSHOT_H

#include "study/study.h"

/** Every source of the job on the same samples. Writes results.json, curve.csv, classes.csv, report.html.
 *  A draw in which a class cannot be fitted gives no value for that class; a point without any value is null
 *  with a reason. */
ark_status ark_study_fewshot(const ark_study_job *job, json_t **result) ARK_MUST_CHECK;

#endif
