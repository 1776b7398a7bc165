/* arkfm bench data: what an image costs before the network sees it. */
#ifndef ARK_APP_BENCH_DATA_H
#define ARK_APP_BENCH_DATA_H

#include "app/cli/cli.h"

enum { CLI_BENCH_MAX_RUNS = 1000 };

/** Time decoding and both views of each image file (none: of two pictures made for it) and print the table or
 *  the JSON object. sets: instead of files, images of the datasets of this file or pack, another one each
 *  run; reading them is then part of decoding. runs in 1..CLI_BENCH_MAX_RUNS. Returns an exit status. */
int cli_bench_data(const cli_ctx *c, const cli_list *images, const char *sets, int64_t runs);

#endif
