/* Packs: datasets with their images resized once, in one LMDB file. User's side: docs/datasets.md; layout:
 * docs/internals/files.md; choices: docs/adr/0023, 0024.
 *
 * A pack is used only when it is complete, and each byte of it is covered by a checksum that is compared
 * when the byte is used. Reading needs no lock and writes nothing. */
#ifndef ARK_DATA_PACK_H
#define ARK_DATA_PACK_H

#include "data/dataset.h"
#include "data/preproc.h"

#include <stdbool.h>

typedef enum ark_pack_codec { ARK_PACK_RAW = 1, ARK_PACK_PNG, ARK_PACK_JPEG } ark_pack_codec;
/** "raw", "png", "jpeg". */
const char *ark_pack_codec_name(ark_pack_codec c);

typedef struct ark_pack_opts {
    int side_px; /* images are squashed to side x side; 0 = kept at their size; -1 (resume) = as begun */
    int filter;  /* ARK_BILINEAR or ARK_BICUBIC; -1 (resume) = as begun */
    ark_pack_codec codec; /* 0 (resume) = as begun */
    int quality;          /* of JPEG, 1..100; 0 (resume) = as begun */
    int threads;
    bool resume; /* go on with a pack that is there */
    bool
        skip_bad; /* an unreadable image is noted in the pack, and fails when it is read, as its file would */
    ark_image_limits limits;
    void (*on_progress)(void *user, size_t done, size_t all); /* or NULL */
    bool (*should_stop)(void *user);                          /* or NULL: between batches */
    void *user;
} ark_pack_opts;
/** 256 px (the side that a model of 224 px squashes to), bilinear, raw, quality 90, one thread. */
ark_pack_opts ark_pack_default_opts(void);

typedef struct ark_pack_result {
    size_t datasets, images;
    size_t made;  /* in this call; the others were there */
    size_t bad;   /* unreadable images noted, in all */
    size_t bytes; /* of data.mdb */
    int side_px;
    ark_pack_codec codec;
} ark_pack_result;

/** Pack datasets of a YAML file (names NULL = all) into the folder dir, made if missing. Written in
 * batches, each whole on disk before the next: what a stop or a crash leaves is gone on with by `resume`.
 * The bytes of the records depend on the images and the options alone. ARK_EINVAL: dir holds a pack and
 * `resume` is not set, or other options than it was begun with; ARK_EINTERRUPTED after should_stop;
 * ARK_EIO (disk full, ...), ARK_EFORMAT. */
ark_status ark_pack_write(const char *config, const char *const *names, size_t n_names, const char *dir,
    const ark_pack_opts *opts, ark_pack_result *out) ARK_MUST_CHECK;

typedef struct ark_pack_report {
    size_t records, damaged, images;
    size_t bytes;
    char first[512]; /* damaged record: its key and what is wrong */
} ark_pack_report;

/** Read all of a pack and compare all checksums. ARK_OK also when records are damaged (the report counts
 * them); a file that cannot be walked, or is not complete, is an error. */
ark_status ark_pack_verify(const char *dir, ark_pack_report *out) ARK_MUST_CHECK;

/* An open pack. Thread-safe for reading; counted references, taken and given back on one thread. */
typedef struct ark_pack ark_pack;
/** ARK_EFORMAT: not a pack, not complete (the message has the command that finishes it), damaged. */
ark_status ark_pack_open(const char *dir, ark_pack **out) ARK_MUST_CHECK;
ark_pack *ark_pack_ref(ark_pack *p);
/** Give a reference back; NULL is fine. */
void ark_pack_unref(ark_pack *p);
size_t ark_pack_count(const ark_pack *p);
/** Name of dataset i. */
const char *ark_pack_name(const ark_pack *p, size_t i);

/** 8-bit grey image of a sample. Raw ones point into the map, valid as long as the pack and never to be
 * written: *owned is false; the others are the caller's to free. ARK_EFORMAT: damaged (names pack and
 * key), or unreadable when it was packed. */
ark_status ark_pack_image(const ark_pack *p, size_t dataset, size_t sample, const ark_image_limits *limits,
    ark_image *out, bool *owned) ARK_MUST_CHECK;

/** The sample's image as every user of datasets gets it: from the dataset's pack, or from its file; 8 bits.
 * *owned as above. */
ark_status ark_dataset_image(const ark_dataset *d, size_t sample, const ark_image_limits *limits,
    ark_image *out, bool *owned) ARK_MUST_CHECK;
/** Do the packed images suffice for this preprocessing? ARK_EINVAL when they are smaller than the side R
 * before a crop, or were resized by another filter. A dataset without a pack always fits. */
ark_status ark_dataset_fits(const ark_dataset *d, const ark_preproc *pre) ARK_MUST_CHECK;

#endif
