/* Making of packs: what is there, what is to do, and one transaction after the other. */
#include "data/pack_write.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/file.h"
#include "base/par.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* A transaction ends with the round in which it reaches one of these. */
enum { BATCH_IMAGES = 512, BATCH_BYTES = 64 << 20, ROUND_PER_THREAD = 8, MAX_THREADS = 256 };
enum { YAML_LIMIT = 16 << 20 };

/* A record under construction. */
typedef struct record {
    char key[ARK__PACK_KEY];
    ark_buf value;
} record;

typedef struct job {
    const char *dir;
    ark_pack_opts opts;
    ark_datasets *sets;
    ark_mdb_writer *writer;
    ark__packer *packers; /* threads */
    bool **done;          /* per dataset and sample: in the pack already */
    size_t all, there;    /* images */
    size_t made, bad;

    record *batch; /* of the coming transaction */
    size_t n_batch, cap_batch, batch_bytes;

    /* the running round: samples [first, first + n) of the list below */
    struct todo {
        const ark_dataset *data;
        size_t dataset, sample;
        record *to;
        bool bad;
        ark_status st;
        char msg[1024];
    } * round;
    size_t n_round;
} job;

ark_pack_opts ark_pack_default_opts(void) {
    return (ark_pack_opts){.side_px = 256,
        .filter = ARK_BILINEAR,
        .codec = ARK_PACK_RAW,
        .quality = 90,
        .threads = 1,
        .limits = ark_image_default_limits()};
}

/* ---- transactions ---- */

static ark_status add_record(job *j, const char *key, record **out) {
    if (j->n_batch == j->cap_batch) {
        size_t cap = j->cap_batch ? 2 * j->cap_batch : 64;
        record *more = ark_realloc(j->batch, cap * sizeof *more);
        if (!more) {
            return ARK_ERR(ARK_ENOMEM, "out of memory for %zu records", cap);
        }
        j->batch = more;
        j->cap_batch = cap;
    }
    record *r = &j->batch[j->n_batch++];
    snprintf(r->key, sizeof r->key, "%s", key);
    ark_buf_init(&r->value, ARK__PACK_TABLE_LIMIT);
    *out = r;
    return ARK_OK;
}

/* A record that begins with room for its checksum. */
static ark_status new_record(job *j, const char *key, ark_buf **out) {
    record *r;
    ARK_TRY(add_record(j, key, &r));
    *out = &r->value;
    return ark_buf_add(&r->value, "\0\0\0", ARK__PACK_CRC);
}

static void drop_batch(job *j) {
    for (size_t i = 0; i < j->n_batch; i++) {
        ark_buf_free(&j->batch[i].value);
    }
    j->n_batch = j->batch_bytes = 0;
}

static ark_status commit(job *j) {
    ark_mdb_item *items;
    if (j->n_batch == 0) {
        return ARK_OK;
    }
    ARK_TRY(ARK_NEW(&items, j->n_batch, "records"));
    for (size_t i = 0; i < j->n_batch; i++) {
        record *r = &j->batch[i];
        ark__pack_seal(r->key, strlen(r->key), r->value.data, r->value.len);
        items[i] = (ark_mdb_item){
            .key = r->key, .key_len = strlen(r->key), .value = r->value.data, .len = r->value.len};
    }
    ark_status st = ark_mdb_write(j->writer, items, j->n_batch);
    ark_free(items);
    drop_batch(j);
    return st == ARK_EIO ? ark__err_prefix(
                               st, "%s: the batch is lost, what was packed before stays for --resume", j->dir)
                         : st;
}

/* ---- the beginning ---- */

static ark_status put_config(job *j, const char *config) {
    ark_buf *b;
    char *text;
    size_t n;
    ARK_TRY(new_record(j, "config", &b));
    ARK_TRY(ark_file_read(config, YAML_LIMIT, &text, &n));
    ark_status st = ark_buf_add(b, text, n);
    ark_free(text);
    return st;
}

