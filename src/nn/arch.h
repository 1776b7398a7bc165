/* Architectures by name: what `--arch` and `model.arch` accept. An architecture is a family (nn/encoder.h)
 * and its numbers. */
#ifndef ARK_NN_ARCH_H
#define ARK_NN_ARCH_H

#include "ark/status.h"

#include <stddef.h>
#include <stdint.h>

enum { ARK_MAX_STAGES = 8, ARK_MAX_SIDE_PX = 4096, ARK_ARCH_TEXT = 256 };

typedef struct ark_encoder ark_encoder;

typedef struct ark_swin_arch {
    int patch; /* side of a patch, 4 */
    int embed; /* channels of the first stage; doubled by each further one */
    int depths[ARK_MAX_STAGES], heads[ARK_MAX_STAGES];
    int window; /* side of an attention window in tokens; a stage whose grid is smaller uses its grid */
} ark_swin_arch;

typedef struct ark_vit_arch {
    int patch; /* side of a patch, 16 */
    int embed, depth, heads;
    int pool; /* ARK_VIT_POOL_TOKEN, ARK_VIT_POOL_AVG (nn/vit.h) */
} ark_vit_arch;

typedef struct ark_convnext_arch {
    int dims[ARK_MAX_STAGES], depths[ARK_MAX_STAGES]; /* channels and blocks of the stages */
} ark_convnext_arch;

typedef struct ark_resnet_arch {
    int layers[ARK_MAX_STAGES]; /* bottleneck blocks of the stages */
    int width; /* channels of the stem and inside the first stage, 64; doubled by each further one */
} ark_resnet_arch;

typedef struct ark_densenet_arch {
    int growth;                 /* channels that a layer adds, 32 */
    int blocks[ARK_MAX_STAGES]; /* layers of the dense blocks */
    int init;                   /* channels of the stem, 64 */
} ark_densenet_arch;

typedef struct ark_arch {
    const ark_encoder *family; /* says which member of the union holds */
    int size_px;               /* side of the input image */
    int in_chans;              /* 3 */
    int stages;                /* entries of the family's lists; 0 for a family without lists */
    union {
        ark_swin_arch swin;
        ark_vit_arch vit;
        ark_convnext_arch convnext;
        ark_resnet_arch resnet;
        ark_densenet_arch densenet;
    };
} ark_arch;

/** A family's named variant with or without a size ("swin_base", "swin_base_384"), or the generic form
 *  "swin:embed=48,depths=2-2-2-2,heads=2-4-8-16,window=7,size=112". Errors name the bad part (ARK_EINVAL). */
ark_status ark_arch_parse(const char *text, ark_arch *out) ARK_MUST_CHECK;
/** The generic form of any architecture; parses back to the same. Returns buf, ARK_ARCH_TEXT bytes are
 *  enough. */
const char *ark_arch_print(const ark_arch *a, char *buf, size_t cap);
/** Ranges, divisibility: ARK_EINVAL with both numbers. */
ark_status ark_arch_check(const ark_arch *a) ARK_MUST_CHECK;
/** Channels of the encoder's output (1024 for Swin-B). */
int ark_arch_features(const ark_arch *a);

#endif
