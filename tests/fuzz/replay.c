/* A main for fuzz targets without a fuzzer: runs the empty input and every file of a folder. */
#include "base/alloc.h"
#include "base/file.h"
#include "base/str.h"
#include "fuzz.h"

#include <stdio.h>

enum { LIMIT = 64 << 20 };

int main(int argc, char **argv) {
    char **names = NULL;
    size_t n = 0;
    if (argc != 2 || ark_list_dir(argv[1], &names, &n) != ARK_OK || n == 0) {
        fprintf(stderr, "usage: %s CORPUS-FOLDER (with at least one file) %s\n", argv[0], ark_err_msg());
        return 1;
    }
    int failed = LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
    for (size_t i = 0; i < n; i++) {
        char *path = ark_path_join(argv[1], names[i]), *bytes = NULL;
        size_t len = 0;
        if (!path || ark_file_read(path, LIMIT, &bytes, &len) != ARK_OK) {
            fprintf(stderr, "%s\n", ark_err_msg());
            failed = 1;
        } else {
            printf("%s (%zu bytes)\n", names[i], len);
            fflush(stdout); /* the name of the input that breaks the target is the last line */
            failed |= LLVMFuzzerTestOneInput((const uint8_t *)bytes, len);
        }
        ark_free(bytes);
        ark_free(path);
    }
    ark_names_free(names, n);
    return failed;
}
