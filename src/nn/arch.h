/* Architectures by name: what `--arch` and `model.arch` accept. */
#ifndef ARK_NN_ARCH_H
#define ARK_NN_ARCH_H

#include "ark/status.h"

#include <stddef.h>
#include <stdint.h>

enum { ARK_MAX_STAGES = 8 };

typedef struct ark_arch {
    int size_px;  /* side of the input image */
    int patch;    /* side of a patch, 4 */
    int in_chans; /* 3 */
    int embed;    /* channels of the first stage; doubled by each further one */
    int stages;
    int depths[ARK_MAX_STAGES], heads[ARK_MAX_STAGES];
    int window; /* side of an attention window in tokens; a stage whose grid is smaller uses its grid */
} ark_arch;

/** "swin_tiny|small|base|large" with _224 (window 7; also without a suffix), _384 or _768 (window 12), or
 *  "swin:embed=48,depths=2-2-2-2,heads=2-4-8-16,window=7,size=112". Errors name the bad part (ARK_EINVAL). */
ark_status ark_arch_parse(const char *text, ark_arch *out) ARK_MUST_CHECK;
/** The generic form of any architecture; parses back to the same. Returns buf. */
const char *ark_arch_print(const ark_arch *a, char *buf, size_t cap);
/** Ranges, divisibility: ARK_EINVAL with both numbers. */
ark_status ark_arch_check(const ark_arch *a) ARK_MUST_CHECK;
/** Channels of the encoder's output (1024 for Swin-B). */
int ark_arch_features(const ark_arch *a);
/** Tokens per side in a stage: ceil(size / patch / 2^stage), each halving rounded up as timm does. */
int ark_arch_side(const ark_arch *a, int stage);
/** Window side used in a stage. */
int ark_arch_window(const ark_arch *a, int stage);

#endif
