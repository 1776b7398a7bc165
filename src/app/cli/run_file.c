#include "app/cli/run_file.h"

#include "base/alloc.h"

#include <string.h>

int cli_take_run_file(cli_ctx *c, cli_list *sets) {
    const char *config = NULL;
    for (size_t i = 0; i < c->npos; i++) {
        if (strchr(c->pos[i], '=') && sets->n > 0) {
            const char **more = ark_realloc(sets->items, (sets->n + 1) * sizeof *more);
            if (!more) {
                return cli_usage("out of memory");
            }
            sets->items = more;
            sets->items[sets->n++] = c->pos[i];
        } else if (config) {
            return cli_usage("unexpected argument '%s'", c->pos[i]);
        } else {
            config = c->pos[i];
        }
    }
    if (!config) {
        return cli_usage("the run file is missing");
    }
    c->pos[0] = config;
    return 0;
}
