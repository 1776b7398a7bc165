#include "train/seg_trainer.h"

#include "backend/backend.h"
#include "base/alloc.h"
#include "base/err.h"
#include "core/ops.h"

#include <math.h>

struct ark_seg_trainer {
    const ark_seg_net *net;
    ark_dev *dev;
    ark_seg_trainer_opts o;
    ark_params *params;
    ark_optim optim;
    bool active[2]; /* encoder, decoder */
    ark_plan *train, *infer;
    ark_seg_tensors t, infer_t;
    ark_tensor *target, *count, *dice, *bce; /* losses of weight 0 are NULL */
    ark_space *space;
};

static ark_status build_train(ark_seg_trainer *t) {
    int side = t->net->arch.size_px;
    int64_t dims[4] = {t->o.batch, side, side, t->net->classes};
    ARK_TRY(ark_plan_new(t->params, t->o.batch, ARK_F32, &t->train));
    t->t = ark_seg_net_record(t->train, t->params, t->net);
    ark_plan_label(t->train, "loss");
    t->target = ark_plan_input(t->train, "target", 4, dims, false);
    t->count = ark_plan_input(t->train, "count", 4, dims, false);
    if (t->o.dice > 0) {
        t->dice = ark_plan_output(
            t->train, ark_dice_logits(t->train, t->t.logits, t->target, t->count, t->o.smooth));
    }
    if (t->o.bce > 0) {
        t->bce = ark_plan_output(t->train, ark_bce_logits(t->train, t->t.logits, t->target, t->count));
    }
    return ark_plan_finish(t->train, t->dev, ARK_PLAN_TRAIN);
}

static ark_status build(ark_seg_trainer *t) {
    unsigned columns =
        1u << ARK_COL_STUDENT | 1u << ARK_COL_TEACHER | 1u << ARK_COL_GRAD | 1u << ARK_COL_MOMENT1;
    columns |= t->optim.adamw ? 1u << ARK_COL_MOMENT2 : 0;
    ARK_TRY(ark_params_new(&t->params));
    ARK_TRY(ark_seg_net_declare(t->net, t->params));
    ARK_TRY(ark_optim_init(&t->optim, t->params, NULL));
    ARK_TRY(ark_params_alloc(t->params, t->dev, columns, false));
    ARK_TRY(build_train(t));
    ARK_TRY(ark_plan_new(t->params, t->o.batch, ARK_F32, &t->infer));
    t->infer_t = ark_seg_net_record(t->infer, t->params, t->net);
    ARK_TRY(ark_plan_finish(t->infer, t->dev, ARK_PLAN_INFER));
    ark_plan *plans[] = {t->train, t->infer};
    ARK_TRY(ark_space_new(t->dev, plans, 2, false, &t->space));
    ARK_TRY(ark_params_init(t->params, ARK_COL_STUDENT, t->o.seed));
    return ark_params_refresh(t->params, ARK_COL_STUDENT);
}

ark_status ark_seg_trainer_new(
    const ark_seg_net *net, const ark_seg_trainer_opts *o, ark_dev *dev, ark_seg_trainer **out) {
    ark_seg_trainer *t;
    if (!(o->dice > 0) && !(o->bce > 0)) {
        return ARK_ERR(ARK_EINVAL, "train.dice and train.bce are both 0: there is no loss");
    }
    ARK_TRY(ARK_NEW(&t, 1, "a segmentation trainer"));
    t->net = net;
    t->dev = dev;
    t->o = *o;
    t->optim = o->optim;
    t->active[0] = !net->freeze;
    t->active[1] = true;
    ark_status st = build(t);
    if (st != ARK_OK) {
        ark_seg_trainer_free(t);
        return st;
    }
    *out = t;
    return ARK_OK;
}

void ark_seg_trainer_free(ark_seg_trainer *t) {
    if (!t) {
        return;
    }
    ark_space_free(t->space);
    ark_plan_free(t->train);
    ark_plan_free(t->infer);
    ark_optim_free(&t->optim);
    ark_params_free(t->params);
    ark_free(t);
}

ark_params *ark_seg_trainer_params(ark_seg_trainer *t) {
    return t->params;
}

ark_optim *ark_seg_trainer_optim(ark_seg_trainer *t) {
    return &t->optim;
}

/* The weighted sum of the losses that are there. */
static ark_status read_loss(const ark_seg_trainer *t, const ark_run *run, double *loss) {
    float dice = 0, bce = 0;
    ARK_TRY(t->dice ? ark_run_read(run, t->train, t->dice, &dice) : ARK_OK);
    ARK_TRY(t->bce ? ark_run_read(run, t->train, t->bce, &bce) : ARK_OK);
    *loss = t->o.dice * (double)dice + t->o.bce * (double)bce;
    return isfinite(*loss)
               ? ARK_OK
               : ARK_ERR(ARK_EDEVICE, "the loss is not finite at step %llu: lower the learning rate",
                     (unsigned long long)run->step);
}

ark_status ark_seg_trainer_step(
    ark_seg_trainer *t, const ark_mask_batch *b, double lr, uint64_t step, double *loss) {
    ark_run run = {.space = t->space,
        .params = t->params,
        .weights = ARK_COL_STUDENT,
        .batch = b->n,
        .stochastic = true,
        .seed = t->o.seed,
        .step = step};
    const ark_seed seeds[] = {
        {.t = t->dice ? t->dice : t->bce, .scale = (float)(t->dice ? t->o.dice : t->o.bce)},
        {.t = t->bce, .scale = (float)t->o.bce}};
    double norm;
    ARK_TRY(ark_run_write(&run, t->train, t->t.image, b->image));
    ARK_TRY(ark_run_write(&run, t->train, t->target, b->target));
    ARK_TRY(ark_run_write(&run, t->train, t->count, b->count));
    ARK_TRY(ark_run_forward(&run, t->train));
    ARK_TRY(read_loss(t, &run, loss));
    ARK_TRY(ark_optim_zero(&t->optim, t->params, t->dev, t->active));
    ARK_TRY(ark_run_backward(&run, t->train, seeds, t->dice && t->bce ? 2 : 1));
    return ark_optim_step(&t->optim, t->params, t->dev, t->active, lr, &norm);
}

ark_status ark_seg_trainer_keep(ark_seg_trainer *t) {
    float *best = ark_params_column(t->params, ARK_COL_TEACHER);
    const float *now = ark_params_column(t->params, ARK_COL_STUDENT);
    ARK_TRY(t->dev->backend->ema(t->dev, best, now, 0, ark_params_elems(t->params)));
    return ark_params_refresh(t->params, ARK_COL_TEACHER);
}

ark_status ark_seg_trainer_predict(
    ark_seg_trainer *t, ark_column column, const float *image, int n, float *prob) {
    ark_run run = {.space = t->space, .params = t->params, .weights = column, .batch = n};
    ARK_TRY(ark_run_write(&run, t->infer, t->infer_t.image, image));
    ARK_TRY(ark_run_forward(&run, t->infer));
    ARK_TRY(ark_run_read(&run, t->infer, t->infer_t.logits, prob));
    int64_t values = ark_numel_per_sample(t->infer_t.logits) * n;
    for (int64_t i = 0; i < values; i++) {
        prob[i] = (float)(1 / (1 + exp(-(double)prob[i])));
    }
    return ARK_OK;
}
