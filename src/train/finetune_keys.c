/* The table of a fine-tuning's keys: adding one is a field in ark_finetune_config and a line here. Defaults
 * are the recipe of the Ark papers: SGD, lr 0.01, batch 64, at most 200 epochs, patience 10, ten crops. */
#include "train/finetune_config.h"

static const char *const on_bad[] = {"fail", "skip", NULL};
static const char *const features[] = {"encoder", "projected", NULL};
static const char *const freezes[] = {"none", "encoder", "features", NULL};
static const char *const filters[] = {"weights", "bilinear", "bicubic", NULL};
static const char *const norms[] = {"weights", "imagenet", "chestxray", NULL};
static const char *const optimizers[] = {"sgd", "adamw", NULL};
static const char *const schedules[] = {"cosine", "cosine-epoch", "constant", NULL};
static const char *const dtypes[] = {"f32", "bf16", NULL};
static const char *const mc_losses[] = {"ce", "bce", NULL};
static const char *const selects[] = {"loss", "auroc", NULL};
static const char *const uncertains[] = {"dataset", "lsr-ones", "ones", "zeros", "lsr-zeros", "mask", NULL};
static const char *const missings[] = {"dataset", "mask", "zero", NULL};

#define F(field) offsetof(ark_finetune_config, field)
#include "train/key_rows.inc"

