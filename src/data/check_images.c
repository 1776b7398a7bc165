/* Reading every image once, and finding those that show one picture. */
#include "data/check_priv.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/par.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { THUMB_N = ARK_THUMB * ARK_THUMB };

static const ark_phash nothing = {{0, 0, 0, (uint64_t)1 << 63}};

static const char *path_of(const ark_check *c, uint32_t image) {
    size_t sample;
    const ark_check_set *s = ark_check_locate(c, image, &sample);
    return s->data->paths[sample];
}

typedef struct reading {
    const ark_check *c;
    const ark_check_opts *o;
    ark__pictures *p;
    ark_dct dct;
    char **reasons; /* n, of unreadable files; NULL = readable, or no memory for the reason */
    atomic_size_t done;
    atomic_bool no_memory;
} reading;

static void read_one(void *ctx, int64_t i, int thread) {
    reading *r = ctx;
    const char *path = path_of(r->c, (uint32_t)i);
    ark_fingerprint f = {.whole = nothing, .square = nothing};
    (void)thread;
    if (!r->o->images) {
        f.file = f.pixels = ark_bytes_hash(0, path, strlen(path)) | 1;
    } else if (!atomic_load(&r->no_memory)) {
        ark_status st = ark_fingerprint_read(&r->dct, path, &f);
        f.file = st == ARK_OK ? f.file | 1 : 0;
        r->reasons[i] = st == ARK_OK || st == ARK_ENOMEM ? NULL : ark_strdup(ark_err_msg());
        if (st == ARK_ENOMEM) {
            atomic_store(&r->no_memory, true);
        }
        size_t done = atomic_fetch_add(&r->done, 1) + 1;
        if (r->o->progress) {
            r->o->progress(r->o->arg, done, r->c->n);
        }
    }
    r->p->file[i] = f.file;
    r->p->pixels[i] = f.pixels;
    r->p->hashes[2 * i] = f.whole;
    bool one = !memcmp(&f.whole, &f.square, sizeof f.whole);
    r->p->hashes[2 * i + 1] = one ? nothing : f.square;
    r->p->parent[i] = (uint32_t)i;
}

/* The reasons, in order of images. */
static ark_status keep_bad(ark_check *c, const ark__pictures *p, char **reasons) {
    for (size_t i = 0; i < c->n; i++) {
        c->n_bad += p->file[i] == 0;
        c->drop[i] = p->file[i] ? c->drop[i] : ARK_DROP_UNREADABLE;
    }
    size_t room = c->n_bad < ARK_CHECK_MAX_BAD ? c->n_bad : ARK_CHECK_MAX_BAD;
    ARK_TRY(ARK_NEW(&c->bad, room, "unreadable files"));
    for (size_t i = 0; i < c->n && c->bad_listed < room; i++) {
        if (p->file[i] == 0) {
            c->bad[c->bad_listed++] = (ark_check_bad){(uint32_t)i, reasons[i]};
            reasons[i] = NULL;
        }
    }
    return ARK_OK;
}

ark_status ark__check_read(ark_check *c, const ark_check_opts *o, ark__pictures *p) {
    reading *r;
    ARK_TRY(ARK_NEW(&r, 1, "a reader of images"));
    *r = (reading){.c = c, .o = o, .p = p};
    ark_dct_init(&r->dct);
    ark_status st = ARK_NEW(&r->reasons, c->n, "reasons");
    if (st == ARK_OK) {
        ark_parallel(o->threads, (int64_t)c->n, read_one, r);
        st = atomic_load(&r->no_memory) ? ARK_ERR(ARK_ENOMEM, "out of memory for an image")
                                        : keep_bad(c, p, r->reasons);
    }
    for (size_t i = 0; r->reasons && i < c->n; i++) {
        ark_free(r->reasons[i]);
    }
    ark_free(r->reasons);
    ark_free(r);
    return st;
}

uint32_t ark__root(uint32_t *parent, uint32_t i) {
    while (parent[i] != i) {
        parent[i] = parent[parent[i]];
        i = parent[i];
    }
    return i;
}

/* The smaller root stays. */
static void join(uint32_t *parent, uint32_t a, uint32_t b) {
    a = ark__root(parent, a);
    b = ark__root(parent, b);
    if (a != b) {
        parent[a < b ? b : a] = a < b ? a : b;
    }
}

typedef struct keyed {
    uint64_t key;
    uint32_t image;
} keyed;

static int by_key(const void *pa, const void *pb) {
    const keyed *a = pa, *b = pb;
    return a->key != b->key       ? (a->key < b->key ? -1 : 1)
           : a->image != b->image ? (a->image < b->image ? -1 : 1)
                                  : 0;
}

/* Images of equal pixels become one; only the first of them keeps its hashes. */
static ark_status join_equal(ark_check *c, ark__pictures *p) {
    keyed *list;
    size_t n = 0;
    ARK_TRY(ARK_NEW(&list, c->n, "hashes of images"));
    for (size_t i = 0; i < c->n; i++) {
        if (p->file[i]) {
            list[n++] = (keyed){p->pixels[i], (uint32_t)i};
        }
    }
    qsort(list, n, sizeof *list, by_key);
    for (size_t i = 1; i < n; i++) {
        if (list[i].key == list[i - 1].key) {
            uint32_t later = list[i].image;
            join(p->parent, list[i - 1].image, later);
            p->hashes[2 * (size_t)later] = p->hashes[2 * (size_t)later + 1] = nothing;
        }
    }
    ark_free(list);
    return ARK_OK;
}

