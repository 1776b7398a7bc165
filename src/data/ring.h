/* Hand-over between workers that prepare items in any order and a consumer that takes batches in order.
 *
 * Items 0..n-1 form batches of `per_batch` consecutive ones; batch b lives in slot b % slots. A worker claims
 * the next item once its slot is free, so no more than `slots` batches are ever under way. Only numbers and
 * waiting are here; the bytes belong to the user. */
#ifndef ARK_DATA_RING_H
#define ARK_DATA_RING_H

#include "ark/status.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct ark__ring {
    pthread_mutex_t lock;
    pthread_cond_t work; /* an item may be claimed, or the end has come */
    pthread_cond_t done; /* a batch is complete, or nobody is busy */
    size_t slots, *left; /* items of the slot's batch not yet done */
    size_t n_items, per_batch;
    size_t next_item; /* first not yet claimed */
    size_t released;  /* batches before this one have been given back */
    size_t busy;      /* items claimed and not done */
    bool closing;
    double wait_s; /* what the consumer waited in this pass */
} ark__ring;

ark_status ark__ring_init(ark__ring *r, size_t slots) ARK_MUST_CHECK;
/** No thread may be inside any more. */
void ark__ring_deinit(ark__ring *r);
/** Begin a pass at first_batch. No pass may be running: ark__ring_stop first. */
void ark__ring_start(ark__ring *r, size_t n_items, size_t per_batch, size_t first_batch);
/** End the pass: nothing more is claimed; returns when no worker is busy. */
void ark__ring_stop(ark__ring *r);
/** End for good: every ark__ring_claim returns false. */
void ark__ring_close(ark__ring *r);
/** Worker: wait for an item to prepare; false = time to leave. */
bool ark__ring_claim(ark__ring *r, size_t *item);
/** Worker: the item is ready, its bytes are visible to the consumer. */
void ark__ring_done(ark__ring *r, size_t item);
/** Consumer: wait for the oldest batch not released; false at the end of the pass. */
bool ark__ring_wait(ark__ring *r, size_t *batch);
/** Consumer: give that batch's slot back. */
void ark__ring_release(ark__ring *r);

#endif
