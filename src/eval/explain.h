/* Where in the image an output comes from: Grad-CAM (Selvaraju et al., ICCV 2017) on the feature map that the
 * network pools, which for Swin is the output of the last stage behind its norm; for a ViT on the patch
 * tokens that its last attention reads. */
#ifndef ARK_EVAL_EXPLAIN_H
#define ARK_EVAL_EXPLAIN_H

#include "core/plan.h"
#include "nn/ark_net.h"

typedef struct ark_explainer ark_explainer;

/** For one image at a time, in f32. net, params and dev are borrowed. ARK_EINVAL for a network without heads
 *  or without a marked layer. */
ark_status ark_explainer_new(
    const ark_net *net, ark_params *params, ark_dev *dev, ark_explainer **out) ARK_MUST_CHECK;
void ark_explainer_free(ark_explainer *e);
/** Rows and columns of the map. */
void ark_explainer_grid(const ark_explainer *e, int *rows, int *cols);

/** One image (3,S,S), weights from column. map (rows,cols) gets max(0, sum_c a_c A_c): A the feature map, a_c
 *  the mean over its positions of the gradient of class k's logit of the head. Zero everywhere where nothing
 *  speaks for the class. *logit: that logit. A result that is not finite is ARK_EDEVICE. */
ark_status ark_explain(ark_explainer *e, ark_column column, const float *image, int head, int k, float *map,
    float *logit) ARK_MUST_CHECK;

/** Bilinear resize of a map (rows,cols) to (height,width), corners not aligned. */
void ark_map_resize(const float *map, int rows, int cols, float *out, int height, int width);

/** The same, divided by the largest value (a map of zeros stays zero): out in [0,1]. */
void ark_heat_resize(const float *map, int rows, int cols, float *out, int height, int width);

/** A grey image under a heat map in [0,1]: rgb (height,width,3). Colours go from black through red and yellow
 *  to white, so that they keep their order in grey; a pixel is blended with weight strength * heat. */
void ark_heat_overlay(const uint8_t *grey, const float *heat, size_t pixels, double strength, uint8_t *rgb);

#endif
