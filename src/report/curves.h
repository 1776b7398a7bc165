/* Training curves of a run, read from its metrics.jsonl. */
#ifndef ARK_REPORT_CURVES_H
#define ARK_REPORT_CURVES_H

#include "report/svg.h"

/** Points (epoch, value) of one kind of event; a line per dataset, or per dataset and model.
 *  event "train" with field "loss", "task_loss", ...; event "val" or "test" with field "auroc", "loss", ...
 *  Teacher and student of one dataset share a colour, the student dashed. ARK_EFORMAT for a damaged log. */
ark_status ark_run_curves(const char *run_dir, const char *event, const char *field, const ark_axes *axes,
    ark_svg *out) ARK_MUST_CHECK;

#endif
