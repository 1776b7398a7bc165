/* gnuplot as a child process: a script in, what it prints out. */
#ifndef ARK_REPORT_GNUPLOT_H
#define ARK_REPORT_GNUPLOT_H

#include "ark/status.h"

#include <stddef.h>

/** Run gnuplot (found through PATH; no shell, no user settings) on a script and collect its standard
 *  output, NUL-terminated, the caller's to ark_free. At most 30 s and 32 MiB.
 *  @return ARK_OK | ARK_ENOTBUILT (not installed) | ARK_EIO (failed, with its first message; too slow; too
 *  much output) | ARK_ENOMEM */
ark_status ark_gnuplot_run(const char *script, size_t len, char **out, size_t *out_len) ARK_MUST_CHECK;

#endif
