"""Writes tests/golden/pth: files of torch.save, and what PyTorch makes of them.

    python3 tests/golden/make_pth.py

Needs torch, torchvision, timm, safetensors, numpy (committed output: torch 2.15.0, torchvision 0.29.2, timm 1.0.31).

    types.pth types_legacy.pth types_big.pth types.safetensors
        every element type, views, strides, a shared storage, scalars, empty tensors, a Parameter; in the zip container,
        in the one before 1.6, and as a big-endian machine would write them; and the same values, contiguous
    ark.pth.tar, ark_x.npy, ark_{teacher,student}_{encoder,projector}.npy
        a checkpoint as upstream's main_ark.py writes it: epoch, lossMIN (a numpy number), state_dict, teacher, optimizer
        with momentum, scheduler; DataParallel's "module.", timm 0.5.4's names and buffers, MLP projector, six heads of
        the released sizes
    torchvision.pth, torchvision_{x,encoder}.npy
        torchvision's Swin with a classifier
    microsoft.pth
        {"model": old names, "config": an object of a class that is not there, "epoch": 3, ...}
    simmim.pth
        the encoder of microsoft.pth behind "encoder.", a mask token and a decoder beside it
    module.pth, script.pt
        a whole model, a TorchScript program: to be refused
"""
import collections
import os
import re
import sys
import types
import zipfile

import numpy as np
import torch
import torchvision
from safetensors.torch import save_file
from timm.models.swin_transformer import SwinTransformer

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "pth")
os.makedirs(HERE, exist_ok=True)
torch.manual_seed(20251130)


def path(name):
    return os.path.join(HERE, name)


def element_types():
    base = torch.arange(24).reshape(2, 3, 4) - 7
    for dtype in (torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16,
                  torch.int8, torch.uint8):
        yield str(dtype)[6:], (base.to(dtype) * (1 if not dtype.is_floating_point else 0.37)).to(dtype)
    yield "bool", base % 3 == 0
    for name in ("uint16", "uint32", "uint64"):
        yield name, (base + 7).to(getattr(torch, name))


def views():
    m = torch.randn(6, 10)
    yield "transposed", m.t()
    yield "sliced", m[1::2, 2:9:3]
    yield "permuted", torch.randn(2, 3, 4, 5).permute(3, 0, 2, 1)
    shared = torch.arange(100, dtype=torch.float32)
    yield "shared.a", shared[10:40].reshape(5, 6)
    yield "shared.b", shared[30:80]
    yield "channels_last", torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last)
    yield "half_transposed", torch.randn(5, 3).half().t()
    yield "scalar", torch.tensor(2.5)
    yield "empty", torch.empty(0, 3)
    yield "one", torch.randn(1, 7, 1)[:, 3:4]
    yield "parameter", torch.nn.Parameter(torch.randn(3))
    yield "many", torch.randn(40, 40).t()


def big_endian(source, target, tensors):
    """As a big-endian machine would write: every storage's elements swapped, byteorder "big"."""
    size = {}
    with zipfile.ZipFile(source) as z:
        names = z.namelist()
        content = {n: z.read(n) for n in names}
    for t in tensors.values():
        size[t.untyped_storage().data_ptr()] = t.element_size()
    # torch numbers storages in the order in which it meets them
    order = []
    for t in tensors.values():
        if t.untyped_storage().data_ptr() not in order:
            order.append(t.untyped_storage().data_ptr())
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as z:
        for n in names:
            data = content[n]
            if n.endswith("/byteorder"):
                data = b"big"
            if "/data/" in n:
                item = size[order[int(n.rsplit("/", 1)[1])]]
                data = np.frombuffer(data, dtype=f"u{item}").byteswap().tobytes()
            z.writestr(zipfile.ZipInfo(n), data)
    again = torch.load(target, weights_only=True)
    assert all(torch.equal(again[k], tensors[k]) for k in tensors if k not in ("uint16", "uint32", "uint64"))


def write_types():
    tensors = collections.OrderedDict(list(element_types()) + list(views()))
    torch.save(tensors, path("types.pth"))
    torch.save({k: v for k, v in tensors.items() if not k.startswith("uint") or k == "uint8"}, path("types_legacy.pth"),
               _use_new_zipfile_serialization=False)
    plain = collections.OrderedDict((k, v) for k, v in tensors.items() if v.numel() > 0)
    torch.save(plain, path("types_big_source.pth"))
    big_endian(path("types_big_source.pth"), path("types_big.pth"), plain)
    os.remove(path("types_big_source.pth"))
    save_file({k: v.detach().clone(memory_format=torch.contiguous_format) for k, v in tensors.items()},
              path("types.safetensors"))


def randomize(module):
    for name, p in module.named_parameters():
        with torch.no_grad():
            p.copy_(0.3 * torch.randn_like(p) + (1 if "norm" in name and name.endswith("weight") else 0))


