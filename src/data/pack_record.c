/* Records of packs: keys, checksums, JSON. */
#include "base/err.h"
#include "data/pack_priv.h"
#include "io/crc32.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *const codecs[] = {NULL, "raw", "png", "jpeg"};
static const char *const filters[] = {[ARK_BILINEAR] = "bilinear", [ARK_BICUBIC] = "bicubic"};

const char *ark_pack_codec_name(ark_pack_codec c) {
    return codecs[c];
}

void ark__pack_dataset_key(char key[ARK__PACK_KEY], size_t dataset, bool table) {
    snprintf(key, ARK__PACK_KEY, "dataset/%04zu%s", dataset, table ? "/table" : "");
}

void ark__pack_image_key(char key[ARK__PACK_KEY], size_t dataset, size_t sample) {
    snprintf(key, ARK__PACK_KEY, "image/%04zu/%010zu", dataset, sample);
}

bool ark__pack_key_is(const ark_mdb_item *item, const char *key) {
    return item->key_len == strlen(key) && !memcmp(item->key, key, item->key_len);
}

bool ark__pack_parse_key(const ark_mdb_item *item, size_t *dataset, size_t *sample) {
    const char *k = item->key;
    if (item->key_len != 21 || memcmp(k, "image/", 6) != 0 || k[10] != '/') {
        return false;
    }
    size_t number[2] = {0, 0};
    for (size_t i = 6; i < 21; i++) {
        if (i == 10) {
            continue;
        }
        if (k[i] < '0' || k[i] > '9') {
            return false;
        }
        number[i > 10] = number[i > 10] * 10 + (size_t)(k[i] - '0');
    }
    *dataset = number[0];
    *sample = number[1];
    return true;
}

void ark__pack_put32(unsigned char *p, uint32_t v) {
    for (int i = 0; i < 4; i++) {
        p[i] = (unsigned char)(v >> 8 * i);
    }
}

