/* Bias: one probe in parts of the test split, and probes trained on other shares of men and women. */
#ifndef ARK_STUDY_BIAS_H
#define ARK_STUDY_BIAS_H

#include "study/study.h"

/** Two things. (1) A probe as arkfm probe fits it, evaluated by sex, age band and view at thresholds chosen
 *  on the whole validation split. (2) The design of Foundation Ark's paper: probes on equally many training
 *  images with given shares of men, in repeats, each tested on each sex; per finding and test sex Welch's
 *  test of AUROC and of false negative rate between the smallest and the largest share, corrected by Holm.
 *  Where sex is not known for both, (2) is left out with a reason. Writes results.json, subgroups.csv,
 *  design.csv, report.html. */
ark_status ark_study_bias(const ark_study_job *job, json_t **result) ARK_MUST_CHECK;

#endif
