/* Pretraining with progress, stopped by Ctrl-C after the running step; the same command goes on with it.
 *
 *     pretrain RUN.yaml DIR [KEY=VALUE...]        such as train.epochs=4 */
#include <ark/ark.h>

#include <signal.h>
#include <stdio.h>

static volatile sig_atomic_t stop;

static void on_signal(int sig) {
    (void)sig;
    stop = 1;
}

static bool should_stop(void *user) {
    (void)user;
    return stop != 0;
}

static void on_message(void *user, const char *line) {
    fprintf(user, "%s\n", line);
}

/* Every tenth step is enough. */
static void on_progress(void *user, const ark_train_progress *p) {
    if (p->step % 10 == 0) {
        fprintf(user, "step %lld of %lld, %s: loss %.4f, %.0f images/s, %.0f s left\n", (long long)p->step,
            (long long)p->steps, p->dataset, p->loss, p->images_per_s, p->eta_s);
    }
}

int main(int argc, char **argv) {
    if (argc < 3) {
        fprintf(stderr, "usage: pretrain RUN.yaml DIR [KEY=VALUE...]\n");
        return 2;
    }
    signal(SIGINT, on_signal);
    ark_train_opts opts = ark_train_default_opts();
    ark_train_result result;
    opts.set = (const char *const *)(argv + 3);
    opts.n_set = (size_t)argc - 3;
    opts.resume = true; /* a new folder starts afresh */
    opts.on_progress = on_progress;
    opts.on_message = on_message;
    opts.should_stop = should_stop;
    opts.user = stderr;
    ark_status st = ark_train_pretrain(argv[1], argv[2], &opts, &result);
    if (st != ARK_OK) {
        fprintf(stderr, "pretrain: %s: %s\n", ark_status_text(st), ark_err_msg());
        return st == ARK_EINTERRUPTED ? 130 : 1;
    }
    printf("%s/teacher.safetensors: %lld epochs, validation loss %.4f\n", argv[2], (long long)result.epochs,
        result.val_loss);
    return 0;
}
