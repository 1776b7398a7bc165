#include "synth/cohort.h"

#include "base/alloc.h"
#include "base/err.h"

#include <math.h>

int ark_cohort_classes(const ark_cohort_spec *spec) {
    int n = 0;
    while (n < ARK_COHORT_CLASSES_MAX && spec->classes[n].name) {
        n++;
    }
    return n;
}

/* Choose `count` of n patients, order[0..n), and give them the finding. */
static void spread(
    ark_cohort_patient *patients, uint32_t *order, uint32_t n, double share, unsigned bit, ark_rng *rng) {
    if (share <= 0 || n == 0) {
        return;
    }
    uint32_t count = (uint32_t)lround(share * n);
    count = count < 1 ? 1 : count >= n && n > 1 ? n - 1 : count;
    ark_rng_shuffle(rng, order, n);
    for (uint32_t i = 0; i < count; i++) {
        patients[order[i]].findings |= bit;
    }
}

/* The same for classes that exclude one another: runs of one shuffled list. */
static void spread_exclusive(
    ark_cohort_patient *patients, uint32_t *order, uint32_t n, const double *share, ark_rng *rng) {
    ark_rng_shuffle(rng, order, n);
    uint32_t at = 0;
    for (int k = 0; k < ARK_FINDING_COUNT; k++) {
        uint32_t count = (uint32_t)lround(share[k] * n);
        count = share[k] > 0 && count < 1 ? 1 : count;
        for (uint32_t i = 0; i < count && at + 1 < n; i++) {
            patients[order[at++]].findings |= 1u << k;
        }
    }
}

static void draw_findings(ark_cohort *c, uint32_t *order, ark_rng *rng) {
    for (int split = 0; split < ARK_SPLITS; split++) {
        uint32_t n = 0;
        for (uint32_t i = 0; i < c->npatients; i++) {
            if (c->patients[i].split == split) {
                order[n++] = i;
            }
        }
        if (c->spec->task == ARK_MULTICLASS) {
            spread_exclusive(c->patients, order, n, c->spec->prevalence, rng);
            continue;
        }
        for (int k = 0; k < ARK_FINDING_COUNT; k++) {
            spread(c->patients, order, n, c->spec->prevalence[k], 1u << k, rng);
        }
    }
}

/* Patients in random order fill test, validation, then training; the first two get at
 * least two patients each. */
static void draw_splits(ark_cohort *c, uint32_t *order, ark_rng *rng) {
    uint32_t n = c->npatients;
    uint32_t val = (uint32_t)lround(c->spec->val * n);
    uint32_t test = (uint32_t)lround((1 - c->spec->train - c->spec->val) * n);
    val = val < 2 ? 2 : val;
    test = test < 2 ? 2 : test;
    for (uint32_t i = 0; i < n; i++) {
        order[i] = i;
    }
    ark_rng_shuffle(rng, order, n);
    for (uint32_t i = 0; i < n; i++) {
        c->patients[order[i]].split = i < test         ? ARK_SPLIT_TEST
                                      : i < test + val ? ARK_SPLIT_VAL
                                                       : ARK_SPLIT_TRAIN;
    }
}

ark_status ark_cohort_new(uint64_t seed, uint32_t index, uint32_t images, ark_cohort *out) {
    ARK_ASSERT(index < ark_cohort_spec_count);
    ark_cohort c = {.spec = &ark_cohort_specs[index], .seed = seed, .index = index, .nimages = images};
    uint32_t *order = NULL;
    ark_status st = ARK_NEW(&c.patients, images, "patients");
    if (st) {
        goto done;
    }
    st = ARK_NEW(&c.images, images, "images");
    if (st) {
        goto done;
    }
    st = ARK_NEW(&order, images, "patients");
    if (st) {
        goto done;
    }
    ark_rng rng = ark_rng_at(seed, ARK_RNG_SYNTH, index, 0, ARK_SYNTH_COHORT);
    for (uint32_t i = 0; i < images; c.npatients++) { // one image each, of some two or three
        double u = ark_rng_f64(&rng);
        int studies = u < 0.62 ? 1 : u < 0.87 ? 2 : 3;
        for (int s = 0; s < studies && i < images; s++) {
            c.images[i++] = (ark_cohort_image){c.npatients, s};
        }
    }
    draw_splits(&c, order, &rng);
    draw_findings(&c, order, &rng);
    *out = c;
    c = (ark_cohort){0};
done:
    ark_free(order);
    ark_cohort_free(&c);
    return st;
}

