/* Architectures as text: names, generic forms, what is refused. Numbers of the variants are timm's. */
#include "io_check.h"
#include "nn/encoder.h"

#include <stdio.h>
#include <string.h>

static void expect_text(const char *text, const char *generic, int features) {
    ark_arch a, again;
    char buf[ARK_ARCH_TEXT];
    check_ok(ark_arch_parse(text, &a));
    assert_string_equal(ark_arch_print(&a, buf, sizeof buf), generic);
    assert_int_equal(ark_arch_features(&a), features);
    check_ok(ark_arch_parse(buf, &again));
    char second[ARK_ARCH_TEXT];
    assert_string_equal(ark_arch_print(&again, second, sizeof second), generic);
}

static void test_names(void **state) {
    (void)state;
    expect_text("swin_tiny", "swin:embed=96,depths=2-2-6-2,heads=3-6-12-24,window=7,size=224", 768);
    expect_text("swin_base_224", "swin:embed=128,depths=2-2-18-2,heads=4-8-16-32,window=7,size=224", 1024);
    expect_text("swin_base_384", "swin:embed=128,depths=2-2-18-2,heads=4-8-16-32,window=12,size=384", 1024);
    expect_text("swin_large_768", "swin:embed=192,depths=2-2-18-2,heads=6-12-24-48,window=12,size=768", 1536);
    expect_text(
        "swin:embed=8,depths=1-2,heads=2-4", "swin:embed=8,depths=1-2,heads=2-4,window=7,size=224", 16);
    expect_text("swin:embed=8,heads=2,depths=1,patch=8,size=64",
        "swin:embed=8,depths=1,heads=2,window=7,size=64,patch=8", 8);
    expect_text("vit_small", "vit:embed=384,depth=12,heads=6,patch=16,size=224", 384);
    expect_text("vit_base_patch16_224", "vit:embed=768,depth=12,heads=12,patch=16,size=224", 768);
    expect_text("vit_base_384", "vit:embed=768,depth=12,heads=12,patch=16,size=384", 768);
    expect_text("vit:embed=64,depth=2,heads=2,size=64,pool=avg",
        "vit:embed=64,depth=2,heads=2,patch=16,size=64,pool=avg", 64);
    expect_text(
        "vit:embed=64,depth=2,heads=2,pool=token", "vit:embed=64,depth=2,heads=2,patch=16,size=224", 64);
}

/* Every variant at every size, and no name twice: a new family cannot shadow another's words. */
static void test_all_variants(void **state) {
    (void)state;
    const ark_encoder *e, *other;
    for (int i = 0; (e = ark_encoder_at(i)) != NULL; i++) {
        assert_ptr_equal(ark_encoder_find(e->name), e);
        for (const ark_variant *v = e->variants; v->name; v++) {
            for (const ark_variant *s = e->sizes; s->name; s++) {
                char name[64];
                ark_arch a;
                snprintf(name, sizeof name, "%s%s", v->name, s->name);
                check_ok(ark_arch_parse(name, &a));
                assert_ptr_equal(a.family, e);
                assert_true(ark_encode_maps(&a) >= 1 && ark_encode_maps(&a) <= ARK_MAX_STAGES);
            }
            for (int j = 0; (other = ark_encoder_at(j)) != NULL; j++) {
                for (const ark_variant *w = other->variants; w->name; w++) {
                    assert_true(v == w || strcmp(v->name, w->name) != 0);
                }
            }
        }
    }
}

static void expect_refused(const char *text, const char *message) {
    ark_arch a;
    check_error(ark_arch_parse(text, &a), ARK_EINVAL, message);
}

static void test_refused(void **state) {
    (void)state;
    expect_refused("swin_tinny", "did you mean swin_tiny");
    expect_refused("swin_tiny_225", "sizes are _224, _384, _768");
    expect_refused("swim:embed=8", "unknown architecture 'swim:', did you mean swin");
    expect_refused("swin:embed", "'embed' is not key=value");
    expect_refused("swin:embde=8", "unknown key 'embde', did you mean embed");
    expect_refused("swin:embed=8,heads=2", "needs depths");
    expect_refused("swin:embed=8,depths=1-2,heads=2", "heads=2 has 1 numbers, the other list has 2");
    expect_refused("swin:embed=8,depths=1-1-1-1-1-1-1-1-1,heads=2", "bad list depths");
    expect_refused("swin:embed=8,depths=1-x,heads=2-2", "bad number 'x' in depths=1-x");
    expect_refused("swin:embed=0,depths=1,heads=1", "embed=0 is not a number in 1..4096");
    expect_refused("swin:embed=8,depths=1,heads=3", "8 channels, not a multiple of its 3 heads");
    expect_refused("swin:embed=8,depths=1,heads=1,size=30", "size 30 is not a multiple of the patch side 4");
    expect_refused("vit_smal", "did you mean vit_small");
    expect_refused("vit_small_225", "sizes are _224, _384");
    expect_refused("vit:embed=64,depth=2", "needs heads");
    expect_refused("vit:embed=64,depth=2,heads=3", "64 channels, not a multiple of 3 heads");
    expect_refused("vit:embed=64,depth=2,heads=2,size=50", "size 50 is not a multiple of the patch side 16");
    expect_refused("vit:embed=64,depth=2,heads=2,pool=mean", "unknown pool 'mean'");
    expect_refused("vit:embed=64,depth=2,heads=2,window=7", "unknown key 'window'");
    expect_refused("", "unknown architecture ''");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_all_variants),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests_name("architectures", tests, NULL, NULL);
}
