#!/usr/bin/env python3
"""Reference values for the ops and encoders of convolutional networks, computed by PyTorch and timm in float64.

    python make_conv.py [ops] [nets]     # needs torch >= 2 and timm >= 1.0; writes *.safetensors beside itself

Values, gradients and cases as in make_golden.py, whose helpers are used.

ops_<op>.safetensors          conv2d, dwconv, batchnorm (by running statistics), maxpool, avgpool2, concat, add_relu,
                              layer_scale
batchnorm_train.safetensors   <case>/attr (eps, momentum, relu), x, gamma, beta, mean, var, r float32; out, dx, dgamma,
                              dbeta, new_mean, new_var float64: two passes over different x, as training makes them
conv.safetensors              tiny ResNet, DenseNet and ConvNeXt, see nets()
"""
import sys

import make_golden as mg
import numpy as np
import timm
import torch
import torch.nn.functional as F
from make_golden import add_case, f32, f64, normal

SEED = 20241125
mg.rng = np.random.default_rng(SEED)


def save(name, file, **more):
    mg.save(name, file, generator="tests/golden/make_conv.py", seed=str(SEED), **more)


def rounded(t):
    return t.float().double()


def last(t):
    """(B,C,H,W) -> (B,H,W,C)"""
    return t.permute(0, 2, 3, 1)


def first(t):
    return t.permute(0, 3, 1, 2)


# --- single ops -------------------------------------------------------------------------------------------------------

def conv2d():
    file = {}

    def case(name, b, h, w, i, o, k, stride, pad, bias=False, planar=False):
        x = normal(b, i, h, w) if planar else normal(b, h, w, i)
        inputs = [x, normal(o, i, k, k, scale=0.5), normal(o) if bias else None]

        def fn(x, w, b):
            return last(F.conv2d(x if planar else first(x), w, b, stride=stride, padding=pad))

        add_case(file, name, [stride, pad, planar], inputs, fn, [0, 1] + [2] * bias)

    case("one", 1, 1, 1, 1, 1, 1, 1, 0)
    case("k3", 2, 5, 6, 3, 4, 3, 1, 1)
    case("k3_bias", 1, 4, 4, 8, 5, 3, 1, 1, bias=True)
    case("k3_stride", 2, 7, 6, 5, 3, 3, 2, 1)
    case("k3_stride_even", 1, 8, 8, 4, 9, 3, 2, 1)
    case("k3_no_pad", 1, 5, 5, 2, 17, 3, 1, 0)
    case("k1_stride", 2, 5, 4, 6, 7, 1, 2, 0)
    case("k2_stride", 2, 6, 4, 5, 6, 2, 2, 0, bias=True)
    case("k7_planar", 2, 12, 12, 3, 4, 7, 2, 3, planar=True)
    case("k4_planar_bias", 1, 8, 8, 3, 6, 4, 4, 0, bias=True, planar=True)
    case("k5", 1, 3, 9, 2, 3, 5, 1, 2)
    case("one_row", 1, 1, 5, 3, 2, 3, 1, 1)
    save("ops_conv2d", file)