/* All but the images, in one transaction. */
static ark_status put_tables(job *j, const char *config) {
    ark_buf *b;
    ark__pack_header h = {.side_px = j->opts.side_px,
        .quality = j->opts.codec == ARK_PACK_JPEG ? j->opts.quality : 0,
        .filter = (ark_filter)j->opts.filter,
        .codec = j->opts.codec,
        .images = j->all,
        .config = config};
    ARK_TRY(new_record(j, "header", &b));
    ARK_TRY(ark__pack_header_json(&h, j->sets, b));
    ARK_TRY(put_config(j, config));
    for (size_t i = 0; i < j->sets->n; i++) {
        char key[ARK__PACK_KEY];
        ark__pack_dataset_key(key, i, false);
        ARK_TRY(new_record(j, key, &b));
        ARK_TRY(ark__pack_dataset_json(&j->sets->items[i], b));
        ark__pack_dataset_key(key, i, true);
        ARK_TRY(new_record(j, key, &b));
        ARK_TRY(ark__pack_table(&j->sets->items[i], b));
    }
    return commit(j);
}

/* ---- going on with what is there ---- */

static ark_status differs(const job *j, const char *what, const char *was, const char *now) {
    return ARK_ERR(ARK_EINVAL,
        "%s: the pack was begun with %s %s, not %s: go on without this option, or use another folder", j->dir,
        what, was, now);
}

/* Options not given are those it was begun with; given ones must be the same. */
static ark_status take_options(job *j, const ark__pack_header *h) {
    ark_pack_opts *o = &j->opts;
    char was[32], now[32];
    if (o->side_px >= 0 && o->side_px != h->side_px) {
        snprintf(was, sizeof was, "%d", h->side_px);
        snprintf(now, sizeof now, "%d", o->side_px);
        return differs(j, "size", was, now);
    }
    if (o->codec && o->codec != h->codec) {
        return differs(j, "codec", ark_pack_codec_name(h->codec), ark_pack_codec_name(o->codec));
    }
    if (o->quality && h->codec == ARK_PACK_JPEG && o->quality != h->quality) {
        snprintf(was, sizeof was, "%d", h->quality);
        snprintf(now, sizeof now, "%d", o->quality);
        return differs(j, "quality", was, now);
    }
    if (o->filter >= 0 && o->filter != (int)h->filter) {
        return differs(j, "filter", h->filter == ARK_BICUBIC ? "bicubic" : "bilinear",
            o->filter == ARK_BICUBIC ? "bicubic" : "bilinear");
    }
    o->side_px = h->side_px;
    o->codec = h->codec;
    o->quality = h->quality;
    o->filter = (int)h->filter;
    return ARK_OK;
}

/* The lists must still say what they said: compare the records that they would make. */
static ark_status same_table(const job *j, size_t i, const ark_mdb_item *set, const ark_mdb_item *table) {
    ark_buf b;
    ark_buf_init(&b, ARK__PACK_TABLE_LIMIT);
    const ark_mdb_item *items[2] = {set, table};
    ark_status st = ARK_OK;
    for (int k = 0; k < 2 && st == ARK_OK; k++) {
        b.len = 0;
        st = k ? ark__pack_table(&j->sets->items[i], &b) : ark__pack_dataset_json(&j->sets->items[i], &b);
        if (st == ARK_OK && (b.len != items[k]->len - ARK__PACK_CRC ||
                                memcmp(b.data, (const char *)items[k]->value + ARK__PACK_CRC, b.len) != 0)) {
            st = ARK_ERR(ARK_EINVAL,
                "%s: the lists or the entry of %s have changed since the pack was begun: pack into another "
                "folder",
                j->dir, j->sets->items[i].name);
        }
    }
    ark_buf_free(&b);
    return st;
}

/* A packed image whose file has another size now was made from another file. */
static ark_status same_source(const job *j, const char *path, const ark_mdb_item *item) {
    const unsigned char *h = (const unsigned char *)item->value + ARK__PACK_CRC;
    struct stat sb;
    if (ark__pack_get32(h) != 0 && stat(path, &sb) == 0 && (uint64_t)sb.st_size != ark__pack_get64(h + 24)) {
        return ARK_ERR(ARK_EINVAL,
            "%s: %s has changed since it was packed (%lld bytes, were %llu): pack into another folder",
            j->dir, path, (long long)sb.st_size, (unsigned long long)ark__pack_get64(h + 24));
    }
    return ARK_OK;
}

