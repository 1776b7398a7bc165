/* Phantom chest datasets: five hospitals, ready for pretraining and for a held-out target.
 *
 * DIR/datasets.yaml, DIR/pretrain.yaml, and per dataset labels.csv, truth.csv, images/,
 * masks/{lungs,heart,clavicles}/. Every byte is a function of seed, number of images and
 * side alone, whatever the number of threads. */
#ifndef ARK_SYNTH_SYNTH_H
#define ARK_SYNTH_SYNTH_H

#include "ark/status.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    ARK_SYNTH_IMAGES_MIN = 20, /* fewer leave splits without a positive of each class */
    ARK_SYNTH_IMAGES_MAX = 1000000,
    ARK_SYNTH_SIDE_MIN = 32,
    ARK_SYNTH_SIDE_MAX = 2048,
};

typedef struct ark_synth_opts {
    uint64_t seed;   /* default 1 */
    int64_t images;  /* per dataset, default 200 */
    int64_t side;    /* pixels, default 128 */
    double severity; /* in [0,1], default 0: findings from subtle to plain; towards 1 only the plainest, which
                        a small network learns from few images */
    int threads;     /* default 1 */
    bool replace;    /* write into a folder that is not empty; removes the datasets of the same names in it */
} ark_synth_opts;

ark_synth_opts ark_synth_default_opts(void);

typedef struct ark_synth_result {
    int datasets;
    int64_t images, patients, files;
} ark_synth_result;

/** Write the datasets into `dir`, which is made if need be. ARK_EINVAL: options out of range, folder not
 * empty; ARK_EIO, ARK_ENOMEM. What was written before a failure stays. */
ark_status ark_synth_write(
    const char *dir, const ark_synth_opts *opts, ark_synth_result *result) ARK_MUST_CHECK;

#endif
