/* Views: what a training or test step sees of one grey 8-bit image.
 *
 * A random view is drawn first (ark_view_draw: numbers only) and rendered afterwards, so
 * that the draw can be tested and two views can share it. Every draw is a pure function
 * of (seed, epoch, dataset, sample). The order is that of torchvision and albumentations:
 * crop and resize, flip, shift/scale/rotate, intensity, normalise. */
#ifndef ARK_DATA_AUGMENT_H
#define ARK_DATA_AUGMENT_H

#include "base/rng.h"
#include "data/preproc.h"

#include <stdbool.h>
#include <stdint.h>

/* Ranges a random view is drawn from. Probabilities are in [0,1]; a zero turns its part off. */
typedef struct ark_augment {
    double crop_scale[2]; /* RandomResizedCrop: share of the image's area */
    double crop_ratio[2]; /* RandomResizedCrop: width / height, of the image squashed to a square */
    double flip_p;        /* mirror left and right */
    double affine_p;      /* one shift, scale and rotation together (albumentations ShiftScaleRotate) */
    double shift;         /* at most this share of the side, each axis */
    double scale;         /* zoom in 1 -+ scale */
    double rotate_deg;    /* at most this angle, either way */
    bool
        fill_zero; /* outside of the image: black, as torchvision; default reflected without the edge (101) */
    double intensity_p; /* one of brightness/contrast or gamma, with equal chance */
    double brightness;  /* at most this share of full white is added */
    double contrast;    /* grey levels times 1 -+ contrast */
    double gamma[2];    /* exponent of the grey level in [0,1] */
} ark_augment;

/** The Ark student: crop .08-1 and 3/4-4/3; shift .0625, scale .1, rotate 10 with p .5; intensity p .3 of
 *  brightness/contrast .2 or gamma .8-1.2. */
ark_augment ark_augment_pretrain(void);
/** Fine-tuning: the same crop, mirror p .5, rotate 7 always (black outside), no intensity change. */
ark_augment ark_augment_finetune(void);
/** Refuse ranges that make no sense (reversed, not finite, p outside [0,1], ...):
 * ARK_EINVAL naming the field. */
ark_status ark_augment_check(const ark_augment *a) ARK_MUST_CHECK;

/* One drawn view. */
typedef struct ark_view {
    double box[4]; /* x0,y0,x1,y1 of the crop, as shares of the image's width and height */
    bool flip, affine, intensity;
    double shift[2];  /* x right, y down, as shares of the side */
    double zoom;      /* > 1 magnifies */
    double angle_deg; /* counter-clockwise as seen on the screen */
    bool fill_zero;
    uint8_t curve[256]; /* intensity: new grey level of each old one */
} ark_view;

/** Draw a view for an image squashed to side x side pixels (crops have whole-pixel edges there, as
 * torchvision's RandomResizedCrop has after a resize). */
ark_view ark_view_draw(const ark_augment *a, ark_rng *r, int side);
/** The view that changes nothing: the whole image. */
ark_view ark_view_whole(void);

/* Renders views. Owns the resizer, scratch planes and the lookup tables of the
 * normalisation. One per thread. */
typedef struct ark_viewer ark_viewer;
ark_status ark_viewer_new(const ark_preproc *pre, ark_viewer **out) ARK_MUST_CHECK;
void ark_viewer_free(ark_viewer *v);
/** Geometry of a view -> px (S,S), owned by the viewer until its next call. im: 8 bits, any size. The crop
 * and the resize are one resampling straight from the source. */
ark_status ark_viewer_render(
    ark_viewer *v, const ark_image *im, const ark_view *view, const uint8_t **px) ARK_MUST_CHECK;
/** (S,S) grey levels -> out (3,S,S) = (level/255 - mean)/std, the levels passed through
 * curve (NULL = as they are). */
void ark_viewer_normalise(const ark_viewer *v, const uint8_t *px, const uint8_t curve[256], float *out);
/** Plain resize to S: out (3,S,S). */
ark_status ark_viewer_plain(ark_viewer *v, const ark_image *im, float *out) ARK_MUST_CHECK;
/** Squash to R, then the crops of torchvision. centre: out (3,S,S). Ten: out (10,3,S,S) in TenCrop's order
 * top-left, top-right, bottom-left, bottom-right, centre, then the same of the mirrored image. */
ark_status ark_viewer_centre(ark_viewer *v, const ark_image *im, float *out) ARK_MUST_CHECK;
ark_status ark_viewer_ten(ark_viewer *v, const ark_image *im, float *out) ARK_MUST_CHECK;

#endif
