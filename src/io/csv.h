/* CSV tables: RFC 4180 quoting, a header row, LF or CRLF, optional UTF-8 byte-order mark. */
#ifndef ARK_IO_CSV_H
#define ARK_IO_CSV_H

#include "ark/status.h"

#include <stddef.h>

/* The whole table in memory: one block for all text. Repeated header names are addressed X, X.1, X.2 as pandas does. */
typedef struct ark_csv ark_csv;

/** Read a file. delimiter 0 = ','. A row with another number of fields than the header, a NUL byte, an unclosed quote,
 *  an empty file: ARK_EFORMAT naming file and line. Limit 1 GiB. */
ark_status ark_csv_read(const char *path, char delimiter, ark_csv **out) ARK_MUST_CHECK;
void ark_csv_free(ark_csv *t);
const char *ark_csv_path(const ark_csv *t);
size_t ark_csv_rows(const ark_csv *t);
size_t ark_csv_cols(const ark_csv *t);
/** Header name as addressed (with .1, .2 for repeats). */
const char *ark_csv_name(const ark_csv *t, size_t col);
/** Index of a column, or -1. */
long ark_csv_find(const ark_csv *t, const char *name);
/** As ark_csv_find, but a missing column is ARK_EFORMAT naming file, column and the nearest existing name. */
ark_status ark_csv_need(const ark_csv *t, const char *name, size_t *col) ARK_MUST_CHECK;
/** Field text, NUL-terminated, owned by the table. */
const char *ark_csv_get(const ark_csv *t, size_t row, size_t col);
/** Line number (1-based) where a row starts, for messages. */
size_t ark_csv_line(const ark_csv *t, size_t row);

#endif
