/* Words in the columns of a list: splits, sex, age, view; and what such columns are usually called. */
#include "data/dataset_priv.h"

#include "base/str.h"

#include <math.h>
#include <string.h>
#include <strings.h>

static const char *const image_names[] = {"path", "Path", "image_path", "image", "Image", "image_id",
    "Image Index", "filename", "file", "dicom_id", NULL};
static const char *const patient_names[] = {
    "patient_id", "patient", "PatientID", "Patient ID", "patientId", "subject_id", NULL};
static const char *const split_names[] = {"split", "Split", NULL};
static const char *const sex_names[] = {"sex", "Sex", "Patient Sex", "Patient Gender", "gender", NULL};
static const char *const age_names[] = {"age", "Age", "Patient Age", NULL};
static const char *const view_names[] = {"view", "View", "View Position", "ViewPosition", "AP/PA", NULL};

const char *const *const ark__usual_names[ARK__FIELDS] = {[ARK__IMAGE] = image_names,
    [ARK__PATIENT] = patient_names,
    [ARK__SPLIT] = split_names,
    [ARK__SEX] = sex_names,
    [ARK__AGE] = age_names,
    [ARK__VIEW] = view_names};

bool ark__split_parse(const char *text, ark_split *out) {
    static const struct {
        const char *text;
        ark_split split;
    } words[] = {{"train", ARK_TRAIN}, {"val", ARK_VAL}, {"validate", ARK_VAL}, {"valid", ARK_VAL},
        {"test", ARK_TEST}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (!strcmp(text, words[i].text)) {
            *out = words[i].split;
            return true;
        }
    }
    return false;
}

char ark__sex_parse(const char *s) {
    if (!strcasecmp(s, "m") || !strcasecmp(s, "male")) {
        return 'M';
    }
    return !strcasecmp(s, "f") || !strcasecmp(s, "female") ? 'F' : 0;
}

char ark__view_parse(const char *s) {
    if (!strcmp(s, "PA") || !strcmp(s, "AP")) {
        return s[0];
    }
    return !strcmp(s, "L") || !strcmp(s, "LL") || !strcasecmp(s, "lateral") ? 'L' : 0;
}

bool ark__age_parse(const char *s, float *out) {
    char digits[32];
    size_t n = strlen(s);
    double v = NAN;
    if (n >= sizeof digits) {
        return false;
    }
    memcpy(digits, s, n + 1);
    if (n > 1 && digits[n - 1] == 'Y') {
        digits[n - 1] = '\0';
    }
    if (n && (!ark_parse_f64(digits, &v) || v < 0 || v > 1000)) {
        return false;
    }
    *out = (float)v;
    return true;
}
