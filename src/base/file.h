/* Files: bounded reads, read-only maps, atomic writes, folders. All messages name the path. */
#ifndef ARK_BASE_FILE_H
#define ARK_BASE_FILE_H

#include "ark/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/** Whole file into memory, NUL-terminated beyond *len; refused past `limit` bytes (ARK_EFORMAT) and for
 *  anything that is not a regular file. ark_free(*data). */
ark_status ark_file_read(const char *path, size_t limit, char **data, size_t *len) ARK_MUST_CHECK;

/* Read-only private map of a regular file. A file that shrinks while mapped raises SIGBUS: weights are
 * replaced by rename (ark_writer), never in place. */
typedef struct ark_map {
    const unsigned char *data; /* NULL for an empty file */
    size_t len;
} ark_map;
ark_status ark_map_open(const char *path, ark_map *out) ARK_MUST_CHECK;
void ark_map_close(ark_map *m);

/* Atomic writer: bytes go to a temporary name beside `path`, which takes the name only in
 * ark_writer_commit (flush, fsync, rename, fsync of the folder). A write error is remembered and reported
 * at commit, so calls in between need no cleanup ladder. Abort (or a failed commit) removes the temporary. */
typedef struct ark_writer {
    FILE *f;
    char *path, *tmp;
    int err;      /* first errno */
    bool no_sync; /* may be set after open: leave out both fsyncs, for what can be made again */
} ark_writer;
ark_status ark_writer_open(ark_writer *w, const char *path) ARK_MUST_CHECK;
void ark_writer_put(ark_writer *w, const void *bytes, size_t n);
void ark_writer_printf(ark_writer *w, const char *fmt, ...) ARK_PRINTF(2, 3);
ark_status ark_writer_commit(ark_writer *w) ARK_MUST_CHECK;
void ark_writer_abort(ark_writer *w);

/** Write a whole file atomically. */
ark_status ark_file_write(const char *path, const void *bytes, size_t n) ARK_MUST_CHECK;

/** mkdir -p. */
ark_status ark_mkdirs(const char *path) ARK_MUST_CHECK;
/** Remove a folder and the plain files and folders in it; a missing one is not an error.
 * Links are not followed. */
ark_status ark_rmtree(const char *path) ARK_MUST_CHECK;
/** Rename, then fsync the folder, so that the new name survives a crash. */
ark_status ark_rename_durable(const char *from, const char *to) ARK_MUST_CHECK;
bool ark_path_exists(const char *path);
bool ark_path_is_dir(const char *path);

/** Names in a folder, sorted bytewise, without . and ..; free with ark_names_free. */
ark_status ark_list_dir(const char *path, char ***names, size_t *n) ARK_MUST_CHECK;
void ark_names_free(char **names, size_t n);

#endif
