/* ark/train.h over train/pretrain.h: a file and overrides instead of a parsed configuration. */
#include "ark/train.h"

#include "train/pretrain.h"

ark_train_opts ark_train_default_opts(void) {
    return (ark_train_opts){0};
}

static void on_progress(void *arg, const ark_progress *p) {
    const ark_train_opts *o = arg;
    ark_train_progress out = {
        .dataset = p->dataset,
        .epoch = p->epoch,
        .epochs = p->epochs,
        .batch = p->batch,
        .batches = p->batches,
        .step = p->step,
        .steps = p->steps,
        .loss = p->loss,
        .task_loss = p->task_loss,
        .consistency_loss = p->consistency_loss,
        .grad_norm = p->grad_norm,
        .lr = p->lr,
        .momentum = p->momentum,
        .consistency = p->consistency,
        .images_per_s = p->images_per_s,
        .eta_s = p->eta_s,
        .peak_bytes = p->peak_bytes,
    };
    o->on_progress(o->user, &out);
}

static void on_message(void *arg, const char *line) {
    const ark_train_opts *o = arg;
    o->on_message(o->user, line);
}

static bool should_stop(void *arg) {
    const ark_train_opts *o = arg;
    return o->should_stop(o->user);
}

static ark_status run(
    const ark_train_config *c, const char *out_dir, ark_train_opts *o, ark_train_result *result) {
    ark_pretrain_opts po = {
        .out_dir = out_dir,
        .resume = o->resume,
        .threads = o->threads,
        .on_progress = o->on_progress ? on_progress : NULL,
        .on_message = o->on_message ? on_message : NULL,
        .should_stop = o->should_stop ? should_stop : NULL,
        .arg = o,
    };
    ark_pretrain_result r;
    ark_status st = ark_pretrain(c, &po, &r);
    if (st == ARK_OK && result) {
        *result = (ark_train_result){
            .epochs = r.epochs,
            .steps = r.steps,
            .images = r.images,
            .skipped = r.skipped,
            .val_loss = r.val_loss,
            .best_loss = r.best_loss,
            .best_epoch = r.best_epoch,
            .seconds = r.seconds,
        };
    }
    return st;
}

ark_status ark_train_pretrain(
    const char *run_yaml, const char *out_dir, const ark_train_opts *opts, ark_train_result *result) {
    ark_train_opts o = opts ? *opts : ark_train_default_opts();
    ark_train_config c;
    ark_status st = ark_config_read(run_yaml, &c);
    for (size_t i = 0; st == ARK_OK && i < o.n_set; i++) {
        st = ark_config_set(&c, o.set[i]);
    }
    st = st ? st : run(&c, out_dir, &o, result);
    ark_config_free(&c);
    return st;
}
