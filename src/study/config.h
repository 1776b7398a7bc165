/* Run files of probe, fewshot, bias and zeroshot: shared sections and one section of their own each. */
#ifndef ARK_STUDY_CONFIG_H
#define ARK_STUDY_CONFIG_H

#include "base/task.h"
#include "eval/operating_point.h"
#include "eval/readout.h"
#include "train/keys.h"

typedef enum ark_study_kind {
    ARK_STUDY_PROBE,
    ARK_STUDY_FEWSHOT,
    ARK_STUDY_BIAS,
    ARK_STUDY_ZEROSHOT,
} ark_study_kind;

enum { ARK_STUDY_NUMBERS = 64 };

/* Values of all four; a kind's table has the keys that it uses. docs/evaluation.md lists them. */
typedef struct ark_study_config {
    ark_study_kind kind;
    /* data */
    char *data_config, *dataset, *exclusions;
    int64_t on_bad, workers;
    /* features */
    int64_t layer, dtype, batch;
    char *backend;
    /* probe */
    int64_t optimizer, select, standardize, max_iterations, adam_batch, epochs;
    double tolerance, lr;
    char *C;
    /* stats */
    int64_t bootstrap, seed, point;
    double level, target;
    /* fewshot */
    char *shots, *percent;
    int64_t shots_per, repeats;
    /* bias */
    char *age_bands, *male_percent;
    int64_t train_rows;
    /* zeroshot */
    char *split;
    int64_t ensemble, ten_crop;
    char **origins;
} ark_study_config;

/** Defaults, then the file (NULL: none). Errors as of ark_keys_read. Free also after failure. */
ark_status ark_study_config_read(ark_study_kind kind, const char *path, ark_study_config *out) ARK_MUST_CHECK;
/** One --set. */
ark_status ark_study_config_set(ark_study_config *c, const char *assignment) ARK_MUST_CHECK;
void ark_study_config_free(ark_study_config *c);
/** The resolved values as YAML, each with its origin. */
ark_status ark_study_config_write(const ark_study_config *c, const char *path) ARK_MUST_CHECK;
/** Name of the command: "probe", "fewshot", ... */
const char *ark_study_name(ark_study_kind kind);
/** The kind's table, for the page that documents it. */
const ark_key_table *ark_study_keys(ark_study_kind kind);

/** A key's list of numbers, each in [min,max], at most ARK_STUDY_NUMBERS; ARK_EINVAL names key and item. */
ark_status ark_study_numbers(
    const char *list, const char *key, double min, double max, double *out, size_t *n) ARK_MUST_CHECK;

/* How a run fits its readouts; `grid` is what opts.C points to. */
typedef struct ark_study_fit {
    double grid[ARK_STUDY_NUMBERS];
    ark_readout_opts opts;
} ark_study_fit;
/** From the section `probe`. out is self-referential: not to be copied. */
ark_status ark_study_fit_opts(
    const ark_study_config *c, ark_task task, int threads, ark_study_fit *out) ARK_MUST_CHECK;
/** The rule and target of the section `stats`. */
ark_op_rule ark_study_rule(const ark_study_config *c);

#endif
