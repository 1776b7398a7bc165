/* What a fuzz target defines: libFuzzer calls it with mutated inputs, replay.c with the corpus. */
#ifndef ARK_TESTS_FUZZ_H
#define ARK_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/** One input, any bytes; must return 0 and leave nothing behind. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

#endif