def old_state(encoder):
    """timm 0.5.4's names, with its buffers."""
    state = collections.OrderedDict()
    for key, value in encoder.state_dict().items():
        key = re.sub(r"^layers\.(\d+)\.downsample", lambda m: f"layers.{int(m[1]) - 1}.downsample", key)
        state[key.replace("head.fc.", "head.")] = value
    for name, module in encoder.named_modules():
        if getattr(module, "attn_mask", None) is not None:
            state[f"{name}.attn_mask"] = module.attn_mask
        if hasattr(module, "relative_position_index"):
            state[f"{name}.relative_position_index"] = module.relative_position_index
    return state


class Ark(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = SwinTransformer(img_size=32, patch_size=4, window_size=4, embed_dim=4, depths=[2, 1],
                                       num_heads=[1, 2], num_classes=3)
        self.projector = torch.nn.Sequential(torch.nn.Linear(8, 6), torch.nn.ReLU(), torch.nn.Linear(6, 6))
        self.omni_heads = torch.nn.ModuleList([torch.nn.Linear(6, n) for n in (14, 14, 14, 3, 6, 1)])
        randomize(self)

    def state(self):
        state = old_state(self.encoder)
        for name, module in (("projector", self.projector), ("omni_heads", self.omni_heads)):
            state.update({f"{name}.{k}": v for k, v in module.state_dict().items()})
        return collections.OrderedDict(("module." + k, v) for k, v in state.items())

    @torch.no_grad()
    def features(self, x):
        double = torch.nn.ModuleList([self.encoder, self.projector, self.omni_heads]).double().eval()
        encoder = double[0].forward_features(x.double()).mean(dim=(1, 2))
        projected = double[1](encoder)
        for module in double:
            module.float()
        return encoder, projected


def write_ark():
    x = torch.randn(2, 3, 32, 32)
    np.save(path("ark_x.npy"), x.numpy())
    student, teacher = Ark(), Ark()
    optimizer = torch.optim.SGD([student.projector[0].weight, student.projector[0].bias], lr=0.1, momentum=0.9)
    student.projector(torch.randn(2, 8)).sum().backward()
    optimizer.step()
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)
    torch.save({"epoch": 50, "lossMIN": np.float64(0.25), "state_dict": student.state(), "teacher": teacher.state(),
                "optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()}, path("ark.pth.tar"))
    for name, model in (("student", student), ("teacher", teacher)):
        encoder, projected = model.features(x)
        np.save(path(f"ark_{name}_encoder.npy"), encoder.float().numpy())
        np.save(path(f"ark_{name}_projector.npy"), projected.float().numpy())


def write_torchvision():
    model = torchvision.models.SwinTransformer(patch_size=[4, 4], embed_dim=8, depths=[2, 2], num_heads=[2, 2],
                                               window_size=[3, 3], num_classes=5)
    randomize(model)
    torch.save(model.state_dict(), path("torchvision.pth"))
    x = torch.randn(2, 3, 24, 24)
    np.save(path("torchvision_x.npy"), x.numpy())
    model = model.double().eval()
    with torch.no_grad():
        features = model.norm(model.features(x.double())).mean(dim=(1, 2))
    np.save(path("torchvision_encoder.npy"), features.float().numpy())


def write_others():
    config = types.ModuleType("yacs.config")

    class CfgNode(dict):
        pass

    CfgNode.__module__, CfgNode.__qualname__ = "yacs.config", "CfgNode"
    config.CfgNode = CfgNode
    sys.modules.update({"yacs": types.ModuleType("yacs"), "yacs.config": config})
    node = CfgNode(MODEL=CfgNode(TYPE="swin", DROP=0.1), STEPS=[1, 2])
    node.frozen = True
    encoder = SwinTransformer(img_size=32, patch_size=4, window_size=4, embed_dim=4, depths=[2, 1], num_heads=[1, 2],
                              num_classes=7)
    state = old_state(encoder)
    torch.save({"model": state, "optimizer": {"state": {}, "param_groups": [{"lr": 0.1, "params": [0, 1]}]},
                "lr_scheduler": {"last_epoch": 3}, "max_accuracy": 81.2, "epoch": 3, "config": node},
               path("microsoft.pth"))
    masked = collections.OrderedDict(("encoder." + k, v) for k, v in state.items() if not k.startswith("head."))
    masked["encoder.mask_token"] = torch.zeros(1, 1, 4)
    masked["decoder.0.weight"] = torch.zeros(3, 8, 1, 1)
    masked["decoder.0.bias"] = torch.zeros(3)
    torch.save({"model": masked}, path("simmim.pth"))
    torch.save(torch.nn.Linear(2, 2), path("module.pth"))
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), path("script.pt"))


write_types()
write_ark()
write_torchvision()
write_others()
