/* The bias study as a page. */
#ifndef ARK_STUDY_BIAS_REPORT_H
#define ARK_STUDY_BIAS_REPORT_H

#include "study/bias_impl.h"

ark_status ark__bias_report(const ark__bias *b, const char *path) ARK_MUST_CHECK;

#endif
