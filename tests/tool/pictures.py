"""Pictures and masks in all the forms that programs write: the same values, whatever holds them;
what is far outside [-1, 1] or no mask is refused."""
import os
import struct
import zlib

from _tool import content, fresh, pictures, refused, run

folder = fresh("work")
pictures(os.path.join(folder, "pictures"))
done = run("train", "--data", "pictures", "--config", "tiny", "--steps", "5", "--batch", "8",
           "--out", "v.safetensors", cwd=folder)
assert done.returncode == 0, done.stderr


def npy(name, descr, shape, data):
    header = "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }" % (descr, "".join(
        "%d, " % n for n in shape))
    header += " " * (63 - (len(header) + 10) % 64) + "\n"
    with open(os.path.join(folder, name), "wb") as f:
        f.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data)


def floats(values):
    return struct.pack("<%df" % len(values), *values)


def png(name, colour, pixels, side=28, extra=b""):
    """`pixels`: the bytes of each pixel, row by row."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(
            ">I", zlib.crc32(kind + data))

    raw = b"".join(b"\0" + b"".join(bytes(p) for p in pixels[i:i + side])
                   for i in range(0, len(pixels), side))
    with open(os.path.join(folder, name), "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" +
                chunk(b"IHDR", struct.pack(">IIBBBBB", side,
                                           len(pixels) // side, 8, colour, 0, 0, 0)) +
                b"".join(chunk(*c)
                         for c in extra) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b""))


def works(*words):
    done = run(*words, cwd=folder)
    assert done.returncode == 0, "%s: %s" % (" ".join(words), done.stderr)
    return done.stdout


def no(expected, *words):
    refused(expected, *words, cwd=folder)


model = ("--model", "v.safetensors")

# One picture in seven forms, encoded to the same bits.
gray = [(i * i) % 256 for i in range(784)]
as_floats = floats([(2 * p - 255) / 255 for p in gray])
png("gray.png", 0, [[p] for p in gray])
png("rgb.png", 2, [[p, p, p] for p in gray])
png("rgba.png", 6, [[p, p, p, 255] for p in gray])
palette = [(b"PLTE", bytes(b for i in range(256) for b in (i, i, i)))]
png("palette.png", 3, [[p] for p in gray], extra=palette)
npy("bytes.npy", "|u1", (1, 1, 28, 28), bytes(gray))
npy("flat.npy", "|u1", (28, 28), bytes(gray))
npy("floats.npy", "<f4", (1, 28, 28), as_floats)
forms = ["gray.png", "rgb.png", "rgba.png", "palette.png", "bytes.npy", "flat.npy", "floats.npy"]
seen = {}
for form in forms:
    works("encode", *model, "--in", form, "--steps", "3", "--out", "z.npy")
    seen[form] = content(os.path.join(folder, "z.npy"))
assert len(set(seen.values())) == 1, [form for form in forms if seen[form] != seen["gray.png"]]
line = ("likelihood", *model, "--steps", "4", "--in")
assert works(*line, "bytes.npy") == works(*line, "gray.png")

npy("to255.npy", "<f4", (1, 28, 28), floats([float(p) for p in gray]))
for command in [("likelihood", "--in"), ("encode", "--out", "n.npy", "--in")]:
    no(["to255.npy", "value 2 is 4", "[-1, 1]", "uint8"], command[0], *model, *command[1:],
       "to255.npy")
npy("of1.npy", "|u1", (28, 28), bytes(i % 2 for i in range(784)))
no(["of1.npy", "none is above 1", "0 to 255"], *line, "of1.npy")
png("red.png", 2, [[200, 0, 0]] * 784)
no(["red.png", "a colour at row 0, column 0", "gray"], *line, "red.png")
png("clear.png", 6, [[p, p, p, 255 - i // 700] for i, p in enumerate(gray)])
no(["clear.png", "transparency, first at row 25, column 0"], *line, "clear.png")
npy("three.npy", "|u1", (1, 3, 28, 28), bytes(gray * 3))
no(["three.npy", "{1, 3, 28, 28}", "{count, 1, 28, 28}"], *line, "three.npy")
# What is at a noisier level has no bounds, and is no bytes.
npy("far.npy", "<f4", (1, 28, 28), floats([5 * ((i % 7) - 3) / 3 for i in range(784)]))
works("sample", *model, "--from", "far.npy", "--steps", "3", "--label", "none", "--out", "n.npy")
os.remove(os.path.join(folder, "n.npy"))
no(["--from 'bytes.npy'", "bytes", "floats"], "sample", *model, "--from", "bytes.npy", "--out",
   "n.npy")

# One mask in all its forms; what is transparent was not painted.
left = [255 if i % 28 < 10 else 0 for i in range(784)]
png("m-gray.png", 0, [[p] for p in left])
png("m-rgb.png", 2, [[p, p, p] for p in left])
png("m-cast.png", 2, [[p, p ^ 2, p] for p in left])
png("m-rgba.png", 6, [[p, p, p, 255] for p in left])
png("m-clear.png", 6, [[255, 255, 255, p] for p in left])
png("m-layer.png", 4, [[255, p] for p in left])
png("m-palette.png", 3, [[p // 255] for p in left], extra=[(b"PLTE", bytes([0, 0, 0, 255, 255,
                                                                            255]))])
png("m-key.png", 3, [[p // 255] for p in left], extra=[(b"PLTE", bytes([255] * 6)),
                                                       (b"tRNS", bytes([0]))])
npy("m-bytes.npy", "|u1", (28, 28), bytes(left))
npy("m-truth.npy", "|b1", (1, 28, 28), bytes(p // 255 for p in left))
npy("m-floats.npy", "<f4", (1, 1, 28, 28), floats([p / 255 for p in left]))


def inpainted(mask):
    works("sample", *model, "--inpaint", mask, "--known", "gray.png", "--label", "none",
          "--sampler", "ddim", "--steps", "3", "--count", "1", "--resamplings", "2", "--out",
          "p.npy")
    return content(os.path.join(folder, "p.npy"))


hard = inpainted("m-gray.png")
kept = [hard[-3136 + 4 * i:][:4] == as_floats[4 * i:][:4] for i in range(784)]
assert all(k for k, p in zip(kept, left) if p == 255), "what is known is kept"
assert sum(
    kept) < 500, "what is not is drawn anew"  # a few of its pixels are clipped to what was there
for mask in [
        "rgb.png", "rgba.png", "clear.png", "layer.png", "palette.png", "key.png", "bytes.npy",
        "truth.npy", "floats.npy"
]:
    assert inpainted("m-" + mask) == hard, mask
soft = [255 if i % 28 < 10 else 128 if i % 28 == 10 else 0 for i in range(784)]
png("m-soft.png", 0, [[p] for p in soft])
npy("m-soft.npy", "<f4", (28, 28), floats([p / 255 for p in soft]))
npy("m-soft-bytes.npy", "|u1", (28, 28), bytes(soft))
softened = inpainted("m-soft.png")
assert softened != hard and softened == inpainted("m-soft-bytes.npy")
for mask in ["m-soft.npy", "m-cast.png"]:
    inpainted(mask)

line = ("sample", *model, "--known", "gray.png", "--label", "none", "--count", "1", "--out",
        "n.npy", "--inpaint")
png("m-red.png", 2, [[200, 0, 0]] * 784)
no(["m-red.png", "a colour at row 0, column 0", "shades of gray"], *line, "m-red.png")
png("m-black.png", 0, [[0]] * 784)
no(["m-black.png", "black everywhere"], *line, "m-black.png")
png("m-small.png", 0, [[255]] * 100, side=10)
no(["m-small.png", "{1, 10, 10}", "{1, 28, 28}"], *line, "m-small.png")
npy("m-255.npy", "<f4", (28, 28), floats([float(p) for p in left]))
no(["m-255.npy", "value 0 is 255", "0 to 1"], *line, "m-255.npy")
npy("m-of1.npy", "|u1", (28, 28), bytes(p // 255 for p in left))
no(["m-of1.npy", "none is above 1", "bool"], *line, "m-of1.npy")
no(["m.gif", ".png or .npy"], *line, "m.gif")
no(["m-grey.png", "did you mean 'm-gray.png'?"], *line, "m-grey.png")
print("pictures and masks mean what they mean in a PNG")
