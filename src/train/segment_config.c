#include "train/segment_config.h"

#include "base/err.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const char *const filters[] = {"weights", "bilinear", "bicubic", NULL};
static const char *const norms[] = {"weights", "imagenet", "chestxray", NULL};
static const char *const optimizers[] = {"sgd", "adamw", NULL};
static const char *const schedules[] = {"cosine", "constant", NULL};

#define F(field) offsetof(ark_segment_config, field)
#include "train/key_rows.inc"

static const ark_key keys[] = {
    PATH("data.list", list, "CSV of images, one mask file per class, splits"),
    PATH("data.data_dir", data_dir, "folder of the images and masks; empty = that of the list"),
    PATH("data.external", external, "a second list, all of it or its test split, only tested on"),
    LIST("data.classes", classes, "names of what is segmented, in the order of the outputs"),
    TEXT("data.mask_column", mask_column, "mask_{class}", "column of a class's mask file"),
    TEXT("data.image", image, "path", "column of the image file"),
    TEXT("data.patient", patient, "patient_id", "column of the patient; each row its own without it"),
    TEXT("data.split", split, "split", "column of train, val, test"),
    INT("data.foreground", foreground, "128", 1, 255, "grey levels of a mask from here on are the class"),
    INT("data.ignore", ignore, "-1", -1, 255, "grey level that counts nowhere; -1 = none"),
    REAL("data.fraction", fraction, "1", 1e-6, 1, "share of the training images used, drawn from the seed"),

    PATH("model.from", from, "weight file whose encoder starts the run; empty = from scratch"),
    TEXT("model.arch", arch, "", "architecture from scratch, or at another size than the weights'"),
    INT("model.channels", channels, "128", 1, 4096, "channels of the decoder's maps"),
    REAL("model.drop_path", drop_path, "0.1", 0, 0.9, "largest stochastic-depth rate"),

    WORD("preprocess.filter", filter, "weights", filters, "resampling filter; 'weights' = theirs"),
    WORD("preprocess.normalization", normalization, "weights", norms,
        "mean and standard deviation; 'weights' = theirs"),

    REAL("augment.crop_scale_min", augment.crop_scale[0], "1", 0.001, 1,
        "smallest share of the area in a crop"),
    REAL("augment.flip_p", augment.flip_p, "0", 0, 1, "chance of a left-right mirror"),
    REAL("augment.affine_p", augment.affine_p, "0.5", 0, 1, "chance of shift, scale and rotation"),
    REAL("augment.shift", augment.shift, "0.0625", 0, 1, "largest shift, share of the side"),
    REAL("augment.scale", augment.scale, "0.1", 0, 0.9, "largest zoom"),
    REAL("augment.rotate_deg", augment.rotate_deg, "10", 0, 180, "largest rotation, degrees"),
    REAL("augment.intensity_p", augment.intensity_p, "0.5", 0, 1, "chance of brightness/contrast or gamma"),
    REAL("augment.brightness", augment.brightness, "0.2", 0, 1, "largest brightness change"),
    REAL("augment.contrast", augment.contrast, "0.2", 0, 1, "largest contrast change"),

    INT("train.epochs", epochs, "500", 1, 1000000, "passes over the training images, at most"),
    INT("train.batch", batch, "32", 2, 4096, "images per optimizer step, at most"),
    INT("train.seed", seed, "1", 0, INT32_MAX, "key of every random draw"),
    INT("train.patience", patience, "50", 0, 1000000,
        "epochs without a better validation Dice before the run ends; 0 = never"),
    BOOL("train.freeze", freeze, "false", "the encoder learns nothing"),
    REAL("train.dice", dice, "1", 0, 1000, "weight of the soft Dice loss"),
    REAL("train.bce", bce, "0", 0, 1000, "weight of the binary cross-entropy per pixel"),
    REAL("train.smooth", smooth, "1", 1e-9, 1e9, "added to both sides of the Dice fraction"),
    WORD("train.optimizer", optimizer, "sgd", optimizers, "SGD is Nesterov"),
    REAL("train.lr", lr, "0.05", 0, 1000, "peak learning rate"),
    REAL("train.lr_min", lr_min, "0", 0, 1000, "floor of the cosine"),
    REAL("train.warmup_lr", warmup_lr, "1e-6", 0, 1000, "learning rate of the first step of the warm-up"),
    REAL("train.warmup_epochs", warmup_epochs, "20", 0, 1000000, "length of the linear warm-up, in epochs"),
    WORD("train.schedule", schedule, "cosine", schedules, "learning-rate schedule, per step"),
    REAL("train.momentum", momentum, "0.9", 0, 0.9999, "SGD momentum"),
    REAL("train.weight_decay", weight_decay, "0", 0, 10, "on matrices only"),
    REAL("train.clip_grad", clip_grad, "0", 0, 1e9, "largest gradient norm; 0 = off"),
    REAL("train.adam_beta1", adam_beta1, "0.9", 0, 0.99999, "AdamW"),
    REAL("train.adam_beta2", adam_beta2, "0.999", 0, 0.9999999, "AdamW"),
    REAL("train.adam_eps", adam_eps, "1e-8", 0, 1, "AdamW"),
    TEXT("train.backend", backend, "cpu", "device: cpu, cuda, ref"),

    REAL("test.threshold", threshold, "0.5", 1e-6, 0.999999,
        "probability from which a pixel is called the class"),
    INT("test.bootstrap", replicates, "1000", 1, 1000000, "resamples of patients for the intervals"),
    INT("test.pictures", pictures, "8", 0, 1000000, "test images whose masks and overlays are written"),
};

const ark_key_table ark_segment_keys = {
    .keys = keys, .n = sizeof keys / sizeof keys[0], .origins = F(origins), .example_section = "train"};

ark_status ark_segment_config_read(const char *path, ark_segment_config *out) {
    *out = (ark_segment_config){.augment = ark_augment_pretrain()};
    out->augment.crop_ratio[0] = out->augment.crop_ratio[1] = 1;
    ARK_TRY(ark_keys_defaults(&ark_segment_keys, out));
    return ark_keys_read(&ark_segment_keys, out, path);
}

ark_status ark_segment_config_set(ark_segment_config *c, const char *assignment) {
    return ark_keys_set(&ark_segment_keys, c, assignment);
}

ark_status ark_segment_config_from(ark_segment_config *c, const char *weights) {
    char assignment[4200];
    bool scratch = !strcmp(weights, "random") || !strcmp(weights, "none");
    int n = snprintf(assignment, sizeof assignment, "model.from=%s", scratch ? "" : weights);
    if (n < 0 || (size_t)n >= sizeof assignment) {
        return ARK_ERR(ARK_EINVAL, "--from: path too long");
    }
    return ark_keys_set(&ark_segment_keys, c, assignment);
}

bool ark_segment_config_has_from(const ark_segment_config *c) {
    for (size_t i = 0; i < ark_segment_keys.n; i++) {
        if (!strcmp(ark_segment_keys.keys[i].name, "model.from")) {
            return strcmp(c->origins[i], "default") != 0;
        }
    }
    return false;
}

void ark_segment_config_free(ark_segment_config *c) {
    ark_keys_free(&ark_segment_keys, c);
    *c = (ark_segment_config){0};
}
