/* Studies of frozen embeddings as whole runs: a run file and weights in, a folder of results out.
 *
 * Each writes DIR/config.yaml (every value with its origin), results.json, tables as CSV and report.html.
 * Selections are made on the validation split; test images are used once, for the numbers. */
#ifndef ARK_STUDY_STUDY_H
#define ARK_STUDY_STUDY_H

#include "report/html.h"
#include "study/inputs.h"

#include <jansson.h>

typedef struct ark_study_job {
    const ark_study_config *config;
    const ark_study_source *sources; /* [n]; one, but for fewshot */
    const char *const *names;        /* [n] of the sources, for tables and legends */
    size_t n;
    const char *out;     /* folder, made if missing */
    const char *command; /* shown in the report */
    int threads;         /* 0 = all processors */
    ark_study_hooks hooks;
} ark_study_job;

/** Linear probe: fit on train, choose on val, report on val and test. Also writes probe.safetensors and
 *  predictions. *result: what results.json holds, for json_decref. */
ark_status ark_study_probe(const ark_study_job *job, json_t **result) ARK_MUST_CHECK;
/** A probe fitted elsewhere on the test split of the run's dataset, classes matched by name. */
ark_status ark_study_probe_apply(const ark_study_job *job, const char *probe, json_t **result) ARK_MUST_CHECK;
/** Probabilities of a probe for the rows of an array (.npy, .npz): DIR/predictions.csv. */
ark_status ark_study_probe_rows(
    const char *probe, const char *array, const char *out, int threads, json_t **result) ARK_MUST_CHECK;

/* --- what they share --- */

/** DIR/NAME in buf (4400 bytes). */
const char *ark_study_path(const ark_study_job *job, const char *name, char *buf);
/** Make the folder and write config.yaml. */
ark_status ark_study_begin(const ark_study_job *job) ARK_MUST_CHECK;
/** {command, dataset, source, layer, features, task, rows per split, level} */
json_t *ark_study_json(const ark_study_job *job, const ark_study_inputs *in);
/** The last section of a report: method, data, command and configuration. */
ark_status ark_study_html_end(
    const ark_study_job *job, const ark_study_inputs *in, const char *method, ark_html *h) ARK_MUST_CHECK;
/** Write results.json; *result stays the caller's. */
ark_status ark_study_results(const ark_study_job *job, json_t *o) ARK_MUST_CHECK;

#endif
