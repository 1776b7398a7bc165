/* LMDB files: a reader of our own, and a writer through liblmdb.
 *
 * liblmdb trusts the file it maps: a damaged page sends it outside of the map. What arkfm reads may be
 * damaged or hostile, so reading goes through a walk that checks every page, node and length against the
 * file (docs/adr/0023). Files are ordinary LMDB files of version 1 for any other program. */
#ifndef ARK_IO_MDB_H
#define ARK_IO_MDB_H

#include "ark/status.h"

#include <stddef.h>
#include <stdint.h>

/* One key and its value. Reading: both point into the map. */
typedef struct ark_mdb_item {
    const void *key;
    size_t key_len;
    const void *value;
    size_t len;
} ark_mdb_item;

typedef struct ark_mdb ark_mdb;
/** Map DIR/data.mdb read-only; no lock file, nothing is written, so that a read-only file system and any
 * number of processes are fine. ARK_EFORMAT: no LMDB file of version 1 and this byte order, or a truncated
 * one; ARK_EIO. */
ark_status ark_mdb_open(const char *dir, ark_mdb **out) ARK_MUST_CHECK;
/** The same from memory, borrowed; name appears in messages. */
ark_status ark_mdb_parse(const void *bytes, size_t n, const char *name, ark_mdb **out) ARK_MUST_CHECK;
void ark_mdb_close(ark_mdb *m);
/** DIR/data.mdb, or the name given. */
const char *ark_mdb_path(const ark_mdb *m);
/** Pairs of the main database, as the file says. */
uint64_t ark_mdb_entries(const ark_mdb *m);

/** Called for each pair; a failure ends the walk. */
typedef ark_status ark_mdb_visit(void *arg, const ark_mdb_item *item);
/** All pairs of the main database, keys ascending bytewise; values stay valid until ark_mdb_close. Bounded:
 * each page of the file is looked at once. A page that does not hold what it must: ARK_EFORMAT naming file
 * and page. Large values are not touched, only their first page's header. Tables with a key's several
 * values, and databases inside of the main one, are refused. */
ark_status ark_mdb_walk(const ark_mdb *m, ark_mdb_visit *visit, void *arg) ARK_MUST_CHECK;
/** Would liblmdb find its way in this file? Checks the list of free pages, which ark_mdb_walk does not
 * need. */
ark_status ark_mdb_check_free(const ark_mdb *m) ARK_MUST_CHECK;

/* Writing. One process at a time: the folder is locked (flock) while the writer is open. */
typedef struct ark_mdb_writer ark_mdb_writer;
/** Open or make DIR/data.mdb; DIR must exist. What is there already must have passed ark_mdb_walk and
 * ark_mdb_check_free. ARK_EIO when another process has it open. */
ark_status ark_mdb_writer_open(const char *dir, ark_mdb_writer **out) ARK_MUST_CHECK;
/** All n pairs or none: one transaction, flushed to disk. A key that is there already gets the new value.
 * The map grows as needed; a full disk is ARK_EIO, and what was written before stays whole. */
ark_status ark_mdb_write(ark_mdb_writer *w, const ark_mdb_item *items, size_t n) ARK_MUST_CHECK;
void ark_mdb_writer_close(ark_mdb_writer *w);

#endif