static ark_status take_dataset(job *j, size_t i, const ark__pack_index *x) {
    const ark_dataset *d = &j->sets->items[i];
    ARK_TRY(same_table(j, i, &x->sets[i], &x->tables[i]));
    for (size_t s = 0; s < d->n; s++) {
        const ark_mdb_item *item = &x->images[i].items[s];
        if (!item->value) {
            continue;
        }
        const unsigned char *h = (const unsigned char *)item->value + ARK__PACK_CRC;
        ARK_TRY(same_source(j, d->paths[s], item));
        j->done[i][s] = true;
        j->there++;
        j->bad += ark__pack_get32(h) == 0;
    }
    return ARK_OK;
}

static ark_status take_over(job *j, const ark__pack_index *x, const char *path) {
    ARK_TRY(take_options(j, &x->header));
    if (x->header.n_datasets != j->sets->n) {
        return ARK_ERR(ARK_EINVAL, "%s: the pack has %zu datasets, not %zu: pack into another folder", j->dir,
            x->header.n_datasets, j->sets->n);
    }
    for (size_t i = 0; i < j->sets->n; i++) {
        ARK_TRY(ark__pack_check(path, &x->tables[i]));
        ARK_TRY(take_dataset(j, i, x));
    }
    return ARK_OK;
}

/* Look at what the folder holds. *found: a pack begun; *complete: nothing is left to do. */
static ark_status look(job *j, bool *found, bool *complete) {
    ark_mdb *m;
    char *path = ark_path_join(j->dir, "data.mdb");
    struct stat sb;
    bool empty = path && (stat(path, &sb) != 0 ? errno == ENOENT : sb.st_size == 0);
    ark_status st = path ? ARK_OK : ARK_ERR(ARK_ENOMEM, "out of memory for a path");
    ark_free(path);
    if (st != ARK_OK || empty) { /* nothing, or stopped before its first page */
        return st;
    }
    ark__pack_index x = {0};
    ARK_TRY(ark_mdb_open(j->dir, &m));
    st = ark_mdb_check_free(m);
    st = st ? st : ark__pack_index_read(m, false, &x);
    *found = st == ARK_OK && x.has_header;
    *complete = st == ARK_OK && x.complete;
    if (st == ARK_OK && x.has_header && !j->opts.resume) {
        st = x.complete ? ARK_ERR(ARK_EINVAL, "%s: the folder holds a pack already: choose another", j->dir)
                        : ARK_ERR(ARK_EINVAL,
                              "%s: the folder holds an interrupted pack with %zu of %zu images: add --resume "
                              "to go on "
                              "with it",
                              j->dir, x.there, x.header.images);
    }
    if (*found && st == ARK_OK) {
        st = take_over(j, &x, ark_mdb_path(m));
    }
    ark__pack_index_free(&x);
    ark_mdb_close(m);
    return st;
}

/* ---- the images ---- */

static void make_record(void *ctx, int64_t task, int thread) {
    job *j = ctx;
    struct todo *t = &j->round[task];
    t->st = ark__pack_image_record(&j->packers[thread], t->data, t->sample, &t->to->value, &t->bad);
    if (t->st != ARK_OK) {
        snprintf(t->msg, sizeof t->msg, "%s", ark_err_msg());
    }
}

/* Make the round's records on all threads; the first failure in the order of samples counts. */
static ark_status run_round(job *j) {
    size_t first = j->n_batch;
    for (size_t i = 0; i < j->n_round; i++) {
        char key[ARK__PACK_KEY];
        record *r;
        ark__pack_image_key(key, j->round[i].dataset, j->round[i].sample);
        ARK_TRY(add_record(j, key, &r));
    }
    for (size_t i = 0; i < j->n_round; i++) { /* the array stays where it is from here */
        j->round[i].to = &j->batch[first + i];
    }
    ark_parallel(j->opts.threads, (int64_t)j->n_round, make_record, j);
    for (size_t i = 0; i < j->n_round; i++) {
        struct todo *t = &j->round[i];
        if (t->st != ARK_OK) { /* what came before it is kept */
            for (size_t k = first + i; k < j->n_batch; k++) {
                ark_buf_free(&j->batch[k].value);
            }
            j->n_batch = first + i;
            ark_status st = t->st;
            ARK_TRY(commit(j));
            return ark__err_copy(st, t->msg);
        }
        j->bad += t->bad;
        j->made++;
        j->batch_bytes += t->to->value.len;
    }
    j->n_round = 0;
    return ARK_OK;
}

