#include "train/sched.h"

#include <math.h>

static const double pi = 3.14159265358979323846;

double ark_ema_momentum(int64_t t, int64_t total, double m0) {
    return 1 - (1 - m0) / 2 * (1 + cos(pi * (double)t / (double)total));
}

double ark_consistency_weight(int64_t t, int64_t total, double max) {
    return max / 2 * (1 - cos(pi * (double)t / (double)total));
}

double ark_lr_cosine(const ark_lr *s, double at) {
    if (at < s->warmup) {
        return s->warmup_start + (s->peak - s->warmup_start) * at / s->warmup;
    }
    if (at >= s->total) {
        return s->floor;
    }
    return s->floor + 0.5 * (s->peak - s->floor) * (1 + cos(pi * at / s->total));
}

double ark_lr_as_released(const ark_lr *s, double val_loss) {
    return isfinite(val_loss) ? ark_lr_cosine(s, val_loss) : s->warmup_start;
}
