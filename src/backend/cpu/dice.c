/* dice_logits: a task is one plane (sample, channel); its sums go through scratch and are added in order. */
#include "backend/cpu/cpu.h"

#include <math.h>

typedef struct {
    double both, probability, target; /* sums over the counted pixels of p y, p, y */
    double counted;
} sums;

typedef struct {
    const ark_call *c;
    const ark_node *n;
    sums *of; /* per plane */
    double weight;
} job;

static double sigmoid(float z) {
    return 1.0 / (1.0 + exp(-(double)z));
}

static void sum_plane(void *ctx, int64_t task, int thread) {
    (void)thread;
    const job *j = ctx;
    const int64_t C = ark_last_dim(j->n->in[0]), pixels = ark_rows(j->n->in[0], 1);
    const int64_t at = task / C * pixels * C + task % C;
    const float *z = (const float *)ark_ptr(j->c, j->n->in[0]) + at;
    const float *y = (const float *)ark_ptr(j->c, j->n->in[1]) + at;
    const float *mask = (const float *)ark_ptr(j->c, j->n->in[2]) + at;
    sums s = {0};
    for (int64_t i = 0; i < pixels * C; i += C) {
        if (mask[i] != 0.0f) {
            double p = sigmoid(z[i]);
            s.both += p * (double)y[i];
            s.probability += p;
            s.target += (double)y[i];
            s.counted += 1;
        }
    }
    j->of[task] = s;
}

/* With N = 2 both + s and D = probability + target + s: d loss / d p = (N - 2 y D) / D^2. */
static void spread_plane(void *ctx, int64_t task, int thread) {
    (void)thread;
    const job *j = ctx;
    const int64_t C = ark_last_dim(j->n->in[0]), pixels = ark_rows(j->n->in[0], 1);
    const int64_t at = task / C * pixels * C + task % C;
    const float *z = (const float *)ark_ptr(j->c, j->n->in[0]) + at;
    const float *y = (const float *)ark_ptr(j->c, j->n->in[1]) + at;
    const float *mask = (const float *)ark_ptr(j->c, j->n->in[2]) + at;
    float *dz = (float *)ark_grad_ptr(j->c, j->n->in[0]) + at;
    const double smooth = (double)j->n->a.dice.smooth;
    const double N = 2 * j->of[task].both + smooth, D = j->of[task].probability + j->of[task].target + smooth;
    for (int64_t i = 0; i < pixels * C; i += C) {
        double g = 0;
        if (mask[i] != 0.0f) {
            double p = sigmoid(z[i]);
            g = j->weight * (N - 2 * (double)y[i] * D) / (D * D) * p * (1 - p);
        }
        dz[i] = j->n->acc[0] ? dz[i] + (float)g : (float)g;
    }
}

ark_status ark_cpu_dice_logits_prepare(ark_dev *dev, ark_node *n, size_t *scratch) {
    (void)dev;
    size_t planes = (size_t)(n->in[0]->dims[0] * ark_last_dim(n->in[0]));
    return ark_mul(planes, sizeof(sums), scratch) ? ARK_ERR(ARK_ENOMEM, "dice_logits: %zu planes", planes)
                                                  : ARK_OK;
}

static double counted_planes(const job *j, int64_t planes) {
    ark_parallel(j->c->dev->threads, planes, sum_plane, (void *)(uintptr_t)j);
    double count = 0;
    for (int64_t i = 0; i < planes; i++) {
        count += j->of[i].counted > 0;
    }
    return count;
}

ark_status ark_cpu_dice_logits_fwd(const ark_call *c, const ark_node *n) {
    job j = {.c = c, .n = n, .of = c->scratch};
    const int64_t planes = c->batch * ark_last_dim(n->in[0]);
    const double count = counted_planes(&j, planes), smooth = (double)n->a.dice.smooth;
    double loss = 0;
    for (int64_t i = 0; i < planes; i++) {
        const sums *s = &j.of[i];
        loss += s->counted > 0 ? 1 - (2 * s->both + smooth) / (s->probability + s->target + smooth) : 0;
    }
    *(float *)ark_ptr(c, n->out) = count > 0 ? (float)(loss / count) : 0.0f;
    return ARK_OK;
}

ark_status ark_cpu_dice_logits_bwd(const ark_call *c, const ark_node *n) {
    if (!n->want_grad[0]) {
        return ARK_OK;
    }
    job j = {.c = c, .n = n, .of = c->scratch};
    const int64_t planes = c->batch * ark_last_dim(n->in[0]);
    const double count = counted_planes(&j, planes);
    j.weight = count > 0 ? (double)*(const float *)ark_grad_ptr(c, n->out) / count : 0;
    ark_parallel(c->dev->threads, planes, spread_plane, &j);
    return ARK_OK;
}
