#include "app/cli/cli.h"

/* A verb that is not listed here is not built yet; its declaration in cli.h is then unused. */
const cli_verb cli_verbs[] = {
    {"pretrain", "RUN.yaml --out DIR [--resume] [--set key=value ...]",
        "train one model cyclically on the datasets of a run file", cmd_pretrain},
    {"metrics",
        "TABLE.csv --label COL --score COL [--bootstrap 1000 --seed N] [--positive VALUE] [--group COL]",
        "AUROC, average precision and confidence intervals from a table of scores", cmd_metrics},
    {"readout", "--data DATASETS.yaml --dataset NAME --model NAME=WEIGHTS ... [--html FILE]",
        "compare models by linear readouts of their frozen embeddings", cmd_readout},
    {"synth", "DIR [--seed N] [--images N] [--size N] [--force]", "write phantom chest X-ray datasets",
        cmd_synth},
};
const size_t cli_verb_count = CLI_COUNT(cli_verbs);
