/* patchify: x (B,Cin,S,S) -> (B,S/P,S/P,Cin*P*P). Every pixel goes to exactly one place,
 * so backward is the inverse. */
#include "backend/ref/ref.h"

typedef struct dims {
    int64_t B, Cin, S, P, G; /* G = S/P patches a side */
} dims;

static dims dims_of(const ark_call *c, const ark_node *n) {
    const ark_tensor *x = n->in[0];
    int64_t patch = n->a.patchify.patch;
    return (dims){.B = c->batch, .Cin = x->dims[1], .S = x->dims[2], .P = patch, .G = x->dims[2] / patch};
}

/* Index in the output of pixel (b,ch,y,x). */
static int64_t out_index(dims d, int64_t b, int64_t ch, int64_t y, int64_t x) {
    int64_t patch = (b * d.G + y / d.P) * d.G + x / d.P;
    int64_t within = (ch * d.P + y % d.P) * d.P + x % d.P;
    return patch * (d.Cin * d.P * d.P) + within;
}

/* Copies between the two layouts, out = x or x = out. */
static void move(dims d, ark_ref_view image, ark_ref_view patches, bool to_patches) {
    int64_t i = 0;
    for (int64_t b = 0; b < d.B; b++) {
        for (int64_t ch = 0; ch < d.Cin; ch++) {
            for (int64_t y = 0; y < d.S; y++) {
                for (int64_t x = 0; x < d.S; x++, i++) {
                    int64_t o = out_index(d, b, ch, y, x);
                    if (to_patches) {
                        ark__ref_put(patches, o, ark__ref_get(image, i));
                    } else {
                        ark__ref_put(image, i, ark__ref_get(patches, o));
                    }
                }
            }
        }
    }
}

ark_status ark__ref_patchify_fwd(const ark_call *c, const ark_node *n) {
    move(dims_of(c, n), ark__ref_data(c, n->in[0]), ark__ref_data(c, n->out), true);
    return ARK_OK;
}

ark_status ark__ref_patchify_bwd(const ark_call *c, const ark_node *n) {
    if (n->want_grad[0]) {
        move(dims_of(c, n), ark__ref_din(c, n, 0), ark__ref_dout(c, n), false);
    }
    return ARK_OK;
}
