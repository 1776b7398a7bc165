/* measure FILE COMMAND...: run the command; write "processor-ms wall-ms peak-kB" to FILE; exit as it did (128
 * and the signal's number when it was killed). Peak memory is what the kernel counted, not a limit, so
 * sanitizers can run. */
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double wall_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

static double ms(struct timeval t) {
    return 1e3 * (double)t.tv_sec + 1e-3 * (double)t.tv_usec;
}

int main(int argc, char **argv) {
    int status;
    struct rusage u;
    FILE *f = argc > 2 ? fopen(argv[1], "w") : NULL;
    if (!f) {
        fprintf(stderr, "usage: measure FILE COMMAND...\n");
        return 125;
    }
    double start = wall_ms();
    pid_t child = fork();
    if (child == 0) {
        execv(argv[2], argv + 2);
        _exit(126);
    }
    if (child < 0 || wait4(child, &status, 0, &u) != child) {
        return 125;
    }
    fprintf(f, "%.0f %.0f %ld\n", ms(u.ru_utime) + ms(u.ru_stime), wall_ms() - start, u.ru_maxrss);
    fclose(f);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
