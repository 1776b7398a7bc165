/* Trainer: student and teacher, and one step of Foundation Ark on a batch.
 *
 * Owns the parameter columns, one TRAIN plan per task (a set of heads that learn from the
 * same batch: one head in cyclic training, all of them in concurrent training), the
 * teacher's INFER plan, and the memory both run in. */
#ifndef ARK_TRAIN_TRAINER_H
#define ARK_TRAIN_TRAINER_H

#include "core/plan.h"
#include "nn/ark_net.h"
#include "train/optim.h"

typedef struct ark_trainer_opts {
    int batch; /* samples per step, at most */
    ark_dtype cdt;
    uint64_t seed;
    bool teacher; /* keep an EMA teacher */
    bool
        teacher_independent; /* its projector and heads start from their own draw (upstream); default: copy */
    bool multiclass_bce;     /* BCE for multi-class heads too, as the first Ark */
    bool concurrent;         /* one task with all heads, instead of one task per head */
    bool recompute;          /* less memory, more time, the same bits: ark_plan_recompute */
    double layer_decay;      /* learning rate of a depth over that of the one above; 0 or 1 = all alike */
    ark_optim optim;         /* settings only; the trainer fills in the rest */
} ark_trainer_opts;

typedef struct ark_trainer ark_trainer;

/** Build plans and memory, initialise the student from the seed. net and dev are
 * borrowed. Nothing is allocated by steps. */
ark_status ark_trainer_new(
    const ark_net *net, const ark_trainer_opts *opts, ark_dev *dev, ark_trainer **out) ARK_MUST_CHECK;
void ark_trainer_free(ark_trainer *t);

/* One batch as the step wants it. Labels of task i's heads lie side by side: column offsets are the running
 * sum of their class counts (for a single head: 0..K-1). */
typedef struct ark_step {
    int task;
    int n;                /* samples, 1..batch */
    const float *student; /* (n,3,S,S) */
    const float *teacher; /* (n,3,S,S); not read when consistency is 0 or there is no teacher */
    const float *labels;  /* (n,width) */
    const float *mask;    /* (n,width) */
    int width;
    double consistency; /* c: loss = (1-c) L + c MSE */
    double lr;
    uint64_t step; /* number of the step in the run: keys drop-path */
} ark_step;

typedef struct ark_step_result {
    double loss, task_loss, consistency_loss; /* consistency_loss is NaN when it was not computed */
    double grad_norm;
} ark_step_result;

/** Forward, backward, update. A loss or gradient that is not finite is ARK_EDEVICE; the
 * weights are then unchanged. */
ark_status ark_trainer_step(ark_trainer *t, const ark_step *s, ark_step_result *out) ARK_MUST_CHECK;
/** teacher = m teacher + (1-m) student over all parameters. */
ark_status ark_trainer_ema(ark_trainer *t, double m) ARK_MUST_CHECK;
/** After weights were written from outside (init, resume): refresh compute copies; copy:
 * teacher starts as the student. */
ark_status ark_trainer_loaded(ark_trainer *t, bool copy_to_teacher) ARK_MUST_CHECK;

ark_params *ark_trainer_params(ark_trainer *t);
ark_dev *ark_trainer_device(ark_trainer *t);
ark_optim *ark_trainer_optim(ark_trainer *t);
/** FLOPs of one step per image: teacher forward, student forward and backward. */
double ark_trainer_flops_per_image(const ark_trainer *t);
/** Bytes of activations, scratch and parameter columns. */
size_t ark_trainer_bytes(const ark_trainer *t);

#endif
