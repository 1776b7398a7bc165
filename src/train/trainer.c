#include "train/trainer.h"

#include "backend/backend.h"
#include "base/alloc.h"
#include "base/err.h"
#include "core/ops.h"
#include "train/layer_lr.h"

#include <math.h>
#include <string.h>

/* What one head contributes to a task's plan. */
typedef struct task_head {
    int head, column; /* index in the net; first column in the batch's label rows */
    ark_tensor *labels, *mask, *loss;
} task_head;

/* The student's plan for one batch of one dataset (or of all, in concurrent training). */
typedef struct task {
    ark_plan *plan;
    ark_net_tensors trunk;
    ark_tensor *target, *mse; /* the teacher's projected features; NULL without a teacher */
    int n_heads;
    task_head *heads;
    bool *active; /* per parameter group */
} task;

struct ark_trainer {
    const ark_net *net;
    ark_dev *dev;
    ark_trainer_opts opts;
    ark_params *params;
    ark_optim optim;
    int n_tasks;
    task *tasks;
    ark_plan *teacher; /* INFER */
    ark_net_tensors teacher_out;
    ark_space *space;
    float *features; /* (batch, D) teacher's projected features on the host */
    float *labels;   /* (batch, K) one head's columns, gathered */
};

static int64_t max_classes(const ark_net *net) {
    int64_t k = 1;
    for (int i = 0; i < net->n_heads; i++) {
        k = net->heads[i].n_classes > k ? net->heads[i].n_classes : k;
    }
    return k;
}

/* Head i's logits, label inputs and loss, added to a task's plan. */
static void add_head(ark_trainer *t, task *k, int slot, int i, int column) {
    const ark_head *h = &t->net->heads[i];
    int64_t dims[2] = {t->opts.batch, h->n_classes};
    task_head *th = &k->heads[slot];
    *th = (task_head){.head = i, .column = column};
    ark_tensor *logits = ark_net_head(k->plan, t->net, k->trunk.projected, i);
    th->labels = ark_plan_input(k->plan, "labels", 2, dims, false);
    th->mask = ark_plan_input(k->plan, "mask", 2, dims, false);
    bool softmax = h->task == ARK_MULTICLASS && !t->opts.multiclass_bce;
    th->loss = softmax ? ark_softmax_ce(k->plan, logits, th->labels, th->mask)
                       : ark_bce_logits(k->plan, logits, th->labels, th->mask);
    ark_plan_output(k->plan, th->loss);
    k->active[1 + i] = true;
}

static ark_status build_task(ark_trainer *t, task *k, int first, int n) {
    int64_t dims[2] = {t->opts.batch, ark_net_features(t->net)};
    ARK_TRY(ARK_NEW(&k->active, 1 + (size_t)t->net->n_heads, "a task"));
    ARK_TRY(ARK_NEW(&k->heads, (size_t)n, "a task"));
    ARK_TRY(ark_plan_new(t->params, t->opts.batch, t->opts.cdt, &k->plan));
    k->active[0] = true;
    k->n_heads = n;
    k->trunk = ark_net_trunk(k->plan, t->net);
    for (int i = 0, column = 0; i < n; i++) {
        add_head(t, k, i, first + i, column);
        column += t->net->heads[first + i].n_classes;
    }
    if (t->opts.teacher) {
        ark_plan_label(k->plan, "consistency");
        k->target = ark_plan_input(k->plan, "teacher_features", 2, dims, false);
        k->mse = ark_plan_output(k->plan, ark_mse(k->plan, k->trunk.projected, k->target));
    }
    if (t->opts.recompute) {
        ark_plan_recompute(k->plan);
    }
    return ark_plan_finish(k->plan, t->dev, ARK_PLAN_TRAIN);
}

