"""ONNX files for tests, written field by field: what an exporter would have to be there for."""

import struct

F32, I64 = 1, 7


def _varint(v):
    r = b""
    while v >= 0x80:
        r, v = r + bytes([v & 0x7F | 0x80]), v >> 7
    return r + bytes([v])


def _number(field, v):
    return _varint(field << 3) + _varint(v)


def _bytes(field, v):
    v = v if isinstance(v, bytes) else v.encode()
    return _varint(field << 3 | 2) + _varint(len(v)) + v


def _value(name, kind, shape):
    dims = b"".join(_bytes(1, _bytes(2, "N") if n < 0 else _number(1, n)) for n in shape)
    return _bytes(1, name) + _bytes(2, _bytes(1, _number(1, kind) + _bytes(2, dims)))


class Builder:
    def __init__(self):
        self.graph = b""

    def input(self, name, shape, kind=F32):
        self.graph += _bytes(11, _value(name, kind, shape))
        return self

    def output(self, name, shape):
        self.graph += _bytes(12, _value(name, F32, shape))
        return self

    def constant(self, name, v):
        raw = struct.pack("<f", v)
        self.graph += _bytes(5, _number(2, F32) + _bytes(8, name) + _bytes(9, raw))
        return self

    def node(self, op, given, to):
        n = b"".join(_bytes(1, one) for one in given) + _bytes(2, to) + _bytes(4, op)
        self.graph += _bytes(1, n)
        return self

    def write(self, path):
        graph = self.graph + _bytes(2, "test")
        path.write_bytes(_number(1, 8) + _bytes(7, graph) + _bytes(8, _number(2, 13)))


def gaussian(mean="m", sample=(2,)):
    """x0 of data N(mean, 0.25) at the level rho: mean + 0.25 (x - mean) / (0.25 + rho^2)."""
    ones = [1] * (len(sample) - 1)
    b = Builder().input("x", [-1, *sample]).input("rho", [-1, 1, *ones][: len(sample) + 1])
    b.input(mean, [-1, *sample] if mean == "mean" else [-1, 1]).constant("v", 0.25)
    b.node("Mul", ["rho", "rho"], "rho2").node("Add", ["rho2", "v"], "sum")
    b.node("Div", ["v", "sum"], "k").node("Sub", ["x", mean], "d").node("Mul", ["d", "k"], "kd")
    return b.node("Add", [mean, "kd"], "x0").output("x0", [-1, *sample])


CARD = """predicts = "x0"
schedule = "edm"
time = "rho"
[inputs]
x = "x"
time = "rho"
"""
LABELS = CARD + """labels = "m"
[labels]
names = ["low", "middle", "high"]
first = -0.5
step = 0.5
null = 0.25
"""
CONDITION = CARD + """[conditions.mean]
input = "mean"
null = "negative"
"""