static ark_status flush(job *j) {
    ARK_TRY(commit(j));
    if (j->opts.on_progress) {
        j->opts.on_progress(j->opts.user, j->there + j->made, j->all);
    }
    if (j->opts.should_stop && j->opts.should_stop(j->opts.user) && j->there + j->made < j->all) {
        return ARK_ERR(ARK_EINTERRUPTED, "stopped after %zu of %zu images; go on with --resume",
            j->there + j->made, j->all);
    }
    return ARK_OK;
}

static ark_status put_images(job *j) {
    size_t per_round = (size_t)j->opts.threads * ROUND_PER_THREAD;
    ARK_TRY(ARK_NEW(&j->round, per_round, "images under way"));
    for (size_t i = 0; i < j->sets->n; i++) {
        const ark_dataset *d = &j->sets->items[i];
        for (size_t s = 0; s < d->n; s++) {
            if (j->done[i][s]) {
                continue;
            }
            j->round[j->n_round++] = (struct todo){.data = d, .dataset = i, .sample = s};
            if (j->n_round == per_round) {
                ARK_TRY(run_round(j));
                if (j->n_batch >= BATCH_IMAGES || j->batch_bytes >= BATCH_BYTES ||
                    (j->opts.should_stop && j->opts.should_stop(j->opts.user))) {
                    ARK_TRY(flush(j));
                }
            }
        }
    }
    ARK_TRY(run_round(j));
    return flush(j);
}

/* ---- the end ---- */

/* The last record, by which a pack is known to be whole. */
static ark_status complete(job *j) {
    ark_mdb *m;
    ark__pack_index x;
    ARK_TRY(ark_mdb_open(j->dir, &m));
    ark_status st = ark__pack_index_read(m, true, &x);
    ark_mdb_close(m);
    ARK_TRY(st);
    size_t records = x.records, there = x.there;
    uint32_t manifest = x.manifest;
    ark__pack_index_free(&x);
    if (there != j->all) {
        return ARK_ERR(ARK_EIO, "%s: %zu of %zu images are in the pack", j->dir, there, j->all);
    }
    ark_buf *b;
    ARK_TRY(new_record(j, "complete", &b));
    ARK_TRY(ark_buf_addf(b, "{\"records\":%zu,\"images\":%zu,\"manifest\":%u}", records, there, manifest));
    return commit(j);
}

static ark_status count(job *j) {
    if (j->sets->n > ARK__PACK_MAX_DATASETS) {
        return ARK_ERR(
            ARK_EINVAL, "%s: %zu datasets, limit %d", j->sets->path, j->sets->n, ARK__PACK_MAX_DATASETS);
    }
    ARK_TRY(ARK_NEW(&j->done, j->sets->n, "datasets"));
    for (size_t i = 0; i < j->sets->n; i++) {
        if (j->sets->items[i].pack) {
            return ARK_ERR(
                ARK_EINVAL, "%s: dataset %s comes from a pack itself", j->sets->path, j->sets->items[i].name);
        }
        ARK_TRY(ARK_NEW(&j->done[i], j->sets->items[i].n, "samples"));
        j->all += j->sets->items[i].n;
    }
    return ARK_OK;
}

static ark_status check_opts(const ark_pack_opts *o) {
    if (o->side_px > 4096 || o->side_px < (o->resume ? -1 : 0)) {
        return ARK_ERR(
            ARK_EINVAL, "a size of %d pixels, expected 1 to 4096, or 0 for the images' own", o->side_px);
    }
    if (o->quality > 100 || o->quality < (o->resume ? 0 : 1)) {
        return ARK_ERR(ARK_EINVAL, "a JPEG quality of %d, expected 1 to 100", o->quality);
    }
    if (o->filter != ARK_BILINEAR && o->filter != ARK_BICUBIC && !(o->resume && o->filter == -1)) {
        return ARK_ERR(ARK_EINVAL, "packs are resized by the bilinear or the bicubic filter");
    }
    return o->threads >= 1 && o->threads <= MAX_THREADS
               ? ARK_OK
               : ARK_ERR(ARK_EINVAL, "%d threads, expected 1 to %d", o->threads, MAX_THREADS);
}

