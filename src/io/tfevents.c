#include "io/tfevents.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/str.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A record is the u64 length, its masked CRC, the event, its masked CRC. The event is a protocol buffer
 * message: Event {1: wall_time (double), 2: step (varint), 3: file_version (text), 5: Summary {1: Value {1:
 * tag, 2: float}}}. Fields: tensorflow/core/util/event.proto, framing:
 * tensorflow/core/lib/io/record_writer.h. */
enum { MAX_TAG = 1024, MAX_RECORD = MAX_TAG + 128 };

struct ark_tfevents {
    FILE *f;
    char *path;
};

/* CRC-32C (Castagnoli), bitwise: records are a few dozen bytes. */
static uint32_t crc32c(const unsigned char *p, size_t n) {
    uint32_t c = 0xffffffffu;
    for (size_t i = 0; i < n; i++) {
        c ^= p[i];
        for (int k = 0; k < 8; k++) {
            c = c >> 1 ^ (0x82f63b78u & (0u - (c & 1)));
        }
    }
    return ~c;
}

static uint32_t masked_crc(const unsigned char *p, size_t n) {
    uint32_t c = crc32c(p, n);
    return (c >> 15 | c << 17) + 0xa282ead8u;
}

typedef struct out {
    unsigned char *p;
    size_t n;
} out;

static void put(out *o, const void *bytes, size_t n) {
    memcpy(o->p + o->n, bytes, n);
    o->n += n;
}

static void put_little_endian(out *o, uint64_t v, int bytes) {
    for (int i = 0; i < bytes; i++) {
        o->p[o->n++] = (unsigned char)(v >> 8 * i);
    }
}

static void put_varint(out *o, uint64_t v) {
    for (; v >= 128; v >>= 7) {
        o->p[o->n++] = (unsigned char)(v | 128);
    }
    o->p[o->n++] = (unsigned char)v;
}

enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 }; /* wire types */

static void put_key(out *o, unsigned field, unsigned wire) {
    put_varint(o, field << 3 | wire);
}

static void put_bytes(out *o, unsigned field, const void *bytes, size_t n) {
    put_key(o, field, BYTES);
    put_varint(o, n);
    put(o, bytes, n);
}

static void put_summary(out *o, const char *tag, float value) {
    unsigned char inner[MAX_RECORD], outer[MAX_RECORD];
    out v = {inner, 0}, s = {outer, 0};
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_bytes(&v, 1, tag, strlen(tag));
    put_key(&v, 2, FIXED32);
    put_little_endian(&v, bits, 4);
    put_bytes(&s, 1, v.p, v.n);
    put_bytes(o, 5, s.p, s.n);
}

size_t ark_tfevents_encode(
    double wall_time, int64_t step, const char *tag, float value, unsigned char *buf, size_t cap) {
    unsigned char event[MAX_RECORD];
    out e = {event, 0}, r = {buf, 0};
    uint64_t bits;
    if (tag && strlen(tag) > MAX_TAG) {
        return 0;
    }
    memcpy(&bits, &wall_time, sizeof bits);
    put_key(&e, 1, FIXED64);
    put_little_endian(&e, bits, 8);
    if (tag) {
        put_key(&e, 2, VARINT);
        put_varint(&e, (uint64_t)step);
        put_summary(&e, tag, value);
    } else {
        static const char version[] = "brain.Event:2";
        put_bytes(&e, 3, version, strlen(version));
    }
    if (cap < e.n + 16) {
        return 0;
    }
    put_little_endian(&r, e.n, 8);
    put_little_endian(&r, masked_crc(buf, 8), 4);
    put(&r, e.p, e.n);
    put_little_endian(&r, masked_crc(e.p, e.n), 4);
    return r.n;
}

static ark_status append(ark_tfevents *t, const unsigned char *record, size_t n) {
    if (fwrite(record, 1, n, t->f) != n || fflush(t->f) != 0) {
        return ARK_ERR(ARK_EIO, "%s: cannot write: %s", t->path, strerror(errno));
    }
    return ARK_OK;
}

ark_status ark_tfevents_open(const char *dir, double wall_time, ark_tfevents **result) {
    char host[256] = "localhost", name[320];
    unsigned char record[MAX_RECORD];
    if (gethostname(host, sizeof host - 1) != 0 || strchr(host, '/')) {
        snprintf(host, sizeof host, "localhost");
    }
    snprintf(name, sizeof name, "events.out.tfevents.%010" PRId64 ".%s", (int64_t)wall_time, host);
    ark_tfevents *t;
    ARK_TRY(ARK_NEW(&t, 1, "an event file"));
    ark_status st;
    t->path = ark_path_join(dir, name);
    if (!t->path) {
        st = ARK_ERR(ARK_ENOMEM, "%s: out of memory", dir);
        goto fail;
    }
    t->f = fopen(t->path, "abe");
    if (!t->f) {
        st = ARK_ERR(ARK_EIO, "%s: cannot create: %s", t->path, strerror(errno));
        goto fail;
    }
    st = append(t, record, ark_tfevents_encode(wall_time, 0, NULL, 0, record, sizeof record));
    if (st != ARK_OK) {
        goto fail;
    }
    *result = t;
    return ARK_OK;
fail:
    ark_tfevents_close(t);
    return st;
}

ark_status ark_tfevents_scalar(
    ark_tfevents *t, double wall_time, int64_t step, const char *tag, float value) {
    unsigned char record[MAX_RECORD];
    size_t n = ark_tfevents_encode(wall_time, step, tag, value, record, sizeof record);
    if (n == 0) {
        return ARK_ERR(ARK_EINVAL, "%s: tag '%.40s...' is longer than %d bytes", t->path, tag, MAX_TAG);
    }
    return append(t, record, n);
}

void ark_tfevents_close(ark_tfevents *t) {
    if (t) {
        if (t->f) {
            fclose(t->f);
        }
        ark_free(t->path);
        ark_free(t);
    }
}
