/* A comparison of models by linear readouts of their embeddings, and its report. */
#ifndef ARK_APP_CLI_READOUT_H
#define ARK_APP_CLI_READOUT_H

#include "eval/auc_ci.h"
#include "eval/features.h"

enum { READOUT_MAX = 16 };

/* One model: where it came from, and what its readout scored on the test split. */
typedef struct contender {
    char name[64];
    const char *weights; /* path, or "random" */
    ark_features test;   /* labels of classes left out are NaN */
    double *score;       /* (n,K) probabilities */
    ark_class_auc *classes;
    ark_boot_stat *class_ci; /* K */
    ark_boot_macro macro;
    ark_boot_pair against; /* first contender's mean AUROC minus this one's */
    double C;              /* chosen on validation */
} contender;

typedef struct comparison {
    const ark_dataset *data;
    int n;
    contender items[READOUT_MAX];
    int64_t replicates;
    double level;
} comparison;

/* A run folder whose curves the report shows. */
typedef struct run_ref {
    const char *name, *dir;
} run_ref;

/** Write the comparison, ROC curves and the runs' training curves as one HTML file. */
ark_status cli_readout_report(const char *path, const comparison *c, const run_ref *runs, size_t n_runs,
    const char *command) ARK_MUST_CHECK;

#endif
