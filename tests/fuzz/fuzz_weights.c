/* A weight file from memory: what it describes can be declared and matched, within bounded memory. Parameters
 * are not allocated: that happens only after every key has matched. */
#include "base/err.h"
#include "fuzz.h"
#include "model/weight_file.h"

static void match(const ark_weight_file *f, const ark_net *net) {
    ark_params *params = NULL;
    ark_match m = {0};
    if (ark_params_new(&params) == ARK_OK && ark_net_declare(net, params) == ARK_OK &&
        ark_match_weights(f, params, ARK_MATCH_RESIZE_TABLES, &m) == ARK_OK) {
        ARK_ASSERT((m.bad == 0) == (m.report[0] == '\0'));
        ARK_ASSERT(m.missing <= m.bad && (size_t)m.named <= m.bad);
        for (int i = 0; i < ark_params_count(params); i++) {
            m.missing -= m.tensor[i] == NULL;
        }
        ARK_ASSERT(m.missing == 0);
    }
    ark_match_free(&m);
    ark_params_free(params);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    ark_tensor_file *file = NULL;
    ark_weight_file *f = NULL;
    ark_net net = {0};
    ark_preproc pre;
    bool assumed;
    if (ark_tensor_file_open_memory(bytes, n, "fuzz", NULL, &file) != ARK_OK ||
        ark_weight_file_adopt(file, "fuzz", &f) != ARK_OK) {
        return 0;
    }
    bool known =
        f->ours ? ark_meta_read(f, &net, &pre) == ARK_OK
                : ark_arch_infer(f, 0, &net.arch, &assumed) == ARK_OK && ark_net_infer(f, &net) == ARK_OK;
    if (known) {
        ARK_ASSERT(ark_arch_check(&net.arch) == ARK_OK);
        match(f, &net);
    }
    ark_net_free(&net);
    ark_weight_file_close(f);
    return 0;
}
