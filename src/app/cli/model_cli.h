/* What the verbs that run a weight file share: device, model and session; images from the command line. */
#ifndef ARK_APP_MODEL_CLI_H
#define ARK_APP_MODEL_CLI_H

#include "app/cli/cli.h"
#include "backend/backend.h"
#include "model/model.h"
#include "model/session.h"

#include <stdio.h>

/* Options of a verb that opens weights; CLI_MODEL_OPTIONS are their rows. */
typedef struct cli_model_args {
    const char *backend, *dtype, *arch;
    const char *key, *heads, *tables; /* see CLI_WEIGHT_OPTIONS */
    int64_t batch;
    bool allow_missing;
    int size_px; /* input side where nothing else tells it; 0 = unknown */
} cli_model_args;

#define CLI_MODEL_DEFAULTS                                                                                   \
    { .backend = "cpu", .dtype = "f32", .batch = 16 }
/* How a weight file is read. */
#define CLI_WEIGHT_OPTIONS(a)                                                                                \
    {"--arch", CLI_STR, "NAME", &(a).arch,                                                                   \
        "architecture, instead of what the file says or its shapes tell"},                                   \
        {"--key", CLI_STR, "KEY", &(a).key,                                                                  \
            "which weights of a .pth: teacher, state_dict, model, ... (default: the first of these)"},       \
        {"--heads", CLI_STR, "ark6|FILE.yaml", &(a).heads,                                                   \
            "names of heads and classes (ark6: those of the released weights, known by their sizes)"},       \
        {"--resize-tables", CLI_STR, "bicubic|geometric", &(a).tables,                                       \
            "how bias tables of another window size are resized (default: bicubic)"},                        \
    {                                                                                                        \
        "--allow-missing", CLI_FLAG, NULL, &(a).allow_missing,                                               \
            "report tensors that do not fit instead of refusing them"                                        \
    }
#define CLI_MODEL_OPTIONS(a)                                                                                 \
    CLI_WEIGHT_OPTIONS(a), {"--batch", CLI_INT, "N", &(a).batch, "images per run (default: 16)"},            \
        {"--dtype", CLI_STR, "f32|bf16", &(a).dtype, "compute type (default: f32)"}, {                       \
        "--backend", CLI_STR, "NAME", &(a).backend, "cpu (default), or ref: slow, exact"                     \
    }

/** Ranges and words: 0, or CLI_USAGE. */
int cli_model_check(const cli_model_args *a);
/** The part of it about CLI_WEIGHT_OPTIONS. */
int cli_weight_check(const cli_model_args *a);
/** Options for opening, from a checked set of arguments. */
ark_model_opts cli_weight_opts(const cli_model_args *a);
/** Say on stderr what was chosen, assumed or left out. */
void cli_weight_tell(const cli_ctx *c, const ark_model *m, bool key_given);
/** Every key that did not fit, for a verb's JSON. */
json_t *cli_unmatched(const ark_model *m);
/** "f32" or "bf16": 0, or CLI_USAGE. */
int cli_dtype(const char *word, ark_dtype *out);

typedef struct cli_model {
    ark_dev *dev;
    ark_model *model;
    ark_session *session;
} cli_model;

/** Device, weights and a session. What was assumed or left out is said on stderr. */
ark_status cli_model_open(
    const cli_ctx *c, const char *path, const cli_model_args *a, cli_model *out) ARK_MUST_CHECK;
void cli_model_close(cli_model *m);

/** Index of the head of a dataset, or -1. */
int cli_find_head(const ark_net *net, const char *dataset);
/** ARK_EINVAL: no such head; names those that the file has. */
ark_status cli_no_head(const char *weights, const ark_net *net, const char *dataset) ARK_MUST_CHECK;

/* No larger batch is planned than there are images. */
static inline void cli_model_bound(cli_model_args *a, size_t images) {
    if (images > 0 && images < (size_t)a->batch) {
        a->batch = (int64_t)images;
    }
}

/* Image files, read a batch at a time in several threads. */
typedef struct cli_images {
    char **paths; /* n */
    size_t n, next;
    bool *bad; /* n: skipped */
    size_t skipped;
    bool skip;
    int threads;
} cli_images;

/** --on-bad-sample: "fail" (also NULL) or "skip"; 0, or CLI_USAGE. */
int cli_on_bad(const char *word, bool *skip);
/** From the positional arguments from `first` on; a folder stands for its .png, .jpg and .jpeg files, by
 * name. ARK_EINVAL when that leaves nothing. */
ark_status cli_images_from_args(const cli_ctx *c, size_t first, cli_images *out) ARK_MUST_CHECK;
/** From a text file, one path a line. */
ark_status cli_images_from_list(const cli_ctx *c, const char *path, cli_images *out) ARK_MUST_CHECK;
void cli_images_free(cli_images *im);
/** Read the next readable images, at most `most`: pixels (most,3,S,S), index[i] = number
 * of the path. *n is less than `most` only at the end. An unreadable file is the call's
 * error, or skipped with a line on stderr. */
ark_status cli_images_next(cli_images *im, const ark_preproc *pre, const char *verb, int most, float *pixels,
    size_t *index, int *n) ARK_MUST_CHECK;
/** Names of the skipped files, for a verb's JSON. */
json_t *cli_images_skipped(const cli_images *im);

/** JSON string; bytes that are not UTF-8 become '?'. */
json_t *cli_text(const char *s);
/** Text of outside origin to a stream, control characters shown as '?'. */
void cli_put_text(FILE *f, const char *s);
/** Seconds on a clock that only goes forward. */
double cli_seconds(void);

#endif
