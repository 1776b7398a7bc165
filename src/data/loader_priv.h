/* Inside of the loader, shared by its two halves: loader.c (life cycle, passes, the consumer's side) and
 * loader_sample.c (the workers' side). */
#ifndef ARK_DATA_LOADER_PRIV_H
#define ARK_DATA_LOADER_PRIV_H

#include "data/image_cache.h"
#include "data/loader.h"
#include "data/ring.h"

#include <pthread.h>

enum { ARK__CROPS = 10 }; /* of a ten-crop sample */

/* The earliest failure of its kind in a batch. */
typedef struct ark__report {
    size_t pos; /* in the batch; SIZE_MAX = none */
    ark_status st;
    char msg[1024];
} ark__report;

/* Bytes of one batch under way. */
typedef struct ark__slot {
    float *student, *teacher; /* (rows,3,S,S) */
    float *labels, *mask;     /* (batch,width) */
    uint32_t *sample, *source;
    bool *bad;            /* batch: to be left out */
    pthread_mutex_t lock; /* of the two reports */
    ark__report skipped, fatal;
} ark__slot;

typedef struct ark__worker {
    ark_loader *loader;
    ark_viewer *viewer;
    pthread_t thread;
    bool started;
} ark__worker;

struct ark_loader {
    ark_loader_opts opts;
    size_t view_floats; /* 3 S S */
    size_t slot_rows;   /* images a slot has room for, student */
    bool has_teacher;   /* slots have teacher rows */
    ark__ring ring;
    ark__slot *slots;
    ark__worker *workers;
    ark__image_cache *cache; /* or NULL */

    ark_pass pass; /* the running pass */
    ark_augment augment;
    uint32_t *order; /* position in the pass -> number over all sources' rows */
    size_t order_cap;
    size_t n_items;   /* samples of the pass */
    size_t per_batch; /* samples of a batch */
    bool holding;     /* the user has a batch */
    size_t skipped;
    char first_skipped[1024];
    ark_batch batch;
};

/** Body of a worker thread; arg is its ark__worker. */
void *ark__loader_work(void *arg);
/** Images a sample gives in the running pass. */
size_t ark__loader_rows(const ark_loader *l);

#endif
