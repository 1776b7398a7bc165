#include "app/cli/cli.h"

/* A verb that is not listed here is not built yet; its declaration in cli.h is then unused. */
const cli_verb cli_verbs[] = {
    {"synth", "DIR [--seed N] [--images N] [--size N] [--severity X] [--force]",
        "write phantom chest X-ray datasets", cmd_synth},
    {"pretrain", "RUN.yaml --out DIR [--resume] [--set key=value ...]",
        "train one model cyclically on the datasets of a run file", cmd_pretrain},
    {"finetune", "RUN.yaml --from WEIGHTS|random --out DIR [--resume] [--set key=value ...]",
        "a new head on any weights for one dataset: trials, intervals, operating points", cmd_finetune},
    {"segment", "RUN.yaml --from WEIGHTS --out DIR [--set key=value ...] | MODEL IMAGE... --out DIR",
        "train masks of organs on any encoder (UperNet), or draw them", cmd_segment},
    {"eval", "WEIGHTS --data DATASETS.yaml --dataset NAME [--split test] [--ten-crop] [--head NAME]",
        "AUROC, average precision and accuracy of one head on one split", cmd_eval},
    {"embed", "WEIGHTS (IMAGE... | --list FILE | --tensor X.npy) -o OUT.npy [--layer encoder|projector]",
        "features of images as a NumPy array", cmd_embed},
    {"predict", "WEIGHTS IMAGE... | DIR [--format csv|json] [--head NAME]",
        "every head's probabilities for images", cmd_predict},
    {"explain", "WEIGHTS IMAGE --class NAME [--head NAME] -o OUT.png",
        "heat map of where in an image a class comes from (Grad-CAM)", cmd_explain},
    {"metrics",
        "TABLE.csv --label COL --score COL [--bootstrap 1000 --seed N] [--positive VALUE] [--group COL] "
        "[--operating-point youden --chosen-on VAL.csv]",
        "AUROC, average precision and confidence intervals from a table of scores", cmd_metrics},
    {"readout", "--data DATASETS.yaml --dataset NAME --model NAME=WEIGHTS ... [--html FILE]",
        "compare models by linear readouts of their frozen embeddings", cmd_readout},
    {"convert", "IN OUT [--key teacher] [--arch NAME] [--format ark|timm|pth] [--heads ark6|FILE.yaml]",
        ".pth, .pth.tar or safetensors of PyTorch to ours, to timm's, or back", cmd_convert},
    {"inspect", "FILE [--key KEY]", "tensors, metadata, heads and parameter count of a weight file",
        cmd_inspect},
    {"plan", "MODEL [--batch N] [--dtype f32|bf16] [--mode train|infer] [--memory]",
        "nodes, shapes, FLOPs and memory of a network before anything runs", cmd_plan},
    {"bench",
        "step|infer|data [--model swin_tiny] [--batch 16] [--dtype f32|bf16] [--image FILE ...] [--runs 5]",
        "speed on random data beside the measured peak of this processor; of reading images", cmd_bench},
};
const size_t cli_verb_count = CLI_COUNT(cli_verbs);