/* What --resume leaves open where nothing is begun yet. */
static void fill_options(ark_pack_opts *o) {
    ark_pack_opts usual = ark_pack_default_opts();
    o->side_px = o->side_px < 0 ? usual.side_px : o->side_px;
    o->codec = o->codec ? o->codec : usual.codec;
    o->quality = o->quality ? o->quality : usual.quality;
    o->filter = o->filter < 0 ? usual.filter : o->filter;
}

static ark_status work(job *j, const char *config) {
    bool found = false, finished = false;
    ARK_TRY(check_opts(&j->opts));
    ARK_TRY(count(j));
    ARK_TRY(look(j, &found, &finished));
    if (finished) {
        return ARK_OK;
    }
    fill_options(&j->opts);
    ARK_TRY(ark_mkdirs(j->dir));
    ARK_TRY(ARK_NEW(&j->packers, (size_t)j->opts.threads, "threads"));
    for (int i = 0; i < j->opts.threads; i++) {
        ARK_TRY(ark__packer_init(&j->packers[i], &j->opts));
    }
    ARK_TRY(ark_mdb_writer_open(j->dir, &j->writer));
    if (!found) {
        ARK_TRY(put_tables(j, config));
    }
    ARK_TRY(put_images(j));
    return complete(j);
}

static void release(job *j) {
    drop_batch(j);
    ark_free(j->batch);
    ark_free(j->round);
    ark_mdb_writer_close(j->writer);
    for (int i = 0; j->packers && i < j->opts.threads; i++) {
        ark__packer_deinit(&j->packers[i]);
    }
    ark_free(j->packers);
    for (size_t i = 0; j->done && i < j->sets->n; i++) {
        ark_free(j->done[i]);
    }
    ark_free(j->done);
    ark_datasets_free(j->sets);
}

/* Resuming without names means those it was begun with: pointers into *x, or none where nothing is. */
static ark_status names_begun(const char *dir, const char ***names, size_t *n, ark__pack_index *x) {
    ark_mdb *m;
    if (ark_mdb_open(dir, &m) != ARK_OK) { /* look() has the message, or begins anew */
        return ARK_OK;
    }
    ark_status st = ark__pack_index_read(m, false, x);
    ark_mdb_close(m);
    if (st != ARK_OK || !x->has_header) {
        return st;
    }
    const json_t *list = json_object_get(x->header.json, "datasets");
    ARK_TRY(ARK_NEW(names, json_array_size(list), "names"));
    for (*n = 0; *n < json_array_size(list); ++*n) {
        const char *name = json_string_value(json_array_get(list, *n));
        (*names)[*n] = name ? name : "";
    }
    return ARK_OK;
}

static ark_status read_sets(job *j, const char *config, const char *const *names, size_t n) {
    const char **begun = NULL;
    ark__pack_index x = {0};
    ark_status st = ARK_OK;
    if (!names && j->opts.resume) {
        st = names_begun(j->dir, &begun, &n, &x);
        names = begun;
    }
    st = st ? st : ark_datasets_read(config, names, n, &j->sets);
    ark_free(begun);
    ark__pack_index_free(&x);
    return st;
}

ark_status ark_pack_write(const char *config, const char *const *names, size_t n_names, const char *dir,
    const ark_pack_opts *opts, ark_pack_result *out) {
    job j = {.dir = dir, .opts = *opts};
    ARK_TRY(read_sets(&j, config, names, n_names));
    ark_status st = work(&j, config);
    struct stat sb;
    char *path = ark_path_join(dir, "data.mdb");
    if (st == ARK_OK) {
        *out = (ark_pack_result){.datasets = j.sets->n,
            .images = j.all,
            .made = j.made,
            .bad = j.bad,
            .bytes = path && stat(path, &sb) == 0 ? (size_t)sb.st_size : 0,
            .side_px = j.opts.side_px,
            .codec = j.opts.codec};
    }
    ark_free(path);
    release(&j);
    return st;
}