/* Candidates are confirmed by the images themselves: one task per first image. */
typedef struct confirming {
    const ark_check *c;
    const ark_check_opts *o;
    const ark_near_pair *pairs;
    const size_t *task; /* first pair of each task, and the end */
    uint8_t *same;      /* per pair */
    atomic_int failed;
} confirming;

/* Details of whole and square. */
static ark_status read_details(const char *path, float (*out)[THUMB_N]) {
    ark_image im;
    ARK_TRY(ark_image_read8(path, NULL, NULL, NULL, &im));
    for (int i = 0; i < 2; i++) {
        ark_thumb(&im, i == 1, out[i]);
        ark_thumb_detail(out[i]);
    }
    ark_image_free(&im);
    return ARK_OK;
}

static void confirm(void *ctx, int64_t t, int thread) {
    confirming *k = ctx;
    float(*a)[THUMB_N] = ark_malloc(4 * sizeof *a), (*b)[THUMB_N] = a + 2;
    const ark_near_pair *first = &k->pairs[k->task[t]];
    (void)thread;
    ark_status st = a ? read_details(path_of(k->c, first->a / 2), a) : ARK_ENOMEM;
    uint32_t in_b = UINT32_MAX;
    for (size_t i = k->task[t]; i < k->task[t + 1] && st == ARK_OK; i++) {
        const ark_near_pair *p = &k->pairs[i];
        if (p->b / 2 == p->a / 2) { /* one image is much like its own square */
            continue;
        }
        if (p->b / 2 != in_b) {
            in_b = p->b / 2;
            st = read_details(path_of(k->c, in_b), b);
        }
        k->same[i] = st == ARK_OK && ark_thumb_correlation(a[p->a % 2], b[p->b % 2], (ark_turn)p->turn) >=
                                         k->o->min_correlation;
    }
    ark_free(a);
    if (st == ARK_ENOMEM) { /* a file that vanished meanwhile is no duplicate */
        atomic_store(&k->failed, (int)st);
    }
}

static size_t cut_tasks(const ark_near_pair *pairs, size_t n, size_t *task) {
    size_t tasks = 0;
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || pairs[i].a / 2 != pairs[i - 1].a / 2) {
            task[tasks++] = i;
        }
    }
    task[tasks] = n;
    return tasks;
}

static void note_distance(ark_check *c, uint32_t image, int distance) {
    bool closer = c->match[image] != ARK_MATCH_NEAR || distance < c->distance[image];
    c->match[image] = ARK_MATCH_NEAR;
    c->distance[image] = closer ? (uint8_t)distance : c->distance[image];
}

static ark_status join_near(
    ark_check *c, const ark_check_opts *o, ark__pictures *p, const ark_near_pair *pairs, size_t n) {
    size_t *task;
    uint8_t *same = NULL;
    ARK_TRY(ARK_NEW(&task, n + 1, "pairs of similar images"));
    ark_status st = ARK_NEW(&same, n, "pairs of similar images");
    if (st == ARK_OK) {
        confirming k = {.c = c, .o = o, .pairs = pairs, .task = task, .same = same};
        ark_parallel(o->threads, (int64_t)cut_tasks(pairs, n, task), confirm, &k);
        st = atomic_load(&k.failed) ? ARK_ERR(ARK_ENOMEM, "out of memory for an image") : ARK_OK;
    }
    for (size_t i = 0; i < n && st == ARK_OK; i++) {
        uint32_t a = pairs[i].a / 2, b = pairs[i].b / 2;
        if (same[i] && a != b) {
            c->confirmed++;
            join(p->parent, a, b);
            note_distance(c, a, pairs[i].distance);
            note_distance(c, b, pairs[i].distance);
        }
    }
    ark_free(task);
    ark_free(same);
    return st;
}

static int by_images(const void *pa, const void *pb) {
    const ark_near_pair *a = pa, *b = pb;
    if (a->a != b->a) {
        return a->a < b->a ? -1 : 1;
    }
    return a->b != b->b ? (a->b < b->b ? -1 : 1) : (int)a->turn - (int)b->turn;
}

/* Candidates as they are, as negatives and as mirror images. */
static ark_status find_candidates(
    ark_check *c, const ark_check_opts *o, const ark__pictures *p, ark_near_pair **out, size_t *n) {
    for (int turn = 0; turn < ARK_TURNS; turn++) {
        ark_near_pair *more = NULL, *all;
        size_t found = 0;
        bool complete = true;
        ark_phash bits = ark_phash_turned((ark_turn)turn);
        ARK_TRY(ark_near_pairs(p->hashes, 2 * c->n, o->near_bits, &bits, ARK_CHECK_MAX_PAIRS, o->threads,
            &more, &found, &complete));
        c->complete = c->complete && complete;
        all = ark_realloc(*out, (*n + found) * sizeof *all + 1);
        if (!all) {
            ark_free(more);
            return ARK_ERR(ARK_ENOMEM, "out of memory: %zu pairs of similar images", *n + found);
        }
        for (size_t i = 0; i < found; i++) {
            all[*n + i] = more[i];
            all[*n + i].turn = (uint16_t)turn;
        }
        ark_free(more);
        *out = all;
        *n += found;
    }
    qsort(*out, *n, sizeof **out, by_images);
    return ARK_OK;
}

ark_status ark__check_match(ark_check *c, const ark_check_opts *o, ark__pictures *p) {
    ARK_TRY(join_equal(c, p));
    if (!o->images || o->near_bits < 0) {
        return ARK_OK;
    }
    ark_near_pair *pairs = NULL;
    size_t n = 0;
    ark_status st = find_candidates(c, o, p, &pairs, &n);
    c->candidates = n;
    st = st == ARK_OK ? join_near(c, o, p, pairs, n) : st;
    ark_free(pairs);
    return st;
}
