#include "study/config.h"

#include "base/err.h"
#include "base/str.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const char *const on_bads[] = {"fail", "skip", NULL};
static const char *const layers[] = {"auto", "encoder", "projector", NULL};
static const char *const dtypes[] = {"f32", "bf16", NULL};
static const char *const optimizers[] = {"lbfgs", "adam", NULL};
static const char *const selects[] = {"auroc", "log-loss", NULL};
static const char *const points[] = {"youden", "sensitivity", "specificity", "precision", "f1", NULL};
static const char *const shots_pers[] = {"total", "class", NULL};
static const char *const ensembles[] = {"probability", "logit", NULL};
static const char *const standardizes[] = {"auto", "true", "false", NULL};

#define F(field) offsetof(ark_study_config, field)
#include "train/key_rows.inc"

#define DATA_ROWS                                                                                            \
    PATH("data.config", data_config, "dataset YAML file"),                                                   \
        TEXT("data.dataset", dataset, "", "the target dataset; empty = the only one of the file"),           \
        PATH("data.exclusions", exclusions,                                                                  \
            "CSV of images to leave out (arkfm data check --write-exclusions); empty = none"),               \
        WORD("data.on_bad_sample", on_bad, "fail", on_bads,                                                  \
            "an unreadable image stops the run, or is left out and counted"),                                \
        INT("data.workers", workers, "2", 1, 256, "loader threads")
#define FEATURE_ROWS                                                                                         \
    WORD("features.layer", layer, "auto", layers, "which features; auto = the projector's if there is one"), \
        WORD("features.dtype", dtype, "f32", dtypes, "compute type of the network"),                         \
        INT("features.batch", batch, "32", 1, 4096, "images per forward pass"),                              \
        TEXT("features.backend", backend, "cpu", "device: cpu, cuda, ref")
#define PROBE_ROWS                                                                                           \
    WORD("probe.optimizer", optimizer, "lbfgs", optimizers,                                                  \
        "L-BFGS to the optimum for every C, or Adam as the released code"),                                  \
        WORD("probe.select", select, "auroc", selects,                                                       \
            "what C, or Adam's epoch, is chosen by on validation"),                                          \
        LIST("probe.C", C, "inverse regularisations, ascending; empty = 1e-5, 1e-4 .. 100"),                 \
        WORD("probe.standardize", standardize, "auto", standardizes,                                         \
            "features by the training split's mean and deviation; auto = with L-BFGS"),                      \
        REAL("probe.tolerance", tolerance, "1e-6", 1e-12, 0.1, "L-BFGS stops at this norm of the gradient"), \
        INT("probe.max_iterations", max_iterations, "1000", 1, 1000000, "L-BFGS, per fit"),                  \
        REAL("probe.lr", lr, "1e-4", 1e-12, 100, "Adam"),                                                    \
        INT("probe.batch", adam_batch, "512", 1, 1 << 24, "Adam"),                                           \
        INT("probe.epochs", epochs, "100", 1, 10000, "Adam")
#define STATS_ROWS                                                                                           \
    REAL("stats.level", level, "0.95", 0.5, 0.999, "of intervals"),                                          \
        INT("stats.bootstrap", bootstrap, "1000", 1, 1000000, "resamples of patients"),                      \
        INT("stats.seed", seed, "1", 0, INT32_MAX, "key of every random draw"),                              \
        WORD("stats.operating_point", point, "youden", points,                                               \
            "rule for the threshold, which is chosen on validation"),                                        \
        REAL("stats.target", target, "0.9", 0, 1, "of the rules sensitivity, specificity and precision")

static const ark_key probe_keys[] = {DATA_ROWS, FEATURE_ROWS, PROBE_ROWS, STATS_ROWS};

static const ark_key fewshot_keys[] = {DATA_ROWS, FEATURE_ROWS, PROBE_ROWS, STATS_ROWS,
    LIST("fewshot.shots", shots, "numbers of training images; empty = 5, 10, 15, 20, 30"),
    LIST("fewshot.percent", percent, "shares of the training split; empty = 0.5, 1, 5, 100"),
    WORD("fewshot.shots_per", shots_per, "total", shots_pers,
        "a shot is an image, or an image with each class positive"),
    INT("fewshot.repeats", repeats, "10", 2, 1000, "independent draws of training images")};

static const ark_key bias_keys[] = {DATA_ROWS, FEATURE_ROWS, PROBE_ROWS, STATS_ROWS,
    LIST("bias.age_bands", age_bands, "inner limits of age bands, years; empty = 20, 40, 60, 80"),
    LIST("bias.male_percent", male_percent, "shares of male training images; empty = 0, 50, 100"),
    INT("bias.train_rows", train_rows, "0", 0, INT32_MAX,
        "training images of every probe; 0 = nine tenths of the smaller sex's"),
    INT("bias.repeats", repeats, "10", 2, 1000, "independent draws of training images")};

