#!/usr/bin/env python3
"""Reference values for tests/ops and tests/model, computed by PyTorch and timm in float64.

    python make_golden.py            # needs torch >= 2 and timm >= 1.0; writes *.safetensors beside itself

Inputs are random numbers that are exact in the type they are stored in (float32, float16 or int8), so that what PyTorch
computed and what the tests compute start from the same values. Every gradient is that of sum(out * r) with a random r:
with r = 1 softmax and layer norm would have gradient zero and a missing backward pass would look right.

Cases named *_extreme are too steep for finite differences, or zero where rounding is not.

ops_<op>.safetensors   <case>/attr        the op's attributes, order as in op_cases.h
                       <case>/in<k>       input k of the op, float32; absent when optional and not given
                       <case>/r           weight of the output
                       <case>/out, grad<k>  expected, float64
flat.safetensors       <case>/attr, w, g (steps,n) -> out (steps,n): optimizers and EMA
swin.safetensors       the tiny Swin and ten steps of Ark, see swin()
"""
import json
import math
import os
import struct

import numpy as np
import timm
import torch
import torch.nn.functional as F
from timm.models.swin_transformer import SwinTransformer, SwinTransformerBlock, window_partition, window_reverse

SEED = 20240607
HERE = os.path.dirname(os.path.abspath(__file__))
rng = np.random.default_rng(SEED)
torch.set_default_dtype(torch.float64)
torch.use_deterministic_algorithms(True)


def normal(*shape, scale=1.0, dtype=np.float32):
    """Random values, exact in dtype, as float64 tensor."""
    return torch.from_numpy((rng.standard_normal(shape) * scale).astype(dtype).astype(np.float64))


def save(name, tensors, **more):
    """Write a safetensors file. The package's own writer orders the metadata at random, but equal runs
    shall give equal bytes."""
    meta = {"generator": "tests/golden/make_golden.py", "seed": str(SEED), "torch": torch.__version__.split("+")[0],
            "timm": timm.__version__, "numpy": np.__version__, **more}
    codes = {"f8": "F64", "f4": "F32", "f2": "F16", "i4": "I32", "i1": "I8"}
    header, data = {"__metadata__": meta}, []
    at = 0
    for key in sorted(tensors, key=lambda k: (-tensors[k].itemsize, k)):
        a = np.ascontiguousarray(tensors[key])
        header[key] = {"dtype": codes[a.dtype.str[1:]], "shape": list(a.shape), "data_offsets": [at, at + a.nbytes]}
        data.append(a.tobytes())
        at += a.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path = os.path.join(HERE, name + ".safetensors")
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + b"".join(data))
    print(f"{name:24s} {len(tensors):5d} tensors {os.path.getsize(path):9d} bytes")


def f32(t):
    """Stored as float32; must lose nothing."""
    a = t.detach().numpy()
    assert np.array_equal(a.astype(np.float32).astype(np.float64), a, equal_nan=True)
    return a.astype(np.float32)


def f64(t):
    return t.detach().numpy().astype(np.float64)


# --- single ops -------------------------------------------------------------------------------------------------------

def add_case(file, case, attr, inputs, fn, grads):
    """Run out = fn(*inputs), then store inputs, output and the gradients of the inputs in `grads` (indices)."""
    inputs = [None if t is None else t.clone().requires_grad_(k in grads) for k, t in enumerate(inputs)]
    out = fn(*inputs)
    r = normal(*out.shape)
    got = torch.autograd.grad((out * r).sum(), [inputs[k] for k in grads], allow_unused=True)
    file[f"{case}/attr"] = np.asarray(attr, np.float32)
    file[f"{case}/r"] = f32(r)
    file[f"{case}/out"] = f64(out)
    for k, t in enumerate(inputs):
        if t is not None:
            file[f"{case}/in{k}"] = f32(t)
    for k, g in zip(grads, got):
        file[f"{case}/grad{k}"] = f64(torch.zeros_like(inputs[k]) if g is None else g)


