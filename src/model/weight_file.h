/* A weight file seen under current names, whoever wrote it; and how its tensors match a parameter store. */
#ifndef ARK_MODEL_WEIGHT_FILE_H
#define ARK_MODEL_WEIGHT_FILE_H

#include "core/params.h"
#include "data/preproc.h"
#include "io/tensor_file.h"
#include "model/model.h"
#include "nn/ark_net.h"

#include <stdbool.h>

typedef struct ark_weight_tensor {
    char *name; /* current name */
    const ark_st_tensor *t;
} ark_weight_tensor;

typedef struct ark_weight_file {
    char *path;
    ark_tensor_file *file;
    bool ours; /* written by arkfm: has the network's description in its metadata */
    size_t n;
    ark_weight_tensor *items; /* sorted by name, without the ignored ones */
    int first_side;           /* tokens per side of the first stage, as its attn_mask tells; 0 = unknown */
    char note[320]; /* which of several sets of weights was chosen, in words; "" when there is one */
} ark_weight_file;

/** Open and rename, whatever the format (io/tensor_file.h). key: which dict of a .pth, NULL = the usual
 * one. Two tensors that end up under one name, or a version of ours that is not known: ARK_EFORMAT. */
ark_status ark_weight_file_open(const char *path, const char *key, ark_weight_file **out) ARK_MUST_CHECK;
/** The same for an open file, which is taken over, also on failure; name appears in messages. */
ark_status ark_weight_file_adopt(
    ark_tensor_file *file, const char *name, ark_weight_file **out) ARK_MUST_CHECK;
void ark_weight_file_close(ark_weight_file *f);
/** By current name, or NULL. */
const ark_st_tensor *ark_weight_file_find(const ark_weight_file *f, const char *name);

/* Names (names.c). */

enum { ARK_WEIGHT_NAME_MAX = 512 };

/* How a file names its tensors. */
typedef enum ark_name_style {
    ARK_NAMES_TIMM,        /* timm since 0.9, and whatever needs no change */
    ARK_NAMES_STAGE_END,   /* timm before, Microsoft: a stage's downsample at its end */
    ARK_NAMES_TORCHVISION, /* torchvision's Swin: features.N */
} ark_name_style;

typedef struct ark_name_rule {
    ark_name_style style;
    const char *prefix; /* before every name of the encoder, behind "module."; "" for none */
} ark_name_rule;

/** Style and prefix of a file, from the tensors it has. */
ark_name_rule ark_weight_rule(const ark_tensor_file *f);
/** Current name of a foreign tensor: without "module." and the prefix, downsample where timm has it now,
 * torchvision's numbers spelt out. false when it is too long. */
bool ark_weight_name(const char *file_name, ark_name_rule rule, char out[ARK_WEIGHT_NAME_MAX]);
/** Of no use to us: the classifier `head.*`, and buffers that are functions of the architecture. */
bool ark_weight_ignored(const char *name);

/* Description of the network, from metadata (meta.c) or from shapes (infer_arch.c). */

/** Network and preprocessing from the metadata of a file of ours; net is released with ark_net_free.
 * ARK_EFORMAT names the file and the part that is wrong. */
ark_status ark_meta_read(const ark_weight_file *f, ark_net *net, ark_preproc *pre) ARK_MUST_CHECK;
/** The same into a writer. */
ark_status ark_meta_write(ark_st_writer *w, const ark_net *net, const ark_preproc *pre) ARK_MUST_CHECK;

/** Architecture from tensor shapes, by the families of state_family.h. size_px 0: what the file tells, else
 * *assumed is set (Swin without an attn_mask: the size at which the last stage is a single window, 224 for
 * window 7, 384 for window 12). ARK_EFORMAT when the file holds no encoder of a known family. */
ark_status ark_arch_infer(const ark_weight_file *f, int size_px, ark_arch *out, bool *assumed) ARK_MUST_CHECK;
/** Projector and heads from tensor shapes, into a net whose arch is set; heads get the names "head0" and
 * "class0", the task is multi-label (binary for one class). */
ark_status ark_net_infer(const ark_weight_file *f, ark_net *net) ARK_MUST_CHECK;

/** Window M (1..64) of a bias table with (2M-1)^2 rows; 0 when there is none. */
int ark_bias_table_window(int64_t rows);

/** The network a file describes, or opts->arch (model.c): m->net, pre, ours, size_assumed, note. What was
 * set is released with ark_model_free, also on failure. */
ark_status ark_model_describe_file(
    const ark_weight_file *f, const ark_model_opts *opts, ark_model *m) ARK_MUST_CHECK;

/* Matching (weights_load.c). */

typedef struct ark_match {
    const ark_st_tensor **tensor; /* per parameter; NULL = keeps its value */
    size_t missing, bad;          /* parameters without a tensor; all keys that do not fit, those included */
    int named;                    /* how many of them the report names */
    char report[800];             /* the first of them, in words; "" when everything fits */
    char **keys;                  /* bad: every one of them, in words */
    size_t keys_cap;
    bool keys_lost; /* out of memory */
    bool geometric; /* how bias tables are resized */
} ark_match;

enum {
    ARK_MATCH_ENCODER_ONLY = 1,  /* leave projector and heads of both sides out */
    ARK_MATCH_RESIZE_TABLES = 2, /* bias tables may come from another window size */
    ARK_MATCH_GEOMETRIC = 4,     /* and are then resized by distance instead of bicubically */
};

/** Pair the file's tensors with the store's parameters by name and shape. Reads no tensor. */
ark_status ark_match_weights(
    const ark_weight_file *f, const ark_params *params, unsigned flags, ark_match *out) ARK_MUST_CHECK;
void ark_match_free(ark_match *m);
/** Hand over the list of keys that do not fit; each and the list are the caller's to ark_free. */
void ark_match_give_keys(ark_match *m, char ***keys, size_t *n);
/** ARK_EFORMAT with the report unless everything fits. */
ark_status ark_match_complete(const ark_weight_file *f, const ark_match *m) ARK_MUST_CHECK;
/** Values of parameter i, which is matched: f32, row-major, its table resized. buf: room for the tensor
 * and the parameter; *values points into it. A value that is not finite is ARK_EFORMAT naming the
 * tensor. */
ark_status ark_match_read(const ark_weight_file *f, const ark_match *m, const ark_params *params, int i,
    float *buf, float **values) ARK_MUST_CHECK;
/** Whether a parameter belongs to projector or heads. */
bool ark_match_outside_encoder(const char *name);
/** Convert matched tensors to f32 into a column, then refresh its bf16 copy. A value that is not finite is
 * ARK_EFORMAT naming the tensor. */
ark_status ark_match_fill(
    const ark_weight_file *f, const ark_match *m, ark_params *params, ark_column column) ARK_MUST_CHECK;

#endif
