/* SHA-256 (FIPS 180-4), for digests that were computed elsewhere. */
#ifndef ARK_TEST_SHA256_H
#define ARK_TEST_SHA256_H

#include <stddef.h>

/** Lower-case hexadecimal digest of n bytes. */
void ark_test_sha256(const void *bytes, size_t n, char hex[65]);

#endif
