/* A tiny encoder and ten steps of Ark on every built backend, against PyTorch and timm in float64: feature
 * maps, embeddings, every gradient, losses, and what student and teacher have become.
 * ARK_TEST_BACKENDS=ref,cpu chooses backends. */
#ifndef ARK_TESTS_MODEL_ENCODER_GOLDEN_H
#define ARK_TESTS_MODEL_ENCODER_GOLDEN_H

typedef struct encoder_golden {
    const char *file; /* in tests/golden; what it holds says make_golden.py, swin() */
    int sizes[2];     /* of the images; the first has all gradients and the ten steps */
} encoder_golden;

/** A test program's exit status. */
int encoder_golden_run(const encoder_golden *g);

#endif
