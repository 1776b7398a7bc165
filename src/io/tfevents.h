/* TensorBoard event files: scalars only. */
#ifndef ARK_IO_TFEVENTS_H
#define ARK_IO_TFEVENTS_H

#include "ark/status.h"

#include <stddef.h>
#include <stdint.h>

typedef struct ark_tfevents ark_tfevents;
/** Create DIR/events.out.tfevents.<unix seconds>.<host> with the version record. */
ark_status ark_tfevents_open(const char *dir, double wall_time, ark_tfevents **out) ARK_MUST_CHECK;
/** Append one scalar and flush it. */
ark_status ark_tfevents_scalar(
    ark_tfevents *t, double wall_time, int64_t step, const char *tag, float value) ARK_MUST_CHECK;
void ark_tfevents_close(ark_tfevents *t);

/** The bytes of one framed record for a scalar event (tag NULL: the version record) into buf; returns its
 * length, or 0 when buf is too small. For tests. */
size_t ark_tfevents_encode(
    double wall_time, int64_t step, const char *tag, float value, unsigned char *buf, size_t cap);

#endif
