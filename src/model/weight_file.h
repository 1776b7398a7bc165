/* A weight file seen under current names, whoever wrote it; and how its tensors match a parameter store. */
#ifndef ARK_MODEL_WEIGHT_FILE_H
#define ARK_MODEL_WEIGHT_FILE_H

#include "core/params.h"
#include "data/preproc.h"
#include "io/safetensors.h"
#include "nn/ark_net.h"

#include <stdbool.h>

typedef struct ark_weight_tensor {
    char *name; /* current name */
    const ark_st_tensor *t;
} ark_weight_tensor;

typedef struct ark_weight_file {
    char *path;
    ark_st_file *st;
    bool ours; /* written by arkfm: has the network's description in its metadata */
    size_t n;
    ark_weight_tensor *items; /* sorted by name, without the ignored ones */
    int first_side;           /* tokens per side of the first stage, as its attn_mask tells; 0 = unknown */
} ark_weight_file;

/** Open and rename. Two tensors that end up under one name, or a version of ours that is
 * not known: ARK_EFORMAT. */
ark_status ark_weight_file_open(const char *path, ark_weight_file **out) ARK_MUST_CHECK;
/** The same for an open file, which is taken over, also on failure; name appears in messages. */
ark_status ark_weight_file_adopt(ark_st_file *st, const char *name, ark_weight_file **out) ARK_MUST_CHECK;
void ark_weight_file_close(ark_weight_file *f);
/** By current name, or NULL. */
const ark_st_tensor *ark_weight_file_find(const ark_weight_file *f, const char *name);

/* Names (names.c). */

enum { ARK_WEIGHT_NAME_MAX = 512 };

/** Current name of a foreign tensor: without "module.", and, in files that keep a stage's downsample at its
 * end (timm before 0.9, Microsoft), layers.i.downsample moved to layers.(i+1). false when it is too long. */
bool ark_weight_name(const char *file_name, bool downsample_at_end, char out[ARK_WEIGHT_NAME_MAX]);
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

/* Matching (weights_load.c). */

typedef struct ark_match {
    const ark_st_tensor **tensor; /* per parameter; NULL = keeps its value */
    size_t missing, bad;          /* parameters without a tensor; all keys that do not fit, those included */
    int named;                    /* how many of them the report names */
    char report[800];             /* the first of them, in words; "" when everything fits */
} ark_match;

enum {
    ARK_MATCH_ENCODER_ONLY = 1,  /* leave projector and heads of both sides out */
    ARK_MATCH_RESIZE_TABLES = 2, /* bias tables may come from another window size */
};

/** Pair the file's tensors with the store's parameters by name and shape. Reads no tensor. */
ark_status ark_match_weights(
    const ark_weight_file *f, const ark_params *params, unsigned flags, ark_match *out) ARK_MUST_CHECK;
void ark_match_free(ark_match *m);
/** ARK_EFORMAT with the report unless everything fits. */
ark_status ark_match_complete(const ark_weight_file *f, const ark_match *m) ARK_MUST_CHECK;
/** Convert matched tensors to f32 into a column, then refresh its bf16 copy. A value that is not finite is
 * ARK_EFORMAT naming the tensor. */
ark_status ark_match_fill(
    const ark_weight_file *f, const ark_match *m, ark_params *params, ark_column column) ARK_MUST_CHECK;

#endif
