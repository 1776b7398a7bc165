#include "base/alloc.h"
#include "base/err.h"
#include "base/str.h"
#include "io/mdb.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdint.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static const size_t FIRST_MAP = (size_t)64 << 20, LAST_MAP = (size_t)1 << 46;

struct ark_mdb_writer {
    char *path; /* of data.mdb, for messages */
    int lock;   /* of the folder */
    MDB_env *env;
    size_t map_bytes;
};

/* liblmdb calls a write that came out short an input/output error. */
static ark_status failed(const ark_mdb_writer *w, const char *what, int code) {
    return ARK_ERR(code == ENOMEM ? ARK_ENOMEM : ARK_EIO, "%s: cannot %s: %s%s", w->path, what,
        mdb_strerror(code), code == EIO ? " (is the disk full?)" : "");
}

/* flock on the folder itself: no file is left behind, and the lock ends with the process. */
static ark_status lock(ark_mdb_writer *w, const char *dir) {
    w->lock = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (w->lock < 0) {
        return failed(w, "open its folder", errno);
    }
    if (flock(w->lock, LOCK_EX | LOCK_NB) != 0) {
        return errno == EWOULDBLOCK ? ARK_ERR(ARK_EIO, "%s: another process is writing it", w->path)
                                    : failed(w, "lock its folder", errno);
    }
    return ARK_OK;
}

static ark_status open_env(ark_mdb_writer *w, const char *dir) {
    struct stat sb;
    size_t there = stat(w->path, &sb) == 0 && sb.st_size > 0 ? (size_t)sb.st_size : 0;
    for (w->map_bytes = FIRST_MAP; w->map_bytes < there && w->map_bytes < LAST_MAP;) {
        w->map_bytes *= 2;
    }
    int code = mdb_env_create(&w->env);
    if (code) {
        w->env = NULL;
        return failed(w, "open", code);
    }
    code = mdb_env_set_mapsize(w->env, w->map_bytes);
    /* The folder's lock does what LMDB's lock file would; no other process reads an unfinished pack. */
    code = code ? code : mdb_env_open(w->env, dir, MDB_NOLOCK | MDB_NOTLS, 0666);
    return code ? failed(w, "open", code) : ARK_OK;
}

ark_status ark_mdb_writer_open(const char *dir, ark_mdb_writer **out) {
    ark_mdb_writer *w;
    ARK_TRY(ARK_NEW(&w, 1, "an LMDB writer"));
    w->lock = -1;
    w->path = ark_path_join(dir, "data.mdb");
    ark_status st = w->path ? ARK_OK : ARK_ERR(ARK_ENOMEM, "%s: out of memory", dir);
    st = st ? st : lock(w, dir);
    st = st ? st : open_env(w, dir);
    if (st != ARK_OK) {
        ark_mdb_writer_close(w);
        return st;
    }
    *out = w;
    return ARK_OK;
}

/* One attempt; the code is liblmdb's. */
static int transaction(ark_mdb_writer *w, const ark_mdb_item *items, size_t n) {
    MDB_txn *txn;
    MDB_dbi db;
    int code = mdb_txn_begin(w->env, NULL, 0, &txn);
    if (code) {
        return code;
    }
    code = mdb_dbi_open(txn, NULL, 0, &db);
    for (size_t i = 0; i < n && !code; i++) {
        /* liblmdb reads both, but its type says otherwise */
        MDB_val key = {items[i].key_len, (void *)(uintptr_t)items[i].key};
        MDB_val value = {items[i].len, (void *)(uintptr_t)items[i].value};
        code = mdb_put(txn, db, &key, &value, 0);
    }
    if (code) {
        mdb_txn_abort(txn);
        return code;
    }
    return mdb_txn_commit(txn);
}

ark_status ark_mdb_write(ark_mdb_writer *w, const ark_mdb_item *items, size_t n) {
    for (;;) {
        int code = transaction(w, items, n);
        if (code != MDB_MAP_FULL) {
            return code ? failed(w, "write", code) : ARK_OK;
        }
        if (w->map_bytes >= LAST_MAP) {
            return failed(w, "grow", code);
        }
        w->map_bytes *= 2;
        code = mdb_env_set_mapsize(w->env, w->map_bytes);
        if (code) {
            return failed(w, "grow", code);
        }
    }
}

void ark_mdb_writer_close(ark_mdb_writer *w) {
    if (w) {
        if (w->env) {
            mdb_env_close(w->env);
        }
        if (w->lock >= 0) {
            close(w->lock);
        }
        ark_free(w->path);
        ark_free(w);
    }
}
