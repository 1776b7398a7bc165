/* Embeddings of chest X-rays, one CSV line per image, and what the model sees in each on stderr.
 *
 *     embed WEIGHTS IMAGE... > embeddings.csv */
#include <ark/ark.h>

#include <stdio.h>
#include <stdlib.h>

/* The most probable class of every head. */
static void tell(const ark_infer_info *info, const char *path, const float *p) {
    fprintf(stderr, "%s:", path);
    for (int h = 0; h < info->n_heads; h++) {
        const ark_infer_head *head = &info->heads[h];
        const float *q = p + head->first;
        int best = 0;
        for (int k = 1; k < head->n_classes; k++) {
            best = q[k] > q[best] ? k : best;
        }
        fprintf(stderr, "  %s %s %.2f", head->dataset, head->classes[best], (double)q[best]);
    }
    fputc('\n', stderr);
}

static ark_status embed(ark_infer_session *session, const ark_infer_info *info, char **paths, int n) {
    float *z = malloc((size_t)info->projected_dim * sizeof *z);
    float *p = malloc(((size_t)info->outputs + 1) * sizeof *p);
    ark_status st = z && p ? ARK_OK : ARK_ENOMEM;
    for (int i = 0; i < n && st == ARK_OK; i++) {
        const char *path = paths[i];
        ark_infer_out out = {.projected = z, .probabilities = p};
        st = ark_infer_files(session, &path, 1, &out);
        if (st == ARK_OK) {
            tell(info, path, p);
            printf("%s", path);
            for (int d = 0; d < info->projected_dim; d++) {
                printf(",%.7g", (double)z[d]);
            }
            putchar('\n');
        }
    }
    free(z);
    free(p);
    return st;
}

int main(int argc, char **argv) {
    if (argc < 3) {
        fprintf(stderr, "usage: embed WEIGHTS IMAGE...\n");
        return 2;
    }
    ark_infer_model *model = NULL;
    ark_infer_session *session = NULL;
    ark_status st = ark_infer_open(argv[1], NULL, &model);
    if (st == ARK_OK) {
        st = ark_infer_session_new(model, NULL, &session);
    }
    if (st == ARK_OK) {
        st = embed(session, ark_infer_describe(model), argv + 2, argc - 2);
    }
    if (st != ARK_OK) {
        fprintf(stderr, "embed: %s: %s\n", ark_status_text(st), ark_err_msg());
    }
    ark_infer_session_free(session);
    ark_infer_close(model);
    return st != ARK_OK;
}
