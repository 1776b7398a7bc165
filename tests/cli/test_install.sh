# What `cmake --install` leaves: an outside project finds it, builds the examples against it alone, and they train and
# infer as the command line does.
. "$ARK_SOURCE_DIR/tests/cli/lib.sh"

build=$(dirname "$ARKFM")
cached() { # NAME: a variable of the build
    sed -n "s/^$1:[A-Z]*=//p" "$build/CMakeCache.txt"
}
[[ -z $(cached ARK_SANITIZE) && $(cached CMAKE_BUILD_TYPE) != Coverage ]] || skip 'an instrumented build is not for installing'
for tool in cmake pkg-config jq; do
    command -v "$tool" > /dev/null || skip "no $tool"
done
cc=$(cached CMAKE_C_COMPILER)

run cmake --install "$build" --prefix "$work/first"
expect_exit 0
mv "$work/first" "$work/prefix" # ark.pc says where it is, wherever that is
expect_file "$work/prefix/bin/arkfm"
(cd "$work/prefix/include" && find . -type f | sort) > "$work/headers"
printf './ark/%s.h\n' ark infer metrics status train > "$work/expected"
expect_same "$work/headers" "$work/expected"
pc=$(dirname "$(find "$work/prefix" -name ark.pc)")
export PKG_CONFIG_PATH=$pc
read -r -a flags <<< "$(pkg-config --cflags ark)"
read -r -a libs <<< "$(pkg-config --libs ark)"

# Straight from the compiler: both examples, and the one that ark.h opens with, in C and as C++ would see the headers.
sed -n 's/^ \*     \(.*\)/\1/p' "$work/prefix/include/ark/ark.h" | sed -n '/#include/,/^}/p' > "$work/header.c"
expect_file "$work/header.c"
cp "$ARK_SOURCE_DIR/examples/embed.c" "$ARK_SOURCE_DIR/examples/pretrain.c" "$work"
for program in header embed pretrain; do
    run "$cc" -std=c17 -Wall -Wextra -Werror "${flags[@]}" "$work/$program.c" -o "$work/$program" "${libs[@]}"
    expect_exit 0
done
printf '#include <ark/ark.h>\nint main() { return ark_version()[0] == 0; }\n' > "$work/version.cc"
if command -v c++ > /dev/null; then
    run c++ -std=c++17 -Wall -Wextra -Werror "${flags[@]}" "$work/version.cc" -o "$work/version" "${libs[@]}"
    expect_exit 0 && run "$work/version" && expect_exit 0
fi

# A CMake project.
mkdir "$work/project"
cat > "$work/project/CMakeLists.txt" << 'CMAKE'
cmake_minimum_required(VERSION 3.18)
project(outside C)
find_package(PkgConfig REQUIRED)
pkg_check_modules(ARK REQUIRED IMPORTED_TARGET ark)
add_executable(embed ../embed.c)
target_link_libraries(embed PRIVATE PkgConfig::ARK)
CMAKE
run cmake -S "$work/project" -B "$work/project/build" -DCMAKE_C_COMPILER="$cc"
expect_exit 0
run cmake --build "$work/project/build"
expect_exit 0

# Train on phantoms through the library, then embed and predict with it and with the command.
arkfm synth "$work/ph" --images 20 --size 32 --seed 1
expect_exit 0
run "$work/pretrain" "$work/ph/pretrain.yaml" "$work/run" train.epochs=1 train.batch=4 model.projector_dim=12 \
    model.arch=swin:embed=8,depths=1-1,heads=1-2,window=4,size=32
expect_exit 0 && expect_out 'teacher\.safetensors: 1 epochs' && expect_err 'step 10 of'
run "$work/pretrain" "$work/ph/pretrain.yaml" "$work/run" train.epoch=1
expect_exit 1 && expect_one_line_error 'train\.epochs'

weights=$work/run/teacher.safetensors
images=("$work"/ph/valley_target/images/*.png)
run "$work/embed" "$weights" "${images[@]:0:3}"
expect_exit 0
cp "$work/.out" "$work/direct.csv"
[[ $(wc -l < "$work/direct.csv") -eq 3 && $(head -n 1 "$work/direct.csv" | tr ',' '\n' | wc -l) -eq 13 ]] ||
    fail 'not 3 rows of a path and 12 features'
run "$work/project/build/embed" "$weights" "${images[@]:0:3}"
expect_same "$work/.out" "$work/direct.csv"
run "$build/examples/embed" "$weights" "${images[@]:0:3}"
expect_same "$work/.out" "$work/direct.csv"
run "$work/embed" "$weights" "$work/header.c"
expect_exit 1 && expect_one_line_error 'header\.c'

arkfm predict "$weights" "${images[0]}" --json
expect_exit 0
jq -r '.images[0].heads[].predictions[] | "\(.class) \(.probability)"' "$work/.out" > "$work/expected"
run "$work/header" "$weights" "${images[0]}"
expect_exit 0
paste -d ' ' "$work/expected" "$work/.out" > "$work/both"
awk 'NF != 4 || $1 != $3 || ($2 - $4) ^ 2 > 1e-8 { bad = 1 } END { exit bad || NR < 5 }' "$work/both" ||
    fail "the header's example and arkfm predict differ: $(cat "$work/both")"
finish
