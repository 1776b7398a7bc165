#include "io/jpeg_bits.h"

#include <string.h>

bool ark__huffman_read(ark__huffman *h, const uint8_t *p, size_t n, size_t *used) {
    int32_t code = 0;
    int at = 0, total = 0;
    if (n < 16) {
        return false;
    }
    for (int length = 1; length <= 16; length++) {
        total += p[length - 1];
    }
    if (total == 0 || total > 256 || n < 16 + (size_t)total) {
        return false;
    }
    *h = (ark__huffman){.known = true};
    memcpy(h->symbols, p + 16, (size_t)total);
    for (int length = 1; length <= 16; length++, code <<= 1) {
        int count = p[length - 1];
        h->shift[length] = at - code;
        h->last[length] = count ? code + count - 1 : -1;
        if (code + count > 1 << length) {
            return false;
        }
        for (int i = 0; i < count; i++, code++, at++) {
            for (int rest = 0; length <= ARK__HUFFMAN_FAST && rest < 1 << (ARK__HUFFMAN_FAST - length);
                 rest++) {
                h->fast[(code << (ARK__HUFFMAN_FAST - length)) + rest] =
                    (uint16_t)(length << 8 | h->symbols[at]);
            }
        }
    }
    *used = 16 + (size_t)total;
    return true;
}
