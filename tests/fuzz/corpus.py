"""Writes the seeds that the fuzzers begin from: small sound files, and some that are nearly so.

    corpus.py FOLDER        FOLDER/<target>/<seed>, always the same bytes

A target NAME.cpp has its seeds in the function NAME here.
"""

import json
import os
import struct
import sys
import zlib

from jpeg_by_hand import jpeg as jpeg_of


def safetensors():
    sizes = {
        "BOOL": 1,
        "U8": 1,
        "I8": 1,
        "I16": 2,
        "U16": 2,
        "F16": 2,
        "BF16": 2,
        "I32": 4,
        "U32": 4,
        "F32": 4,
        "F64": 8,
        "I64": 8,
        "U64": 8
    }

    def file(header, data=b""):
        text = header if isinstance(header, bytes) else json.dumps(header,
                                                                   separators=(",", ":")).encode()
        return struct.pack("<Q", len(text)) + text + data

    def tensor(dtype, shape, begin, end):
        return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}

    every, used = {}, 0
    for dtype, size in sizes.items():
        every[dtype.lower()] = tensor(dtype, [1], used, used + size)
        used += size
    yield "none", file({})
    yield "every_dtype", file(every, bytes(used))
    yield "weights", file(
        {
            "__metadata__": {
                "format": "pt",
                "a": "\"\n"
            },
            "b": tensor("F32", [2], 24, 32),
            "w": tensor("F32", [2, 3], 0, 24)
        }, struct.pack("<8f", *range(8)))
    yield "scalar", file({"x": tensor("F64", [], 0, 8)}, struct.pack("<d", 0.1))
    yield "empty", file({"b": tensor("F32", [0, 3], 0, 0), "a": tensor("U8", [2], 0, 2),
                         "c": tensor("I64", [0], 2, 2)}, b"xy")
    yield "not_finite", file({"x": tensor("F32", [1], 0, 4)}, struct.pack("<f", float("inf")))
    yield "names", file({"\u00e9\u20ac\x7f\n": tensor("U8", [1], 0, 1)}, b"x")
    yield "padded", file(b'{"a":{"shape":[1,1],"data_offsets":[0,1],"dtype":"U8"}}   ', b"x")
    yield "huge", file({"x": tensor("F32", [1 << 30, 1 << 30], 0, 1 << 62)})
    yield "long_header", struct.pack("<Q", 1 << 60) + b"{}"
    yield "wrong_utf8", file(b'{"\xff\x1b[2J":1}')
    yield "numbers", file(
        b'{"a":{"shape":[1e3,-1,1.5,true,null],"data_offsets":[0,1],"dtype":"U8"}}', b"x")


def recipe():
    def toml(text):
        return b"t" + text.encode()

    def as_json(value):
        return b"u" + (value if isinstance(value, bytes) else json.dumps(value).encode())

    yield "shortest", toml('sampler = "ddim"')
    yield "stages", toml(
        'title = "a"\nschedule = { name = "linear", beta_last = 0.015, steps = 200 }\npredicts = "epsilon"\n'
        'guidance = { name = "classifier_free", w = 2, within = [10, 150.5] }\n'
        'threshold = { name = "clip", limit = 0.9 }\nsampler = { name = "unipc_2", b = "h" }\n'
        'grid = { name = "karras", sigma_max = 20 }\nsteps = 7\n')
    yield "tables", toml(
        'sampler = "sde_dpmpp_2m"\n[guidance]\nname = "apg"\nr = inf\n[grid]\nname = '
        '"leading"\noffset = 1\n'
    )
    yield "mistakes", toml(
        'sampler = "hoin"\nsteps = 1e400\n[threshold]\nname = "dynamic"\np = nan\n')
    yield "letters", toml(
        '# \u20ac\nsampler = "ddim"\ntitle = "q\u00e9 \\u00e9"\ng\u00e9 = 1\u3000\n')
    yield "date", toml("sampler = 1979-05-27T07:32:00Z")
    yield "json", as_json({
        "sampler": {
            "name": "ddim_eta",
            "eta": 0.5
        },
        "steps": 20,
        "threshold": "dynamic",
        "guidance": {
            "name": "cfg_plus_plus",
            "lambda": 0.4
        },
        "schedule": "edm"
    })
    yield "twice", as_json(b'{"sampler": "ddim", "sampler": {"name": "heun", "name": "heun"}}')
    yield "deep", as_json(b"[" * 1000)
    yield "wrong_utf8", as_json(b'{"sampler": "\xff"}')


def npy():
    def file(version, header, data=b""):
        length = struct.pack("<H" if version == 1 else "<I", len(header))
        return b"\x93NUMPY" + bytes([version, 0]) + length + header.encode() + data

    def header(descr, shape, order="False"):
        return "{'descr': '%s', 'fortran_order': %s, 'shape': %s, }\n" % (descr, order, shape)

    yield "floats", file(1, header("<f4", "(2, 3)"), struct.pack("<6f", *range(6)))
    yield "doubles", file(2, header("<f8", "(2,)"), struct.pack("<2d", 0.1, float("nan")))
    yield "bytes", file(3, header("|u1", "(1, 2, 1)"), b"\x00\xff")
    yield "scalar", file(1, header("<f4", "()"), bytes(4))
    yield "empty", file(1, header("<f4", "(0, 3)"))
    yield "double_quotes", file(1, '{"shape":(1),"descr":"<f8","fortran_order":False}', bytes(8))
    yield "fortran", file(1, header("<f4", "(1,)", "True"), bytes(4))
    yield "huge", file(1, header("<f4", "(1152921504606846976,)"))
    yield "other_type", file(1, header("<c16", "(1,)"), bytes(16))


