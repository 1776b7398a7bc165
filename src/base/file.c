#include "base/file.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static ark_status io_error(const char *what, const char *path) {
    return ARK_ERR(ARK_EIO, "%s: cannot %s: %s", path, what, strerror(errno));
}

/* Open a regular file for reading; O_NONBLOCK keeps a FIFO from blocking before it is refused. */
static ark_status open_regular(const char *path, int *fd_out, size_t *size) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return io_error("open", path);
    }
    struct stat sb;
    if (fstat(fd, &sb) != 0 || !S_ISREG(sb.st_mode)) {
        close(fd);
        return ARK_ERR(ARK_EIO, "%s: not a regular file", path);
    }
    *fd_out = fd;
    *size = (size_t)sb.st_size;
    return ARK_OK;
}

static ark_status read_all(int fd, const char *path, char *data, size_t size) {
    for (size_t done = 0; done < size;) {
        ssize_t n = read(fd, data + done, size - done);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return io_error("read", path);
        }
        if (n == 0) {
            return ARK_ERR(ARK_EIO, "%s: ended after %zu of %zu bytes", path, done, size);
        }
        done += (size_t)n;
    }
    return ARK_OK;
}

ark_status ark_file_read(const char *path, size_t limit, char **data, size_t *len) {
    int fd;
    size_t size;
    ARK_TRY(open_regular(path, &fd, &size));
    ark_status st = ARK_OK;
    char *bytes = NULL;
    if (size > limit) {
        st = ARK_ERR(ARK_EFORMAT, "%s: %zu bytes, limit %zu", path, size, limit);
    } else if (!(bytes = ark_malloc(size + 1))) {
        st = ARK_ERR(ARK_ENOMEM, "%s: out of memory reading %zu bytes", path, size);
    } else {
        st = read_all(fd, path, bytes, size);
    }
    close(fd);
    if (st != ARK_OK) {
        ark_free(bytes);
        return st;
    }
    bytes[size] = '\0';
    *data = bytes;
    *len = size;
    return ARK_OK;
}

ark_status ark_map_open(const char *path, ark_map *out) {
    int fd;
    size_t size;
    ARK_TRY(open_regular(path, &fd, &size));
    void *p = NULL;
    if (size > 0) {
        p = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED) {
            close(fd);
            return io_error("map", path);
        }
    }
    close(fd);
    *out = (ark_map){.data = p, .len = size};
    return ARK_OK;
}

void ark_map_close(ark_map *m) {
    if (m->data) {
        munmap((void *)(uintptr_t)m->data, m->len);
    }
    *m = (ark_map){0};
}

