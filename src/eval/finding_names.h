/* Names of findings: which of them, in the words of different datasets, mean the same. */
#ifndef ARK_EVAL_FINDING_NAMES_H
#define ARK_EVAL_FINDING_NAMES_H

#include <stdbool.h>
#include <stddef.h>

/** Equal but for case, blanks, '_' and '-'; or known to mean the same in the lists of MIMIC-CXR, CheXpert,
 *  ChestX-ray14, RSNA, VinDr-CXR, Shenzhen, COVIDx and ChestDR. Only names of one finding are the same: a
 *  mass is no nodule, a lung opacity no pneumonia. */
bool ark_same_finding(const char *a, const char *b);

/** Index of the name closest to `name` by edit distance of the simplified names, or of their synonyms; n when
 *  none is near. */
size_t ark_nearest_finding(const char *name, const char *const *names, size_t n);

#endif
