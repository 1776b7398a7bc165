#include "app/cli/cli.h"

/* A verb that is not listed here is not built yet; its declaration in cli.h is then unused. */
const cli_verb cli_verbs[] = {
    {"none", "", "placeholder", 0},
};
const size_t cli_verb_count = CLI_COUNT(cli_verbs);
