# DICOM and TIFF through the commands: data show, predict and embed; lateral views; hostile files within a second and
# 200 MB; nothing of the patient in any output.
# shellcheck shell=bash disable=SC2154,SC2016
. "$ARK_SOURCE_DIR/tests/cli/lib.sh"
corpus=$ARK_SOURCE_DIR/tests/fuzz/corpus
sanitizers=$(sed -n 's/^ARK_SANITIZE:[A-Z]*=//p' "$(dirname "$ARKFM")/CMakeCache.txt")

# Output and errors of the last command say nothing of the patient that the files name.
expect_no_patient() {
    ! grep -qiE 'secret|018M' "$work/.out" "$work/.err" || fail 'the patient is named'
}

# --- data show ---

arkfm data show "$corpus/dicom/valid-explicit-12-sigmoid" -o "$work/sigmoid.png" --size 32 --json
expect_exit 0
expect_no_patient
expect_json '.format == "DICOM" and .source == [11, 9] and .depth == 12 and .size == 32 and .view == "plain"'
expect_json '.window == {kind: "sigmoid", centre: 2000, width: 3000} and .position == "PA" and .photometric == "grey"'
expect_json 'keys == ["body_part","depth","file","format","modality","path","photometric","position","size","source","view","window"]'
expect_file "$work/sigmoid.png"
# The written picture is itself an image of that size.
arkfm data show "$work/sigmoid.png" -o "$work/again.png" --size 32 --json
expect_json '.format == "PNG" and .source == [32, 32] and .depth == 8 and .window == {kind: "none"}'
expect_same "$work/sigmoid.png" "$work/again.png"

arkfm data show "$corpus/image/valid-tiff-grey16" -o "$work/tiff.png" --window 30000,20000
expect_exit 0
expect_out 'TIFF of 21 x 17 pixels, grey, 16 bits, window fixed \(centre 30000, width 20000\)'
for view in plain student teacher test; do
    arkfm data show "$corpus/dicom/valid-j2k-lossy-12" -o "$work/$view.png" --view $view --size 64 --seed 3
    [[ $status -eq 0 ]] || expect_err 'ARK_DICOM'
done
arkfm data show "$corpus/dicom/valid-lossless-70-12" -o "$work/a.png" --view student --seed 3
expect_exit 0
arkfm data show "$corpus/dicom/valid-lossless-70-12" -o "$work/b.png" --view student --seed 3
expect_same "$work/a.png" "$work/b.png"
arkfm data show "$corpus/dicom/valid-lossless-70-12" -o "$work/b.png" --view student --seed 4
! cmp -s "$work/a.png" "$work/b.png" || fail 'another seed, the same view'

arkfm data show "$corpus/dicom/valid-rle-16"
expect_exit 2 && expect_err '-o OUT.png is required'
arkfm data show "$corpus/dicom/valid-rle-16" -o "$work/c.png" --view side
expect_exit 2 && expect_err "unknown --view 'side'"
arkfm data show "$corpus/dicom/valid-rle-16" -o "$work/c.png" --window 3
expect_exit 2 && expect_err 'CENTRE,WIDTH'
arkfm data sho
expect_exit 2 && expect_err "did you mean 'show'"
arkfm data show "$corpus/dicom/ct" -o "$work/c.png"
expect_exit 1 && expect_one_line_error 'modality CT'
[[ ! -e $work/c.png ]] || fail 'a refused image was written'

# --- hostile files: every transfer syntax cut short, and lying headers ---

