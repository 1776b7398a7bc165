# A ViT through every verb: trained on phantoms, evaluated, planned, timed.
# shellcheck shell=bash disable=SC2154,SC2016,SC2012
. "$ARK_SOURCE_DIR/tests/cli/lib.sh"
golden=$ARK_SOURCE_DIR/tests/golden
arch=vit:embed=64,depth=2,heads=2,patch=16,size=64

arkfm synth "$work/data" --images 20 --size 64 --seed 3
expect_exit 0
small=(--set "model.arch=$arch" --set model.projector_dim=16 --set train.epochs=2 --set train.batch=8)
arkfm pretrain "$work/data/pretrain.yaml" --out "$work/run" "${small[@]}" --threads 1
expect_exit 0

# Other threads and recomputing end in the same bytes (stopping and resuming: train/test_pretrain.c).
arkfm pretrain "$work/data/pretrain.yaml" --out "$work/threads" "${small[@]}" --set train.recompute=true --threads 2
expect_exit 0
expect_same "$work/run/teacher.safetensors" "$work/threads/teacher.safetensors"

arkfm inspect "$work/run/teacher.safetensors" --json
expect_exit 0
expect_json ".architecture == \"$arch\" and .heads[0].dataset == \"north_general\""
arkfm eval "$work/run/teacher.safetensors" --data "$work/data/datasets.yaml" --dataset north_general --split test --json
expect_exit 0
arkfm predict "$work/run/teacher.safetensors" "$work/data/childrens/images" --json
expect_exit 0
arkfm embed "$work/run/teacher.safetensors" "$work/data/childrens/images" -o "$work/e.npy" --layer encoder --json
expect_exit 0
expect_json '.shape[1] == 64'

# A foreign encoder of another size starts a run: its 3 x 3 positions are resampled to 4 x 4.
arkfm pretrain "$work/data/pretrain.yaml" --out "$work/init" "${small[@]}" --set train.epochs=1 \
    --set model.arch=vit:embed=64,depth=2,heads=1,patch=8,size=32 --set "model.init=$golden/embed_vit_timm.safetensors"
expect_exit 0
arkfm pretrain "$work/data/pretrain.yaml" --out "$work/misfit" "${small[@]}" \
    --set "model.init=$golden/embed_vit_timm.safetensors"
expect_exit 1
expect_one_line_error 'embed_vit_timm\.safetensors does not fit the model.*patch_embed\.proj\.weight is \(64,3,8,8\)'

# FLOPs by hand, multiply-adds twice, of 4 x 4 patches and C = 64. Patches: 16 x 768 C. Block 1: 17 x 12 C^2 and 2 x 17^2 C
# of attention. Block 2 has one row after it: 17 x 3 C^2, attention, 9 C^2.
arkfm plan "$arch" --json
expect_exit 0
expect_json '.flops_fwd_per_image == 2 * (16*768*64 + 17*12*4096 + 2*289*64 + 17*3*4096 + 2*289*64 + 9*4096)'
expect_json '[.nodes[] | select(.op == "attention")] | length == 2'
# timm's networks without a classifier
arkfm plan vit_small --json
expect_json '.parameters == 21665664'
arkfm plan vit_base --json
expect_json '.parameters == 85798656'
arkfm plan vit_base_384 --mode train --batch 2 --memory
expect_exit 0
for mode in step infer; do
    arkfm bench $mode --model "$arch" --batch 2 --runs 1 --json
    expect_exit 0
    expect_json ".architecture == \"$arch\" and .images_per_s > 0"
done
arkfm bench infer --model "$arch,pool=avg" --batch 2 --runs 1 --dtype bf16 --json
expect_exit 0
arkfm plan vit_smal
expect_exit 1
expect_one_line_error 'did you mean vit_small'
finish
