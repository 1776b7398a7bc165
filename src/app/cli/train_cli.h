/* What the verbs that train share: progress on stderr, a clean stop on Ctrl-C, --set. */
#ifndef ARK_APP_TRAIN_CLI_H
#define ARK_APP_TRAIN_CLI_H

#include "app/cli/cli.h"
#include "ark/train.h"

/* Ten lines a second on a terminal, one every ten seconds in a log file. */
typedef struct cli_display {
    bool terminal, open_line;
    double last;
} cli_display;

/** Options of a run that shows itself on d; SIGINT and SIGTERM then ask it to stop, a second one ends it. */
ark_train_opts cli_train_opts(const cli_ctx *c, bool resume, cli_display *d);
void cli_display_end(const cli_display *d);

/** "--set a=1 b=2": words with '=' beside the run file are assignments too. Leaves the run file as c->pos[0].
 *  0, or CLI_USAGE. */
int cli_take_assignments(cli_ctx *c, cli_list *sets);

#endif