uint32_t ark__pack_get32(const unsigned char *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

uint64_t ark__pack_get64(const unsigned char *p) {
    return ark__pack_get32(p) | (uint64_t)ark__pack_get32(p + 4) << 32;
}

static uint32_t checksum(const void *key, size_t key_len, const void *value, size_t len) {
    uint32_t crc = ark_crc32(0, key, key_len);
    return ark_crc32(crc, (const unsigned char *)value + ARK__PACK_CRC, len - ARK__PACK_CRC);
}

void ark__pack_seal(const char *key, size_t key_len, void *value, size_t len) {
    ark__pack_put32(value, checksum(key, key_len, value, len));
}

ark_status ark__pack_check(const char *path, const ark_mdb_item *item) {
    int key_len = (int)item->key_len;
    if (item->len < ARK__PACK_CRC) {
        return ARK_ERR(ARK_EFORMAT, "%s: record %.*s is damaged: %zu bytes", path, key_len,
            (const char *)item->key, item->len);
    }
    uint32_t want = ark__pack_get32(item->value),
             got = checksum(item->key, item->key_len, item->value, item->len);
    if (got != want) {
        return ARK_ERR(ARK_EFORMAT,
            "%s: record %.*s is damaged: checksum %08" PRIx32 ", should be %08" PRIx32, path, key_len,
            (const char *)item->key, got, want);
    }
    return ARK_OK;
}

ark_status ark__pack_json(const char *path, const ark_mdb_item *item, json_t **out) {
    ARK_TRY(ark__pack_check(path, item));
    json_error_t e;
    *out = json_loadb(
        (const char *)item->value + ARK__PACK_CRC, item->len - ARK__PACK_CRC, JSON_REJECT_DUPLICATES, &e);
    if (!json_is_object(*out)) {
        json_decref(*out);
        return ARK_ERR(ARK_EFORMAT, "%s: record %.*s: not JSON: %s", path, (int)item->key_len,
            (const char *)item->key, e.text);
    }
    return ARK_OK;
}

ark_status ark__pack_text(const char *path, const json_t *o, const char *name, const char **out) {
    const json_t *v = json_object_get(o, name);
    if (!json_is_string(v) || strlen(json_string_value(v)) != json_string_length(v)) {
        return ARK_ERR(ARK_EFORMAT, "%s: '%s' is not a text", path, name);
    }
    *out = json_string_value(v);
    return ARK_OK;
}

ark_status ark__pack_number(
    const char *path, const json_t *o, const char *name, int64_t lo, int64_t hi, int64_t *out) {
    const json_t *v = json_object_get(o, name);
    if (!json_is_integer(v) || json_integer_value(v) < lo || json_integer_value(v) > hi) {
        return ARK_ERR(ARK_EFORMAT, "%s: '%s' is not a number in %" PRId64 "..%" PRId64, path, name, lo, hi);
    }
    *out = json_integer_value(v);
    return ARK_OK;
}

ark_status ark__pack_word(
    const char *path, const json_t *o, const char *name, const char *const *words, size_t n, int *out) {
    const char *text;
    ARK_TRY(ark__pack_text(path, o, name, &text));
    for (size_t i = 0; i < n; i++) {
        if (words[i] && !strcmp(words[i], text)) {
            *out = (int)i;
            return ARK_OK;
        }
    }
    return ARK_ERR(ARK_EFORMAT, "%s: '%s' is '%.64s', which this version does not know", path, name, text);
}

static int append(const char *text, size_t n, void *out) {
    return ark_buf_add(out, text, n) == ARK_OK ? 0 : -1;
}

ark_status ark__pack_dump(const json_t *o, const char *what, ark_buf *out) {
    if (!o) {
        return ARK_ERR(ARK_EINVAL, "%s: a name or path of it is not UTF-8", what);
    }
    return json_dump_callback(o, append, out, JSON_COMPACT) == 0
               ? ARK_OK
               : ARK_ERR(ARK_ENOMEM, "out of memory: record of %s", what);
}

/* ---- the header ---- */

ark_status ark__pack_header_json(const ark__pack_header *h, const ark_datasets *sets, ark_buf *out) {
    json_t *names = json_array();
    for (size_t i = 0; i < sets->n; i++) {
        json_array_append_new(names, json_string(sets->items[i].name));
    }
    json_t *o = json_pack("{s:s,s:i,s:s,s:s,s:s,s:i,s:i,s:s,s:o,s:I}", "format", "arkfm-pack", "version",
        ARK__PACK_VERSION, "arkfm", ARK_VERSION, "config", h->config, "codec", codecs[h->codec], "quality",
        h->quality, "side", h->side_px, "filter", filters[h->filter], "datasets", names, "images",
        (json_int_t)h->images);
    ark_status st = ark__pack_dump(o, h->config, out);
    json_decref(o);
    return st;
}

static ark_status read_header(const char *path, ark__pack_header *h) {
    int64_t version = 0, quality = 0, side = 0, images = 0;
    int codec = 0, filter = 0;
    const char *format;
    ARK_TRY(ark__pack_text(path, h->json, "format", &format));
    if (strcmp(format, "arkfm-pack") != 0) {
        return ARK_ERR(ARK_EFORMAT, "%s: not a pack", path);
    }
    ARK_TRY(ark__pack_number(path, h->json, "version", 1, INT32_MAX, &version));
    if (version != ARK__PACK_VERSION) {
        return ARK_ERR(ARK_EFORMAT, "%s: a pack of version %" PRId64 ", this program reads version %d", path,
            version, ARK__PACK_VERSION);
    }
    ARK_TRY(ark__pack_word(path, h->json, "codec", codecs, sizeof codecs / sizeof *codecs, &codec));
    ARK_TRY(ark__pack_word(path, h->json, "filter", filters, sizeof filters / sizeof *filters, &filter));
    ARK_TRY(ark__pack_number(path, h->json, "quality", 0, 100, &quality));
    ARK_TRY(ark__pack_number(path, h->json, "side", 0, 4096, &side));
    ARK_TRY(
        ark__pack_number(path, h->json, "images", 1, (int64_t)ARK__PACK_MAX_DATASETS * INT32_MAX, &images));
    ARK_TRY(ark__pack_text(path, h->json, "config", &h->config));
    h->n_datasets = json_array_size(json_object_get(h->json, "datasets"));
    if (h->n_datasets == 0 || h->n_datasets > ARK__PACK_MAX_DATASETS) {
        return ARK_ERR(
            ARK_EFORMAT, "%s: %zu datasets, expected 1 to %d", path, h->n_datasets, ARK__PACK_MAX_DATASETS);
    }
    h->codec = (ark_pack_codec)codec;
    h->filter = (ark_filter)filter;
    h->quality = (int)quality;
    h->side_px = (int)side;
    h->images = (size_t)images;
    return ARK_OK;
}

ark_status ark__pack_header_read(const char *path, const ark_mdb_item *item, ark__pack_header *h) {
    *h = (ark__pack_header){0};
    ARK_TRY(ark__pack_json(path, item, &h->json));
    ark_status st = read_header(path, h);
    if (st != ARK_OK) {
        json_decref(h->json);
        *h = (ark__pack_header){0};
    }
    return st;
}