def dwconv():
    file = {}

    def case(name, b, h, w, c, k, bias=True):
        inputs = [normal(b, h, w, c), normal(c, 1, k, k, scale=0.5), normal(c) if bias else None]

        def fn(x, w, b):
            return last(F.conv2d(first(x), w, b, padding=k // 2, groups=c))

        add_case(file, name, [], inputs, fn, [0, 1] + [2] * bias)

    case("one", 1, 1, 1, 1, 1)
    case("k7", 1, 9, 8, 5, 7)
    case("k7_small_grid", 2, 3, 2, 8, 7)
    case("k7_wide", 1, 7, 19, 3, 7)
    case("k3", 2, 5, 4, 17, 3, bias=False)
    case("k5_lanes", 1, 6, 6, 24, 5)
    save("ops_dwconv", file)


def batchnorm():
    file = {}

    def case(name, shape, relu, eps=1e-5, x=None):
        c = shape[-1]
        x = normal(*shape) if x is None else x
        beta = 2 * torch.sign(normal(c)) if relu else normal(c)
        inputs = [x, rounded(1 + normal(c, scale=0.25)), beta, normal(c, scale=0.25), rounded(1 + normal(c).abs())]
        eps = float(np.float32(eps))

        def fn(x, gamma, beta, mean, var):
            y = F.batch_norm(x.reshape(-1, c), mean, var, gamma, beta, training=False, eps=eps).reshape(shape)
            return F.relu(y) if relu else y

        add_case(file, name, [eps, float(np.float32(0.1)), relu], inputs, fn, [0, 1, 2])

    case("plain", (2, 3, 3, 5), False)
    case("rows", (7, 16), False)
    case("eps", (1, 2, 2, 33), False, eps=1e-2)
    case("relu", (2, 3, 4, 9), True, x=normal(2, 3, 4, 9, scale=0.125))
    case("relu_kink_extreme", (4, 1, 1, 8), True)
    case("one", (1, 1, 1, 1), False)
    save("ops_batchnorm", file)


def batchnorm_train():
    file = {}
    for name, shape, relu, momentum in [("plain", (3, 4, 5, 7), False, 0.1), ("relu", (2, 5, 3, 16), True, 0.1),
                                        ("rows", (9, 33), True, 0.25), ("few", (6, 1, 1, 3), False, 0.1)]:
        c = shape[-1]
        eps, m = float(np.float32(1e-5)), float(np.float32(momentum))
        gamma, beta = rounded(1 + normal(c, scale=0.25)), normal(c, scale=0.5)
        mean, var = normal(c), rounded(1 + normal(c).abs())
        norm = torch.nn.BatchNorm1d(c, eps=eps, momentum=m)
        with torch.no_grad():
            for to, of in ((norm.weight, gamma), (norm.bias, beta), (norm.running_mean, mean), (norm.running_var, var)):
                to.copy_(of)
        x, r = rounded(normal(2, *shape, scale=1.5) + 0.5), normal(2, *shape)
        out, dx = [], []
        for i in range(2):
            xi = x[i].clone().requires_grad_()
            y = norm(xi.reshape(-1, c)).reshape(shape)
            y = F.relu(y) if relu else y
            (y * r[i]).sum().backward()
            out.append(f64(y))
            dx.append(f64(xi.grad))
        file[f"{name}/attr"] = np.asarray([eps, m, relu], np.float32)
        for key, t in dict(x=x, gamma=gamma, beta=beta, mean=mean, var=var, r=r).items():
            file[f"{name}/{key}"] = f32(t)
        file[f"{name}/out"], file[f"{name}/dx"] = np.stack(out), np.stack(dx)
        file[f"{name}/dgamma"], file[f"{name}/dbeta"] = f64(norm.weight.grad), f64(norm.bias.grad)
        file[f"{name}/new_mean"], file[f"{name}/new_var"] = f64(norm.running_mean), f64(norm.running_var)
    save("batchnorm_train", file)


def distinct(*shape):
    """Values half a unit apart, in random order: no step of finite differences changes which is larger."""
    n = int(np.prod(shape))
    return torch.from_numpy(mg.rng.permutation(n).reshape(shape) * 0.5 - n / 4)


def maxpool():
    def fn(x):
        return last(F.max_pool2d(first(x), 3, stride=2, padding=1))

    file = {}
    for shape in [(1, 1, 1, 3), (2, 4, 4, 5), (1, 5, 7, 8), (2, 6, 3, 17), (1, 2, 2, 1)]:
        add_case(file, "x".join(map(str, shape)), [], [distinct(*shape)], fn, [0])
    flat = torch.from_numpy(mg.rng.integers(0, 2, (2, 6, 6, 5)).astype(np.float64))  # ties go to the first
    add_case(file, "ties_extreme", [], [flat], fn, [0])
    save("ops_maxpool", file)


def avgpool2():
    file = {}
    for shape in [(1, 2, 2, 3), (2, 4, 6, 5), (1, 5, 7, 16)]:
        add_case(file, "x".join(map(str, shape)), [], [normal(*shape)], lambda x: last(F.avg_pool2d(first(x), 2)), [0])
    save("ops_avgpool2", file)


def concat():
    file = {}
    for b, h, w, c, d in [(1, 1, 1, 1, 1), (2, 3, 4, 5, 8), (1, 2, 2, 33, 16)]:
        add_case(file, f"{b}x{h}x{w}x{c}+{d}", [], [normal(b, h, w, c), normal(b, h, w, d)],
                 lambda x, y: torch.cat([x, y], 3), [0, 1])
    save("ops_concat", file)


def add_relu():
    file = {}
    for shape in [(1, 1), (2, 3, 3, 7), (5, 33)]:
        x, h = normal(*shape, scale=0.125), 2 * torch.sign(normal(*shape))
        add_case(file, "x".join(map(str, shape)), [], [x, h], lambda x, h: F.relu(x + h), [0, 1])
    save("ops_add_relu", file)


def layer_scale():
    file = {}
    for shape in [(1, 1), (2, 3, 3, 7), (5, 33)]:
        add_case(file, "x".join(map(str, shape)), [0.0], [normal(*shape), normal(*shape), normal(shape[-1])],
                 lambda x, h, g: x + g * h, [0, 1, 2])
    drop = timm.layers.DropPath(0.25).eval()  # outside training the identity, whatever the rate
    add_case(file, "rate_at_rest", [0.25], [normal(3, 4), normal(3, 4), normal(4)],
             lambda x, h, g: x + drop(g * h), [0, 1, 2])
    save("ops_layer_scale", file)


# --- tiny networks ---------------------------------------------------------------------------------------------------

SIZE, PROJECTOR, CLASSES = 64, 12, 5


class TinyResNet(torch.nn.Module):
    """timm's ResNet from its blocks; its own class has the stem's 64 channels built in."""

    def __init__(self, layers, width):
        super().__init__()
        from timm.models.resnet import Bottleneck
        self.conv1 = torch.nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(width)
        channels = width
        for s, n in enumerate(layers):
            blocks = []
            for j in range(n):
                stride, wide = 2 if s > 0 and j == 0 else 1, 4 * width << s
                shortcut = torch.nn.Sequential(torch.nn.Conv2d(channels, wide, 1, stride=stride, bias=False),
                                               torch.nn.BatchNorm2d(wide)) if j == 0 else None
                blocks.append(Bottleneck(channels, width << s, stride=stride, downsample=shortcut))
                channels = wide
            setattr(self, f"layer{s + 1}", torch.nn.Sequential(*blocks))
        self.stages = len(layers)
        self.num_features = channels

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, stride=2, padding=1)
        for s in range(self.stages):
            x = getattr(self, f"layer{s + 1}")(x)
        return x.mean((2, 3))


def convnext():
    from timm.models.convnext import ConvNeXt
    return ConvNeXt(depths=(1, 1, 2, 1), dims=(8, 16, 24, 32), num_classes=0)


def densenet():
    from timm.models.densenet import DenseNet
    return DenseNet(growth_rate=4, block_config=(2, 2, 1, 1), num_classes=0)  # a stem of 8


NETS = {
    "resnet": ("resnet:layers=2-1-1-1,width=4,size=64", lambda: TinyResNet((2, 1, 1, 1), 4)),
    "densenet": ("densenet:growth=4,blocks=2-2-1-1,init=8,size=64", densenet),
    "convnext": ("convnext:dims=8-16-24-32,depths=1-1-2-1,size=64", convnext),
}


class ArkNet(torch.nn.Module):
    """Encoder -> linear projector -> one linear head."""

    def __init__(self, make):
        super().__init__()
        self.encoder = make()
        self.projector = torch.nn.Linear(self.encoder.num_features, PROJECTOR)
        self.omni_heads = torch.nn.ModuleList([torch.nn.Linear(PROJECTOR, CLASSES)])

    def named(self):
        """Parameters and running statistics by their names in weight files."""
        both = [*self.named_parameters(), *self.named_buffers()]
        return {k.removeprefix("encoder."): v for k, v in both if not k.endswith("num_batches_tracked")}

    def forward(self, x):
        return self.projector(self.encoder(x))


def random_value(name, t):
    """Float16-exact values, none of them at its usual zero or one. Half of a batch norm's channels get a shift far from
    the kink of the ReLU that follows it."""
    def exact(v):
        return torch.from_numpy(v.astype(np.float16).astype(np.float64))
    r = mg.rng.standard_normal(tuple(t.shape))
    if name.endswith("running_var"):
        return exact(1 + np.abs(r) / 2)
    if name.endswith("gamma"):
        return exact(0.5 + 0.25 * r)
    if t.ndim == 1:
        scale = name.endswith("weight")
        return exact((1.0 if scale else 0.0) + 0.25 * r)
    return exact(r * np.sqrt(1.5 / t[0].numel()))


def load(net, values):
    with torch.no_grad():
        for name, t in net.named().items():
            t.copy_(values[name])
    return net


def three_steps(file, key, make, values, images):
    """Ark's step on one dataset with missing labels, three times: c 0.25, EMA with m 0.75 after each, over parameters and
    running statistics; SGD with Nesterov momentum."""
    student, teacher = load(ArkNet(make), values).train(), load(ArkNet(make), values).eval()
    opt = torch.optim.SGD(student.parameters(), lr=1 / 128, momentum=0.875, nesterov=True)
    n, c, m = 4, 0.25, 0.75
    rows = []
    for step in range(3):
        pick = mg.rng.permutation(len(images))[: 2 * n]
        labels = torch.from_numpy((mg.rng.random((n, CLASSES)) < 0.4).astype(np.float64))
        mask = torch.from_numpy((mg.rng.random((n, CLASSES)) < 0.75).astype(np.float64))
        z_t = teacher(images[pick[n:]]).detach()
        z_s = student(images[pick[:n]])
        bce = F.binary_cross_entropy_with_logits(student.omni_heads[0](z_s), labels, reduction="none")
        task, consistency = (bce * mask).sum() / mask.sum(), F.mse_loss(z_s, z_t)
        loss = (1 - c) * task + c * consistency
        opt.zero_grad(set_to_none=True)
        loss.backward()
        opt.step()
        with torch.no_grad():
            for name, t in teacher.named().items():
                t.mul_(m).add_(student.named()[name], alpha=1 - m)
        rows.append(dict(pick=pick.astype(np.float32), labels=labels.numpy().astype(np.float32),
                         mask=mask.numpy().astype(np.float32), loss=loss.item(), task=task.item(),
                         consistency=consistency.item()))
    for name in rows[0]:
        file[f"{key}/ark/{name}"] = np.stack([row[name] for row in rows])
    file[f"{key}/ark/teacher"] = f64(teacher(images[:2]))
    for name, t in teacher.named().items():
        if "running" in name:
            file[f"{key}/ark/{name}"] = t.numpy().astype(np.float32)
    print("  losses", " ".join(f"{row['loss']:.5f}" for row in rows))


def nets():
    """images int8, value/32. Per network: <net>/param/<name> float16; embedding and projected features of images 0 and 1 in
    eval mode; of images 0..3 in training mode the features, and for sum(features * r) every gradient, the image's, and
    the running statistics afterwards; ark/*: three steps."""
    pixels = np.clip(np.rint(32 * mg.rng.standard_normal((8, 3, SIZE, SIZE))), -127, 127).astype(np.int8)
    file, archs = {"images": pixels}, {}
    images = torch.from_numpy(pixels.astype(np.float64) / 32)
    for key, (text, make) in NETS.items():
        archs[f"arch_{key}"] = text
        values = {name: random_value(name, t) for name, t in ArkNet(make).named().items()}
        for name, v in values.items():
            file[f"{key}/param/{name}"] = v.numpy().astype(np.float16)
        net = load(ArkNet(make), values).eval()
        with torch.no_grad():
            file[f"{key}/embedding"], file[f"{key}/projected"] = f64(net.encoder(images[:2])), f64(net(images[:2]))
        net = load(ArkNet(make), values).train()
        x = images[:4].clone().requires_grad_()
        z = net(x)
        r = normal(*z.shape)
        (z * r).sum().backward()
        file[f"{key}/features"], file[f"{key}/r"] = f64(z), f32(r)
        file[f"{key}/grad_image"] = x.grad.numpy().astype(np.float32)
        for name, t in net.named().items():
            if "running" in name:
                file[f"{key}/after/{name}"] = t.numpy().astype(np.float32)
            elif t.grad is not None:
                file[f"{key}/grad/{name}"] = t.grad.numpy().astype(np.float32)
        three_steps(file, key, make, values, images)
        print(" ", text, "parameters", sum(v.numel() for v in values.values()))
    save("conv", file, **archs)


OPS = (conv2d, dwconv, batchnorm, batchnorm_train, maxpool, avgpool2, concat, add_relu, layer_scale)

if __name__ == "__main__":
    wanted = sys.argv[1:] or ["ops", "nets"]
    if "ops" in wanted:
        for subject in OPS:
            subject()
    if "nets" in wanted:
        mg.rng = np.random.default_rng(SEED + 1)
        nets()
