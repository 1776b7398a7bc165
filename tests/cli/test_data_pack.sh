# arkfm data pack: packing, verification, kill -9 and --resume, use by pretrain, eval and readout, errors.
# shellcheck shell=bash disable=SC2154,SC2016
. "$ARK_SOURCE_DIR/tests/cli/lib.sh"
cd "$work" || exit 1

arkfm synth ph --images 40 --size 100 --seed 3
expect_exit 0
tiny=(train.epochs=1 train.batch=16)

arkfm data pack ph/datasets.yaml p73 --size 73 --json
expect_exit 0
expect_json '.pack == "p73" and .datasets == 5 and .images == 200 and .made == 200 and .unreadable == 0'
expect_json '.size == 73 and .codec == "raw" and .bytes > 200 * 73 * 73'
[[ $(ls p73) == data.mdb ]] || fail "more than data.mdb in the folder"
arkfm data pack --verify p73
expect_exit 0
expect_out '^p73: 200 images, 213 records, .* all checksums agree$'
arkfm data pack p73 --verify --json
expect_json '.damaged == 0 and .images == 200'
arkfm data pack ph/datasets.yaml p73
expect_exit 1
expect_one_line_error 'p73: the folder holds a pack already'

# The images' own size: every run is bit by bit the one from the files. The lists are not needed any more.
arkfm data pack ph/datasets.yaml own --size 0 --codec png --verify
expect_exit 0
arkfm pretrain ph/pretrain.yaml --out files --set "${tiny[@]}"
expect_exit 0
mv ph/datasets.yaml ph/kept.yaml
arkfm pretrain ph/pretrain.yaml --out packed --set "${tiny[@]}" data.config=own
expect_exit 0
expect_same files/teacher.safetensors packed/teacher.safetensors
jq -es '[.[] | select(.event == "train") | .wait_s >= 0] | length == 4 and all' packed/metrics.jsonl > waits ||
    fail "no wait_s in the log"
mv ph/kept.yaml ph/datasets.yaml

# At the side that images are squashed to, evaluations are the same numbers; readouts are at the images' own size.
for set in "--dataset lakeside" "--dataset lakeside --ten-crop" "--dataset childrens --split val"; do
    # shellcheck disable=SC2086
    arkfm eval files/teacher.safetensors --data ph/datasets.yaml $set --predictions a.csv --json
    expect_exit 0
    cp .out a.json
    # shellcheck disable=SC2086
    arkfm eval files/teacher.safetensors --data p73 $set --predictions b.csv --json
    expect_exit 0
    expect_same a.json .out
    expect_same a.csv b.csv
done
arkfm readout --data ph/datasets.yaml --dataset harbour_tb --model a=files/teacher.safetensors --json
expect_exit 0
cp .out a.json
arkfm readout --data own --dataset harbour_tb --model a=files/teacher.safetensors --json
expect_exit 0
expect_same a.json .out

# Beside datasets from files, by an entry of its own.
printf 'lakeside: {pack: p73}\n' > mixed.yaml
arkfm eval files/teacher.safetensors --data mixed.yaml --dataset lakeside --predictions b.csv
expect_exit 0
arkfm eval files/teacher.safetensors --data ph/datasets.yaml --dataset lakeside --predictions a.csv
expect_same a.csv b.csv
printf 'lakeside:\n  pack: p73\n  list: labels.csv\n' > mixed.yaml
arkfm eval files/teacher.safetensors --data mixed.yaml --dataset lakeside
expect_exit 1
expect_one_line_error "mixed\.yaml:3: lakeside: 'list' is in the pack already"

# Too small, or resized by another filter.
arkfm data pack ph/datasets.yaml small --size 40 --dataset lakeside --dataset childrens
expect_exit 0
arkfm eval files/teacher.safetensors --data small --dataset lakeside
expect_exit 1
expect_one_line_error 'small: .*40 x 40.*73 x 73.*--size 73'
arkfm eval files/teacher.safetensors --data small --dataset lakesid
expect_exit 1
expect_one_line_error "no dataset 'lakesid' \(did you mean 'lakeside'\?\)"
arkfm pretrain ph/pretrain.yaml --out no --set data.config=p73 preprocess.filter=bicubic
expect_exit 1
expect_one_line_error 'p73: .*bilinear.*bicubic'
[[ ! -e no/checkpoints ]] || fail "a refused run began"

# From a run file: its datasets, its filter, the side that it squashes to.
arkfm data pack ph/pretrain.yaml run --json
expect_exit 0
expect_json '.datasets == 4 and .size == 73'

