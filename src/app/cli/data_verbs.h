/* The sub-verbs of `arkfm data`, listed in data.c. */
#ifndef ARK_APP_CLI_DATA_VERBS_H
#define ARK_APP_CLI_DATA_VERBS_H

#include "app/cli/cli.h"

int cmd_data_check(cli_ctx *c, int argc, char **argv);
int cmd_data_pack(cli_ctx *c, int argc, char **argv);
int cmd_data_show(cli_ctx *c, int argc, char **argv);

#endif
