/* Inside of packs: records and their keys.
 *
 * A record's value is u32 CRC-32 of its key and of the bytes behind the checksum, then those bytes.
 * Numbers are little-endian.
 *
 * header               JSON: format, version, arkfm, config (path), codec, quality, side, filter,
 *                      datasets, images
 * config               text of the YAML file
 * dataset/0000         JSON: name, task, uncertain, missing, classes, test_classes, samples, data_dir
 * dataset/0000/table   CSV: path, split, patient, sex, age, view, then a column per class
 * image/0000/0000000000  u32 codec (0: unreadable), width, height, of the source: width, height, CRC-32;
 *                        u64 bytes of the source; then the pixels, a PNG, a JPEG, or the reason
 * complete             JSON: records, images, manifest (CRC-32 of the checksums of all other records by
 *                      key) */
#ifndef ARK_DATA_PACK_PRIV_H
#define ARK_DATA_PACK_PRIV_H

#include "base/str.h"
#include "data/pack.h"
#include "io/mdb.h"
#include "io/yaml.h"

#include <jansson.h>

enum {
    ARK__PACK_VERSION = 1,
    ARK__PACK_MAX_DATASETS = 1000,
    ARK__PACK_KEY = 40, /* room for a key */
    ARK__PACK_CRC = 4,
    ARK__PACK_IMAGE_HEADER = 32, /* behind the checksum */
};
#define ARK__PACK_TABLE_LIMIT ((size_t)1 << 30)

/* Of the header record. */
typedef struct ark__pack_header {
    int side_px, quality;
    ark_filter filter;
    ark_pack_codec codec;
    size_t n_datasets, images;
    const char *config; /* belongs to json */
    json_t *json;
} ark__pack_header;

void ark__pack_dataset_key(char key[ARK__PACK_KEY], size_t dataset, bool table);
void ark__pack_image_key(char key[ARK__PACK_KEY], size_t dataset, size_t sample);
/** Numbers of an image's key; false when it is none. */
bool ark__pack_parse_key(const ark_mdb_item *item, size_t *dataset, size_t *sample);
bool ark__pack_key_is(const ark_mdb_item *item, const char *key);

void ark__pack_put32(unsigned char *p, uint32_t v);
uint32_t ark__pack_get32(const unsigned char *p);
uint64_t ark__pack_get64(const unsigned char *p);

/** Set the checksum of a value whose first four bytes are kept free for it. */
void ark__pack_seal(const char *key, size_t key_len, void *value, size_t len);
/** Compare it: ARK_EFORMAT naming file and key. */
ark_status ark__pack_check(const char *path, const ark_mdb_item *item) ARK_MUST_CHECK;
/** A JSON object behind the checksum, checked. json_decref(*out). */
ark_status ark__pack_json(const char *path, const ark_mdb_item *item, json_t **out) ARK_MUST_CHECK;
/** Append the text of an object, NULL where a member was not UTF-8; `what` serves the message. */
ark_status ark__pack_dump(const json_t *o, const char *what, ark_buf *out) ARK_MUST_CHECK;
/** Strict reads of JSON members: ARK_EFORMAT naming file and member. */
ark_status ark__pack_text(
    const char *path, const json_t *o, const char *name, const char **out) ARK_MUST_CHECK;
ark_status ark__pack_number(
    const char *path, const json_t *o, const char *name, int64_t lo, int64_t hi, int64_t *out) ARK_MUST_CHECK;
/** Index of a word. */
ark_status ark__pack_word(const char *path, const json_t *o, const char *name, const char *const *words,
    size_t n, int *out) ARK_MUST_CHECK;

ark_status ark__pack_header_json(
    const ark__pack_header *h, const ark_datasets *sets, ark_buf *out) ARK_MUST_CHECK;
/** h->json is then to be released. */
ark_status ark__pack_header_read(
    const char *path, const ark_mdb_item *item, ark__pack_header *h) ARK_MUST_CHECK;

/** The two records of a dataset. */
ark_status ark__pack_dataset_json(const ark_dataset *d, ark_buf *out) ARK_MUST_CHECK;
ark_status ark__pack_table(const ark_dataset *d, ark_buf *out) ARK_MUST_CHECK;
/** A dataset of these two, as from its lists; data_dir NULL = the one it was packed from. */
ark_status ark__pack_dataset_read(const char *path, const ark_mdb_item *json, const ark_mdb_item *table,
    const char *data_dir, ark_dataset *d) ARK_MUST_CHECK;

/* What is in a pack, finished or not. */
typedef struct ark__pack_index {
    ark__pack_header header;
    bool has_header, complete;
    size_t records; /* all */
    uint32_t manifest, stored_manifest;
    size_t stored_records;
    ark_mdb_item *sets, *tables; /* per dataset */
    struct ark__pack_images {
        size_t n;            /* the dataset's samples */
        ark_mdb_item *items; /* n; value NULL = not there */
        size_t there;
    } * images;
    size_t there; /* images in all */
} ark__pack_index;

/** Walk over all records; images are not touched unless `manifest`. ARK_EFORMAT. */
ark_status ark__pack_index_read(const ark_mdb *m, bool manifest, ark__pack_index *out) ARK_MUST_CHECK;
void ark__pack_index_free(ark__pack_index *x);

/** ark_pack_open for a reader that is open; takes m, also on failure. dir serves messages. */
ark_status ark__pack_adopt(ark_mdb *m, const char *dir, ark_pack **out) ARK_MUST_CHECK;
/** Datasets of an open pack, each with a reference to it. */
ark_status ark__pack_read_datasets(
    ark_pack *p, const char *const *names, size_t n_names, ark_datasets **out) ARK_MUST_CHECK;

/** For dataset.c: an entry with `pack`, and a pack's folder in the place of a YAML file. */
ark_status ark__pack_entry(
    const ark_yaml *y, const char *name, const ark_yaml_node *node, ark_dataset *d) ARK_MUST_CHECK;
ark_status ark__pack_datasets(
    const char *dir, const char *const *names, size_t n_names, ark_datasets **out) ARK_MUST_CHECK;

#endif
