/* arkfm VERB ...: find the verb, run it, turn its result into an exit status. */
#include "app/cli/cli.h"

#include <locale.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>

static void print_verbs(FILE *f) {
    fprintf(f, "usage: arkfm VERB ...\n\n");
    for (size_t i = 0; i < cli_verb_count; i++) {
        fprintf(f, "  %-9s %s\n", cli_verbs[i].name, cli_verbs[i].summary);
    }
    fprintf(f, "\narkfm VERB --help lists a verb's options.\n");
}

static int unknown_verb(const char *word) {
    const char *names[64];
    size_t n = 0;
    for (; n < cli_verb_count && n < CLI_COUNT(names); n++) {
        names[n] = cli_verbs[n].name;
    }
    cli_unknown("verb", word, names, n);
    fprintf(stderr, "arkfm: %s\n", ark_err_msg());
    return 2;
}

/* Decoding takes and returns a few blocks of a megabyte for every image, and glibc would give that memory
 * back to the system and fetch it again each time: a quarter of the time of a grey PNG. */
static void keep_freed_memory(void) {
#ifdef M_TRIM_THRESHOLD
    mallopt(M_TRIM_THRESHOLD, 64 << 20);
    mallopt(M_MMAP_THRESHOLD, 16 << 20);
#endif
}

int main(int argc, char **argv) {
    keep_freed_memory();
    setlocale(LC_ALL, "C"); /* numbers are written and read with a point, whatever the user's locale */
    if (argc < 2) {
        print_verbs(stderr);
        return 2;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        print_verbs(stdout);
        return 0;
    }
    if (!strcmp(argv[1], "--version")) {
        printf("arkfm %s\n", ARK_VERSION);
        return 0;
    }
    for (size_t i = 0; i < cli_verb_count; i++) {
        const cli_verb *v = &cli_verbs[i];
        if (strcmp(v->name, argv[1])) {
            continue;
        }
        cli_ctx c = {.verb = v->name};
        int rc = v->run(&c, argc - 2, argv + 2);
        if (rc == CLI_HELP) {
            printf("usage: arkfm %s %s\n%s.\n", v->name, v->synopsis, v->summary);
            return 0;
        }
        if (rc == CLI_USAGE) {
            fprintf(
                stderr, "arkfm %s: %s\nusage: arkfm %s %s\n", v->name, ark_err_msg(), v->name, v->synopsis);
            return 2;
        }
        return rc;
    }
    return unknown_verb(argv[1]);
}
