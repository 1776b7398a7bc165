# Every hostile file of the fuzz corpus, and what else a path can lead to, given to the program itself: exit 1, one line
# that names the file and a reason, less than a second of processor time, less than 200 MB.
# shellcheck shell=bash disable=SC2154,SC2016
. "$ARK_SOURCE_DIR/tests/cli/lib.sh"
: "${ARK_MEASURE:?the program tests/cli/measure.c, set by ctest}"
corpus=$ARK_SOURCE_DIR/tests/fuzz/corpus
golden=$ARK_SOURCE_DIR/tests/golden
cd "$work" || exit 1

# A kind of the corpus, and the verb that reads such a file; FILE stands for it. Another kind needs another row. "-":
# the bytes are not a file as users have it, fuzz-replay reads them. Kinds with a star are binary: what is cut off at
# half its length, or 16 bytes before its end, must be refused too.
kinds='
csv            metrics FILE --label y --score p
yaml           pretrain FILE --out run
safetensors *  inspect FILE
npy *          embed EMBEDDER --tensor FILE -o out.npy
image *        data show FILE -o out.png
dicom *        data show FILE -o out.png
pth *          inspect FILE
pack *         bench data --runs 1 --data FILE
weights        -
list           -
presets        -
decisions      -
npz            -
'

# Files that a decoder takes, each with its reason: then the limits hold all the same. A file of the corpus whose name
# begins with "valid" is not hostile.
accepted='
image/png-bomb              512 x 512 pixels from 300 bytes: no more than its header says
image/png-iccp-bomb         the colour profile is not inflated
image/png-palette-index     a colour beyond the palette is black
image/png-stream-goes-on    what follows the pixels is not looked at
image/png-stream-too-long   nor are pixels that the header does not have
image/png-text-bomb         the text is not inflated
image/png-too-much-data     what follows the stream is not looked at
'

limit_ms=1000 limit_kb=200000
if grep -q __asan_init "$ARKFM" || grep -q __tsan_init "$ARKFM"; then
    limit_ms=10000 limit_kb=100000000 # sanitizers cost both
fi
checked=0 slowest=0 largest=0

# arguments KIND: of its row
arguments() {
    sed -n "s/^$1  *\(\* \)\{0,1\} *//p" <<< "$kinds"
}

# bounded PATH ARGUMENT...: run it and look at time and memory
bounded() {
    local path=$1 used
    shift
    run timeout 20 "$ARK_MEASURE" "$work/used" "$ARKFM" "$@"
    read -ra used < "$work/used"
    checked=$((checked + 1))
    ((used[0] < limit_ms)) || fail "$path: ${used[0]} ms of processor time"
    ((used[2] < limit_kb)) || fail "$path: ${used[2]} kB"
    slowest=$((used[0] > slowest ? used[0] : slowest))
    largest=$((used[2] > largest ? used[2] : largest))
}

# refused PATH NAME ARGUMENT...: the requirement itself; NAME must be in the message
refused() {
    local path=$1 name=$2 message
    shift 2
    bounded "$path" "$@"
    expect_exit 1 || return
    # OpenJPEG, called by GDCM, prints lines of its own about packets that are damaged inside.
    [[ $path == dicom/j2k-packets-damaged ]] && sed -i '$!d' .err
    [[ $(wc -l < .err) -eq 1 && $(wc -c < .err) -le 1200 ]] || fail "$path: not one line"
    grep -qF -- "$name" .err || fail "$path: the message does not name it"
    message=$(< .err)
    message=${message#*"$name"}
    [[ ${#message} -gt 10 ]] || fail "$path: no reason"
}

# check KIND FILE NAME: with the verb of that kind, under the name NAME
check() {
    local kind=$1 file=$2 name=$3 at=hostile/$3
    mkdir -p hostile
    if [[ $kind == pack ]]; then
        mkdir -p "$at"
        cp "$file" "$at/data.mdb"
    else
        cp "$file" "$at"
    fi
    local words=()
    for word in $(arguments "$kind"); do
        word=${word/#EMBEDDER/$golden/embed_new.safetensors}
        words+=("${word/#FILE/$at}")
    done
    if grep -q "^$kind/$name " <<< "$accepted"; then
        bounded "$kind/$name" "${words[@]}"
        expect_exit 0
    else
        refused "$kind/$name" "$name" "${words[@]}"
    fi
    rm -rf hostile out.png out.npy run
}

for folder in "$corpus"/*/; do
    kind=$(basename "$folder")
    row=$(grep -E "^$kind( |$)" <<< "$kinds") || {
        fail "no row of the table for the corpus of '$kind'"
        continue
    }
    [[ $(arguments "$kind") == - ]] && continue
    for file in "$folder"*; do
        name=$(basename "$file")
        if [[ $name != valid* ]]; then
            check "$kind" "$file" "$name"
        elif [[ $row == *" * "* ]]; then
            size=$(stat -c %s "$file")
            head -c $((size / 2)) "$file" > half
            check "$kind" half "half-$name"
            head -c $((size - 16)) "$file" > short
            check "$kind" short "short-$name"
        fi
    done
done

# What else a path can lead to: nothing, a folder, a device that never ends, a pipe nobody writes to, an empty file, and
# 300 GB of nothing.
mkfifo pipe
: > empty
truncate -s 300G sparse 2> /dev/null || : > sparse
ln -s loop loop
for kind in csv yaml safetensors npy image; do
    for path in absent "$work" /dev/zero pipe empty sparse loop; do
        words=()
        for word in $(arguments "$kind"); do
            word=${word/#EMBEDDER/$golden/embed_new.safetensors}
            words+=("${word/#FILE/$path}")
        done
        refused "$kind: $path" "$path" "${words[@]}"
        rm -rf run
    done
done
for path in absent /dev/zero pipe empty loop; do
    mkdir -p "x-$path" 2> /dev/null || continue
    refused "pack: $path" "x-$path" bench data --runs 1 --data "x-$path"
done

echo "$checked hostile files: at most $slowest ms of processor time, $((largest / 1000)) MB"
finish
