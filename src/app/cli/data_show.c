/* arkfm data show: the grey levels a model gets from one image, as a PNG. */
#include "app/cli/data_verbs.h"

#include "app/cli/model_cli.h"
#include "base/alloc.h"
#include "base/err.h"
#include "io/image.h"

enum { MAX_SIDE = 4096 };

typedef struct args {
    const char *out;
    int64_t size;
} args;

/* The whole image at the model's side, before normalisation. */
static ark_status render(const ark_image *im, int side, uint8_t *px) {
    ark_resizer *r;
    ARK_TRY(ark_resizer_new(&r));
    ark_status st =
        ark_resize8(r, im->px8, im->width, im->height, (size_t)im->width, NULL, px, side, side, ARK_BILINEAR);
    ark_resizer_free(r);
    return st;
}

static ark_status show(const args *a, ark_image *im, int *depth) {
    uint8_t *px;
    int side = (int)a->size;
    *depth = im->depth;
    ark_image_to8(im);
    ARK_TRY(ARK_NEW(&px, (size_t)side * (size_t)side, "a view"));
    ark_status st = render(im, side, px);
    st = st ? st : ark_png_write(a->out, side, side, 1, px);
    ark_free(px);
    return st;
}

static int print_result(const cli_ctx *c, const args *a, const ark_image *im, int depth) {
    if (c->json) {
        return cli_print_json(json_pack("{s:o,s:o,s:[i,i],s:i,s:I}", "path", cli_text(c->pos[0]), "file",
            cli_text(a->out), "source", im->width, im->height, "depth", depth, "size", (json_int_t)a->size));
    }
    printf("%s: %d x %d pixels of %d bits, shown at %lld x %lld\n", a->out, im->width, im->height, depth,
        (long long)a->size, (long long)a->size);
    return cli_flush();
}

int cmd_data_show(cli_ctx *c, int argc, char **argv) {
    args a = {.size = 224};
    const cli_opt opts[] = {
        {"-o", CLI_STR, "OUT.png", &a.out, "8-bit grey PNG, required"},
        {"--size", CLI_INT, "N", &a.size, "side of the model's input (default: 224)"},
    };
    ark_image im = {0};
    int depth = 0;
    int rc = cli_parse(c, argc, argv, opts, CLI_COUNT(opts), 1, 1);
    if (rc == 0 && !a.out) {
        rc = cli_usage("-o OUT.png is required");
    } else if (rc == 0 && (a.size < 1 || a.size > MAX_SIDE)) {
        rc = cli_usage("--size: %lld is outside 1..%d", (long long)a.size, MAX_SIDE);
    }
    if (rc == 0) {
        ark_status st = ark_image_read(c->pos[0], NULL, &im);
        st = st ? st : show(&a, &im, &depth);
        rc = st != ARK_OK ? cli_fail(c, st) : print_result(c, &a, &im, depth);
    }
    ark_image_free(&im);
    cli_done(c, opts, CLI_COUNT(opts));
    return rc;
}
