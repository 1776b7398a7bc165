/* CRC-32 (ISO-HDLC: zip, PNG; zlib's crc32), at tens of gigabytes a second. */
#ifndef ARK_IO_CRC32_H
#define ARK_IO_CRC32_H

#include <stddef.h>
#include <stdint.h>

/** Checksum of what `crc` covers followed by n bytes; 0 to begin. */
uint32_t ark_crc32(uint32_t crc, const void *bytes, size_t n);

#endif