static const ark_key zeroshot_keys[] = {DATA_ROWS, FEATURE_ROWS, STATS_ROWS,
    TEXT("zeroshot.split", split, "test", "split whose images are scored"),
    WORD("zeroshot.ensemble", ensemble, "probability", ensembles,
        "what is averaged where several head classes stand for a target"),
    BOOL("zeroshot.ten_crop", ten_crop, "false", "mean over ten crops instead of a plain resize")};

/* One file may serve several commands: each leaves the others' sections alone. */
static const char *const for_probe[] = {"fewshot", "bias", "zeroshot", "map", NULL};
static const char *const for_fewshot[] = {"bias", "zeroshot", "map", NULL};
static const char *const for_bias[] = {"fewshot", "zeroshot", "map", NULL};
static const char *const for_zeroshot[] = {"probe", "fewshot", "bias", "map", NULL};

#define TABLE(rows, others)                                                                                  \
    {                                                                                                        \
        .keys = rows, .n = sizeof rows / sizeof rows[0], .origins = F(origins), .example_section = "data",   \
        .foreign = others                                                                                    \
    }

static const ark_key_table tables[] = {TABLE(probe_keys, for_probe), TABLE(fewshot_keys, for_fewshot),
    TABLE(bias_keys, for_bias), TABLE(zeroshot_keys, for_zeroshot)};

const char *ark_study_name(ark_study_kind kind) {
    static const char *const names[] = {"probe", "fewshot", "bias", "zeroshot"};
    return names[kind];
}

const ark_key_table *ark_study_keys(ark_study_kind kind) {
    return &tables[kind];
}

ark_status ark_study_config_read(ark_study_kind kind, const char *path, ark_study_config *out) {
    *out = (ark_study_config){.kind = kind};
    ARK_TRY(ark_keys_defaults(&tables[kind], out));
    return path ? ark_keys_read(&tables[kind], out, path) : ARK_OK;
}

ark_status ark_study_config_set(ark_study_config *c, const char *assignment) {
    return ark_keys_set(&tables[c->kind], c, assignment);
}

void ark_study_config_free(ark_study_config *c) {
    ark_keys_free(&tables[c->kind], c);
}

ark_status ark_study_config_write(const ark_study_config *c, const char *path) {
    return ark_keys_write(&tables[c->kind], c, path);
}

ark_status ark_study_numbers(
    const char *list, const char *key, double min, double max, double *out, size_t *n) {
    *n = 0;
    for (const char *s = list; *s;) {
        size_t len = strcspn(s, ",");
        char item[64];
        snprintf(item, sizeof item, "%.*s", (int)(len < sizeof item ? len : sizeof item - 1), s);
        if (*n == ARK_STUDY_NUMBERS) {
            return ARK_ERR(ARK_EINVAL, "%s: more than %d numbers", key, ARK_STUDY_NUMBERS);
        }
        if (!ark_parse_f64(item, &out[*n]) || out[*n] < min || out[*n] > max) {
            return ARK_ERR(ARK_EINVAL, "%s: '%s' is not a number in %g..%g", key, item, min, max);
        }
        ++*n;
        s += len + (s[len] == ',');
    }
    return ARK_OK;
}

ark_status ark_study_fit_opts(const ark_study_config *c, ark_task task, int threads, ark_study_fit *out) {
    size_t n;
    ark_readout_opts o = ark_readout_default_opts();
    ARK_TRY(ark_study_numbers(c->C, "probe.C", 1e-12, 1e12, out->grid, &n));
    if (n > 0) {
        o.C = out->grid;
        o.nC = n;
    }
    o.task = task == ARK_MULTICLASS ? ARK_READOUT_MULTICLASS : ARK_READOUT_MULTILABEL;
    o.select = c->select ? ARK_SELECT_LOG_LOSS : ARK_SELECT_AUROC;
    o.optimizer = c->optimizer ? ARK_READOUT_ADAM : ARK_READOUT_LBFGS;
    o.raw = c->standardize == 0 ? c->optimizer == 1 : c->standardize == 2;
    o.tolerance = c->tolerance;
    o.max_iterations = (int)c->max_iterations;
    o.threads = threads;
    o.adam = (ark_readout_adam){
        .lr = c->lr, .batch = (size_t)c->adam_batch, .epochs = (size_t)c->epochs, .seed = (uint64_t)c->seed};
    out->opts = o;
    return ARK_OK;
}

ark_op_rule ark_study_rule(const ark_study_config *c) {
    return (ark_op_rule)c->point;
}
