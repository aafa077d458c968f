"""tweedie train --data: folders of PNG and JPEG and arrays, in colour, of any size, with and
without classes; and what is done with such a model."""
import json
import os
import re
import shutil
import struct
import sys
import zlib

from _tool import begin, content, fresh, pictures, refused, run, wait_for

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fuzz"))
from jpeg_by_hand import jpeg  # noqa: E402

folder = fresh("work")


def at(*names):
    return os.path.join(folder, *names)


def write(name, data):
    os.makedirs(os.path.dirname(at(name)), exist_ok=True)
    with open(at(name), "wb") as f:
        f.write(data if isinstance(data, bytes) else data.encode())


def png(name, width, height, colour, pixel, claims=None):
    """pixel(x, y): its channels. `claims`: another width and height in the header."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(
            ">I", zlib.crc32(kind + data))

    raw = b"".join(b"\0" + b"".join(bytes(pixel(x, y)) for x in range(width))
                   for y in range(height))
    write(
        name, b"\x89PNG\r\n\x1a\n" +
        chunk(b"IHDR", struct.pack(">IIBBBBB", *(claims or (width, height)), 8, colour, 0, 0, 0)) +
        chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b""))


def npy(name, kind, shape, data):
    header = "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }" % (kind, "".join(
        "%d, " % n for n in shape))
    header += " " * (63 - (len(header) + 10) % 64) + "\n"
    write(name, b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data)


def floats(name, count):
    return struct.unpack("<%df" % count, content(at(name))[-4 * count:])


def works(*words):
    done = run(*words, cwd=folder)
    assert done.returncode == 0, "%s: %s" % (" ".join(words), done.stderr)
    return done.stderr


def no(expected, *words):
    refused(expected, *words, cwd=folder)


def train(data, out, *more, steps="2"):
    return ("train", "--data", data, "--config", "tiny", "--steps", steps, "--batch", "4", "--out",
            out, *more)


def header(name):
    whole = content(at(name))
    return json.loads(whole[8:8 + struct.unpack("<Q", whole[:8])[0]])


def weights(name):
    whole = content(at(name))
    return whole[8 + struct.unpack("<Q", whole[:8])[0]:]


def decoded(name, channels, size):
    """The pictures of a cache: (labels, bytes of each)."""
    top = header(name)
    data = content(at(name))[8 + struct.unpack("<Q", content(at(name))[:8])[0]:]
    begin, end = top["pixels"]["data_offsets"]
    shape = top["pixels"]["shape"]
    assert shape[1:] == [channels, size, size], shape
    each = channels * size * size
    labels = struct.unpack("<%di" % shape[0], data[slice(*top["labels"]["data_offsets"])])
    return labels, [data[begin + i * each:begin + (i + 1) * each] for i in range(shape[0])]


write("one/a.jpg", jpeg(16, 16, [(10, )] * 4))
done = run(*train("one", "one.safetensors"), cwd=folder)
READS_JPEG = done.returncode == 0
if not READS_JPEG:
    assert "without libjpeg" in done.stderr, done.stderr

# Folders whose names are the classes: colours, sizes and kinds of file, at any depth.
for i in range(6):
    png("pics/reds/a%d.png" % i, 20 + i, 16, 2, lambda x, y: (250, 5 * i, 0))
    png("pics/blues/deep/er/b%d.png" % i, 16, 30, 6, lambda x, y: (0, 0, 250, 255 if y < 15 else 0))
png("pics/blues/gray.PNG", 16, 16, 0, lambda x, y: (100, ))
write("pics/blues/notes.txt", "no picture")
write("pics/blues/.hidden.png", "no picture either")
write("pics/blues/z.jpg" if READS_JPEG else "pics/blues/z2.png",
      jpeg(16, 16, [(10, 20, 240)] * 4) if READS_JPEG else content(at("pics/blues/gray.PNG")))
os.makedirs(at("pics", "empty"))
os.symlink("nowhere.png", at("pics", "reds", "lost.png"))
os.symlink(at("pics", "empty"), at("pics", "reds", "more"))
said = works(*train("pics", "m.safetensors", "--size", "16"))
assert "14 pictures" in said and "2 classes: blues 8, reds 6" in said, said
assert re.search("1 file passed over", said) and "'pics/empty' has no picture" in said, said
assert "lost.png' is a link that leads nowhere" in said, said
assert "more' is a link to a folder, which is not followed" in said, said
for name in ["lost.png", "more"]:
    os.remove(at("pics", "reds", name))
top = header("m.safetensors")["__metadata__"]
assert json.loads(top["labels"]) == ["blues", "reds"], top["labels"]
network = json.loads(top["network"])
assert (network["channels"], network["size"], network["classes"]) == (3, 16, 2), network
labels, seen = decoded("m.pictures", 3, 16)
assert sorted(labels) == [0] * 8 + [1] * 6, labels
by_class = {k: [p for l, p in zip(labels, seen) if l == k] for k in (0, 1)}
assert sorted(by_class[1]) == sorted(
    bytes([250] * 256 + [5 * i] * 256 + [0] * 256) for i in range(6))
# The middle of 16x30: the upper 8 rows blue, the lower 8 clear, and so white.
blue = bytes([0] * 128 + [255] * 128) * 2 + bytes([250] * 128 + [255] * 128)
assert by_class[0].count(blue) == 6, [p[:20] for p in by_class[0]]
assert bytes([100] * 768) in by_class[0]
if READS_JPEG:
    assert bytes([10] * 256 + [20] * 256 + [240] * 256) in by_class[0]

# The cache: what is there is used, what has changed is decoded anew.
written = os.stat(at("m.pictures")).st_ino
os.remove(at("m.safetensors"))
works(*train("pics", "m.safetensors", "--size", "16", steps="3"))
assert os.stat(at("m.pictures")).st_ino == written
first_bits = content(at("m.safetensors"))
# Its pixels are what is trained on: others in it are seen, and refused by the checkpoint.
png("pics/reds/a0.png", 20, 16, 2, lambda x, y: (250, 99, 0))
no(["another training: other pictures there"],
   *train("pics", "m.safetensors", "--size", "16", steps="4"))
assert content(at("m.safetensors")) == first_bits
png("pics/reds/a0.png", 20, 16, 2, lambda x, y: (250, 0, 0))
works(*train("pics", "m.safetensors", "--size", "16", steps="4"))
damaged = bytearray(content(at("m.pictures")))
damaged[-9] ^= 1
write("m.pictures", bytes(damaged))
works(*train("pics", "m.safetensors", "--size", "16", steps="5"))
assert content(at("m.pictures")) != bytes(damaged)
write("n.pictures", "my own")
no(["'n.pictures' is there", "no decoded pictures"], *train("pics", "n.safetensors"))
assert content(at("n.pictures")) == b"my own"

# Of the first few there are some of each class.
works(*train("pics", "few.safetensors", "--limit", "5"))
assert decoded("few.pictures", 3, 32)[0] == (0, 1, 0, 1, 0)

# A broken picture among others is named, left out and counted.
shutil.copytree(at("pics"), at("broken"))
whole = content(at("pics/reds/a1.png"))
write("broken/reds/a1.png", whole[:-20])
png("broken/reds/a2.png", 1, 1, 2, lambda x, y: (0, 0, 0), claims=(12961, 12961))  # 168 megapixels
write("broken/reds/a3.png", "no picture")
said = works(*train("broken", "b.safetensors"))
assert "3 of 14 pictures left out" in said and "11 pictures" in said, said
for name, why in [("a1.png", "not a sound PNG"), ("a2.png", "12961x12961 pixels"),
                  ("a3.png", "not a picture")]:
    assert re.search("left out: 'broken/reds/%s' is %s" % (name, why), said) or why in said, said
assert "3 of 14 pictures left out" in works(*train("broken", "b.safetensors",
                                                   steps="3"))  # the cache knows
for name in os.listdir(at("broken/reds")):
    write("broken/reds/" + name, "no picture")
no(["the class 'reds'", "no picture that can be read"], *train("broken", "c.safetensors"))

# What is no folder of pictures.
os.makedirs(at("nothing", "at", "all"))
no(["'nothing' has no pictures", "PNG or JPEG"], *train("nothing", "c.safetensors"))
no(["'nowhere' was given", "no folder of that name"], *train("nowhere", "c.safetensors"))
write("text.txt", "text")
no(["'text.txt' was given", "which is no folder"], *train("text.txt", "c.safetensors"))
png("both/a.png", 8, 8, 0, lambda x, y: (9, ))
png("both/more/a.png", 8, 8, 0, lambda x, y: (9, ))
no(["'both' has pictures, such as 'a.png'", "folders of pictures, such as 'more'"],
   *train("both", "c.safetensors"))
for name, why in [("all", "takes for all"), ("none", "takes for none"), ("a,b", "comma")]:
    png("names/%s/a.png" % name, 8, 8, 0, lambda x, y: (9, ))
    no(["'names'", why], *train("names", "c.safetensors"))
    shutil.rmtree(at("names"))
write("junk/a.png", "junk")
no(["'junk' has no picture that can be read"], *train("junk", "c.safetensors"))

# Pictures without classes; gray stays gray, and colour becomes gray where that is asked for.
for i in range(5):
    png("gray/a%d.png" % i, 8, 12, 2, lambda x, y: (10 * i, ) * 3)
    png("red/a%d.png" % i, 8, 8, 2, lambda x, y: (255, 0, 0))
works(*train("gray", "g.safetensors", "--size", "8"))
network = json.loads(header("g.safetensors")["__metadata__"]["network"])
assert (network["channels"], network["size"], network["classes"]) == (1, 8, 0), network
assert decoded("g.pictures", 1, 8)[1] == [bytes([10 * i] * 64) for i in range(5)]
works(*train("red", "r.safetensors", "--size", "8", "--gray"))
assert decoded("r.pictures", 1, 8)[1] == [bytes([76] * 64)] * 5
works(*train("gray", "p.safetensors", "--size", "12", "--fit", "pad"))
assert decoded("p.pictures", 1, 12)[1][1] == bytes(([255] * 2 + [10] * 8 + [255] * 2) * 12)
no(["--fit 'fill'", "crop"], *train("gray", "c.safetensors", "--fit", "fill"))

# Arrays, of bytes and of floats.
npy("a.npy", "|u1", (4, 8, 8, 3), bytes(range(256)) * 3)
npy("gray.npy", "|u1", (6, 8, 8), bytes(range(64)) * 6)
npy("f.npy", "<f4", (4, 1, 8, 8), struct.pack("<256f", *[i / 128 - 1 for i in range(256)]))
for name, channels in [("a.npy", 3), ("gray.npy", 1), ("f.npy", 1)]:
    out = name[:-4] + ".of.safetensors"
    works(*train(name, out, "--flip"))
    network = json.loads(header(out)["__metadata__"]["network"])
    assert (network["channels"], network["size"], network["classes"]) == (channels, 8, 0), network
    assert not os.path.exists(at(name[:-4] + ".of.pictures"))
works(*train("a.npy", "half.safetensors", "--size", "4"))
npy("far.npy", "<f4", (1, 1, 2, 2), struct.pack("<4f", 0, 0, 7, 0))
no(["'far.npy': value 2 is 7", "[-1, 1]"], *train("far.npy", "c.safetensors"))
npy("unit.npy", "<f4", (1, 1, 2, 2), struct.pack("<4f", 0, 0.25, 1, 0.5))
no(["'unit.npy' holds floats of which none is below 0", "[-1, 1]", "2 x - 1"],
   *train("unit.npy", "c.safetensors"))
npy("flat.npy", "|u1", (4, 8), bytes(32))
no(["'flat.npy' holds bytes of shape [4, 8]", "[count, height, width]"],
   *train("flat.npy", "c.safetensors"))
npy("two.npy", "|u1", (1, 4, 4, 2), bytes(32))
no(["shape [1, 4, 4, 2]", "1, 3 or 4 channels"], *train("two.npy", "c.safetensors"))
npy("zero.npy", "|u1", (0, 4, 4), b"")
no(["'zero.npy' has no pictures"], *train("zero.npy", "c.safetensors"))

# A model, its plot and previews among the pictures would be data of the next training.
shutil.copytree(at("gray"), at("shelf"))
os.makedirs(at("elsewhere"))
png("elsewhere/a.png", 8, 8, 0, lambda x, y: (9, ))
os.makedirs(at("linked"))
os.symlink(at("elsewhere"), at("linked", "cats"))
for data, option, file in [("shelf", "--out", "shelf/m.safetensors"),
                           ("shelf", "--out", "./shelf/../shelf/m.safetensors"),
                           ("pics", "--out", "pics/reds/m.safetensors"),
                           ("linked", "--out", "elsewhere/m.safetensors"),
                           ("shelf", "--checkpoint", "shelf/m.checkpoint"),
                           ("shelf", "--loss", "shelf/m.csv")]:
    no(["%s '%s' lies inside --data '%s'" % (option, file, data), "another folder"],
       *train(data, *([file] if option == "--out" else ["o.safetensors", option, file]),
              "--preview-every", "1"))
works(*train("shelf", "shelf.safetensors"))  # beside it, by nearly its name

# Flips are of the training, and another training than one without.
works(*train("a.npy", "plain.safetensors"))
works(*train("a.npy", "plain2.safetensors"))
no(["another training", "flip none there, on here"],
   *train("a.npy", "plain.safetensors", "--flip", steps="3"))
assert weights("plain.safetensors") == weights("plain2.safetensors") != weights("a.of.safetensors")

# The network as TOML, and sizes that it cannot halve.
write(
    "net.toml",
    "base = 8\nmultipliers = [1, 2]\nblocks = [1, 2]\nattention = [8]\ngroups = 4\ndropout = 0.2\n")
words = [w if w != "tiny" else "net.toml" for w in train("pics", "t.safetensors", "--size", "16")]
works(*words)
network = json.loads(header("t.safetensors")["__metadata__"]["network"])
assert (network["base"], network["blocks"], network["attention"]) == (8, [1, 2], [8]), network
assert abs(network["dropout"] - 0.2) < 1e-6, network
for text, expected in [("bass = 8", ["'net.toml': bass was given", "did you mean base?"]),
                       ("base = \"8\"", ["'net.toml': base = \"8\" was given", "a number"]),
                       ("base = 100000", ["'net.toml': base = 100000 was given", "whole number"]),
                       ("blocks = [1, -2]", ["'net.toml': blocks = [1, -2] was", "whole numbers"]),
                       ("scale_shift = 1", ["'net.toml': scale_shift = 1 was", "true or false"]),
                       ("base = 4000\nmultipliers = [1, 9]", ["36000 channels"]),
                       ("base = = 8", ["'net.toml'", "line 1"]),
                       ("size = 24", ["--size 16", "24x24", "--size 24"]),
                       ("classes = 7", ["classes is 7", "pictures have 2"]),
                       ("channels = 1", ["channels is 1", "pictures have 3"]),
                       ("groups = 3", ["'net.toml': groups is 3"]),
                       ("time_scale = 3", ["time_scale was given"])]:
    write("net.toml", text)
    no(expected, *[w if w != "t.safetensors" else "u.safetensors" for w in words])
# Colours of a network that are not there; and its mistakes before any picture is decoded.
write("net.toml", "multipliers = [1]\nchannels = 3")
no(["'net.toml': channels is 3, but the pictures have 1"], "train", "--data", "gray", "--config",
   "net.toml", "--steps", "1", "--out", "u.safetensors")
for text, expected in [("groups = 3", "'net.toml': groups is 3"),
                       ("attention = [5]", "'net.toml': attention was asked at size 5"),
                       ("multipliers = [1, 1, 1, 1, 1, 1, 1]", "the network net.toml halves it 6")]:
    write("net.toml", text)
    done = run("train", "--data", "broken", "--config", "net.toml", "--steps", "1", "--out",
               "u.safetensors", cwd=folder)
    assert done.returncode == 1 and expected in done.stderr, done.stderr
    assert "left out" not in done.stderr, done.stderr
small = [w if w != "tiny" else "small" for w in train("pics", "u.safetensors", "--size")]
no(["--size 30 was given", "such as 28 or 32"], *small, "30")
no(["--size 2000 was given"], *small, "2000")
no(["--size"], *train("fashion-mnist", "u.safetensors", "--size", "32"))

# What is trained further must have the size, the channels and the number of classes.
CONFIG = [
    w for w in train("pics", "v.safetensors", "--from", "m.safetensors")
    if w not in ("--config", "tiny")
]
said = works(*CONFIG)
assert "begun with the weights of 'm.safetensors'" in said and "14 pictures" in said, said
assert json.loads(header("v.safetensors")["__metadata__"]["network"])["size"] == 16
for data, more, expected in [("pics", ("--size", "32"), ["--size 32", "16x16", "--size 16"]),
                             ("red", (), ["has 2 classes", "'red' has 0"]),
                             ("pics", ("--gray", ), ["3 channels", "gray"])]:
    no(expected, *[w if w != "pics" else data for w in CONFIG[:-3]], "w.safetensors", *CONFIG[-2:],
       *more)
no(["'g.safetensors' is for pictures of 1 channel", "'red' has pictures in colour", "--gray"],
   "train", "--data", "red", "--from", "g.safetensors", "--steps", "1", "--out", "w.safetensors")
works("train", "--data", "red", "--gray", "--from", "g.safetensors", "--steps", "1", "--batch", "2",
      "--out", "w.safetensors")
pictures(at("clothes"))
no(["m.safetensors", "16x16", "28x28"], "train", "--data", "clothes", "--from", "m.safetensors",
   "--steps", "1", "--out", "y.safetensors")
no(["--gray was given"], *train("clothes", "y.safetensors", "--gray"))

# A preview every few steps, which changes no bit of the training; Ctrl-C keeps what there is.
works(*train("pics", "q.safetensors", "--size", "16", "--preview-every", "2", "--flip", steps="4"))
works(*train("pics", "q0.safetensors", "--size", "16", "--flip", steps="4"))
assert weights("q.safetensors") == weights("q0.safetensors")
preview = content(at("q.preview.png"))
assert struct.unpack(">II", preview[16:24]) == (8 * 34 - 2, 2 * 34 - 2), preview[:30]
assert preview[25] == 2, preview[:30]  # RGB
write("q1.preview.png", "mine")
no(["'q1.preview.png' is there"], *train("pics", "q1.safetensors", "--preview-every", "2"))

# With such a model, in colour and of 16x16: everywhere.
model = ("--model", "m.safetensors")
works("sample", *model, "--label", "reds", "--count", "4", "--steps", "3", "--out", "x.png")
assert content(at("x.png"))[25] == 2  # RGB
works("sample", *model, "--count", "4", "--steps", "3", "--out", "x.npy")
assert len(floats("x.npy", 4 * 768)) == 4 * 768
png("in.png", 16, 16, 2, lambda x, y: (15 * x, 15 * y, 100))
png("in2.png", 16, 16, 0, lambda x, y: (15 * x, ))  # gray in a network of colours
png("mask.png", 16, 16, 0, lambda x, y: (255 if x < 8 else 0, ))
works("sample", *model, "--inpaint", "mask.png", "--known", "in.png", "--label", "none", "--count",
      "2", "--steps", "3", "--resamplings", "2", "--out", "k.npy")
known = floats("k.npy", 2 * 768)
for picture in range(2):
    for c in range(3):
        for y in range(16):
            for x in range(8):
                byte = (15 * x, 15 * y, 100)[c]
                assert known[((picture * 3 + c) * 16 + y) * 16 + x] == struct.unpack(
                    "<f", struct.pack("<f", (2 * byte - 255) / 255))[0]
if READS_JPEG:
    write("in.jpg", jpeg(16, 16, [(10, 20, 240)] * 4))
    works("encode", *model, "--in", "in.jpg", "--steps", "3", "--out", "z.npy")
for given in ["in.png", "in2.png"]:
    works("encode", *model, "--in", given, "--steps", "20", "--sampler", "heun", "--label", "reds",
          "--out", "z.npy")
works("sample", *model, "--from", "z.npy", "--steps", "20", "--sampler", "heun", "--label", "reds",
      "--out", "back.png")
npy("ends.npy", "|u1", (2, 3, 16, 16), bytes(range(256)) * 6)
works("interpolate", *model, "--between", "ends.npy", "--count", "3", "--steps", "3", "--out",
      "i.png")
# Arrays as train takes them: bytes with the channels last, gray ones without theirs.
planes = [bytes((7 * i + 80 * c) % 256 for i in range(256)) for c in range(3)]
npy("first.npy", "|u1", (1, 3, 16, 16), b"".join(planes))
npy("last.npy", "|u1", (1, 16, 16, 3), bytes(v for rgb in zip(*planes) for v in rgb))
npy("alone.npy", "|u1", (3, 16, 16), b"".join(planes))
for name in ["first", "last", "alone"]:
    works("encode", *model, "--in", name + ".npy", "--steps", "3", "--out", name + ".of.npy")
    assert content(at(name + ".of.npy")) == content(at("first.of.npy")), name
npy("six.npy", "|u1", (6, 8, 8), bytes(range(64)) * 6)
npy("six1.npy", "|u1", (6, 1, 8, 8), bytes(range(64)) * 6)
for name in ["six", "six1"]:
    works("encode", "--model", "g.safetensors", "--in", name + ".npy", "--steps", "3", "--out",
          name + ".of.npy")
assert content(at("six.of.npy")) == content(at("six1.of.npy"))
no(["has pictures of shape {6, 8, 8}", "{count, 3, 16, 16}"], "encode", *model, "--in", "six.npy",
   "--out", "e.npy")
assert content(at("i.png"))[25] == 2
works("likelihood", *model, "--in", "in.png", "--steps", "4", "--probes", "1", "--label", "blues")
png("wrong.png", 12, 12, 2, lambda x, y: (1, 2, 3))
no(["{1, 3, 12, 12}", "{count, 3, 16, 16}"], "encode", *model, "--in", "wrong.png", "--out",
   "e.npy")
works("plot", *model, "--loss", "--data", "pics", "--steps", "4", "--out", "l.json")
with open(at("l.json")) as f:
    loss = json.load(f)["loss"]
assert loss["pictures"] == 14 and len(loss["mean"]) == 4, loss
assert all(0 < v < 10 for v in loss["mean"]), loss
for i in range(3):
    png("greens/greens/%d.png" % i, 8, 8, 2, lambda x, y: (0, 255, 0))
no(["the class 'greens'", "blues, reds"], "plot", *model, "--loss", "--data", "greens", "--steps",
   "4", "--out", "n.json")
no(["--count 15", "2 to 14"], "plot", *model, "--loss", "--data", "pics", "--count", "15",
   "--steps", "4", "--out", "n.json")
no(["m.safetensors", "Fashion-MNIST", "28x28"], "plot", *model, "--loss", "--data", "clothes",
   "--steps", "4", "--out", "n.json")
no(["'g.safetensors' is for pictures of 1 channel", "colour"], "plot", "--model", "g.safetensors",
   "--loss", "--data", "red", "--steps", "4", "--out", "n.json")

# Stopped while it decodes or trains: nothing half-written, and the same command goes on.
png("many/a0.png", 200, 200, 2, lambda x, y: (x, y, 9))
for i in range(1, 300):
    shutil.copy(at("many/a0.png"), at("many/a%d.png" % i))
process = begin(*train("many", "s.safetensors", steps="100000"), cwd=folder)
wait_for(at("s.pictures"), process)
process.send_signal(2)
said = process.communicate()[1]
assert process.returncode == 130 and "s.safetensors" not in os.listdir(folder), said
print("pictures of one's own are trained on, in colour")
