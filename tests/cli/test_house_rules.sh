# scripts/lint.sh and scripts/commit-msg.sh: each rule fires on a file that breaks it, and only there.
. "$ARK_SOURCE_DIR/tests/cli/lib.sh"

cp -r "$ARK_SOURCE_DIR/scripts" "$work/scripts"
mkdir -p "$work/src/nn" "$work/src/base" "$work/include/ark" "$work/tests"
cd "$work" || exit 1
: > scripts/lint-excuses.txt

cat > src/base/fine.h << 'C'
#ifndef ARK_BASE_FINE_H
#define ARK_BASE_FINE_H
/* strcpy(a, b) in a comment */
static inline const char *ark_fine(void) {
    return "printf(\"strcpy(a)\") '"; // atoi(x)
}
#endif
C
run scripts/lint.sh
expect_exit 0
expect_out 'no findings'

cat > src/nn/bad.h << 'C'
#ifndef ARK_NN_BAD_H
#define ARK_NN_BAD_H
#include "base/fine.h"
#include "train/trainer.h"
#include <dnnl.h>
#if ARK_HAVE_ONEDNN
#endif
typedef enum ark_status { ARK_OK } ark_status;
ark_status
ark_bad(int x);
ark_status (*pointer)(int x);
int foo(int x);
#endif
C
{
    printf 'static void f(char *a) {\n    a->free(a);\n    x.exit(1);\n    strcpy(a, "b");\n    exit(1);\n'
    printf '    fprintf(stderr, "");\n\tg();\n    // TODO\n#pragma omp parallel\n'
    printf '    a++;\n%.0s' {1..80}
    printf '}\n'
    printf 'int a%d;\n' {1..520}
} > src/nn/bad.c
printf '#!/bin/sh\ncd /%s/x\n' work > scripts/x.sh
git init -q . 2> /dev/null
run scripts/lint.sh
expect_exit 1
for finding in 'nn/bad.h:4: \[include\] nn may not include train/trainer.h' 'bad.h:5: \[include\] <dnnl.h>' \
    'bad.h:6: \[feature-if\]' 'bad.h:9: \[must-check\] ark_bad' 'bad.h:12: \[prefix\] foo' 'bad.h:1: \[alone\]' \
    'bad.c:4: \[banned:strcpy\]' 'bad.c:5: \[banned:exit\]' 'bad.c:6: \[banned:print\]' 'bad.c:7: \[blank\]' \
    'bad.c:8: \[todo\]' 'bad.c:9: \[omp\]' 'bad.c:1: \[function-size\] 90 lines' 'bad.c:610: \[file-size\]' \
    'scripts/x.sh:2: \[path\]'; do
    expect_out "$finding"
done
expect_out '15 findings'

printf 'banned:strcpy src/nn/bad.c\nbanned:gets src/nn/bad.c never\n' > scripts/lint-excuses.txt
run scripts/lint.sh
expect_exit 1
expect_out 'excuses.txt:1: excuse without a reason'
expect_out 'excuses.txt:2: unused excuse: banned:gets src/nn/bad.c'

message() {
    printf '%s\n' "$@" > message
    run scripts/commit-msg.sh message
}
message 'core: plan memory by lifetime' '' 'Why.'
expect_exit 0
message 'plan memory'
expect_exit 1
message 'kernel: plan memory'
expect_exit 1
expect_err "area 'kernel' is none of"
message 'core: plan memory by lifetime, which is a line that is longer than seventy-two'
expect_exit 1
message 'core: plan memory' 'no blank line'
expect_exit 1
finish
