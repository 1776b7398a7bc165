/* Cohorts: whose images make up a dataset, who has what, and what the labels say about it.
 *
 * Findings are drawn per patient and stay with the patient (but for a few that heal
 * between two images). Their number per split is the prevalence rounded, at least one and
 * never all, so that a class can be learned and tested in small datasets too. Training
 * and validation labels are what a report says: some positives are missed, some negatives
 * overcalled, some entries uncertain or not mentioned. Test labels are the truth. */
#ifndef ARK_SYNTH_COHORT_H
#define ARK_SYNTH_COHORT_H

#include "base/task.h"
#include "synth/phantom.h"

#include <stddef.h>

enum { ARK_COHORT_CLASSES_MAX = 8 };

/* A class of a vocabulary: positive when any of its findings is there; no findings:
 * positive when nothing is. */
typedef struct ark_class {
    const char *name;
    unsigned findings; /* bits 1 << ark_finding_kind */
} ark_class;

typedef struct ark_cohort_spec {
    const char *name;
    const char *prefix; /* of patient ids */
    bool training;      /* listed in pretrain.yaml */
    ark_task task;
    ark_class classes[ARK_COHORT_CLASSES_MAX];
    double prevalence[ARK_FINDING_COUNT]; /* share of patients */
    double train, val;                    /* shares of patients; the rest is test */
    double missed, overcalled;            /* label noise: share of positives, of negatives */
    double uncertain, blank;              /* share of entries of a multi-label set */
    ark_hospital hospital;
} ark_cohort_spec;

extern const ark_cohort_spec ark_cohort_specs[];
extern const uint32_t ark_cohort_spec_count;

int ark_cohort_classes(const ark_cohort_spec *spec);

enum { ARK_SPLIT_TRAIN, ARK_SPLIT_VAL, ARK_SPLIT_TEST, ARK_SPLITS };

typedef struct ark_cohort_patient {
    int split;
    unsigned findings;
} ark_cohort_patient;

typedef struct ark_cohort_image {
    uint32_t patient;
    int study; /* 0 for a patient's first image */
} ark_cohort_image;

typedef struct ark_cohort {
    const ark_cohort_spec *spec;
    uint64_t seed;
    uint32_t index; /* of the spec: the dataset of every random stream */
    uint32_t npatients, nimages;
    double severity; /* of the findings, see ark_synth_opts; 0 unless set after ark_cohort_new */
    ark_cohort_patient *patients;
    ark_cohort_image *images;
} ark_cohort;

/** Draw the cohort of specs[index]. Free with ark_cohort_free. */
ark_status ark_cohort_new(uint64_t seed, uint32_t index, uint32_t images, ark_cohort *out) ARK_MUST_CHECK;
void ark_cohort_free(ark_cohort *c);

/* Everything about one image but its pixels. The anatomy points into the case: do not copy it. */
typedef struct ark_case {
    ark_synth_id id;
    ark_patient patient;
    ark_exam exam;
    ark_anatomy anatomy;
    unsigned findings; /* the truth, bits */
} ark_case;

void ark_cohort_case(const ark_cohort *c, uint32_t image, ark_case *out);

/** What labels.csv says of each class: 1, 0, -1 uncertain, ARK_LABEL_BLANK. Of a
 * multi-class set exactly one is 1. */
enum { ARK_LABEL_BLANK = -2 };
void ark_cohort_labels(const ark_cohort *c, uint32_t image, const ark_case *k, int *labels);

#endif
