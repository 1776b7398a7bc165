/* Reports of arkfm data check. */
#ifndef ARK_APP_DATA_CHECK_H
#define ARK_APP_DATA_CHECK_H

#include "data/check.h"

#include <jansson.h>

typedef struct cli_check {
    const char *config;
    ark_check_opts opts;
    double seconds;
} cli_check;

json_t *cli_check_json(const cli_check *a, const ark_check *c);
ark_status cli_check_html(const cli_check *a, const ark_check *c, const char *path) ARK_MUST_CHECK;
const char *cli_match_name(ark_match m);

#endif