# kill -9 at any moment: what is there is refused, named, and gone on with; the end is the same records.
cat > big.yaml << YAML
many: {list: big.csv, classes: [A], task_type: binary}
YAML
{
    echo path,split,A
    for _ in {1..40}; do
        find ph/lakeside/images ph/north_general/images -name '*.png' | sort | sed 's/$/,train,1/'
    done
} > big.csv
arkfm data pack big.yaml whole --size 200
expect_exit 0
killed=0
for delay in 0.02 0.15 0.3 0.5 0.8; do
    rm -rf torn
    "$ARKFM" data pack big.yaml torn --size 200 --threads 1 > /dev/null 2>&1 &
    pid=$!
    sleep "$delay"
    kill -9 $pid 2> /dev/null
    wait $pid 2> /dev/null
    [[ $? -eq 137 ]] || continue
    arkfm eval files/teacher.safetensors --data torn --dataset many
    expect_exit 1
    grep -q 'interrupted pack' .err && expect_one_line_error 'torn: .*finish it with: arkfm data pack (big\.yaml|CONFIG) torn --resume'
    arkfm data pack big.yaml torn --resume --size 200 --json
    expect_exit 0
    jq -e '.made > 0 and .made < 3200' .out > /dev/null && killed=$((killed + 1))
    arkfm data pack --verify torn --json
    cp .out torn.json
    arkfm data pack --verify whole --json
    [[ $(jq '.records, .bytes' torn.json) == "$(jq '.records, .bytes' .out)" ]] || fail "other records after $delay s"
done
((killed)) || echo "note: no kill came between two batches"

# Ctrl-C ends after the batch, with the hint that goes on.
rm -rf torn
"$ARKFM" data pack big.yaml torn --size 200 --threads 1 > /dev/null 2> term.err &
pid=$!
sleep 0.15
kill -TERM $pid 2> /dev/null
wait $pid
case $? in
    130) grep -q 'stopped after [0-9]* of 3200 images; go on with --resume' term.err || fail "no hint: $(cat term.err)" ;;
    0 | 143) ;; # it was over, or had not begun
    *) fail "stopped by a signal: $(cat term.err)" ;;
esac

# A run from a pack that is killed and resumed ends in the bytes of one that was not.
"$ARKFM" pretrain ph/pretrain.yaml --out killed --set "${tiny[@]}" data.config=own train.checkpoint_steps=1 > /dev/null 2>&1 &
pid=$!
for _ in {1..200}; do
    compgen -G 'killed/checkpoints/step-*' > /dev/null && break
    sleep 0.02
done
kill -9 $pid 2> /dev/null
wait $pid 2> /dev/null
arkfm pretrain ph/pretrain.yaml --out killed --resume --set "${tiny[@]}" data.config=own train.checkpoint_steps=1
expect_exit 0
expect_same files/teacher.safetensors killed/teacher.safetensors

# A limit on the size of files is a full disk.
(ulimit -f 2000 && exec "$ARKFM" data pack big.yaml full --size 200 > /dev/null 2> full.err)
[[ $? -eq 1 ]] || fail "a full disk: exit 1"
grep -q 'full/data\.mdb: cannot write: .*\(File too large\|is the disk full\)' full.err || fail "a full disk: $(cat full.err)"
arkfm data pack big.yaml full --resume
expect_exit 0
arkfm data pack --verify full
expect_exit 0

# Damage is found when the record is read, and by --verify.
cp -r own damaged
printf 'XXXX' | dd of=damaged/data.mdb bs=1 seek=$(($(stat -c %s damaged/data.mdb) - 30000)) conv=notrunc status=none
arkfm data pack --verify damaged
expect_exit 1
expect_one_line_error 'damaged/data\.mdb: (record image/[0-9/]+|page [0-9]+ of [0-9]+) is damaged'
head -c 100000 own/data.mdb > damaged/data.mdb
arkfm eval files/teacher.safetensors --data damaged --dataset lakeside
expect_exit 1
expect_one_line_error 'damaged/data\.mdb: truncated: 100000 bytes'

# A read-only folder is enough.
chmod -R a-w p73
arkfm eval files/teacher.safetensors --data p73 --dataset lakeside
expect_exit 0
chmod -R u+w p73

# An unreadable image.
echo 'path,split,A' > one.csv
echo 'not-there.png,train,1' >> one.csv
find ph/lakeside/images -name '*.png' | sort | head -3 | sed 's/$/,train,0/' >> one.csv
printf 'one: {list: one.csv, classes: [A], task_type: binary}\n' > one.yaml
arkfm data pack one.yaml bad
expect_exit 1
expect_one_line_error 'not-there\.png'
arkfm data pack one.yaml bad --resume --on-bad-sample skip --json
expect_exit 0
expect_json '.images == 4 and .unreadable == 1'

arkfm data pack one.yaml
expect_exit 2
arkfm data pack one.yaml x --codec jpg
expect_exit 2
expect_err "did you mean 'jpeg'"
arkfm data pack one.yaml x --size 5000
expect_exit 2
arkfm data pack one.yaml x --quality 0
expect_exit 2
finish
