/* The inside of a segmentation run, shared by its files. */
#ifndef ARK_TRAIN_SEGMENT_IMPL_H
#define ARK_TRAIN_SEGMENT_IMPL_H

#include "eval/overlap.h"
#include "train/run_log.h"
#include "train/seg_trainer.h"
#include "train/segment.h"

enum { ARK__SEG_PATH = 4096 };

typedef struct ark__segment {
    const ark_segment_config *c;
    const ark_train_opts *o;
    const char *out_dir;
    char *class_text; /* what classes point into */
    const char *classes[64];
    ark_seg_net net;
    ark_preproc pre;
    ark_mask_set data, external; /* external.n 0: none */
    ark_dev *dev;
    ark_seg_trainer *trainer;
    ark_mask_loader *loader;
    ark_run_log *log;
    uint32_t *order; /* training rows of the running epoch */
    float *prob;     /* (batch,S,S,K) */
    /* where it stands: next epoch and batch, steps done */
    int64_t epoch, batch, step, best_epoch;
    double best_dice, sum_loss;
} ark__segment;

/* What one split scored. */
typedef struct ark__seg_scores {
    size_t n;
    double *dice, *iou;                  /* (n,K), NaN where undefined */
    ark_mean_stat *dice_stat, *iou_stat; /* K */
    double mean_dice, mean_iou;          /* over the classes that have a value; NaN when none has */
} ark__seg_scores;

/** Build, or load from DIR/checkpoint.safetensors; *found says which. Saving is atomic. */
ark_status ark__segment_ckpt_save(const ark__segment *s) ARK_MUST_CHECK;
ark_status ark__segment_ckpt_load(ark__segment *s, bool *found) ARK_MUST_CHECK;

/** Scores of rows[0..n) of a set by the weights of a column. Free also after failure. */
ark_status ark__segment_score(ark__segment *s, ark_column column, const ark_mask_set *set,
    const uint32_t *rows, size_t n, ark__seg_scores *out) ARK_MUST_CHECK;
void ark__segment_scores_free(ark__seg_scores *scores);
/** {"n", "mean_dice", "mean_iou", "classes": [...]} */
json_t *ark__segment_scores_json(const ark__segment *s, const ark__seg_scores *scores);
/** Per image and class, as CSV. */
ark_status ark__segment_scores_csv(const ark__segment *s, const ark_mask_set *set, const uint32_t *rows,
    const ark__seg_scores *scores, const char *name) ARK_MUST_CHECK;
/** Masks and overlays of the first rows into DIR/pictures. */
ark_status ark__segment_pictures(ark__segment *s, ark_column column, const ark_mask_set *set,
    const uint32_t *rows, size_t n) ARK_MUST_CHECK;

/** DIR/name; ARK_EINVAL when too long. */
ark_status ark__segment_path(const ark__segment *s, const char *name, char out[ARK__SEG_PATH]) ARK_MUST_CHECK;

#endif