static ark_status build_plans(ark_trainer *t) {
    t->n_tasks = t->opts.concurrent ? 1 : t->net->n_heads;
    ARK_TRY(ARK_NEW(&t->tasks, (size_t)t->n_tasks, "tasks"));
    for (int i = 0; i < t->n_tasks; i++) {
        ARK_TRY(build_task(t, &t->tasks[i], i, t->opts.concurrent ? t->net->n_heads : 1));
    }
    if (t->opts.teacher) {
        ARK_TRY(ark_plan_new(t->params, t->opts.batch, t->opts.cdt, &t->teacher));
        t->teacher_out = ark_net_trunk(t->teacher, t->net);
        ARK_TRY(ark_plan_finish(t->teacher, t->dev, ARK_PLAN_INFER));
    }
    return ARK_OK;
}

static ark_status build_memory(ark_trainer *t) {
    ark_plan **plans;
    int n = t->n_tasks + (t->teacher != NULL);
    ARK_TRY(ARK_NEW(&plans, (size_t)n, "the list of plans"));
    for (int i = 0; i < n; i++) {
        plans[i] = i < t->n_tasks ? t->tasks[i].plan : t->teacher;
    }
    ark_status st = ark_space_new(t->dev, plans, n, false, &t->space);
    ark_free(plans);
    ARK_TRY(st);
    ARK_TRY(
        ARK_NEW(&t->features, (size_t)t->opts.batch * (size_t)ark_net_features(t->net), "teacher features"));
    return ARK_NEW(&t->labels, (size_t)t->opts.batch * (size_t)max_classes(t->net), "labels");
}

static ark_status init_optim(ark_trainer *t) {
    double *scale;
    ARK_TRY(ARK_NEW(&scale, (size_t)ark_params_count(t->params), "learning rates"));
    ark_status st = ark_layer_lr(t->net, t->params, t->opts.layer_decay, scale);
    st = st ? st : ark_optim_init(&t->optim, t->params, scale);
    ark_free(scale);
    return st;
}

static ark_status build(ark_trainer *t) {
    unsigned columns = 1u << ARK_COL_STUDENT | 1u << ARK_COL_GRAD | 1u << ARK_COL_MOMENT1;
    columns |= t->opts.teacher ? 1u << ARK_COL_TEACHER : 0;
    columns |= t->optim.adamw ? 1u << ARK_COL_MOMENT2 : 0;
    ARK_TRY(ark_params_new(&t->params));
    ARK_TRY(ark_net_declare(t->net, t->params));
    ARK_TRY(init_optim(t));
    ARK_TRY(ark_params_alloc(t->params, t->dev, columns, t->opts.cdt == ARK_BF16));
    ARK_TRY(build_plans(t));
    ARK_TRY(build_memory(t));
    ARK_TRY(ark_params_init(t->params, ARK_COL_STUDENT, t->opts.seed));
    if (t->opts.teacher && t->opts.teacher_independent) {
        ARK_TRY(ark_params_init(t->params, ARK_COL_TEACHER, t->opts.seed ^ 0x7465616368657221u));
    }
    return ark_trainer_loaded(t, !t->opts.teacher_independent);
}

ark_status ark_trainer_new(
    const ark_net *net, const ark_trainer_opts *opts, ark_dev *dev, ark_trainer **out) {
    ark_trainer *t;
    if (net->n_heads < 1) {
        return ARK_ERR(ARK_EINVAL, "a network without heads cannot be trained");
    }
    ARK_TRY(ARK_NEW(&t, 1, "a trainer"));
    t->net = net;
    t->dev = dev;
    t->opts = *opts;
    t->optim = opts->optim;
    ark_status st = build(t);
    if (st != ARK_OK) {
        ark_trainer_free(t);
        return st;
    }
    *out = t;
    return ARK_OK;
}

void ark_trainer_free(ark_trainer *t) {
    if (!t) {
        return;
    }
    for (int i = 0; i < t->n_tasks && t->tasks; i++) {
        ark_plan_free(t->tasks[i].plan);
        ark_free(t->tasks[i].heads);
        ark_free(t->tasks[i].active);
    }
    ark_plan_free(t->teacher);
    ark_space_free(t->space);
    ark_free(t->tasks);
    ark_free(t->features);
    ark_free(t->labels);
    ark_optim_free(&t->optim);
    ark_params_free(t->params);
    ark_free(t);
}

/* The encoder of an independent teacher equals the student's (upstream starts both from
 * the same pretrained encoder). */
