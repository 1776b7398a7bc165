/* Loader: worker threads decode, resize and augment ahead of the training step into a
 * bounded ring of batches.
 *
 * The order of samples, every crop and every drawn label are pure functions of (seed, epoch, dataset,
 * sample), so a batch's bytes depend neither on the number of workers nor on where a run was resumed. */
#ifndef ARK_DATA_LOADER_H
#define ARK_DATA_LOADER_H

#include "data/augment.h"
#include "data/dataset.h"

#include <stdbool.h>

/* Which views of each image a pass makes. */
typedef enum ark_views {
    ARK_VIEWS_PRETRAIN, /* student: random crop, affine, intensity; teacher: see teacher_geometry */
    ARK_VIEWS_FINETUNE, /* student only: random crop, flip, rotate 7 deg */
    ARK_VIEWS_PLAIN,    /* student only: plain resize to size_px, no crop */
    ARK_VIEWS_TEST,     /* student only: resize, centre crop */
    ARK_VIEWS_TENCROP,  /* student only: resize, four corners + centre and their mirrors: 10 rows per sample;
                           a batch holds max(1, batch / 10) samples: at most max(batch, 10) rows */
} ark_views;

typedef enum ark_on_bad { ARK_BAD_FAIL, ARK_BAD_SKIP } ark_on_bad;

typedef struct ark_loader_opts {
    uint64_t seed;
    int batch;   /* samples per batch */
    int workers; /* threads, >= 1 */
    int ring;    /* batches prepared ahead, >= 2 */
    int width;   /* K, label columns of a batch: max over the passes */
    ark_preproc pre;
    bool teacher_geometry; /* teacher sees the student's crop without the intensity change (Ark); default
                              plain resize (Ark+) */
    bool drop_last;        /* random views only: leave out a last partial batch */
    ark_on_bad on_bad;     /* an unreadable image ends the pass with its error, or is left out and counted */
    ark_image_limits limits;
    size_t cache_mb; /* decoded images kept over passes, first come; 0 = none. Changes no result */
} ark_loader_opts;
ark_loader_opts ark_loader_default_opts(void);

/* One source of samples in a pass. */
typedef struct ark_source {
    const ark_dataset *data;
    uint32_t id; /* number of the dataset in the run; part of the random key */
    ark_split split;
    const int *columns; /* K: column of the batch's label row each class goes to; NULL = 0..K-1 */
} ark_source;

typedef struct ark_pass {
    const ark_source *sources; /* one, or several mixed in one order (concurrent training) */
    size_t n_sources;
    ark_views views;
    const ark_augment *augment; /* NULL = ark_augment_pretrain() or ark_augment_finetune() as views says */
    bool shuffle;
    uint32_t epoch;     /* key of the order and the augmentation */
    size_t first_batch; /* resume: batches before this one are not made */
} ark_pass;

/* Valid until the next call on the same loader; owned by it. */
typedef struct ark_batch {
    int n; /* samples, at least 1; fewer than asked for at the end of a pass, or where bad ones were skipped
            */
    int rows;               /* images: n, or 10 n for ten-crop (sample-major) */
    size_t index;           /* number of the batch in the pass */
    const float *student;   /* (rows,3,S,S) normalised */
    const float *teacher;   /* (rows,3,S,S), NULL unless ARK_VIEWS_PRETRAIN */
    const float *labels;    /* (n,width) after the uncertain/missing rule, 0 where mask is 0 */
    const float *mask;      /* (n,width) 1 where the label counts */
    const uint32_t *sample; /* n: index in its dataset */
    const uint32_t *source; /* n: index into pass.sources */
} ark_batch;

typedef struct ark_loader ark_loader;
/** Check the options, allocate the ring and start the workers. What a pass needs beyond that (its order, 4
 * bytes a sample; teacher and ten-crop rows) is allocated by ark_loader_begin and kept; after that only the
 * image decoder allocates. Memory does not grow with the number of batches or passes. */
ark_status ark_loader_new(const ark_loader_opts *opts, ark_loader **out) ARK_MUST_CHECK;
void ark_loader_free(ark_loader *l);
/** Start a pass; ends a running one. pass is copied, what it points to is borrowed until the pass ends. */
ark_status ark_loader_begin(ark_loader *l, const ark_pass *pass) ARK_MUST_CHECK;
/** Number of batches of the pass, first_batch included. */
size_t ark_loader_batches(const ark_loader *l);
/** Next batch in order, or *out = NULL at the end. Blocks until it is ready. A batch whose samples were all
 * skipped is passed over. A failure ends the pass: path and reason in the message. */
ark_status ark_loader_next(ark_loader *l, const ark_batch **out) ARK_MUST_CHECK;
/** Bad samples skipped in the running pass, and a message about the first one ("" when none). */
size_t ark_loader_skipped(const ark_loader *l, const char **first);
/** Seconds ark_loader_next has waited since the pass began: what the step lost to data. */
double ark_loader_wait_s(const ark_loader *l);

/** One image as a test view, for predict and embed: reads path, fills out (3,S,S) with the plain resize. */
ark_status ark_load_plain(
    const char *path, const ark_preproc *pre, const ark_image_limits *limits, float *out) ARK_MUST_CHECK;
/** The same, with what is known about the image. frontal: ARK_EFORMAT for a DICOM file whose view is neither
 * PA nor AP nor unknown. */
ark_status ark_load_view(
    const char *path, const ark_preproc *pre, bool frontal, ark_image_info *info, float *out) ARK_MUST_CHECK;

#endif
