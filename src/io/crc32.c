#include "io/crc32.h"

#include <libdeflate.h>

uint32_t ark_crc32(uint32_t crc, const void *bytes, size_t n) {
    return n ? libdeflate_crc32(crc, bytes, n) : crc; /* which takes no bytes at NULL for a start */
}