static const ark_key keys[] = {
    PATH("data.config", run.data_config, "dataset YAML file"),
    TEXT("data.dataset", run.datasets, "", "the dataset to learn; may be empty when the file has one only"),
    WORD("data.on_bad_sample", run.on_bad, "fail", on_bad,
        "an unreadable image stops the run, or is left out and counted"),
    INT("data.workers", run.workers, "2", 1, 256, "loader threads"),
    INT("data.ring", run.ring, "4", 2, 64, "batches prepared ahead"),
    INT("data.cache_mb", run.cache_mb, "0", 0, 1 << 20,
        "MiB of decoded images kept in memory; changes no result"),
    WORD("data.uncertain", run.uncertain, "dataset", uncertains,
        "rule for -1 labels; 'dataset' = as its entry says"),
    WORD("data.missing", run.missing, "dataset", missings,
        "rule for blank labels; 'dataset' = as its entry says"),

    PATH("model.from", from, "weight file to start from (--from); empty = from scratch"),
    TEXT("model.arch", run.arch, "",
        "architecture; empty = that of the weights. Another input side than theirs is allowed"),
    WORD("model.features", features, "encoder", features,
        "the head reads pooled encoder features, or those behind the weights' projector"),
    REAL("model.drop_path", run.drop_path, "0.1", 0, 0.9,
        "largest stochastic-depth rate; none in a frozen encoder"),

    INT("preprocess.resize_px", run.resize_px, "0", 0, 4096,
        "side before a crop; 0 = that of the weights, or 8/7 of the input side"),
    WORD("preprocess.filter", filter, "weights", filters, "resampling filter; from scratch: bilinear"),
    WORD("preprocess.normalization", normalization, "weights", norms,
        "mean and standard deviation; from scratch: imagenet"),

    REAL("augment.crop_scale_min", run.augment.crop_scale[0], "0.08", 0.001, 1,
        "smallest share of the area in a crop"),
    REAL("augment.crop_scale_max", run.augment.crop_scale[1], "1", 0.001, 1,
        "largest share of the area in a crop"),
    REAL("augment.crop_ratio_min", run.augment.crop_ratio[0], "0.75", 0.1, 10,
        "smallest width / height of a crop"),
    REAL("augment.crop_ratio_max", run.augment.crop_ratio[1], "1.3333333333333333", 0.1, 10,
        "largest width / height of a crop"),
    REAL("augment.flip_p", run.augment.flip_p, "0.5", 0, 1, "chance of a left-right mirror"),
    REAL("augment.affine_p", run.augment.affine_p, "1", 0, 1, "chance of shift, scale and rotation"),
    REAL("augment.shift", run.augment.shift, "0", 0, 1, "largest shift, share of the side"),
    REAL("augment.scale", run.augment.scale, "0", 0, 0.9, "largest zoom"),
    REAL("augment.rotate_deg", run.augment.rotate_deg, "7", 0, 180, "largest rotation, degrees"),
    REAL("augment.intensity_p", run.augment.intensity_p, "0", 0, 1, "chance of brightness/contrast or gamma"),
    REAL("augment.brightness", run.augment.brightness, "0.2", 0, 1, "largest brightness change"),
    REAL("augment.contrast", run.augment.contrast, "0.2", 0, 1, "largest contrast change"),
    REAL("augment.gamma_min", run.augment.gamma[0], "0.8", 0.05, 20, "smallest gamma"),
    REAL("augment.gamma_max", run.augment.gamma[1], "1.2", 0.05, 20, "largest gamma"),

    INT("train.epochs", run.epochs, "200", 1, 1000000, "passes over the training split, at most"),
    INT("train.patience", patience, "10", 0, 1000000,
        "epochs without a better validation value before a trial ends; 0 = never"),
    WORD("train.select", select, "loss", selects,
        "validation value that ends a trial and picks its epoch: lowest loss, or highest mean AUROC"),
    INT("train.trials", trials, "1", 1, 1000, "repetitions; trial i draws from seed + i - 1"),
    INT("train.seed", run.seed, "1", 0, INT32_MAX - 1000, "key of every random draw of the first trial"),
    INT("train.batch", run.batch, "64", 1, 65536, "samples per optimizer step"),
    WORD("train.freeze", freeze, "none", freezes,
        "what keeps its weights: nothing, the encoder, or all features (only the head learns)"),
    REAL("train.layer_decay", layer_decay, "1", 0.01, 1,
        "learning rate of a layer over that of the next one towards the head"),
    WORD("train.dtype", run.dtype, "f32", dtypes,
        "compute type; master weights and statistics are always f32"),
    BOOL("train.drop_last", run.drop_last, "false", "leave out the last partial batch of an epoch"),
    BOOL("train.recompute", run.recompute, "false",
        "backward computes activations again instead of keeping them; changes no result"),
    WORD("train.multiclass_loss", run.multiclass_loss, "ce", mc_losses, "loss of multi-class heads"),
    REAL("train.label_smoothing", label_smoothing, "0", 0, 0.9,
        "share of a training label spread over all classes, or over yes and no"),

    WORD("train.optimizer", run.optimizer, "sgd", optimizers, "SGD is Nesterov"),
    REAL("train.lr", run.lr, "0.01", 0, 1000, "peak learning rate"),
    REAL("train.lr_min", run.lr_min, "1e-5", 0, 1000, "floor of the cosine"),
    REAL("train.warmup_lr", run.warmup_lr, "1e-6", 0, 1000, "learning rate of the first step of the warm-up"),
    REAL(
        "train.warmup_epochs", run.warmup_epochs, "0", 0, 1000000, "length of the linear warm-up, in epochs"),
    WORD("train.schedule", run.schedule, "cosine", schedules, "learning-rate schedule"),
    REAL("train.momentum", run.momentum, "0.9", 0, 0.9999, "SGD momentum"),
    REAL("train.weight_decay", run.weight_decay, "0", 0, 10,
        "on matrices only (not biases, norms, bias tables)"),
    REAL("train.clip_grad", run.clip_grad, "0", 0, 1e9, "largest gradient norm; 0 = off"),
    REAL("train.adam_beta1", run.adam_beta1, "0.9", 0, 0.99999, "AdamW"),
    REAL("train.adam_beta2", run.adam_beta2, "0.999", 0, 0.9999999, "AdamW"),
    REAL("train.adam_eps", run.adam_eps, "1e-8", 0, 1, "AdamW"),
    INT("train.checkpoint_steps", run.checkpoint_steps, "0", 0, 1000000000,
        "also write a checkpoint every so many steps; 0 = only at the end of an epoch"),
    TEXT("train.backend", run.backend, "cpu", "device: cpu, cuda, ref"),

    BOOL("test.ten_crop", ten_crop, "true", "mean probability over ten crops instead of the centre crop"),
    REAL("test.sensitivity", sensitivity, "0.9", 0, 1,
        "sensitivity on validation that a second operating point must reach; 0 = only Youden's"),
    INT("test.bootstrap", replicates, "1000", 0, 1000000,
        "resamples of patients for the intervals; 0 = DeLong's, per class only"),
};

const ark_key_table ark_finetune_keys = {
    .keys = keys, .n = sizeof keys / sizeof keys[0], .origins = F(origins), .example_section = "train"};
