/* Segmentation models as files: our safetensors, with what the masks mean under "segmentation". */
#ifndef ARK_MODEL_SEG_MODEL_H
#define ARK_MODEL_SEG_MODEL_H

#include "core/params.h"
#include "data/preproc.h"
#include "nn/seg_net.h"

typedef struct ark_seg_model {
    ark_seg_net net;
    ark_preproc pre;
    char **classes; /* net.classes names */
    double threshold;
    ark_params *params; /* ARK_COL_STUDENT holds the weights */
} ark_seg_model;

/** Write one column, with ARK_COL_* layout as ark_seg_net_declare makes it. Atomic. */
ark_status ark_seg_model_save(const char *path, const ark_seg_net *net, const ark_preproc *pre,
    char *const *classes, double threshold, const ark_params *params, ark_column column) ARK_MUST_CHECK;
/** Open a file of ark_seg_model_save. dev is borrowed.
 *  @return ARK_OK | ARK_EIO | ARK_EFORMAT (no segmentation model, or a damaged one) | ARK_ENOMEM */
ark_status ark_seg_model_open(const char *path, ark_dev *dev, ark_seg_model **out) ARK_MUST_CHECK;
void ark_seg_model_free(ark_seg_model *m);

#endif
