/* A tiny ViT: 48 px pools the class token, 64 px the mean of the patches, with positions resampled from 48
 * px. */
#include "model/encoder_golden.h"

int main(void) {
    return encoder_golden_run(&(encoder_golden){"vit.safetensors", {48, 64}});
}