def patchify():
    file = {}
    for b, c, s, p in [(1, 1, 4, 2), (2, 3, 12, 4), (3, 3, 9, 3), (1, 2, 5, 5), (2, 1, 3, 1)]:
        fn = lambda x: F.unfold(x, p, stride=p).transpose(1, 2).reshape(b, s // p, s // p, c * p * p)
        add_case(file, f"b{b}c{c}s{s}p{p}", [p], [normal(b, c, s, s)], fn, [0])
    save("ops_patchify", file)


def linear():
    file = {}
    acts = [lambda z: z, F.gelu, F.relu]  # ARK_ACT_NONE, _GELU (erf), _RELU

    def case(name, x, w, b, act):
        grads = [0, 1] if b is None else [0, 1, 2]
        add_case(file, name, [act], [x, w, b], lambda x, w, b: acts[act](F.linear(x, w, b)), grads)

    case("one", normal(1, 1), normal(1, 1), normal(1), 0)
    case("plain", normal(3, 5), normal(7, 5), normal(7), 0)
    case("no_bias", normal(2, 3, 3, 8), normal(13, 8), None, 0)
    case("gelu", normal(2, 3, 4, 8), normal(13, 8, scale=0.5), normal(13), 1)
    case("gelu_no_bias", normal(1, 2, 2, 6), normal(24, 6, scale=0.5), None, 1)
    far = 2 * torch.sign(normal(33))  # from the kink
    case("relu", normal(5, 17, scale=0.125), normal(33, 17, scale=0.25), far, 2)
    case("wide", normal(4, 65, scale=0.2), normal(67, 65), normal(67), 0)
    case("tall", normal(1, 7, 9, 16, scale=0.5), normal(5, 16), normal(5), 1)
    z = torch.tensor([0.0, -0.0, 1e-6, -1e-6, 0.5, -0.5, 3, -3, 6, -6, 10, -10, 40, -40], dtype=torch.float32).double()
    for act, name in enumerate(("plain", "gelu", "relu")):
        case(f"{name}_extreme", z.reshape(-1, 1), torch.ones(1, 1), None, act)
    save("ops_linear", file)


def layernorm():
    file = {}

    def case(name, x, eps=1e-5):
        c = x.shape[-1]
        inputs = [x, 1 + normal(c, scale=0.25), normal(c)]
        inputs = [torch.from_numpy(f32(t.float().double())).double() for t in inputs]
        eps = float(np.float32(eps))
        add_case(file, name, [eps], inputs, lambda x, g, b: F.layer_norm(x, [c], g, b, eps), [0, 1, 2])

    case("one_extreme", normal(1, 1))
    case("odd", normal(2, 3, 5))
    case("grid", normal(2, 3, 3, 16))
    case("long", normal(1, 200))
    case("eps", normal(3, 33, scale=1 / 16), eps=1e-2)
    case("offset_extreme", (normal(2, 24) + 30).float().double())
    case("constant_extreme", torch.full((2, 12), 1.5))
    save("ops_layernorm", file)


class AddBias(torch.nn.Module):
    """In place of the qkv layer: what only the bias does."""

    def __init__(self, bias):
        super().__init__()
        self.bias = bias

    def forward(self, x):
        return x if self.bias is None else x + self.bias


def shifted_window_attention(qkv, table, bias, heads, window, shift):
    """timm's SwinTransformerBlock._attn from qkv on. qkv - bias goes through a qkv layer that adds the bias, so that
    grid tokens arrive unchanged while padding, which is zero before that layer, becomes the bias."""
    b, h, w, c3 = qkv.shape
    if h % window == 0 and w % window == 0:
        bias = None  # no padding: not involved, its gradient is zero exactly
    block = SwinTransformerBlock(c3 // 3, (h, w), heads, window_size=window, shift_size=shift, always_partition=True)
    attn = block.attn
    attn.fused_attn = False
    attn.qkv = AddBias(bias)
    attn.proj = torch.nn.Identity()
    del attn.relative_position_bias_table
    attn.relative_position_bias_table = table

    x = qkv if bias is None else qkv - bias
    x = torch.roll(x, (-shift, -shift), (1, 2))
    x = F.pad(x, (0, 0, 0, -w % window, 0, -h % window))
    hp, wp = x.shape[1:3]
    x = window_partition(x, (window, window)).view(-1, window * window, c3)
    x = attn(x, mask=block.get_attn_mask())
    x = window_reverse(x.view(-1, window, window, c3 // 3), (window, window), hp, wp)[:, :h, :w]
    return torch.roll(x, (shift, shift), (1, 2))


def window_attn():
    file = {}

    def case(name, b, h, w, heads, d, window, shift, bias=True, scale=1.0):
        c = heads * d
        qkv, table = normal(b, h, w, 3 * c, scale=scale), normal((2 * window - 1) ** 2, heads)
        inputs = [qkv, table, normal(3 * c) if bias else None]
        fn = lambda qkv, table, bias: shifted_window_attention(qkv, table, bias, heads, window, shift)
        add_case(file, name, [heads, window, shift], inputs, fn, [0, 1] + [2] * bias)

    case("one_token", 1, 1, 1, 1, 3, 1, 0)
    case("window_is_grid", 1, 4, 4, 1, 4, 4, 0)
    case("window_is_grid_shifted", 1, 4, 4, 2, 3, 4, 2)
    case("no_bias", 2, 6, 6, 2, 4, 3, 0, bias=False)
    case("shifted", 2, 8, 8, 2, 4, 4, 2)
    case("shifted_no_bias", 1, 6, 9, 1, 8, 3, 1, bias=False)
    case("padded", 1, 7, 7, 3, 5, 4, 0)
    case("padded_shifted", 1, 7, 7, 3, 5, 4, 2)
    case("padded_one_side", 2, 5, 9, 4, 2, 3, 1)
    case("grid_below_window", 1, 2, 3, 2, 4, 4, 2)
    case("window7", 1, 7, 14, 2, 3, 7, 3)
    case("sharp_extreme", 1, 4, 4, 2, 8, 2, 1, scale=3.0)
    save("ops_window_attn", file)


def patch_merge():
    def fn(x):  # timm PatchMerging.forward before its norm
        b, h, w, c = x.shape
        x = F.pad(x, (0, 0, 0, w % 2, 0, h % 2))
        _, h, w, _ = x.shape
        return x.reshape(b, h // 2, 2, w // 2, 2, c).permute(0, 1, 3, 4, 2, 5).flatten(3)

    file = {}
    for shape in [(1, 2, 2, 3), (2, 4, 6, 5), (1, 5, 7, 4), (2, 1, 1, 3), (1, 3, 2, 1), (2, 8, 8, 16)]:
        add_case(file, "x".join(map(str, shape)), [], [normal(*shape)], fn, [0])
    save("ops_patch_merge", file)


def residual():
    file = {}
    for shape in [(1, 1), (2, 3, 3, 7), (5, 33)]:
        add_case(file, "x".join(map(str, shape)), [0.0], [normal(*shape), normal(*shape)], lambda x, h: x + h, [0, 1])
    # timm DropPath outside training is the identity, whatever the rate
    drop = timm.layers.DropPath(0.25).eval()
    add_case(file, "rate_at_rest", [0.25], [normal(3, 4), normal(3, 4)], lambda x, h: x + drop(h), [0, 1])
    save("ops_residual", file)


def avgpool():
    file = {}
    for shape in [(1, 1, 1, 4), (2, 7, 7, 5), (3, 3, 5, 16), (1, 14, 14, 3)]:
        add_case(file, "x".join(map(str, shape)), [], [normal(*shape)], lambda x: x.mean((1, 2)), [0])
    save("ops_avgpool", file)


def masks(b, k):
    """Name -> (B,K) masks: everything, about half, one entry, nothing."""
    some = torch.from_numpy((rng.random((b, k)) < 0.5).astype(np.float64))
    some[0, 0] = 1
    one = torch.zeros(b, k)
    one[b - 1, k - 1] = 1
    return {"all": torch.ones(b, k), "some": some, "one": one, "none": torch.zeros(b, k)}


EXTREMES = [0.0, -0.0, 1.0, -1.0, 20.0, -20.0, 90.0, -90.0, 1000.0, -1000.0]


def bce_logits():
    def fn(z, t, m):
        loss = (F.binary_cross_entropy_with_logits(z, t, reduction="none") * m).sum()
        return (loss / m.sum().clamp(min=1)).reshape(1)

    file = {}
    for b, k in [(1, 1), (3, 5), (4, 14)]:
        for name, m in masks(b, k).items():
            hard = torch.from_numpy((rng.random((b, k)) < 0.5).astype(np.float64))
            add_case(file, f"b{b}k{k}_{name}", [], [normal(b, k, scale=2), hard, m], fn, [0])
    soft = torch.from_numpy(rng.random((2, 6)).astype(np.float32)).double()  # label smoothing of uncertain labels
    add_case(file, "soft", [], [normal(2, 6), soft, torch.ones(2, 6)], fn, [0])
    z = torch.tensor([EXTREMES, EXTREMES])
    t = torch.tensor([[0.0] * 10, [1.0] * 10])
    add_case(file, "extreme", [], [z, t, torch.ones(2, 10)], fn, [0])
    save("ops_bce_logits", file)


def softmax_ce():
    def fn(z, t, m):
        rows = m[:, 0] == 1
        return F.cross_entropy(z[rows], t[rows]).reshape(1) if rows.any() else (z * 0).sum().reshape(1)

    file = {}
    for b, k in [(1, 1), (1, 3), (4, 5), (6, 14)]:
        for name, m in masks(b, k).items():
            m = m[:, :1] if name != "one" else m[:, -1:]
            onehot = torch.eye(k)[rng.integers(0, k, b)]
            add_case(file, f"b{b}k{k}_{name}", [], [normal(b, k, scale=2), onehot, m.repeat(1, k)], fn, [0])
    soft = torch.from_numpy(rng.integers(0, 5, (3, 4)) / 8)  # rows need not sum to one
    add_case(file, "soft", [], [normal(3, 4), soft, torch.ones(3, 4)], fn, [0])
    z = torch.tensor([EXTREMES, EXTREMES[::-1]])
    add_case(file, "extreme", [], [z, torch.eye(10)[[2, 6]], torch.ones(2, 10)], fn, [0])
    save("ops_softmax_ce", file)


def mse():
    file = {}
    for shape in [(1, 1), (2, 24), (5, 7)]:
        add_case(file, "x".join(map(str, shape)), [], [normal(*shape), normal(*shape)],
                 lambda a, b: F.mse_loss(a, b).reshape(1), [0])
    save("ops_mse", file)


# --- optimizers and EMA -----------------------------------------------------------------------------------------------

def flat():
    file = {}
    n, steps = 37, 4
    f = lambda x: float(np.float32(x))

    def case(name, attr, make, grad_scale=1.0):
        w, g = normal(n), normal(steps, n)
        p = w.clone().requires_grad_()
        opt = make(p)
        out = []
        for i in range(steps):
            p.grad = g[i] * grad_scale
            opt.step()
            out.append(f64(p).copy())
        file[f"{name}/attr"] = np.asarray(attr, np.float32)
        file[f"{name}/w"], file[f"{name}/g"], file[f"{name}/out"] = f32(w), f32(g), np.stack(out)

    # attr: lr, momentum, decay, grad_scale, nesterov
    for name, mom, decay, scale, nesterov in [("sgd_plain", 0, 0, 1, 0), ("sgd_momentum", .9, 0, 1, 0),
                                              ("sgd_nesterov", .9, 0, 1, 1), ("sgd_decay", .9, .01, 1, 1),
                                              ("sgd_clipped", .9, .01, .25, 1)]:
        make = lambda p: torch.optim.SGD([p], lr=f(.1), momentum=f(mom), weight_decay=f(decay), nesterov=bool(nesterov))
        case(name, [.1, mom, decay, scale, nesterov], make, f(scale))
    # attr: lr, beta1, beta2, eps, decay, grad_scale
    for name, decay, scale, eps in [("adamw_plain", 0, 1, 1e-8), ("adamw_decay", .05, 1, 1e-8),
                                    ("adamw_clipped", .05, .125, 1e-3)]:
        make = lambda p: torch.optim.AdamW([p], lr=f(.01), betas=(f(.9), f(.999)), eps=f(eps), weight_decay=f(decay))
        case(name, [.01, .9, .999, eps, decay, scale], make, f(scale))
    # attr: m. w is the teacher, g the students of four updates
    for m in (0.0, 0.9, 0.9995, 1.0):
        teacher, students, out = normal(n), normal(steps, n), []
        t = teacher.clone()
        for s in students:
            t = f(m) * t + (1 - f(m)) * s
            out.append(f64(t))
        file[f"ema_{m}/attr"] = np.asarray([m], np.float32)
        file[f"ema_{m}/w"], file[f"ema_{m}/g"], file[f"ema_{m}/out"] = f32(teacher), f32(students), np.stack(out)
    save("flat", file)


# --- the tiny Swin and ten steps of Ark -------------------------------------------------------------------------------

ARCH = dict(embed_dim=8, depths=(2, 2, 1, 1), num_heads=(1, 2, 4, 8), window_size=4)
ARCH_TEXT = "swin:embed=8,depths=2-2-1-1,heads=1-2-4-8,window=4,size={}"  # arkfm's spelling
PROJECTOR = 24
CLASSES = (5, 4)  # dataset 0: multi-label with missing labels; dataset 1: one of four classes


class ArkNet(torch.nn.Module):
    """timm's Swin -> mean over the last grid -> linear projector -> one linear head per dataset."""

    def __init__(self, size):
        super().__init__()
        self.swin = SwinTransformer(img_size=size, num_classes=0, drop_path_rate=0.0, **ARCH)
        self.projector = torch.nn.Linear(self.swin.num_features, PROJECTOR)
        self.omni_heads = torch.nn.ModuleList([torch.nn.Linear(PROJECTOR, k) for k in CLASSES])
        for m in self.modules():
            if hasattr(m, "fused_attn"):
                m.fused_attn = False

    def named(self):
        """Parameters by their names in weight files."""
        return {k.removeprefix("swin."): v for k, v in self.named_parameters()}

    def stages(self, x):
        out = []
        x = self.swin.patch_embed(x)
        for layer in self.swin.layers:
            x = layer(x)
            out.append(x)
        return out

    def encode(self, x):
        return self.swin.norm(self.stages(x)[-1]).mean((1, 2))

    def forward(self, x):
        return self.projector(self.encode(x))


def random_parameter(name, p):
    """Float16-exact values of every kind of parameter, none of them at its usual zero or one."""
    if name.endswith("bias_table"):
        return normal(*p.shape, scale=0.5, dtype=np.float16)
    if ".norm" in name or name.startswith("norm"):
        shift = 1.0 if name.endswith("weight") else 0.0
        return torch.from_numpy((shift + 0.25 * rng.standard_normal(p.shape)).astype(np.float16).astype(np.float64))
    if p.ndim == 1:
        return normal(*p.shape, scale=0.25, dtype=np.float16)
    return normal(*p.shape, scale=math.sqrt(1.0 / p[0].numel()), dtype=np.float16)


def load(net, values):
    with torch.no_grad():
        for name, p in net.named().items():
            p.copy_(values[name])
    return net


def forward_and_gradients(file, size, values, x, matrices):
    """Stage outputs, embedding, projected features, and gradients of sum(projected * r): all, or without the large
    matrices. Gradients are float32 to keep the file small: 6e-8 is far below what is tested."""
    net = load(ArkNet(size), values)
    x = x.clone().requires_grad_()
    for i, t in enumerate(net.stages(x)):
        file[f"s{size}/stage{i}"] = f64(t)
    z = net(x)
    r = normal(*z.shape)
    (z * r).sum().backward()
    file[f"s{size}/embedding"], file[f"s{size}/projected"], file[f"s{size}/r"] = f64(net.encode(x)), f64(z), f32(r)
    file[f"s{size}/grad_image"] = x.grad.numpy().astype(np.float32)
    for name, p in net.named().items():
        if p.grad is not None and (matrices or p.numel() < 512):
            file[f"s{size}/grad/{name}"] = p.grad.numpy().astype(np.float32)


def ark_batch(dataset, n, samples, step):
    """Indices of student and teacher views, labels and mask of one step. Views of sample k are images 2k and 2k+1."""
    k = CLASSES[dataset]
    pick = rng.permutation(samples)[:n]
    mask = np.ones((n, k))
    if dataset == 0:
        labels = (rng.random((n, k)) < 0.4).astype(np.float64)
        mask[rng.random((n, k)) < 0.3] = 0  # missing
        mask[0, 0] = 1
        uncertain = (rng.integers(55, 85, (n, k)) / 128).astype(np.float64)  # label smoothing gives any value in [0,1]
        labels = np.where(rng.random((n, k)) < 0.2, uncertain, labels)
    else:
        labels = np.eye(k)[rng.integers(0, k, n)]
        if step == 7:
            mask[1] = 0  # a sample without a label
    return 2 * pick, 2 * pick + 1, torch.from_numpy(labels), torch.from_numpy(mask)


def task_loss(dataset, logits, labels, mask):
    if dataset == 0:
        return (F.binary_cross_entropy_with_logits(logits, labels, reduction="none") * mask).sum() / mask.sum()
    rows = mask[:, 0] == 1
    return F.cross_entropy(logits[rows], labels[rows].argmax(1))


def padded(a, rows, cols):
    """a in the corner of a matrix of zeros."""
    out = np.zeros((rows, cols), np.float32)
    out[: a.shape[0], : a.shape[1]] = a
    return out


def ten_steps(file, size, values, images, probe):
    """Two datasets in turn, 2 and 3 steps each visit, two epochs; EMA after each visit with m(t), consistency c(t),
    t counting the four visits. SGD with Nesterov momentum, constant learning rate, no drop-path."""
    student, teacher = load(ArkNet(size), values), load(ArkNet(size), values).eval()
    opt = torch.optim.SGD(student.parameters(), lr=1 / 256, momentum=0.875, nesterov=True)
    batch, steps, visits, m0 = (3, 2), (2, 3), 4, 0.875
    rows = []
    for t in range(visits):
        dataset = t % 2
        n = batch[dataset]
        c = 0.25 * (1 - math.cos(math.pi * t / visits))
        m = 1 - (1 - m0) / 2 * (1 + math.cos(math.pi * t / visits))
        for i in range(steps[dataset]):
            view_s, view_t, labels, mask = ark_batch(dataset, n, len(images) // 2, len(rows))
            z_t = teacher(images[view_t]).detach()
            z_s = student(images[view_s])
            task = task_loss(dataset, student.omni_heads[dataset](z_s), labels, mask)
            consistency = F.mse_loss(z_s, z_t)
            loss = (1 - c) * task + c * consistency
            opt.zero_grad(set_to_none=True)  # heads of the other dataset: no gradient, no momentum
            loss.backward()
            opt.step()
            rows.append(dict(dataset=np.int32(dataset), n=np.int32(n), c=c, m=m if i == steps[dataset] - 1 else -1.0,
                             student=padded(view_s[None], 1, 3)[0], teacher=padded(view_t[None], 1, 3)[0],
                             labels=padded(labels, 3, 5), mask=padded(mask, 3, 5),
                             loss=loss.item(), task=task.item(), consistency=consistency.item()))
        with torch.no_grad():
            for p_t, p_s in zip(teacher.parameters(), student.parameters()):
                p_t.mul_(m).add_(p_s, alpha=1 - m)
    for key in rows[0]:
        file[f"ark/{key}"] = np.stack([row[key] for row in rows])
    file["ark/lr"], file["ark/momentum"], file["ark/m0"] = (np.float32([v]) for v in (1 / 256, 0.875, m0))
    file["ark/start"] = f64(load(ArkNet(size), values)(probe))
    file["ark/final_student"], file["ark/final_teacher"] = f64(student(probe)), f64(teacher(probe))
    print("  losses", " ".join(f"{row['loss']:.4f}" for row in rows))
    print("  moved: student", float(np.abs(file["ark/final_student"] - file["ark/start"]).max()),
          "teacher", float(np.abs(file["ark/final_teacher"] - file["ark/start"]).max()))


def swin():
    """swin.safetensors: param/<name> float16; images56, images64 int8, value/32; per size the stages, embedding,
    projected features and gradients; ark/*: ten steps at size 56."""
    values = {name: random_parameter(name, p) for name, p in ArkNet(64).named().items()}
    file = {f"param/{k}": v.numpy().astype(np.float16) for k, v in values.items()}
    images = {}
    for size, n in ((56, 12), (64, 2)):
        pixels = np.clip(np.rint(32 * rng.standard_normal((n, 3, size, size))), -127, 127).astype(np.int8)
        file[f"images{size}"] = pixels
        images[size] = torch.from_numpy(pixels.astype(np.float64) / 32)
    for size in (56, 64):
        forward_and_gradients(file, size, values, images[size][:2], matrices=size == 56)
    ten_steps(file, 56, values, images[56], images[56][:2])
    print("  parameters", sum(v.numel() for v in values.values()))
    save("swin", file, arch56=ARCH_TEXT.format(56), arch64=ARCH_TEXT.format(64))


if __name__ == "__main__":
    for subject in (patchify, linear, layernorm, window_attn, patch_merge, residual, avgpool, bce_logits, softmax_ce,
                    mse, flat, swin):
        subject()