for file in "$corpus"/dicom/valid-*; do
    name=${file##*/}
    head -c $(($(stat -c %s "$file") * 7 / 8)) "$file" > "$work/cut-$name.dcm"
done
cp "$corpus"/dicom/{frames,palette,huge-rows,lut-short,rle-short,wrapped-native,jpeg-as-jls} "$corpus/image/tiff-huge" "$work"
for file in "$work"/cut-* "$work"/{frames,palette,huge-rows,lut-short,rle-short,wrapped-native,jpeg-as-jls,tiff-huge}; do
    # sanitizers reserve terabytes of addresses
    if [[ -n $sanitizers ]]; then
        run timeout 20 "$ARKFM" data show "$file" -o "$work/c.png"
    else
        run bash -c 'ulimit -v 204800; exec timeout 1 "$ARKFM" data show "$0" -o "$1"' "$file" "$work/c.png"
    fi
    expect_exit 1 && expect_one_line_error "arkfm data show: $file: (DICOM|TIFF|65535)" && expect_no_patient
done

# --- predict and embed ---

arkfm synth "$work/data" --images 20 --size 32 --seed 5
expect_exit 0
arkfm pretrain "$work/data/pretrain.yaml" --out "$work/run" --set train.epochs=1 --set model.projector_dim=8 \
    --set model.arch=swin:embed=8,depths=1-1,heads=1-2,window=4,size=32
expect_exit 0
weights=$work/run/teacher.safetensors

mkdir "$work/folder"
cp "$corpus/dicom/valid-explicit-8-window" "$work/folder/a.dcm"
cp "$corpus/dicom/valid-lossless-70-12" "$work/folder/b.DICOM"
cp "$corpus/image/valid-tiff-grey16-lzw-strips" "$work/folder/c.tiff"
echo notes > "$work/folder/notes.txt"
arkfm predict "$weights" "$work/folder" --json
expect_exit 0
expect_no_patient
expect_json '.images | map(.path | split("/")[-1]) == ["a.dcm", "b.DICOM", "c.tiff"]'
expect_json '.images[0].input == {format: "DICOM", view: "PA", window: "linear", body_part: "CHEST", chest: true}'
expect_json '.images[2].input == {format: "TIFF", view: "unknown", window: "data"}'

# What the model sees is what data show writes: the same probabilities.
arkfm data show "$work/folder/b.DICOM" -o "$work/seen.png" --weights "$weights"
expect_exit 0
arkfm predict "$weights" "$work/folder/b.DICOM" "$work/seen.png" --json
expect_exit 0
expect_json '.images[0].heads == .images[1].heads'

sed 's/CS\x02\x00PA/CS\x02\x00LL/' "$work/folder/a.dcm" > "$work/lateral.dcm"
sed 's/CS\x02\x00PA/CS\x02\x00LO/; s/CHEST /PELVIS/' "$work/folder/a.dcm" > "$work/oblique.dcm"
arkfm predict "$weights" "$work/lateral.dcm"
expect_exit 1
expect_err 'lateral\.dcm: a lateral view \(view position LL\), expected PA or AP'
expect_no_patient
arkfm predict "$weights" "$work/lateral.dcm" "$work/oblique.dcm" "$work/folder" --on-bad-sample skip --json
expect_exit 0
expect_json '.skipped | length == 2'
arkfm predict "$weights" "$work/lateral.dcm" "$work/oblique.dcm" --allow-lateral --json
expect_exit 0
expect_no_patient
expect_json '.images[0].input.view == "lateral" and .images[1].input.view == "other"'
expect_json '.images[1].input.body_part == "PELVIS" and .images[1].input.chest == false'
arkfm embed "$weights" "$work/lateral.dcm" -o "$work/e.npy" # features are not findings
expect_exit 0

# --- a dataset of DICOM files, with a window of its own ---

cat > "$work/dicom.yaml" << 'YAML'
clinic:
  data_dir: folder
  list: list.csv
  task_type: binary
  classes: [Tuberculosis]
  window: [500, 900]
YAML
printf 'path,split,Tuberculosis\na.dcm,test,0\nb.DICOM,test,1\nc.tiff,test,1\n' > "$work/list.csv"
arkfm eval "$weights" --data "$work/dicom.yaml" --dataset clinic --head harbour_tb --json
expect_exit 0
sed -i 's/\[500, 900\]/[500]/' "$work/dicom.yaml"
arkfm eval "$weights" --data "$work/dicom.yaml" --dataset clinic --head harbour_tb
expect_exit 1 && expect_one_line_error 'dicom\.yaml:6: clinic: window: expected \[CENTRE, WIDTH\]'
sed -i 's/window: .*/window: ful/' "$work/dicom.yaml"
arkfm eval "$weights" --data "$work/dicom.yaml" --dataset clinic --head harbour_tb
expect_exit 1 && expect_one_line_error "unknown value 'ful' \(did you mean 'full'\)"
finish
