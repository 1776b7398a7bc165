/* The first byte chooses the delimiter and whether there is a header; the rest is the table. */
#include "base/err.h"
#include "fuzz.h"
#include "io/csv.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    static const char delimiters[] = {',', ' ', ';', '\t'};
    ark_csv *t = NULL;
    if (n == 0 || ark_csv_parse((const char *)bytes + 1, n - 1, "fuzz", delimiters[bytes[0] & 3],
                      bytes[0] & 4, &t) != ARK_OK) {
        ARK_ASSERT(!t);
        return 0;
    }
    size_t text = 0, line = 0;
    for (size_t row = 0; row < ark_csv_rows(t); row++) {
        ARK_ASSERT(ark_csv_line(t, row) > line);
        line = ark_csv_line(t, row);
        for (size_t col = 0; col < ark_csv_cols(t); col++) {
            text += strlen(ark_csv_get(t, row, col));
        }
    }
    ARK_ASSERT(text < n);
    for (size_t col = 0; col < ark_csv_cols(t); col++) {
        ARK_ASSERT(ark_csv_find(t, ark_csv_name(t, col)) == (long)col);
    }
    ark_csv_free(t);
    return 0;
}
