# arkfm inspect: foreign files, files that hold no network, refused files.
# shellcheck shell=bash disable=SC2154,SC2016,SC2012
. "$ARK_SOURCE_DIR/tests/cli/lib.sh"
golden=$ARK_SOURCE_DIR/tests/golden

# make_embed.py: Swin of 8 channels, depths 2-2, heads 2-2, window 3, linear projector to 6, one head of 3.
arkfm inspect "$golden/embed_new.safetensors" --json
expect_exit 0
expect_json '.architecture == "swin:embed=8,depths=2-2,heads=2-2,window=3,size=24" and .size_assumed'
expect_json '.projector == "linear" and .projector_dim == 6'
expect_json '.heads == [{dataset: "head0", task: "multi-label", classes: ["class0", "class1", "class2"]}]'
expect_json '[.tensors[] | select(.name == "patch_embed.proj.weight")] ==
    [{name: "patch_embed.proj.weight", dtype: "F32", shape: [8, 3, 4, 4], bytes: 1536}]'
expect_json '.parameters == ([.tensors[] | .shape | reduce .[] as $d (1; . * $d)] | add)'

# Buffers of old files are no parameters; their mask tells the input size.
arkfm inspect "$golden/embed_old.safetensors" --json
expect_json '.architecture == "swin:embed=4,depths=2-1-2,heads=1-2-4,window=4,size=32" and (.size_assumed | not)'
expect_json '.parameters == ([.tensors[] | select(.name | test("attn_mask|position_index") | not) | .shape |
    reduce .[] as $d (1; . * $d)] | add)'

arkfm inspect "$golden/embed_new.safetensors"
expect_exit 0
expect_out '^architecture +swin:embed=8'
expect_out '^F32 +8 3 4 4 +1536 +patch_embed\.proj\.weight$'

# Any safetensors file will do.
arkfm inspect "$golden/flat.safetensors" --json
expect_exit 0
expect_json 'has("architecture") | not'
expect_json '.metadata.generator == "tests/golden/make_golden.py" and (.tensors | length) > 0'

head -c 20000 "$golden/embed_new.safetensors" > "$work/cut.safetensors"
arkfm inspect "$work/cut.safetensors"
expect_exit 1
expect_one_line_error 'cut\.safetensors'
printf '\377\377\377\377\377\377\377\177{}' > "$work/header.safetensors"
arkfm inspect "$work/header.safetensors"
expect_exit 1
expect_one_line_error 'header\.safetensors'
arkfm inspect "$work/absent.safetensors"
expect_exit 1
expect_one_line_error 'absent\.safetensors.*No such file'
arkfm inspect
expect_exit 2
finish