static ark_status share_encoder(ark_trainer *t) {
    float *teacher = ark_params_column(t->params, ARK_COL_TEACHER);
    const float *student = ark_params_column(t->params, ARK_COL_STUDENT);
    for (int i = 0; i < ark_params_count(t->params); i++) {
        const ark_param *p = ark_params_at(t->params, i);
        if (p->group == 0 && strncmp(p->name, "projector.", 10) != 0) {
            ARK_TRY(t->dev->backend->ema(t->dev, teacher + p->offset, student + p->offset, 0, p->numel));
        }
    }
    return ARK_OK;
}

ark_status ark_trainer_loaded(ark_trainer *t, bool copy_to_teacher) {
    ARK_TRY(ark_params_refresh(t->params, ARK_COL_STUDENT));
    if (!t->opts.teacher) {
        return ARK_OK;
    }
    if (copy_to_teacher) {
        return ark_trainer_ema(t, 0);
    }
    ARK_TRY(share_encoder(t));
    return ark_params_refresh(t->params, ARK_COL_TEACHER);
}

ark_status ark_trainer_ema(ark_trainer *t, double m) {
    float *teacher = ark_params_column(t->params, ARK_COL_TEACHER);
    if (!teacher) {
        return ARK_OK;
    }
    const float *student = ark_params_column(t->params, ARK_COL_STUDENT);
    ARK_TRY(t->dev->backend->ema(t->dev, teacher, student, (float)m, ark_params_elems(t->params)));
    return ark_params_refresh(t->params, ARK_COL_TEACHER);
}

static ark_run make_run(const ark_trainer *t, const ark_step *s, bool teacher) {
    return (ark_run){.space = t->space,
        .params = t->params,
        .weights = teacher ? ARK_COL_TEACHER : ARK_COL_STUDENT,
        .batch = s->n,
        .stochastic = !teacher,
        .seed = t->opts.seed,
        .step = s->step};
}

/* The teacher's features on its own view, without drop-path and without gradients; zeros
 * when it does not guide. */
static ark_status teach(ark_trainer *t, const ark_step *s) {
    if (s->consistency <= 0) {
        memset(t->features, 0, (size_t)s->n * (size_t)ark_net_features(t->net) * sizeof *t->features);
        return ARK_OK;
    }
    ark_run run = make_run(t, s, true);
    ARK_TRY(ark_run_write(&run, t->teacher, t->teacher_out.image, s->teacher));
    ARK_TRY(ark_run_forward(&run, t->teacher));
    return ark_run_read(&run, t->teacher, t->teacher_out.projected, t->features);
}

static const float *gather(ark_trainer *t, const float *rows, int n, int width, int column, int k) {
    if (width == k) {
        return rows;
    }
    for (int i = 0; i < n; i++) {
        memcpy(t->labels + (size_t)i * (size_t)k, rows + (size_t)i * (size_t)width + column,
            (size_t)k * sizeof *rows);
    }
    return t->labels;
}

/* How much of the task loss each head carries: its share of the batch's samples with any
 * label. One head: all of it. */
static double head_share(const ark_trainer *t, const task *k, const ark_step *s, int slot) {
    int64_t total = 0, mine = 0;
    for (int j = 0; j < k->n_heads; j++) {
        int classes = t->net->heads[k->heads[j].head].n_classes;
        for (int i = 0; i < s->n; i++) {
            const float *m = s->mask + (size_t)i * (size_t)s->width + k->heads[j].column;
            bool any = false;
            for (int c = 0; c < classes; c++) {
                any |= m[c] != 0;
            }
            total += any;
            mine += any && j == slot;
        }
    }
    return k->n_heads == 1 ? 1 : total ? (double)mine / (double)total : 0;
}

