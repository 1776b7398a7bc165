/* CSV tables: RFC 4180 quoting, a header row, LF, CRLF or CR line ends, optional UTF-8 byte-order mark. */
#ifndef ARK_IO_CSV_H
#define ARK_IO_CSV_H

#include "ark/status.h"

#include <stdbool.h>
#include <stddef.h>

/* The whole table in memory: one block for all text. Repeated header names are addressed
 * X, X.1, X.2 as pandas does. */
typedef struct ark_csv ark_csv;

/** Read a file with a header row. delimiter 0 = ','; delimiter ' ' = any run of blanks and tabs, without
 * quoting, as Python's str.split. Empty lines are skipped, as pandas does. A row with another number of
 * fields than the header, a NUL byte, an unclosed quote, text after a closing quote, an empty file:
 * ARK_EFORMAT naming file and line. Limits 1 GiB, 100,000 columns. */
ark_status ark_csv_read(const char *path, char delimiter, ark_csv **out) ARK_MUST_CHECK;
/** As ark_csv_read for a file without a header row: columns are named "0", "1", ... */
ark_status ark_csv_read_headerless(const char *path, char delimiter, ark_csv **out) ARK_MUST_CHECK;
/** The same from memory (copied); name appears in messages. */
ark_status ark_csv_parse(
    const char *text, size_t n, const char *name, char delimiter, bool header, ark_csv **out) ARK_MUST_CHECK;
void ark_csv_free(ark_csv *t);
const char *ark_csv_path(const ark_csv *t);
/** Data rows, the header not counted. */
size_t ark_csv_rows(const ark_csv *t);
size_t ark_csv_cols(const ark_csv *t);
/** Header name as addressed (with .1, .2 for repeats). */
const char *ark_csv_name(const ark_csv *t, size_t col);
/** Index of a column, or -1. O(log columns). */
long ark_csv_find(const ark_csv *t, const char *name);
/** As ark_csv_find, but a missing column is ARK_EFORMAT naming file, column and the nearest existing name. */
ark_status ark_csv_need(const ark_csv *t, const char *name, size_t *col) ARK_MUST_CHECK;
/** Field text, NUL-terminated, owned by the table. */
const char *ark_csv_get(const ark_csv *t, size_t row, size_t col);
/** Line number (1-based) where a row starts, for messages. */
size_t ark_csv_line(const ark_csv *t, size_t row);

#endif
