/* The two halves of arkfm segment. */
#ifndef ARK_APP_CLI_SEGMENT_H
#define ARK_APP_CLI_SEGMENT_H

#include "app/cli/cli.h"

/** Masks and overlays of c->pos[1...] (images or folders) by the model c->pos[0], into out. */
int cli_segment_apply(cli_ctx *c, const char *out, const char *backend);

#endif
