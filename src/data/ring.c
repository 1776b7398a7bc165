#include "data/ring.h"

#include "base/alloc.h"
#include "base/err.h"

#include <time.h>

ark_status ark__ring_init(ark__ring *r, size_t slots) {
    *r = (ark__ring){.slots = slots, .per_batch = 1};
    ARK_TRY(ARK_NEW(&r->left, slots, "ring"));
    pthread_mutex_init(&r->lock, NULL); /* with default attributes these three cannot fail on Linux */
    pthread_cond_init(&r->work, NULL);
    pthread_cond_init(&r->done, NULL);
    return ARK_OK;
}

void ark__ring_deinit(ark__ring *r) {
    if (r->left) {
        pthread_cond_destroy(&r->done);
        pthread_cond_destroy(&r->work);
        pthread_mutex_destroy(&r->lock);
        ark_free(r->left);
        r->left = NULL;
    }
}

void ark__ring_start(ark__ring *r, size_t n_items, size_t per_batch, size_t first_batch) {
    pthread_mutex_lock(&r->lock);
    ARK_ASSERT(r->busy == 0);
    r->n_items = n_items;
    r->per_batch = per_batch;
    r->released = first_batch;
    r->next_item = first_batch * per_batch;
    r->wait_s = 0;
    for (size_t i = 0; i < r->slots; i++) {
        r->left[i] = 0;
    }
    pthread_cond_broadcast(&r->work);
    pthread_mutex_unlock(&r->lock);
}

void ark__ring_stop(ark__ring *r) {
    pthread_mutex_lock(&r->lock);
    r->n_items = 0;
    while (r->busy) {
        pthread_cond_wait(&r->done, &r->lock);
    }
    pthread_mutex_unlock(&r->lock);
}

void ark__ring_close(ark__ring *r) {
    pthread_mutex_lock(&r->lock);
    r->closing = true;
    pthread_cond_broadcast(&r->work);
    pthread_mutex_unlock(&r->lock);
}

/* One past the last item of a batch. */
static size_t batch_end(const ark__ring *r, size_t batch) {
    size_t end = (batch + 1) * r->per_batch;
    return end < r->n_items ? end : r->n_items;
}

bool ark__ring_claim(ark__ring *r, size_t *item) {
    pthread_mutex_lock(&r->lock);
    while (!r->closing &&
           (r->next_item >= r->n_items || r->next_item / r->per_batch >= r->released + r->slots)) {
        pthread_cond_wait(&r->work, &r->lock);
    }
    bool got = !r->closing;
    if (got) {
        *item = r->next_item++;
        size_t batch = *item / r->per_batch;
        if (*item % r->per_batch == 0) {
            r->left[batch % r->slots] = batch_end(r, batch) - *item;
        }
        r->busy++;
    }
    pthread_mutex_unlock(&r->lock);
    return got;
}

void ark__ring_done(ark__ring *r, size_t item) {
    pthread_mutex_lock(&r->lock);
    size_t left = --r->left[item / r->per_batch % r->slots];
    r->busy--;
    if (left == 0 || r->busy == 0) {
        pthread_cond_signal(&r->done);
    }
    pthread_mutex_unlock(&r->lock);
}

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

bool ark__ring_wait(ark__ring *r, size_t *batch) {
    pthread_mutex_lock(&r->lock);
    size_t b = r->released;
    bool got = b * r->per_batch < r->n_items;
    if (got && (r->next_item < batch_end(r, b) || r->left[b % r->slots])) {
        double since = now_s();
        while (r->next_item < batch_end(r, b) || r->left[b % r->slots]) {
            pthread_cond_wait(&r->done, &r->lock);
        }
        r->wait_s += now_s() - since;
    }
    pthread_mutex_unlock(&r->lock);
    *batch = b;
    return got;
}

void ark__ring_release(ark__ring *r) {
    pthread_mutex_lock(&r->lock);
    r->released++;
    pthread_cond_broadcast(&r->work);
    pthread_mutex_unlock(&r->lock);
}
