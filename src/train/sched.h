/* Schedules of a run, in closed form. */
#ifndef ARK_TRAIN_SCHED_H
#define ARK_TRAIN_SCHED_H

#include <stdint.h>

/** EMA momentum at t of T: 1 - (1-m0)/2 * (1 + cos(pi t/T)); m0 at 0, 1 at T (Ark, Eq. of
 * the momentum teacher). */
double ark_ema_momentum(int64_t t, int64_t total, double m0);

/** Weight of the consistency loss: max/2 * (1 - cos(pi t/T)); 0 at 0, max at T. */
double ark_consistency_weight(int64_t t, int64_t total, double max);

typedef struct ark_lr {
    double peak, floor, warmup_start;
    double warmup, total; /* in the unit of `at` below: steps, or epochs */
} ark_lr;

/** Linear from warmup_start to peak over `warmup`, then cosine to floor at `total` over the whole range
 * counted from 0 (timm CosineLRScheduler without a warm-up prefix). at >= total gives floor. */
double ark_lr_cosine(const ark_lr *s, double at);

/** What the released Ark scripts run: the warm-up line evaluated at the last validation loss instead of the
 * epoch, since they call scheduler.step(val_loss) and timm 0.5.4 takes the epoch there. Before the first
 * validation: warmup_start. */
double ark_lr_as_released(const ark_lr *s, double val_loss);

#endif
