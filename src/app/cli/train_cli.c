#include "app/cli/train_cli.h"

#include "app/cli/model_cli.h"
#include "base/alloc.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t stop_requested;

static void on_signal(int sig) {
    (void)sig;
    stop_requested = 1;
}

static bool should_stop(void *arg) {
    (void)arg;
    return stop_requested != 0;
}

static void on_message(void *arg, const char *line) {
    cli_display *d = arg;
    fprintf(stderr, "%s%s\n", d->open_line ? "\r\033[K" : "", line);
    d->open_line = false;
}

static void format_seconds(double s, char *buf, size_t cap) {
    if (!isfinite(s)) {
        snprintf(buf, cap, "--:--");
        return;
    }
    long t = (long)s;
    snprintf(buf, cap, "%ld:%02ld:%02ld", t / 3600, t / 60 % 60, t % 60);
}

static void on_progress(void *arg, const ark_train_progress *p) {
    cli_display *d = arg;
    double t = cli_seconds();
    if (t - d->last < (d->terminal ? 0.1 : 10)) {
        return;
    }
    char eta[32], consistency[24] = "-";
    d->last = t;
    format_seconds(p->eta_s, eta, sizeof eta);
    if (isfinite(p->consistency_loss)) {
        snprintf(consistency, sizeof consistency, "%.4f", p->consistency_loss);
    }
    fprintf(stderr, "%s%lld/%lld %s %lld/%lld  %.1f img/s  loss %.4f", d->terminal ? "\r\033[K" : "",
        (long long)p->epoch, (long long)p->epochs, p->dataset, (long long)p->batch, (long long)p->batches,
        p->images_per_s, p->loss);
    if (isfinite(p->momentum)) { /* there is a teacher */
        fprintf(stderr, " (task %.4f, consistency %s)  m %.4f  c %.3f", p->task_loss, consistency,
            p->momentum, p->consistency);
    }
    fprintf(stderr, "  |g| %.2f  lr %.3g  ETA %s  peak %.2f GB%s", p->grad_norm, p->lr, eta,
        (double)p->peak_bytes / 1e9, d->terminal ? "" : "\n");
    d->open_line = d->terminal;
}

ark_train_opts cli_train_opts(const cli_ctx *c, bool resume, cli_display *d) {
    struct sigaction sa = {
        .sa_handler = on_signal, .sa_flags = SA_RESTART | SA_RESETHAND}; /* twice: at once */
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
    *d = (cli_display){.terminal = isatty(STDERR_FILENO)};
    return (ark_train_opts){.resume = resume,
        .threads = c->threads,
        .on_progress = on_progress,
        .on_message = on_message,
        .should_stop = should_stop,
        .user = d};
}

void cli_display_end(const cli_display *d) {
    if (d->open_line) {
        fputc('\n', stderr);
    }
}

/* "--set a=1 b=2": words with '=' beside the run file are assignments too. Leaves the run
 * file as the only argument. */
int cli_take_assignments(cli_ctx *c, cli_list *sets) {
    const char *config = NULL;
    for (size_t i = 0; i < c->npos; i++) {
        if (strchr(c->pos[i], '=') && sets->n > 0) {
            const char **more = ark_realloc(sets->items, (sets->n + 1) * sizeof *more);
            if (!more) {
                return cli_usage("out of memory");
            }
            sets->items = more;
            sets->items[sets->n++] = c->pos[i];
        } else if (config) {
            return cli_usage("unexpected argument '%s'", c->pos[i]);
        } else {
            config = c->pos[i];
        }
    }
    if (!config) {
        return cli_usage("the run file is missing");
    }
    c->pos[0] = config;
    return 0;
}
