/* Verbs that take a run file and --set. */
#ifndef ARK_APP_CLI_RUN_FILE_H
#define ARK_APP_CLI_RUN_FILE_H

#include "app/cli/cli.h"

/** "RUN.yaml --set a=1 b=2": words with '=' beside the run file are assignments too, and go to sets. Leaves
 *  the run file as the only argument. 0, or CLI_USAGE. */
int cli_take_run_file(cli_ctx *c, cli_list *sets);

#endif
