/* Names of other writers for convolutional networks. Expected: the state dicts of torchvision 0.2 and 0.27,
 * of Meta's ConvNeXt release and of CheXNet, beside timm's names for the same tensors. */
#include "common/check.h"
#include "model/state_family.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef bool rename_fn(const char *name, char out[ARK_WEIGHT_NAME_MAX]);

/* to: NULL where the name is not this family's foreign one, "" where the tensor is dropped. */
static void expect(rename_fn *f, const char *from, const char *to) {
    char out[ARK_WEIGHT_NAME_MAX] = "?";
    bool known = f(from, out);
    require(known == (to != NULL) && (!to || !strcmp(out, to)), "%s became %s, not %s", from,
        known ? out : "(kept)", to ? to : "(kept)");
}

static void test_convnext(void **state) {
    (void)state;
    expect(ark_convnext_name, "features.0.0.weight", "stem.0.weight");
    expect(ark_convnext_name, "features.0.1.bias", "stem.1.bias");
    expect(ark_convnext_name, "features.1.2.block.0.weight", "stages.0.blocks.2.conv_dw.weight");
    expect(ark_convnext_name, "features.5.26.block.2.bias", "stages.2.blocks.26.norm.bias");
    expect(ark_convnext_name, "features.7.0.block.3.weight", "stages.3.blocks.0.mlp.fc1.weight");
    expect(ark_convnext_name, "features.7.0.block.5.bias", "stages.3.blocks.0.mlp.fc2.bias");
    expect(ark_convnext_name, "features.1.0.layer_scale", "stages.0.blocks.0.gamma");
    expect(ark_convnext_name, "features.4.1.weight", "stages.2.downsample.1.weight");
    expect(ark_convnext_name, "classifier.0.weight", "head.norm.weight");
    expect(ark_convnext_name, "classifier.2.bias", "");
    expect(ark_convnext_name, "downsample_layers.0.0.weight", "stem.0.weight");
    expect(ark_convnext_name, "downsample_layers.3.1.bias", "stages.3.downsample.1.bias");
    expect(ark_convnext_name, "stages.2.26.dwconv.weight", "stages.2.blocks.26.conv_dw.weight");
    expect(ark_convnext_name, "stages.0.1.pwconv1.weight", "stages.0.blocks.1.mlp.fc1.weight");
    expect(ark_convnext_name, "stages.0.1.pwconv2.bias", "stages.0.blocks.1.mlp.fc2.bias");
    expect(ark_convnext_name, "stages.0.1.gamma", "stages.0.blocks.1.gamma");
    /* timm's own, and what is nobody's */
    expect(ark_convnext_name, "stages.0.blocks.0.gamma", NULL);
    expect(ark_convnext_name, "features.1.2.block.7.weight", NULL);
    expect(ark_convnext_name, "features.0.7.weight", NULL);
    expect(ark_convnext_name, "features.10000.0.weight", NULL);
    expect(ark_convnext_name, "stages..1.gamma", NULL);
    assert_string_equal(ark_convnext_settle("norm.bias"), "head.norm.bias");
    assert_null(ark_convnext_settle("stem.1.bias"));
}

static void test_resnet(void **state) {
    (void)state;
    expect(ark_resnet_name, "fc.weight", "");
    expect(ark_resnet_name, "layer1.0.bn1.num_batches_tracked", "");
    expect(ark_resnet_name, "layer1.0.bn1.running_mean", NULL);
}

static void test_densenet(void **state) {
    (void)state;
    expect(ark_densenet_name, "features.denseblock1.denselayer1.norm.1.running_var",
        "features.denseblock1.denselayer1.norm1.running_var");
    expect(ark_densenet_name, "densenet121.features.denseblock4.denselayer16.conv.2.weight",
        "features.denseblock4.denselayer16.conv2.weight");
    expect(ark_densenet_name, "densenet121.features.norm5.bias", "features.norm5.bias");
    expect(ark_densenet_name, "densenet121.classifier.0.weight", "");
    expect(ark_densenet_name, "classifier.weight", "");
    expect(ark_densenet_name, "features.norm5.bias", NULL);
    expect(ark_densenet_name, "features.transition1.norm.weight", NULL);
}

/* The longest name there can be, and one that would grow beyond it. */
static void test_long(void **state) {
    (void)state;
    char name[ARK_WEIGHT_NAME_MAX], out[ARK_WEIGHT_NAME_MAX];
    memset(name, 'a', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    memcpy(name, "stages.0.1.dwconv.", 18);
    assert_false(ark_convnext_name(name, out));
    memcpy(name, "densenet121.features.denseblock.norm.1.", 39);
    assert_true(ark_densenet_name(name, out));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_convnext),
        cmocka_unit_test(test_resnet),
        cmocka_unit_test(test_densenet),
        cmocka_unit_test(test_long),
    };
    return cmocka_run_group_tests_name("names of convolutional networks", tests, NULL, NULL);
}
