/* arkfm data WHAT: one file per sub-verb (data_*.c), one line of the table each. */
#include "app/cli/cli.h"

#include "app/cli/data_verbs.h"

#include <stdio.h>
#include <string.h>

/* Each has its own options, usage and help; arguments start behind the sub-verb. */
static const cli_verb subs[] = {
    {"pack", "CONFIG DIR [--size N] [--codec raw|png|jpeg] [--dataset NAME ...] [--resume] [--verify]",
        "datasets with their images resized once, in one file", cmd_data_pack},
    {"check", "CONFIG [--html FILE] [--write-exclusions FILE] [--near N] [--no-images]",
        "unreadable files, class counts, patients and pictures that splits or datasets share",
        cmd_data_check},
    {"show", "FILE -o OUT.png [--size N | --weights FILE] [--view plain|student|teacher|test] [--window W]",
        "write what a model sees of one image", cmd_data_show},
};

static void print_subs(FILE *f) {
    fprintf(f, "usage: arkfm data WHAT ...\n\n");
    for (size_t i = 0; i < CLI_COUNT(subs); i++) {
        fprintf(f, "  %-9s %s\n", subs[i].name, subs[i].summary);
    }
    fprintf(f, "\narkfm data WHAT --help lists the options of one.\n");
}

/* Runs one and prints its own help and usage. */
static int run(const cli_verb *sub, cli_ctx *c, int argc, char **argv) {
    char verb[32];
    snprintf(verb, sizeof verb, "data %s", sub->name);
    c->verb = verb;
    int rc = sub->run(c, argc, argv);
    c->verb = "data";
    if (rc == CLI_HELP) {
        printf("usage: arkfm %s %s\n%s.\n", verb, sub->synopsis, sub->summary);
        return cli_flush();
    }
    if (rc == CLI_USAGE) {
        fprintf(stderr, "arkfm %s: %s\nusage: arkfm %s %s\n", verb, ark_err_msg(), verb, sub->synopsis);
        return 2;
    }
    return rc;
}

int cmd_data(cli_ctx *c, int argc, char **argv) {
    const char *names[CLI_COUNT(subs)];
    if (argc < 1) {
        print_subs(stderr);
        return 2;
    }
    if (!strcmp(argv[0], "--help") || !strcmp(argv[0], "-h")) {
        print_subs(stdout);
        return cli_flush();
    }
    for (size_t i = 0; i < CLI_COUNT(subs); i++) {
        if (!strcmp(subs[i].name, argv[0])) {
            return run(&subs[i], c, argc - 1, argv + 1);
        }
        names[i] = subs[i].name;
    }
    return cli_unknown("data", argv[0], names, CLI_COUNT(names));
}
