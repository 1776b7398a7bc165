/* Entropy-coded segments of JPEG: bits behind byte stuffing, Huffman codes (T.81 annexes C and F.2.2). */
#ifndef ARK_IO_JPEG_BITS_H
#define ARK_IO_JPEG_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bits up to a marker; behind it zeros, which are counted. */
typedef struct ark__jpeg_bits {
    const uint8_t *p, *end;
    uint64_t held; /* the next `count` bits from the top */
    int count;
    int padded; /* of them, bits that are not in the data */
} ark__jpeg_bits;

enum { ARK__HUFFMAN_FAST = 10 };

typedef struct ark__huffman {
    bool known;
    uint16_t fast[1 << ARK__HUFFMAN_FAST]; /* length << 8 | symbol; 0 = a longer code */
    int32_t last[18];                      /* largest code of each length, -1 none */
    int32_t shift[17];                     /* index of a symbol less its code */
    uint8_t symbols[256];
} ark__huffman;

/** Table from 16 counts and their symbols; *used bytes of p. False for codes that no tree has. */
bool ark__huffman_read(ark__huffman *h, const uint8_t *p, size_t n, size_t *used);

/** At least 32 bits are held afterwards. */
static inline void ark__jpeg_fill(ark__jpeg_bits *b) {
    while (b->count <= 56) {
        uint8_t byte = 0;
        if (b->p < b->end && (*b->p != 0xff || (b->end - b->p > 1 && b->p[1] == 0))) {
            byte = *b->p;
            b->p += byte == 0xff ? 2 : 1;
        } else {
            b->padded += 8;
        }
        b->held |= (uint64_t)byte << (56 - b->count);
        b->count += 8;
    }
}

/** Whether bits were taken that the data do not have. */
static inline bool ark__jpeg_overrun(const ark__jpeg_bits *b) {
    return b->count < b->padded;
}

/** n <= 16 bits of those held, as a number. */
static inline int ark__jpeg_take(ark__jpeg_bits *b, int n) {
    int v = n ? (int)(b->held >> (64 - n)) : 0;
    b->held <<= n;
    b->count -= n;
    return v;
}

/** The next symbol of those held, or -1 for a code that is none. */
static inline int ark__huffman_next(const ark__huffman *h, ark__jpeg_bits *b) {
    unsigned fast = h->fast[b->held >> (64 - ARK__HUFFMAN_FAST)];
    if (fast) {
        (void)ark__jpeg_take(b, (int)(fast >> 8));
        return (int)(fast & 255);
    }
    for (int length = ARK__HUFFMAN_FAST + 1; length <= 16; length++) {
        int32_t code = (int32_t)(b->held >> (64 - length));
        if (code <= h->last[length]) {
            (void)ark__jpeg_take(b, length);
            return h->symbols[code + h->shift[length]];
        }
    }
    return -1;
}

/** A difference of `size` bits (T.81 F.2.2.1): negative ones are stored as value - 1 in size bits. */
static inline int ark__jpeg_extend(ark__jpeg_bits *b, int size) {
    int v = ark__jpeg_take(b, size);
    return size && v < 1 << (size - 1) ? v - (1 << size) + 1 : v;
}

#endif
