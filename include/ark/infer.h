/* Inference: embeddings of images, and the probabilities that every head gives.
 *
 * A model is opened once and never changes; any number of threads may share it. Each thread makes a session
 * of its own, which holds the activations and does the work. Memory and thread rules: ark/ark.h.
 *
 * Letters: n images, S side of the model's input in pixels, C width of the encoder, D width of the projected
 * features, K outputs of all heads together. */
#ifndef ARK_INFER_H
#define ARK_INFER_H

#include "ark/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- model ---- */

typedef struct ark_infer_model ark_infer_model;

/* Start from ark_infer_default_opts(); fields may be added. */
typedef struct ark_infer_opts {
    const char *backend; /* NULL = "cpu"; "ref": slow, plain loops in double precision */
    bool bf16;           /* compute in bfloat16; sums, heads and results stay float32 */
    const char *arch;    /* architecture of a file without arkfm's metadata, "vit_small", "swin:embed=...";
                            NULL = as the file says, else inferred from its tensors */
    int size_px;         /* S, where neither file nor arch tell it; 0 = the side at which the last stage is
                            one window */
    const char *key;     /* which weights of a .pth: a key of its outermost dict; NULL = teacher, else
                            state_dict, model, ... */
    const char *heads;   /* names of the heads where the file does not tell them: "ark6", those of the
                            released weights (also known by their sizes), or a YAML file of one entry per
                            head; NULL = as found */
} ark_infer_opts;

/** Backend "cpu", float32, architecture and size as the file says. */
ark_infer_opts ark_infer_default_opts(void);

/** Open a weight file: safetensors or PyTorch's .pth, told apart by content, written by arkfm or holding the
 *  state dict of an encoder under timm's, Microsoft's or torchvision's names (docs/configuration.md lists the
 *  encoders and names). Nothing in a .pth is executed. The file is read whole and not needed afterwards.
 *  @param path   weight file.
 *  @param opts   NULL = defaults. Copied.
 *  @param model  the new model, yours to close.
 *  Threads: any. Cost: the file's size, in time and memory.
 *  @return ARK_OK | ARK_EIO | ARK_EFORMAT (damaged file; tensors that do not fit, by name) | ARK_EINVAL
 *  (unknown backend or architecture) | ARK_ENOTBUILT (backend left out of this build) | ARK_ENOMEM. */
ark_status ark_infer_open(
    const char *path, const ark_infer_opts *opts, ark_infer_model **model) ARK_MUST_CHECK;

/** Release a model whose sessions have all been freed; NULL is allowed. */
void ark_infer_close(ark_infer_model *model);

/* One head: the labels of one training dataset. */
typedef struct ark_infer_head {
    const char *dataset;        /* name of the dataset; "head0", ... in files that do not tell */
    const char *task;           /* "multi-label", "binary" or "multi-class" */
    int n_classes;              /* at least 1 */
    const char *const *classes; /* n_classes names, in the order of the outputs */
    int first;                  /* column of its first class among the K outputs */
} ark_infer_head;

/* What a model is and what it expects of images. */
typedef struct ark_infer_info {
    const char *arch;      /* "swin:embed=128,depths=2-2-18-2,heads=4-8-16-32,window=7,size=224" */
    int64_t parameters;    /* number of weights */
    int size_px;           /* S: images are squashed to S x S, then normalised */
    bool size_assumed;     /* nothing told S: see ark_infer_opts.size_px */
    const char *filter;    /* of the resizing: "bilinear", "bicubic", "box" or "lanczos", as Pillow's */
    float mean[3], std[3]; /* per channel, of grey levels scaled to [0,1] */
    int encoder_dim;       /* C */
    int projected_dim;     /* D; equals C in a model without a projector */
    int outputs;           /* K; 0 in a model without heads */
    int n_heads;
    const ark_infer_head *heads; /* n_heads; NULL when there is none */
} ark_infer_info;

/** Description of a model. Owned by the model, valid until it is closed. Never fails. Threads: any. */
const ark_infer_info *ark_infer_describe(const ark_infer_model *model);

/* ---- session ---- */

typedef struct ark_infer_session ark_infer_session;

/* Start from ark_infer_session_default_opts(); fields may be added. */
typedef struct ark_infer_session_opts {
    int threads; /* that one call may use; 0 = all processors. Several sessions at once: share them out */
    int batch;   /* images computed together, 1..1024; more is faster up to a point and takes more memory */
} ark_infer_session_opts;

/** All processors, batch 8. */
ark_infer_session_opts ark_infer_session_default_opts(void);

/** Make a session: check shapes, choose kernels, take all memory that the network's passes need.
 *  @param model    borrowed; must outlive the session.
 *  @param opts     NULL = defaults. Copied.
 *  @param session  the new session, yours to free. Used by one thread at a time.
 *  @return ARK_OK | ARK_EINVAL (option out of range) | ARK_EDEVICE | ARK_ENOMEM. */
ark_status ark_infer_session_new(const ark_infer_model *model, const ark_infer_session_opts *opts,
    ark_infer_session **session) ARK_MUST_CHECK;

/** NULL is allowed. */
void ark_infer_session_free(ark_infer_session *session);

/* Where results go: arrays of the caller, float32; NULL = not wanted. Row i belongs to image i. Results of an
 * image do not depend on the other images, on the batch size or on the number of threads. When a call fails,
 * their content is unspecified. */
typedef struct ark_infer_out {
    float *encoder;       /* (n,C) pooled features of the encoder */
    float *projected;     /* (n,D) features that the heads read */
    float *probabilities; /* (n,K) heads side by side; a multi-class head's row sums to 1, the others hold one
                             probability per class */
} ark_infer_out;

/** Results of image files: PNG or JPEG, 8 or 16 bits, told apart by content; colour is reduced to grey. Each
 *  is squashed to S x S and normalised as the model's description says.
 *  @param paths  n file names.
 *  @param n      any number, 0 included; images are decoded a batch at a time.
 *  @return ARK_OK | ARK_EIO, ARK_EFORMAT (a file that cannot be read or decoded, or is too large, by name; to
 *  leave such files out, call once per file) | ARK_EDEVICE | ARK_ENOMEM. */
ark_status ark_infer_files(
    ark_infer_session *session, const char *const *paths, size_t n, const ark_infer_out *out) ARK_MUST_CHECK;

/** Results of decoded images of one size, prepared as ark_infer_files does.
 *  @param pixels         (n,height,width) grey levels, 0 black to 255 white: air dark, bone bright.
 *  @param height, width  1..16384 pixels.
 *  @return ARK_OK | ARK_EINVAL (size) | ARK_EDEVICE | ARK_ENOMEM. */
ark_status ark_infer_pixels(ark_infer_session *session, const uint8_t *pixels, size_t n, int height,
    int width, const ark_infer_out *out) ARK_MUST_CHECK;

/** Results of prepared images, fed to the network as they are.
 *  @param images  (n,3,S,S) float32, normalised.
 *  @return ARK_OK | ARK_EDEVICE. */
ark_status ark_infer_tensor(
    ark_infer_session *session, const float *images, size_t n, const ark_infer_out *out) ARK_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
