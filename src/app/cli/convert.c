/* arkfm convert: weights from one file format and naming to another. */
#include "model/convert.h"
#include "app/cli/cli.h"
#include "app/cli/model_cli.h"
#include "base/err.h"
#include "base/str.h"

#include <string.h>

typedef struct args {
    cli_model_args model;
    const char *format;
    ark_weights_format kind;
} args;

static const char *const formats[] = {"ark", "timm", "pth"};

static bool ends_with(const char *s, const char *tail) {
    size_t n = strlen(s), m = strlen(tail);
    return n >= m && !strcmp(s + n - m, tail);
}

static int check_usage(const cli_ctx *c, args *a) {
    const char *out = c->pos[1];
    if (!a->format) {
        bool pth = ends_with(out, ".pth") || ends_with(out, ".pt") || ends_with(out, ".pth.tar");
        if (!pth && !ends_with(out, ".safetensors")) {
            return cli_usage("%s: --format ark|timm|pth, or a name that ends in .safetensors or .pth", out);
        }
        a->kind = pth ? ARK_WEIGHTS_PTH : ARK_WEIGHTS_ARK;
    }
    for (size_t i = 0; a->format && i < CLI_COUNT(formats); i++) {
        if (!strcmp(a->format, formats[i])) {
            a->kind = (ark_weights_format)i;
            return cli_weight_check(&a->model);
        }
    }
    return a->format ? cli_unknown("--format", a->format, formats, CLI_COUNT(formats))
                     : cli_weight_check(&a->model);
}

static int print_result(const cli_ctx *c, const args *a, const ark_converted *r, double seconds) {
    const ark_net *net = &r->model.net;
    char arch[256];
    ark_arch_print(&net->arch, arch, sizeof arch);
    cli_weight_tell(c, &r->model, a->model.key != NULL);
    if (c->json) {
        return cli_print_json(json_pack("{s:o,s:s,s:s,s:s,s:i,s:I,s:I,s:I,s:o,s:f}", "file",
            cli_text(c->pos[1]), "format", formats[a->kind], "architecture", arch, "projector",
            ark_projector_name(net->projector), "heads", net->n_heads, "tensors", (json_int_t)r->tensors,
            "parameters", (json_int_t)r->parameters, "left_out", (json_int_t)r->left_out, "unmatched",
            cli_unmatched(&r->model), "seconds", seconds));
    }
    cli_put_text(stdout, c->pos[1]);
    printf(": %s, %zu tensors, %lld parameters, %s, %.2f s", formats[a->kind], r->tensors,
        (long long)r->parameters, arch, seconds);
    if (r->left_out) {
        printf("; %zu tensors of projector and heads left out", r->left_out);
    }
    putchar('\n');
    return cli_flush();
}

int cmd_convert(cli_ctx *ctx, int argc, char **argv) {
    args a = {.model = CLI_MODEL_DEFAULTS};
    const cli_opt opts[] = {
        {"--format", CLI_STR, "ark|timm|pth", &a.format,
            "what to write: safetensors of ours, safetensors of the encoder for timm, or .pth (default: by "
            "the name)"},
        CLI_WEIGHT_OPTIONS(a.model),
    };
    ark_converted r = {0};
    int rc = cli_parse(ctx, argc, argv, opts, CLI_COUNT(opts), 2, 2);
    rc = rc ? rc : check_usage(ctx, &a);
    if (rc == 0) {
        double start = cli_seconds();
        ark_model_opts o = cli_weight_opts(&a.model);
        ark_status st = ark_weights_convert(ctx->pos[0], &o, ctx->pos[1], a.kind, &r);
        rc = st != ARK_OK ? cli_fail(ctx, st) : print_result(ctx, &a, &r, cli_seconds() - start);
    }
    ark_converted_free(&r);
    cli_done(ctx, opts, CLI_COUNT(opts));
    return rc;
}
