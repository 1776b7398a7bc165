#include "base/alloc.h"
#include "base/err.h"
#include "model/model.h"
#include "model/weight_file.h"

/* Every parameter under its name and file shape. host: room for a whole column, kept
 * until the file is written. */
static ark_status add_params(ark_st_writer *w, const ark_params *params, ark_column column, float *host) {
    for (int i = 0; i < ark_params_count(params); i++) {
        const ark_param *p = ark_params_at(params, i);
        ARK_TRY(ark_params_read(params, column, i, host + p->offset));
        ARK_TRY(ark_st_writer_add(w, p->name, ARK_ST_F32, p->file_ndim ? p->file_ndim : p->ndim,
            p->file_ndim ? p->file_dims : p->dims, host + p->offset));
    }
    return ARK_OK;
}

static ark_status fill_writer(ark_st_writer *w, const ark_net *net, const ark_preproc *pre,
    const ark_params *params, ark_column column, const char *const *extra, float *host) {
    ARK_TRY(ark_meta_write(w, net, pre));
    for (int i = 0; extra && extra[i]; i += 2) {
        ARK_TRY(ark_st_writer_meta(w, extra[i], extra[i + 1]));
    }
    return add_params(w, params, column, host);
}

ark_status ark_weights_save(const char *path, const ark_net *net, const ark_preproc *pre,
    const ark_params *params, ark_column column, const char *const *extra) {
    ark_st_writer *w = NULL;
    float *host = NULL;
    ark_status st = ARK_NEW(&host, (size_t)ark_params_elems(params), "a copy of the weights");
    st = st ? st : ark_st_writer_new(&w);
    st = st ? st : fill_writer(w, net, pre, params, column, extra, host);
    st = st ? st : ark_st_writer_save(w, path);
    ark_st_writer_free(w);
    ark_free(host);
    return st;
}
