/* libark: open foundation models for chest X-rays, trained and used from C (Foundation Ark).
 *
 *   ark/infer.h     open a weight file; embeddings and probabilities of images
 *   ark/train.h     pretrain a model on many datasets, as a YAML file says
 *   ark/metrics.h   AUROC, average precision and how sure they are, on plain arrays
 *   ark/status.h    status codes and the message of the last failure
 *
 * A whole program: every head's probability of every class for one image.
 *
 *     #include <ark/ark.h>
 *     #include <stdio.h>
 *
 *     int main(int argc, char **argv) { // program WEIGHTS IMAGE
 *         ark_infer_model *model = NULL;
 *         ark_infer_session *session = NULL;
 *         float p[1000];
 *         ark_status st = argc == 3 ? ark_infer_open(argv[1], NULL, &model) : ARK_EINVAL;
 *         st = st ? st : ark_infer_session_new(model, NULL, &session);
 *         const ark_infer_info *info = st ? NULL : ark_infer_describe(model);
 *         if (info && info->outputs <= 1000) {
 *             ark_infer_out out = {.probabilities = p};
 *             st = ark_infer_files(session, (const char *const *)&argv[2], 1, &out);
 *         }
 *         for (int h = 0; !st && h < info->n_heads; h++)
 *             for (int k = 0; k < info->heads[h].n_classes; k++)
 *                 printf("%s %.4f\n", info->heads[h].classes[k], p[info->heads[h].first + k]);
 *         if (st) fprintf(stderr, "%s: %s\n", ark_status_text(st), ark_err_msg());
 *         ark_infer_session_free(session);
 *         ark_infer_close(model);
 *         return st != ARK_OK;
 *     }
 *
 *     cc program.c $(pkg-config --cflags --libs ark)
 *
 * Memory. What a function makes, its partner releases (open/close, new/free); partners accept NULL. Arrays
 * that results go to are the caller's, and so is every argument again when the call returns; what outlives a
 * call is copied. Text that comes back belongs to the library and lives as long as the object it came from.
 * Arrays are dense and row-major, the last dimension fastest. Pointers are not NULL unless a function says
 * what NULL means. The largest allocations are a model's weights and a session's activations; an allocation
 * that fails is ARK_ENOMEM, never an exit.
 *
 * Threads. Calls on different objects may run at the same time. An ark_infer_model does not change and may
 * be shared; an ark_infer_session serves one thread at a time. Messages are kept per thread. Inside of a call
 * the library uses as many threads as its options say; results are the same bytes for any number.
 *
 * Errors. Every call that can fail returns an ark_status (ark/status.h); ARK_OK is 0. Results are untouched
 * on failure unless a function says otherwise. The library never prints, exits or installs signal handlers.
 */
#ifndef ARK_ARK_H
#define ARK_ARK_H

#include "ark/infer.h"
#include "ark/metrics.h"
#include "ark/status.h"
#include "ark/train.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Version of the library, "0.1.0". Static storage. */
const char *ark_version(void);

#ifdef __cplusplus
}
#endif
#endif
