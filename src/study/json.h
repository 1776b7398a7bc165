/* Results as JSON. */
#ifndef ARK_STUDY_JSON_H
#define ARK_STUDY_JSON_H

#include "eval/class_result.h"

#include <jansson.h>

/** A finite number; null for anything else. */
json_t *ark_json_number(double v);
/** [low, high], or null. */
json_t *ark_json_interval(const ark_interval *ci);
/** A string; bytes that are not UTF-8 become '?'. */
json_t *ark_json_text(const char *s);
/** Add "name": value; and where it is undefined "name_undefined": the reason. */
void ark_json_metric(json_t *o, const char *name, ark_metric m);
/** One class: name, n, positives, auroc, ci, ap, and, where a point was chosen, threshold, f1, mcc, accuracy,
 *  sensitivity, specificity, ppv, npv with their intervals. point NULL = none. */
json_t *ark_json_class(const char *name, const ark_class_result *r, const ark_operating_point *point);
/** Write an object with a newline, atomically, numbers with 17 digits. Takes it over. */
ark_status ark_json_write(const char *path, json_t *o) ARK_MUST_CHECK;

#endif