def idx():
    def file(shape, data):
        return bytes([0, 0, 8, len(shape)]) + struct.pack(">%dI" % len(shape), *shape) + data

    yield "labels", file([5], bytes(range(5)))
    yield "pictures", file([2, 3, 4], bytes(range(24)))
    yield "empty", file([0, 28, 28], b"")
    yield "huge", file([0xffffffff, 0xffffffff, 0xffffffff], b"x")
    yield "most_dimensions", file([1] * 255, b"x")


def gzip():
    def member(content, level=6, flags=0, extra=b""):
        deflate = zlib.compressobj(level, zlib.DEFLATED, -15)
        head = b"\x1f\x8b\x08" + bytes([flags]) + bytes(4) + b"\x00\x03" + extra
        return head + deflate.compress(content) + deflate.flush() + struct.pack(
            "<II", zlib.crc32(content), len(content))

    yield "words", member(b"some words, some words, some words")
    yield "stored", member(b"some words", level=0)
    yield "empty", member(b"")
    yield "two_members", member(b"one ") + member(b"two")
    yield "named", member(b"idx", flags=0x1f,
                          extra=b"\x02\x00ab" + b"name\x00" + b"comment\x00" + bytes(2))
    yield "zeros", member(bytes(1 << 13), level=9)
    yield "bomb", member(bytes(1 << 16 | 1), level=9)
    yield "idx", member(bytes([0, 0, 8, 1, 0, 0, 0, 2, 3, 4]))


def png():
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(
            ">I", zlib.crc32(name + data))

    def file(width, height, depth, colour, rows, interlace=0, before=b"", level=6):
        packed = zlib.compress(rows, level)
        half = len(packed) // 2
        return (
            b"\x89PNG\r\n\x1a\n" +
            chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)) +
            before + chunk(b"IDAT", packed[:half]) + chunk(b"IDAT", packed[half:]) +
            chunk(b"IEND", b""))

    def rows(width, height, bits):
        length = (width * bits + 7) // 8
        return b"".join(
            bytes([y % 5]) + bytes((7 * x + y) % 256 for x in range(length)) for y in range(height))

    palette = chunk(b"PLTE", bytes(range(48)))
    for depth in (1, 2, 4, 8, 16):
        yield "gray_%d" % depth, file(9, 6, depth, 0, rows(9, 6, depth))
    for depth in (8, 16):
        yield "rgb_%d" % depth, file(5, 6, depth, 2, rows(5, 6, 3 * depth), level=0)
        yield "gray_alpha_%d" % depth, file(3, 2, depth, 4, rows(3, 2, 2 * depth))
        yield "rgb_alpha_%d" % depth, file(3, 2, depth, 6, rows(3, 2, 4 * depth))
    for depth in (1, 2, 4, 8):
        short = b"".join(b"\x00" + bytes((x + y) % 16 for x in range((7 * depth + 7) // 8))
                         for y in range(5))
        yield "palette_%d" % depth, file(7, 5, depth, 3, short, before=palette)
    yield "transparent_colour", file(3, 2, 8, 0, rows(3, 2, 8), before=chunk(b"tRNS", b"\x00\x07"))
    yield "transparent_palette", file(2, 1, 8, 3, b"\x00\x00\x01",
                                      before=palette + chunk(b"tRNS", b"\x07"))
    passes = [((9 - x + w - 1) // w, (9 - y + h - 1) // h)
              for x, y, w, h in ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4),
                                 (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))]
    for colour, samples in ((0, 1), (2, 3)):
        yield "interlaced_%d" % colour, file(9, 9, 8, colour,
                                             b"".join(rows(w, h, 8 * samples) for w, h in passes),
                                             1)
    yield "text", file(1, 1, 8, 0, b"\x00\x80",
                       before=chunk(b"tEXt", b"Title\x00a") + chunk(b"gAMA", bytes(4)))
    yield "huge", file(8192, 8192, 8, 2, b"\x00")
    yield "no_zlib_header", file(1, 1, 8, 2, b"\x00\x80\x80\x80", before=chunk(b"CgBI", bytes(4)))


def jpeg():
    exif = b"\xff\xe1\x00\x22Exif\x00\x00MM\x00\x2a\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06" + bytes(6)
    two, rgb = [(10,), (200,)], [(200, 30, 90), (0, 255, 128)]
    yield "gray", jpeg_of(16, 8, two)
    yield "rgb", jpeg_of(16, 8, rgb)
    yield "ycc", jpeg_of(16, 8, rgb, transform=1)
    yield "cmyk", jpeg_of(8, 8, [(1, 2, 3, 4)])
    yield "turned", jpeg_of(16, 8, two, before=exif)
    yield "progressive", jpeg_of(16, 8, two, frame=0xC2)
    yield "arithmetic", jpeg_of(16, 8, two, frame=0xC9)
    yield "comment", jpeg_of(9, 3, two, before=b"\xff\xfe\x00\x04ab")
    yield "huge", jpeg_of(8000, 8000, two)
    yield "large", jpeg_of(256, 256, [(i % 256,) for i in range(1024)])


def main():
    for function in (safetensors, recipe, npy, idx, gzip, png, jpeg):
        folder = os.path.join(sys.argv[1], function.__name__)
        os.makedirs(folder, exist_ok=True)
        for name, content in function():
            with open(os.path.join(folder, name), "wb") as f:
                f.write(content)


main()
