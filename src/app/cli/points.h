/* Operating points on the command line: the table of `eval`, and the extra columns of `predict`. */
#ifndef ARK_APP_POINTS_H
#define ARK_APP_POINTS_H

#include "app/cli/cli.h"
#include "eval/split_report.h"
#include "model/model.h"

/** What the model's operating points do on the split, per class, and calibration; to stdout. */
void cli_put_points(const ark_split_report *r);

enum { CLI_DECISION_COLUMNS = 16 };

/* Decisions of a model's heads on whole images, which is how `predict` sees them. */
typedef struct cli_decided {
    ark_decisions *heads; /* per head; without sets where there are none */
    float **calibrated;   /* per head (batch,K), NULL without a temperature */
    bool any;
    int n_columns; /* the distinct rules of all heads */
    char columns[CLI_DECISION_COLUMNS][48];
} cli_decided;

ark_status cli_decided_open(
    const ark_model *m, const char *weights, size_t batch, cli_decided *out) ARK_MUST_CHECK;
void cli_decided_close(cli_decided *d, const ark_net *net);
/** Calibrated probabilities of a batch of one head: prob (n,K). */
void cli_decided_temper(cli_decided *d, const ark_net *net, int head, const float *prob, int n);
/** ",calibrated,youden,..." when any head has decisions, else nothing. */
void cli_decided_header(const cli_decided *d);
/** The same columns of row i, class k with probability p: 1, 0, or blank where nothing was decided. */
void cli_decided_csv(const cli_decided *d, const ark_net *net, int head, int i, int k, float p);
/** "calibrated" and "decisions" of one class into o, when the head has them. */
void cli_decided_json(const cli_decided *d, const ark_net *net, int head, int i, int k, float p, json_t *o);

#endif
