#include "report/gnuplot.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LIMIT_MS = 30000, LIMIT_BYTES = 32 << 20 };

static int64_t now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void close_fd(int *fd) {
    if (*fd >= 0) {
        close(*fd);
    }
    *fd = -1;
}

/* Input and messages pass through anonymous files, so that only the output needs reading while the child
 * runs: neither side can wait for the other, and a child that dies early raises no SIGPIPE here. */
typedef struct child {
    int in, err; /* files */
    int out[2];  /* pipe: we read [0], it writes [1] */
    pid_t pid;   /* 0 when none runs */
} child;

static ark_status prepare(child *c, const char *script, size_t len) {
    *c = (child){.in = -1, .err = -1, .out = {-1, -1}};
    c->in = memfd_create("gnuplot-script", MFD_CLOEXEC);
    c->err = memfd_create("gnuplot-messages", MFD_CLOEXEC);
    if (c->in < 0 || c->err < 0 || pipe2(c->out, O_CLOEXEC) != 0) {
        return ARK_ERR(ARK_EIO, "gnuplot: no file for its input: %s", strerror(errno));
    }
    for (size_t done = 0; done < len;) {
        ssize_t n = write(c->in, script + done, len - done);
        if (n < 0 && errno != EINTR) {
            return ARK_ERR(ARK_EIO, "gnuplot: cannot write its input: %s", strerror(errno));
        }
        done += n > 0 ? (size_t)n : 0;
    }
    lseek(c->in, 0, SEEK_SET);
    return ARK_OK;
}

static ark_status start(child *c) {
    posix_spawn_file_actions_t actions;
    if (posix_spawn_file_actions_init(&actions) != 0) {
        return ARK_ERR(ARK_ENOMEM, "gnuplot: out of memory");
    }
    int rc = posix_spawn_file_actions_adddup2(&actions, c->in, STDIN_FILENO);
    rc = rc ? rc : posix_spawn_file_actions_adddup2(&actions, c->out[1], STDOUT_FILENO);
    rc = rc ? rc : posix_spawn_file_actions_adddup2(&actions, c->err, STDERR_FILENO);
    char name[] = "gnuplot", settings[] = "--default-settings", from_stdin[] = "-";
    char *argv[] = {name, settings, from_stdin, NULL};
    rc = rc ? rc : posix_spawnp(&c->pid, name, &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close_fd(&c->out[1]); /* the end of its output is then the end of ours */
    if (rc == 0) {
        return ARK_OK;
    }
    c->pid = 0;
    if (rc == ENOENT) {
        return ARK_ERR(ARK_ENOTBUILT, "gnuplot is not installed");
    }
    return ARK_ERR(ARK_EIO, "cannot run gnuplot: %s", strerror(rc));
}

static ark_status collect(child *c, ark_buf *out) {
    int64_t deadline = now_ms() + LIMIT_MS;
    char chunk[65536];
    for (;;) {
        int64_t left = deadline - now_ms();
        struct pollfd p = {.fd = c->out[0], .events = POLLIN};
        int ready = left > 0 ? poll(&p, 1, (int)left) : 0;
        if (ready == 0) {
            return ARK_ERR(ARK_EIO, "gnuplot did not finish within %d s", LIMIT_MS / 1000);
        }
        ssize_t n = ready > 0 ? read(c->out[0], chunk, sizeof chunk) : -1;
        if (n == 0) {
            return ARK_OK;
        }
        if (n < 0 && errno != EINTR) {
            return ARK_ERR(ARK_EIO, "cannot read from gnuplot: %s", strerror(errno));
        }
        if (n > 0) {
            ARK_TRY(ark_buf_add(out, chunk, (size_t)n));
        }
    }
}

/* Wait for the end; its first line of messages explains a failure. */
static ark_status finish(child *c) {
    int status;
    pid_t got;
    do {
        got = waitpid(c->pid, &status, 0);
    } while (got < 0 && errno == EINTR);
    c->pid = 0;
    if (got > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        return ARK_OK;
    }
    char text[400];
    ssize_t n = pread(c->err, text, sizeof text - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    char *message = text + strspn(text, " \t\r\n^");
    return ARK_ERR(ARK_EIO, "gnuplot failed: %s", *message ? message : "no message");
}

static void release(child *c) {
    if (c->pid > 0) {
        kill(c->pid, SIGKILL);
        while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR) {
        }
    }
    close_fd(&c->in);
    close_fd(&c->err);
    close_fd(&c->out[0]);
    close_fd(&c->out[1]);
}

ark_status ark_gnuplot_run(const char *script, size_t len, char **out, size_t *out_len) {
    child c;
    ark_buf text;
    ark_buf_init(&text, LIMIT_BYTES);
    ark_status st = prepare(&c, script, len);
    if (st == ARK_OK) {
        st = start(&c);
    }
    if (st == ARK_OK) {
        st = collect(&c, &text);
    }
    if (st == ARK_OK) {
        st = finish(&c);
    }
    release(&c);
    if (st == ARK_OK && text.len == 0) {
        st = ARK_ERR(ARK_EIO, "gnuplot printed nothing");
    }
    if (st != ARK_OK) {
        ark_buf_free(&text);
        return st == ARK_EFORMAT ? ARK_EIO : st; /* past the limit of the buffer */
    }
    *out = text.data;
    *out_len = text.len;
    return ARK_OK;
}
