/* The table of keys: adding an option is a field in ark_train_config and a line here. */
#include "train/config_impl.h"

static const char *const off_on_bad[] = {"fail", "skip", NULL};
static const char *const projectors[] = {"none", "linear", "mlp", NULL};
static const char *const filters[] = {"bilinear", "bicubic", NULL};
static const char *const norms[] = {"imagenet", "chestxray", NULL};
static const char *const optimizers[] = {"sgd", "adamw", NULL};
static const char *const schedules[] = {"cosine", "cosine-epoch", "constant", "as-released", NULL};
static const char *const dtypes[] = {"f32", "bf16", NULL};
static const char *const modes[] = {"cyclic", "concurrent", NULL};
static const char *const ema_modes[] = {"epoch", "iteration", NULL};
static const char *const starts[] = {"copy", "independent", NULL};
static const char *const views[] = {"plain", "student", NULL};
static const char *const mc_losses[] = {"ce", "bce", NULL};
static const char *const uncertains[] = {"dataset", "lsr-ones", "ones", "zeros", "lsr-zeros", "mask", NULL};
static const char *const missings[] = {"dataset", "mask", "zero", NULL};

#define F(field) offsetof(ark_train_config, field)
#include "train/key_rows.inc"

static const ark_key keys[] = {
    PATH("data.config", data_config, "dataset YAML file"),
    LIST("data.datasets", datasets, "datasets in cyclic order; empty = all of the file"),
    WORD("data.on_bad_sample", on_bad, "fail", off_on_bad,
        "an unreadable image stops the run, or is left out and counted"),
    INT("data.workers", workers, "2", 1, 256, "loader threads"),
    INT("data.ring", ring, "4", 2, 64, "batches prepared ahead"),
    INT("data.cache_mb", cache_mb, "0", 0, 1 << 20,
        "MiB of decoded images kept in memory; changes no result"),
    WORD("data.uncertain", uncertain, "dataset", uncertains,
        "rule for -1 labels; 'dataset' = as its entry says"),
    WORD(
        "data.missing", missing, "dataset", missings, "rule for blank labels; 'dataset' = as its entry says"),

    TEXT("model.arch", arch, "swin_base_224", "architecture, see arkfm plan"),
    WORD("model.projector", projector, "linear", projectors, "projector between pooled features and heads"),
    INT("model.projector_dim", projector_dim, "1376", 1, 65536, "width of the projected features"),
    REAL("model.drop_path", drop_path, "0.1", 0, 0.9, "largest stochastic-depth rate of the student"),
    PATH("model.init", init, "weight file whose encoder starts the run; empty = timm's initialisation"),
    TEXT("model.init_key", init_key, "",
        "which weights of a .pth; empty = teacher, else state_dict, model, ..."),

    INT("preprocess.resize_px", resize_px, "0", 0, 4096, "side before a crop; 0 = 8/7 of the input side"),
    WORD("preprocess.filter", filter, "bilinear", filters, "resampling filter"),
    WORD("preprocess.normalization", normalization, "imagenet", norms, "mean and standard deviation"),

    REAL("augment.crop_scale_min", augment.crop_scale[0], "0.08", 0.001, 1,
        "smallest share of the area in a crop"),
    REAL("augment.crop_scale_max", augment.crop_scale[1], "1", 0.001, 1,
        "largest share of the area in a crop"),
    REAL("augment.crop_ratio_min", augment.crop_ratio[0], "0.75", 0.1, 10,
        "smallest width / height of a crop"),
    REAL("augment.crop_ratio_max", augment.crop_ratio[1], "1.3333333333333333", 0.1, 10,
        "largest width / height of a crop"),
    REAL("augment.flip_p", augment.flip_p, "0", 0, 1, "chance of a left-right mirror"),
    REAL("augment.affine_p", augment.affine_p, "0.5", 0, 1, "chance of shift, scale and rotation"),
    REAL("augment.shift", augment.shift, "0.0625", 0, 1, "largest shift, share of the side"),
    REAL("augment.scale", augment.scale, "0.1", 0, 0.9, "largest zoom"),
    REAL("augment.rotate_deg", augment.rotate_deg, "10", 0, 180, "largest rotation, degrees"),
    REAL("augment.intensity_p", augment.intensity_p, "0.3", 0, 1, "chance of brightness/contrast or gamma"),
    REAL("augment.brightness", augment.brightness, "0.2", 0, 1, "largest brightness change"),
    REAL("augment.contrast", augment.contrast, "0.2", 0, 1, "largest contrast change"),
    REAL("augment.gamma_min", augment.gamma[0], "0.8", 0.05, 20, "smallest gamma"),
    REAL("augment.gamma_max", augment.gamma[1], "1.2", 0.05, 20, "largest gamma"),

    INT("train.epochs", epochs, "200", 1, 1000000, "cycles over all datasets"),
    INT("train.batch", batch, "200", 1, 65536, "samples per optimizer step"),
    INT("train.seed", seed, "1", 0, INT32_MAX, "key of every random draw"),
    WORD("train.dtype", dtype, "f32", dtypes, "compute type; master weights and statistics are always f32"),
    WORD("train.mode", mode, "cyclic", modes, "one dataset after the other, or batches mixed from all"),
    BOOL("train.union_head", union_head, "false",
        "one head over the union of the class names instead of one per dataset"),
    BOOL("train.drop_last", drop_last, "false", "leave out the last partial batch of an epoch"),
    BOOL("train.recompute", recompute, "false",
        "backward computes activations again instead of keeping them; changes no result"),
    WORD("train.multiclass_loss", multiclass_loss, "ce", mc_losses, "loss of multi-class heads"),

    WORD("train.optimizer", optimizer, "sgd", optimizers, "SGD is Nesterov"),
    REAL("train.lr", lr, "0.3", 0, 1000, "peak learning rate"),
    REAL("train.lr_min", lr_min, "1e-5", 0, 1000, "floor of the cosine"),
    REAL("train.warmup_lr", warmup_lr, "1e-6", 0, 1000, "learning rate of the first step of the warm-up"),
    REAL("train.warmup_epochs", warmup_epochs, "20", 0, 1000000, "length of the linear warm-up, in epochs"),
    WORD("train.schedule", schedule, "cosine", schedules, "learning-rate schedule"),
    REAL("train.momentum", momentum, "0.9", 0, 0.9999, "SGD momentum"),
    REAL("train.weight_decay", weight_decay, "0", 0, 10, "on matrices only (not biases, norms, bias tables)"),
    REAL("train.clip_grad", clip_grad, "0", 0, 1e9, "largest gradient norm; 0 = off"),
    REAL("train.adam_beta1", adam_beta1, "0.9", 0, 0.99999, "AdamW"),
    REAL("train.adam_beta2", adam_beta2, "0.999", 0, 0.9999999, "AdamW"),
    REAL("train.adam_eps", adam_eps, "1e-8", 0, 1, "AdamW"),

    BOOL("train.teacher", teacher, "true", "keep an EMA teacher (off: ablation)"),
    WORD("train.teacher_start", teacher_start, "copy", starts,
        "teacher starts as the student, or with its own projector and heads"),
    WORD("train.teacher_view", teacher_view, "plain", views,
        "teacher sees a plain resize (Ark+) or the student's crop (Ark)"),
    WORD("train.ema_mode", ema_mode, "epoch", ema_modes, "EMA once per dataset-epoch, or every step"),
    REAL("train.ema_momentum", ema_momentum, "0.9", 0, 1, "m0; grows to 1 on a cosine"),
    BOOL("train.consistency", consistency, "true",
        "guide the student by the teacher's features (off: ablation)"),
    REAL("train.consistency_max", consistency_max, "0.5", 0, 1,
        "weight of the consistency loss at the end of its cosine"),

    INT("train.test_every", test_every, "10", 0, 1000000,
        "epochs between test evaluations; 0 = only at the end"),
    INT("train.keep_last", keep_last, "2", 1, 1000000, "checkpoints kept besides the best"),
    INT("train.checkpoint_steps", checkpoint_steps, "0", 0, 1000000000,
        "also write a checkpoint every so many steps; 0 = only at the end of an epoch"),
    TEXT("train.backend", backend, "cpu", "device: cpu, cuda, ref"),
};

const ark_key_table ark__train_keys = {
    .keys = keys, .n = sizeof keys / sizeof keys[0], .origins = F(origins), .example_section = "train"};
