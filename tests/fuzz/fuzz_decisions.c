/* Metadata `operating_points` of a weight file: what is accepted writes back to a text that reads the same.
 * */
#include "base/alloc.h"
#include "base/err.h"
#include "eval/decisions.h"
#include "fuzz.h"

#include <string.h>

static char *names[] = {"mass", "edema"};
static const ark_head head = {.dataset = "ward", .task = ARK_MULTILABEL, .n_classes = 2, .classes = names};

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    char *text, *once, *twice;
    ark_decisions d, back;
    if (ARK_NEW(&text, n + 1, "input") != ARK_OK) {
        return 0;
    }
    memcpy(text, bytes, n);
    if (ark_decisions_parse(text, "fuzz", &head, &d) == ARK_OK) {
        ARK_ASSERT(d.n_sets >= 0 && d.n_sets <= ARK_SEEN_COUNT && d.n_rules <= ARK_DECISION_RULES_MAX);
        if (d.n_sets > 0) {
            ARK_ASSERT(ark_decisions_text(&d, &head, &once) == ARK_OK);
            ARK_ASSERT(ark_decisions_parse(once, "again", &head, &back) == ARK_OK);
            ARK_ASSERT(ark_decisions_text(&back, &head, &twice) == ARK_OK);
            ARK_ASSERT(!strcmp(once, twice));
            ark_free(once);
            ark_free(twice);
            ark_decisions_free(&back);
        }
        ark_decisions_free(&d);
    }
    ark_free(text);
    return 0;
}
