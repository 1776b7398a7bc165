/* The command line: one file per verb, one table of options per verb.
 *
 * Results go to stdout (with --json exactly one JSON object), logs to stderr.
 * Exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted. */
#ifndef ARK_APP_CLI_H
#define ARK_APP_CLI_H

#include "ark/status.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum cli_kind {
    CLI_FLAG,  /* bool * */
    CLI_INT,   /* int64_t * */
    CLI_FLOAT, /* double * */
    CLI_STR,   /* const char ** */
    CLI_LIST,  /* cli_list *: may be given more than once */
} cli_kind;

typedef struct cli_list {
    const char **items;
    size_t n;
} cli_list;

typedef struct cli_opt {
    const char *name; /* "--seed", or "-o" */
    cli_kind kind;
    const char *arg; /* "N"; NULL for flags */
    void *dst;       /* keeps its value (the default) when the option is absent */
    const char *help;
} cli_opt;

typedef struct cli_ctx {
    const char *verb;
    bool json;        /* --json, accepted by every verb */
    int threads;      /* --threads N, accepted by every verb; 0 = all processors */
    const char **pos; /* positional arguments */
    size_t npos;
} cli_ctx;

/* What a verb returns when the words on the command line are wrong; main prints the message and exits 2. */
enum { CLI_USAGE = -1, CLI_HELP = -2 };

typedef struct cli_verb {
    const char *name;
    const char *synopsis; /* "WEIGHTS --data FILE --dataset NAME [--split test]" */
    const char *summary;  /* one line */
    int (*run)(
        cli_ctx *c, int argc, char **argv); /* arguments after the verb; returns an exit status or CLI_* */
} cli_verb;

/** Parse argv: options anywhere, "--name value" or "--name=value", "--" ends options.
 * Checks the number of positional arguments (max < 0: any). 0, or CLI_USAGE with a
 * message, or CLI_HELP after --help. c->pos is freed by cli_done. */
int cli_parse(cli_ctx *c, int argc, char **argv, const cli_opt *opts, size_t nopts, int min_pos, int max_pos);
#define CLI_COUNT(a) (sizeof(a) / sizeof(a)[0])
/** Free what cli_parse allocated (positional list and CLI_LIST items in opts). */
void cli_done(cli_ctx *c, const cli_opt *opts, size_t nopts);

/** Wrong usage found by a verb itself: keeps the message, returns CLI_USAGE. */
int cli_usage(const char *fmt, ...) ARK_PRINTF(1, 2);
/** A word that is not in the list: "unknown X 'a' (did you mean 'b'?)"; returns CLI_USAGE. */
int cli_unknown(const char *what, const char *word, const char *const *known, size_t n);
/** Print "arkfm VERB: message" from ark_err_msg() to stderr and return the exit status for st (1, or 130). */
int cli_fail(const cli_ctx *c, ark_status st);
/** Print one JSON object to stdout with a newline (floats with 17 digits) and release it.
 * Returns 0, or 1 when stdout fails. */
int cli_print_json(json_t *object);
/** Flush stdout: 0, or 1 with a message when something of it could not be written. */
int cli_flush(void);
/** A finite double as JSON real, anything else as null. */
json_t *cli_number(double v);

/* Every verb is declared here and listed in verbs.c. */
int cmd_segment(cli_ctx *c, int argc, char **argv);
int cmd_synth(cli_ctx *c, int argc, char **argv);
int cmd_pretrain(cli_ctx *c, int argc, char **argv);
int cmd_finetune(cli_ctx *c, int argc, char **argv);
int cmd_eval(cli_ctx *c, int argc, char **argv);
int cmd_embed(cli_ctx *c, int argc, char **argv);
int cmd_explain(cli_ctx *c, int argc, char **argv);
int cmd_predict(cli_ctx *c, int argc, char **argv);
int cmd_metrics(cli_ctx *c, int argc, char **argv);
int cmd_convert(cli_ctx *c, int argc, char **argv);
int cmd_inspect(cli_ctx *c, int argc, char **argv);
int cmd_plan(cli_ctx *c, int argc, char **argv);
int cmd_bench(cli_ctx *c, int argc, char **argv);
int cmd_readout(cli_ctx *c, int argc, char **argv);
int cmd_probe(cli_ctx *c, int argc, char **argv);
int cmd_fewshot(cli_ctx *c, int argc, char **argv);
int cmd_zeroshot(cli_ctx *c, int argc, char **argv);
int cmd_bias(cli_ctx *c, int argc, char **argv);
int cmd_data(cli_ctx *c, int argc, char **argv);

extern const cli_verb cli_verbs[];
extern const size_t cli_verb_count;

#endif