ark_status ark_writer_open(ark_writer *w, const char *path) {
    *w = (ark_writer){0};
    size_t n = strlen(path) + 32;
    w->path = ark_strdup(path);
    w->tmp = ark_malloc(n);
    if (!w->path || !w->tmp) {
        ark_writer_abort(w);
        return ARK_ERR(ARK_ENOMEM, "%s: out of memory", path);
    }
    snprintf(w->tmp, n, "%s.tmp.%ld", path, (long)getpid());
    int fd = open(w->tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    w->f = fd < 0 ? NULL : fdopen(fd, "wb");
    if (!w->f) {
        ark_status st = io_error("create", path);
        if (fd >= 0) {
            close(fd);
        }
        ark_writer_abort(w);
        return st;
    }
    return ARK_OK;
}

static void note_error(ark_writer *w) {
    if (!w->err) {
        w->err = errno ? errno : EIO;
    }
}

void ark_writer_put(ark_writer *w, const void *bytes, size_t n) {
    if (n > 0 && !w->err && fwrite(bytes, 1, n, w->f) != n) {
        note_error(w);
    }
}

void ark_writer_printf(ark_writer *w, const char *fmt, ...) {
    if (w->err) {
        return;
    }
    va_list ap;
    va_start(ap, fmt);
    int n = vfprintf(w->f, fmt, ap);
    va_end(ap);
    if (n < 0) {
        note_error(w);
    }
}

void ark_writer_abort(ark_writer *w) {
    if (w->f) {
        fclose(w->f);
    }
    if (w->tmp) {
        unlink(w->tmp);
    }
    ark_free(w->tmp);
    ark_free(w->path);
    *w = (ark_writer){0};
}

static ark_status sync_dir_of(const char *path) {
    char *dir = ark_path_dir(path);
    if (!dir) {
        return ARK_ERR(ARK_ENOMEM, "%s: out of memory", path);
    }
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ark_status st = ARK_OK;
    /* Some file systems refuse fsync of a folder (EINVAL); the rename itself was still ordered. */
    if (fd < 0 || (fsync(fd) != 0 && errno != EINVAL)) {
        st = io_error("sync folder", dir);
    }
    if (fd >= 0) {
        close(fd);
    }
    ark_free(dir);
    return st;
}

ark_status ark_writer_commit(ark_writer *w) {
    errno = 0;
    if (!w->err && (fflush(w->f) != 0 || (!w->no_sync && fsync(fileno(w->f)) != 0))) {
        note_error(w);
    }
    if (fclose(w->f) != 0) {
        note_error(w);
    }
    w->f = NULL;
    if (!w->err && rename(w->tmp, w->path) != 0) {
        note_error(w);
    }
    ark_status st = ARK_OK;
    if (w->err) {
        st = ARK_ERR(ARK_EIO, "%s: cannot write: %s", w->path, strerror(w->err));
    } else {
        st = w->no_sync ? ARK_OK : sync_dir_of(w->path);
        ark_free(w->tmp); /* the temporary name no longer exists */
        w->tmp = NULL;
    }
    ark_writer_abort(w);
    return st;
}

ark_status ark_file_write(const char *path, const void *bytes, size_t n) {
    ark_writer w;
    ARK_TRY(ark_writer_open(&w, path));
    ark_writer_put(&w, bytes, n);
    return ark_writer_commit(&w);
}

ark_status ark_mkdirs(const char *path) {
    char *p = ark_strdup(path);
    if (!p) {
        return ARK_ERR(ARK_ENOMEM, "%s: out of memory", path);
    }
    ark_status st = ARK_OK;
    for (char *s = p + 1; st == ARK_OK; s++) {
        if (*s == '/' || *s == '\0') {
            char c = *s;
            *s = '\0';
            if (mkdir(p, 0777) != 0 && !(errno == EEXIST && ark_path_is_dir(p))) {
                st = io_error("create folder", p);
            }
            *s = c;
            if (c == '\0') {
                break;
            }
        }
    }
    ark_free(p);
    return st;
}

bool ark_path_exists(const char *path) {
    struct stat sb;
    return lstat(path, &sb) == 0;
}

bool ark_path_is_dir(const char *path) {
    struct stat sb;
    return stat(path, &sb) == 0 && S_ISDIR(sb.st_mode);
}

static int by_bytes(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void ark_names_free(char **names, size_t n) {
    for (size_t i = 0; i < n; i++) {
        ark_free(names[i]);
    }
    ark_free(names);
}

ark_status ark_list_dir(const char *path, char ***names_out, size_t *n_out) {
    DIR *d = opendir(path);
    if (!d) {
        return io_error("list", path);
    }
    char **names = NULL;
    size_t n = 0, cap = 0;
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) {
            continue;
        }
        if (n == cap) {
            cap = cap ? 2 * cap : 64;
            char **more = ark_realloc(names, cap * sizeof *names);
            if (!more) {
                goto oom;
            }
            names = more;
        }
        names[n] = ark_strdup(e->d_name);
        if (!names[n]) {
            goto oom;
        }
        n++;
    }
    closedir(d);
    if (n > 1) {
        qsort(names, n, sizeof *names, by_bytes);
    }
    *names_out = names;
    *n_out = n;
    return ARK_OK;
oom:
    closedir(d);
    ark_names_free(names, n);
    return ARK_ERR(ARK_ENOMEM, "%s: out of memory listing the folder", path);
}

ark_status ark_rmtree(const char *path) {
    if (!ark_path_exists(path)) {
        return ARK_OK;
    }
    struct stat sb;
    if (lstat(path, &sb) == 0 && S_ISDIR(sb.st_mode)) {
        char **names = NULL;
        size_t n = 0;
        ARK_TRY(ark_list_dir(path, &names, &n));
        ark_status st = ARK_OK;
        for (size_t i = 0; i < n && st == ARK_OK; i++) {
            char *child = ark_path_join(path, names[i]);
            st = child ? ark_rmtree(child) : ARK_ERR(ARK_ENOMEM, "%s: out of memory", path);
            ark_free(child);
        }
        ark_names_free(names, n);
        ARK_TRY(st);
        return rmdir(path) == 0 ? ARK_OK : io_error("remove", path);
    }
    return unlink(path) == 0 ? ARK_OK : io_error("remove", path);
}

ark_status ark_rename_durable(const char *from, const char *to) {
    if (rename(from, to) != 0) {
        return io_error("rename to", to);
    }
    return sync_dir_of(to);
}