static ark_status write_inputs(ark_trainer *t, task *k, const ark_step *s, const ark_run *run) {
    ARK_TRY(ark_run_write(run, k->plan, k->trunk.image, s->student));
    for (int j = 0; j < k->n_heads; j++) {
        const task_head *h = &k->heads[j];
        int classes = t->net->heads[h->head].n_classes;
        ARK_TRY(
            ark_run_write(run, k->plan, h->labels, gather(t, s->labels, s->n, s->width, h->column, classes)));
        ARK_TRY(ark_run_write(run, k->plan, h->mask, gather(t, s->mask, s->n, s->width, h->column, classes)));
    }
    return k->target ? ark_run_write(run, k->plan, k->target, t->features) : ARK_OK;
}

/* Losses after the forward pass; seeds for the backward pass. */
static ark_status read_losses(
    ark_trainer *t, task *k, const ark_step *s, const ark_run *run, ark_seed *seeds, ark_step_result *out) {
    double c = t->opts.teacher ? s->consistency : 0;
    out->task_loss = 0;
    for (int j = 0; j < k->n_heads; j++) {
        float value;
        double share = head_share(t, k, s, j);
        ARK_TRY(ark_run_read(run, k->plan, k->heads[j].loss, &value));
        out->task_loss += share * (double)value;
        seeds[j] = (ark_seed){.t = k->heads[j].loss, .scale = (float)((1 - c) * share)};
    }
    out->consistency_loss = NAN;
    if (k->mse && c > 0) {
        float value;
        ARK_TRY(ark_run_read(run, k->plan, k->mse, &value));
        out->consistency_loss = (double)value;
    }
    out->loss = (1 - c) * out->task_loss + (c > 0 ? c * out->consistency_loss : 0);
    seeds[k->n_heads] = (ark_seed){.t = k->mse, .scale = (float)c};
    return isfinite(out->loss)
               ? ARK_OK
               : ARK_ERR(ARK_EDEVICE, "the loss is not finite at step %llu: lower the learning rate",
                     (unsigned long long)s->step);
}

ark_status ark_trainer_step(ark_trainer *t, const ark_step *s, ark_step_result *out) {
    enum { MAX_SEEDS = 65 };
    task *k = &t->tasks[s->task];
    ark_seed seeds[MAX_SEEDS];
    if (k->n_heads >= MAX_SEEDS) {
        return ARK_ERR(ARK_EINVAL, "%d heads in one task, limit %d", k->n_heads, MAX_SEEDS - 1);
    }
    if (k->target) {
        ARK_TRY(teach(t, s));
    }
    ark_run run = make_run(t, s, false);
    ARK_TRY(write_inputs(t, k, s, &run));
    ARK_TRY(ark_run_forward(&run, k->plan));
    ARK_TRY(read_losses(t, k, s, &run, seeds, out));
    ARK_TRY(ark_optim_zero(&t->optim, t->params, t->dev, k->active));
    ARK_TRY(ark_run_backward(&run, k->plan, seeds, k->n_heads + (k->mse != NULL)));
    return ark_optim_step(&t->optim, t->params, t->dev, k->active, s->lr, &out->grad_norm);
}

ark_params *ark_trainer_params(ark_trainer *t) {
    return t->params;
}

ark_optim *ark_trainer_optim(ark_trainer *t) {
    return &t->optim;
}

double ark_trainer_flops_per_image(const ark_trainer *t) {
    double flops = ark_plan_flops_fwd(t->tasks[0].plan) + ark_plan_flops_bwd(t->tasks[0].plan);
    flops += t->teacher ? ark_plan_flops_fwd(t->teacher) : 0;
    return flops / t->opts.batch;
}

size_t ark_trainer_bytes(const ark_trainer *t) {
    size_t act = 0, scratch = 0, columns = 0;
    for (int i = 0; i < t->n_tasks; i++) {
        size_t a = ark_plan_act_bytes(t->tasks[i].plan), b = ark_plan_scratch_bytes(t->tasks[i].plan);
        act = a > act ? a : act;
        scratch = b > scratch ? b : scratch;
    }
    for (int c = 0; c < ARK_COL_COUNT; c++) {
        columns += ark_params_column(t->params, (ark_column)c) != NULL;
    }
    return act + scratch + columns * (size_t)ark_params_elems(t->params) * sizeof(float);
}

ark_dev *ark_trainer_device(ark_trainer *t) {
    return t->dev;
}