void ark_cohort_free(ark_cohort *c) {
    ark_free(c->patients);
    ark_free(c->images);
    *c = (ark_cohort){0};
}

void ark_cohort_case(const ark_cohort *c, uint32_t image, ark_case *k) {
    const ark_cohort_image *im = &c->images[image];
    *k = (ark_case){.id = {c->seed, c->index, im->patient, image}};
    ark_rng rng = ark_synth_rng(&k->id, im->patient, ARK_SYNTH_PATIENT);
    ark_patient_draw(&k->patient, &rng, c->spec->hospital.children);
    rng = ark_synth_rng(&k->id, image, ARK_SYNTH_EXAM);
    ark_exam_draw(&k->exam, &rng, &c->spec->hospital);
    k->exam.severity = c->severity;
    ark_anatomy_build(&k->anatomy, &k->patient, &k->exam);
    for (int f = 0; f < ARK_FINDING_COUNT; f++) {
        unsigned bit = 1u << f;
        bool healed = im->study > 0 && ark_rng_f64(&rng) < 0.2 && f != ARK_FINDING_CARDIOMEGALY;
        if (!(c->patients[im->patient].findings & bit) || healed) {
            continue;
        }
        // The patient's stream: a nodule is found again in the next image.
        ark_rng place = ark_synth_rng(&k->id, im->patient, ARK_SYNTH_FINDINGS + (uint32_t)f);
        ark_finding_draw(&k->exam, &k->patient, &k->anatomy, (ark_finding_kind)f, &place);
        k->findings |= bit;
    }
}

static void multiclass_labels(
    const ark_cohort *c, const ark_case *k, bool report, ark_rng *rng, int *labels) {
    int n = ark_cohort_classes(c->spec), truth = 0;
    ARK_ASSERT(n > 1);
    for (int i = 0; i < n; i++) {
        bool there =
            c->spec->classes[i].findings ? (k->findings & c->spec->classes[i].findings) : !k->findings;
        truth = there ? i : truth;
    }
    if (report && ark_rng_f64(rng) < c->spec->missed) {
        truth = (truth + 1 + (int)ark_rng_below(rng, (uint32_t)n - 1)) % n;
    }
    for (int i = 0; i < n; i++) {
        labels[i] = i == truth;
    }
}

void ark_cohort_labels(const ark_cohort *c, uint32_t image, const ark_case *k, int *labels) {
    const ark_cohort_spec *spec = c->spec;
    bool report = c->patients[c->images[image].patient].split != ARK_SPLIT_TEST;
    ark_rng rng = ark_synth_rng(&k->id, image, ARK_SYNTH_LABELS);
    if (spec->task == ARK_MULTICLASS) {
        multiclass_labels(c, k, report, &rng, labels);
        return;
    }
    int n = ark_cohort_classes(spec);
    bool clean = true; // the report names nothing, not even in doubt
    for (int i = 0; i < n; i++) {
        unsigned want = spec->classes[i].findings;
        bool there = (k->findings & want) != 0;
        double noise = ark_rng_f64(&rng), doubt = ark_rng_f64(&rng);
        bool wrong = report && noise < (there ? spec->missed : spec->overcalled);
        labels[i] = wrong ? !there : there;
        // Doubt is about what is there; what is not mentioned is mostly not there.
        double unsure = spec->uncertain * (there ? 3 : 0.6), silent = spec->blank * (there ? 0.4 : 1.15);
        if (report && doubt < unsure) {
            labels[i] = -1;
        } else if (report && doubt < unsure + silent) {
            labels[i] = ARK_LABEL_BLANK;
        }
        clean = clean && (labels[i] == 0 || labels[i] == ARK_LABEL_BLANK);
    }
    for (int i = 0; i < n; i++) {
        labels[i] = spec->classes[i].findings ? labels[i] : clean;
    }
}
