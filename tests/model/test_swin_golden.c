/* A tiny Swin: 56 px gives grids of 14, 7, 4 and 2 tokens, so windows of 4 are padded and shifted, and one
 * merge is odd; 64 px gives 16, 8, 4, 2. */
#include "model/encoder_golden.h"

int main(void) {
    return encoder_golden_run(&(encoder_golden){"swin.safetensors", {56, 64}});
}
