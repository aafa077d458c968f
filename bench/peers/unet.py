"""The U-Net of networks/unet.hpp once more, in PyTorch: what a user of PyTorch would run, and a
second reading of the files that `tweedie train` writes.

Modules are named as the file names their weights.
"""

import json
import math
import struct

import torch
from torch import nn
from torch.nn import functional as F


def read_safetensors(path):
    """(metadata, tensors by name) of a file of float32."""
    with open(path, "rb") as f:
        (length,) = struct.unpack("<Q", f.read(8))
        header = json.loads(f.read(length))
        data = bytearray(f.read())
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, of in header.items():
        if of["dtype"] != "F32":
            raise ValueError(f"'{path}': '{name}' is {of['dtype']}, expected F32")
        begin, end = of["data_offsets"]
        flat = torch.frombuffer(data, dtype=torch.float32, offset=begin, count=(end - begin) // 4)
        tensors[name] = flat.view(of["shape"]).clone()
    return metadata, tensors


def embedding_width(base):
    return 4 * (max(base, 2) if base < 16 else max(base, 32))


def conv(width_in, width_out, kernel=3, stride=1):
    return nn.Conv2d(width_in, width_out, kernel, stride, kernel // 2)


class Residual(nn.Module):
    """GroupNorm, SiLU, 3x3, twice; the embedding scales and shifts the second norm, or is added
    before it."""

    def __init__(self, config, width_in, width_out):
        super().__init__()
        groups, self.scale_shift = config["groups"], config["scale_shift"]
        wide = embedding_width(config["base"])
        self.norm1 = nn.GroupNorm(groups, width_in)
        self.conv1 = conv(width_in, width_out)
        self.embedding = nn.Linear(wide, width_out * (2 if self.scale_shift else 1))
        self.norm2 = nn.GroupNorm(groups, width_out)
        self.dropout = nn.Dropout(config["dropout"])
        self.conv2 = conv(width_out, width_out)
        if width_in != width_out:
            self.skip = conv(width_in, width_out, 1)

    def forward(self, x, embedding):
        h = self.conv1(F.silu(self.norm1(x)))
        e = self.embedding(embedding)[:, :, None, None]
        if self.scale_shift:
            scale, shift = e.chunk(2, 1)
            h = self.norm2(h) * (1 + scale) + shift
        else:
            h = self.norm2(h + e)
        h = self.conv2(self.dropout(F.silu(h)))
        return h + (self.skip(x) if hasattr(self, "skip") else x)


class Attention(nn.Module):
    """One head over the pixels."""

    def __init__(self, config, width):
        super().__init__()
        self.norm = nn.GroupNorm(config["groups"], width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x):
        n, width, rows, columns = x.shape
        tokens = self.norm(x).flatten(2).transpose(1, 2)
        q, k, v = self.qkv(tokens)[:, None].chunk(3, 3)
        mixed = self.out(F.scaled_dot_product_attention(q, k, v)[:, 0])
        return x + mixed.transpose(1, 2).reshape(n, width, rows, columns)


class Last(nn.Conv2d):
    """Its own weights are the convolution's."""

    def __init__(self, config, width):
        super().__init__(width, config["channels"], 3, padding=1)
        self.norm = nn.GroupNorm(config["groups"], width)

    def forward(self, x):
        return super().forward(F.silu(self.norm(x)))


class UNet(nn.Module):
    """x: {n, channels, size, size}; t: {n}, as the file counts time; y: {n}, whole numbers, the
    null class behind the others."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        wide = embedding_width(config["base"])
        half = wide // 4
        frequencies = [
            config["time_scale"] * math.pow(10000, -k / (half - 1)) for k in range(half)
        ]
        self.register_buffer("frequencies", torch.tensor(frequencies), persistent=False)
        self.time = nn.ModuleList([nn.Linear(2 * half, wide), nn.Linear(wide, wide)])
        if config["classes"]:
            self.classes = nn.Embedding(config["classes"] + 1, wide)
        widths = [config["base"] * m for m in config["multipliers"]]
        sizes = [config["size"] >> i for i in range(len(widths))]
        self.first = conv(config["channels"], widths[0])

        self.down, self.up, width = nn.ModuleDict(), nn.ModuleDict(), widths[0]
        for i, (own, blocks, size) in enumerate(zip(widths, config["blocks"], sizes)):
            down, up = nn.ModuleDict(), nn.ModuleDict()
            for k in range(blocks):
                down[str(k)] = Residual(config, width, own)
                up[str(k)] = Residual(config, 2 * own, own)
                width = own
            if i + 1 < len(widths):
                down["downsample"] = conv(own, own, stride=2)
                up["upsample"] = conv(widths[i + 1], own)
                if size in config["attention"]:
                    up["attention"] = Attention(config, own)
            self.down[str(i)], self.up[str(i)] = down, up
        self.middle = nn.ModuleDict()
        if sizes[-1] in config["attention"]:
            self.middle["attention"] = Attention(config, width)
        self.middle["0"] = Residual(config, width, width)
        self.last = Last(config, widths[0])

    def forward(self, x, t, y=None):
        angle = t.to(torch.float32)[:, None] * self.frequencies
        e = self.time[0](torch.cat([angle.sin(), angle.cos()], 1))
        e = self.time[1](F.silu(e))
        if self.config["classes"]:
            e = e + self.classes(y)
        e = F.silu(e)

        h, skips = self.first(x), []
        for i, blocks in enumerate(self.config["blocks"]):
            down = self.down[str(i)]
            for k in range(blocks):
                h = down[str(k)](h, e)
                skips.append(h)
            if "downsample" in down:
                h = down["downsample"](h)
        if "attention" in self.middle:
            h = self.middle["attention"](h)
        h = self.middle["0"](h, e)
        for i, blocks in reversed(list(enumerate(self.config["blocks"]))):
            up = self.up[str(i)]
            if "upsample" in up:
                h = F.interpolate(up["upsample"](h), scale_factor=2.0, mode="nearest")
            for k in range(blocks):
                h = up[str(k)](torch.cat([h, skips.pop()], 1), e)
            if "attention" in up:
                h = up["attention"](h)
        return self.last(h)


def load(path):
    """The network of a file of tweedie train, ready to be evaluated. Every weight must fit."""
    metadata, tensors = read_safetensors(path)
    network = UNet(json.loads(metadata["network"]))
    network.load_state_dict(tensors)
    return network.eval()
