/* What probe, fewshot, bias and zeroshot share: their options, their sources, talk on stderr. */
#ifndef ARK_APP_CLI_STUDY_CLI_H
#define ARK_APP_CLI_STUDY_CLI_H

#include "app/cli/cli.h"
#include "study/study.h"

enum { CLI_SOURCES = 16 };

typedef struct cli_study_args {
    const char *out, *ids;
    cli_list from, embeddings, sets;
} cli_study_args;

#define CLI_STUDY_OPTIONS(a)                                                                                 \
    {"--from", CLI_LIST, "[NAME=]WEIGHTS", &(a).from, "weights whose embeddings are used"},                  \
        {"--embeddings", CLI_LIST, "[NAME@]ARRAYS", &(a).embeddings,                                         \
            "embeddings made elsewhere: train=A.npy,val=B.npy,test=C.npy, or one .npz or .npy file"},        \
        {"--ids", CLI_STR, "FILE.csv", &(a).ids, "which image each row of one array is (first column)"},     \
        {"--out", CLI_STR, "DIR", &(a).out, "folder of the results, made if missing"}, {                     \
        "--set", CLI_LIST, "KEY=VALUE", &(a).sets,                                                           \
            "override a value of RUN.yaml; may be given more than once"                                      \
    }

typedef struct cli_study {
    ark_study_config config;
    ark_study_source sources[CLI_SOURCES];
    char names[CLI_SOURCES][128];
    char paths[CLI_SOURCES][4096];
    const char *name[CLI_SOURCES];
    ark_study_job job;
    char command[4096];
} cli_study;

/** From the parsed arguments to a job. most: how many sources the verb takes; path: the run file, NULL =
 *  none. 0, CLI_USAGE, or the exit status of a failure that has been told. */
int cli_study_open(cli_ctx *c, ark_study_kind kind, const char *path, const cli_study_args *a, size_t most,
    int argc, char **argv, cli_study *out);
void cli_study_close(cli_study *s);

/** Print with --json the object, otherwise what `text` prints of it. Releases it. */
int cli_study_print(const cli_ctx *c, json_t *result, void (*text)(const json_t *result));
/** Table of the classes of one scored split, and its means. */
void cli_study_print_split(const json_t *split, const char *title, double level);
/** Number at a key, or NaN. */
double cli_json_value(const json_t *o, const char *key);

#endif
