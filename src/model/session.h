/* Session: a network ready to infer. One plan in INFER mode with every head, its memory,
 * and the copies in and out. */
#ifndef ARK_MODEL_SESSION_H
#define ARK_MODEL_SESSION_H

#include "core/plan.h"
#include "nn/ark_net.h"

typedef struct ark_session ark_session;

/** At most `batch` images per run, computing in cdt. net, params and dev are borrowed. */
ark_status ark_session_new(const ark_net *net, ark_params *params, ark_dev *dev, int batch, ark_dtype cdt,
    ark_session **out) ARK_MUST_CHECK;
void ark_session_free(ark_session *s);

/* Where results go; a NULL pointer skips that one. Row-major, n rows. */
typedef struct ark_outputs {
    float *encoder;   /* (n,C) */
    float *projected; /* (n,D) */
    float **logits;   /* per head (n,K); the array or single entries may be NULL */
} ark_outputs;

/** Run n images (n,3,S,S), any n (cut into batches), reading weights from `column`.
 * Results do not depend on batching. */
ark_status ark_session_run(
    ark_session *s, ark_column column, const float *images, int64_t n, const ark_outputs *out) ARK_MUST_CHECK;
const ark_plan *ark_session_plan(const ark_session *s);

/** Logits to probabilities in place: softmax over K for multi-class, sigmoid otherwise. */
void ark_logits_to_probabilities(ark_task task, float *logits, int64_t n, int k);

#endif
