/* What a run leaves to read: metrics.jsonl (one JSON object a line) and TensorBoard events. */
#ifndef ARK_TRAIN_RUN_LOG_H
#define ARK_TRAIN_RUN_LOG_H

#include "ark/status.h"

#include <stdint.h>

typedef struct ark_run_log ark_run_log;

/** Open DIR/metrics.jsonl for appending and a new event file in DIR/tensorboard. Lines of steps after
 * keep_step (a resumed run repeats them) are dropped first; -1 starts an empty log. */
ark_status ark_run_log_open(const char *dir, int64_t keep_step, ark_run_log **out) ARK_MUST_CHECK;
/** Flush and close; NULL is allowed. */
void ark_run_log_close(ark_run_log *l);

/* One line: begin, any fields, end. Numbers that are not finite are written as null and left out of
 * TensorBoard. A failed write is reported by ark_run_log_end. tag names the TensorBoard group ("train/nih");
 * every number of the line becomes the scalar tag/key at the line's step. */
void ark_run_log_begin(ark_run_log *l, const char *event, const char *tag, int64_t step);
void ark_run_log_text(ark_run_log *l, const char *key, const char *value);
void ark_run_log_int(ark_run_log *l, const char *key, int64_t value);
void ark_run_log_real(ark_run_log *l, const char *key, double value);
ark_status ark_run_log_end(ark_run_log *l) ARK_MUST_CHECK;

#endif
