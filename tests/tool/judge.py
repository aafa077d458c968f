"""judge: the shipped classifier knows Fashion-MNIST, and what it refuses is refused.

Real test pictures stand for perfect samples, noise for useless ones, training pictures for copies.
$JUDGE names the program. Exit code 77: skipped.
"""

import gzip
import os
import pathlib
import random
import struct
import subprocess
import sys

JUDGE = os.environ["JUDGE"]
ROOT = pathlib.Path(os.environ["TWEEDIE_SOURCE_DIR"])
CLASSIFIER = ROOT / "models" / "classifier.safetensors"
DATA = pathlib.Path("/usr/share/datasets/fashion-mnist")
PIXELS = 28 * 28


def read_idx(name, header):
    packed, plain = DATA / (name + ".gz"), DATA / name
    content = plain.read_bytes() if plain.exists() else gzip.open(packed).read()
    return content[header:]


def part_of_data(folder, counts):
    """A folder of Fashion-MNIST with the first pictures of each part: a run takes no time."""
    os.makedirs(folder, exist_ok=True)
    for part, count in counts.items():
        for kind, shape, header in (("images-idx3", [28, 28], 16), ("labels-idx1", [], 8)):
            name = f"{part}-{kind}-ubyte"
            size = count * (PIXELS if shape else 1)
            start = struct.pack(f">{2 + len(shape)}I", 0x801 + len(shape), count, *shape)
            content = read_idx(name, header)[:size] if count else b""
            pathlib.Path(folder, name).write_bytes(start + content)
    return folder


def pictures_by_class(part, order, per_class):
    """Row by row: the first `per_class` pictures of class 0, of class 1, ... in that order."""
    images = read_idx(part + "-images-idx3-ubyte", 16)
    labels = read_idx(part + "-labels-idx1-ubyte", 8)
    rows = [[] for _ in range(10)]
    for i in order:
        if len(rows[labels[i]]) < per_class:
            rows[labels[i]].append(images[i * PIXELS : (i + 1) * PIXELS])
    return [picture for row in rows for picture in row]


def floats(pictures):
    return [2 * pixel / 255 - 1 for picture in pictures for pixel in picture]


def write_npy(name, values, shape, kind="<f4"):
    form = {"<f4": "f", "|u1": "B"}[kind]
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {tuple(shape)}, }}"
    header += " " * ((-len(header) - 11) % 64) + "\n"
    with open(name, "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode())
        file.write(struct.pack(f"<{len(values)}{form}", *values))
    return name


def judge(*words):
    done = subprocess.run([JUDGE, *map(str, words)], capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def check(what, holds, seen):
    if not holds:
        sys.exit(f"FAILED: {what}\n{seen}")
    print("ok:", what)


def samples(name, *words):
    return judge("samples", "--classifier", CLASSIFIER, "--samples", name, "--data", "few", *words)


def refused(what, words, sentence):
    code, out, err = judge(*words)
    good = code == 1 and err.startswith("judge: ") and err.count("\n") == 1 and sentence in err
    check(f"{what}: {err.strip()}", good, f"exit code {code}, expected '{sentence}'\n{out}{err}")


def refused_samples(what, words, sentence):
    refused(what, ["samples", "--classifier", CLASSIFIER, *words], sentence)


def bad_input():
    blank = [0.0] * PIXELS
    good = write_npy("blank.npy", blank, (1, 1, 28, 28))
    refused_samples("no file", ["--samples", "none.npy"], "none.npy")
    wrong = write_npy("wrong.npy", blank, (1, 28, 28))
    refused_samples("a wrong shape", ["--samples", wrong], "expected pictures, [count, 1, 28, 28]")
    none = write_npy("empty.npy", [], (0, 1, 28, 28))
    refused_samples("no pictures", ["--samples", none], "expected pictures, [count, 1, 28, 28]")
    nan = write_npy("nan.npy", [float("nan")] + blank[1:], (1, 1, 28, 28))
    refused_samples("a NaN", ["--samples", nan], "has the value nan in picture 0")
    as_bytes = write_npy("bytes.npy", [0] * PIXELS, (1, 1, 28, 28), "|u1")
    refused_samples("bytes", ["--samples", as_bytes], "expected floats in [-1, 1]")
    refused_samples("half a file", ["--samples", cut("half.npy", good)], "half.npy")
    refused_samples("an unknown class", ["--samples", good, "--labels", "7,hat"], "'hat' was given")
    refused_samples("a name that is nearly right", ["--samples", good, "--labels", "boots"],
                    "did you mean boot?")
    refused_samples("a label without a sample", ["--samples", good, "--labels", "3,5"],
                    "2 labels for 1 samples")
    labels = write_npy("labels.npy", [10], (1,), "|u1")
    refused_samples("a label out of range", ["--samples", good, "--labels", labels], "the label 10")
    labels = write_npy("labels.npy", [1, 2], (2,), "|u1")
    words = ["--samples", good, "--labels", labels]
    refused_samples("too many labels", words, "a label per picture")
    refused_samples("no data", ["--samples", good, "--data", "nowhere"], "nowhere")
    empty = part_of_data("empty", {"train": 0, "t10k": 0})
    refused_samples("no pictures", ["--samples", good, "--data", empty], "has no pictures")
    refused_samples("a share above 1", ["--samples", good, "--require-accuracy", "90"], "0 to 1")
    refused("no classifier", ["test", "--classifier", "none.safetensors"], "none.safetensors")
    refused("half a classifier", ["test", "--classifier", cut("half", CLASSIFIER)], "half")
    refused("no such command", ["tets"], "did you mean test?")
    refused("no folder", ["train", "--out", "nowhere/x.safetensors"], "there is no folder")
    words = ["train", "--out", "x.safetensors", "--epochs", "0"]
    refused("no epochs", words, "--epochs 0 was given")
    check("nothing was written", not os.path.exists("x.safetensors"), "x.safetensors is there")


def cut(name, whole):
    content = pathlib.Path(whole).read_bytes()
    pathlib.Path(name).write_bytes(content[: len(content) // 2])
    return name


def main():
    if not pathlib.Path(JUDGE).exists():
        sys.exit(f"FAILED: {JUDGE} was not built")
    for part in ("train", "t10k"):
        if not list(DATA.glob(part + "-images-idx3-ubyte*")):
            print(f"skipped: {DATA} does not hold Fashion-MNIST (Debian: dataset-fashion-mnist)")
            sys.exit(77)

    code, out, err = judge("test", "--classifier", CLASSIFIER, "--require-accuracy", 0.91)
    check(out.strip(), code == 0, err)
    part_of_data("few", {"train": 4000, "t10k": 1000})
    code, out, err = judge(
        "test", "--classifier", CLASSIFIER, "--require-accuracy", 0.99, "--data", "few"
    )
    check("99 % is more than it can: " + err.strip(), code == 2, out)

    each = 20
    shape = (10 * each, 1, 28, 28)
    requirements = ("--require-accuracy", 0.85, "--require-distance")
    real = pictures_by_class("t10k", range(1000), each)

    write_npy("real.npy", floats(real), shape)
    code, out, err = samples("real.npy", *requirements)
    check("test pictures pass as samples", code == 0 and "no closer" in out, out + err)

    # The same pictures in another order, told so: labels as a file, and as a list.
    order = list(range(10 * each))
    random.Random(1).shuffle(order)
    write_npy("mixed.npy", floats([real[i] for i in order]), shape)
    write_npy("order.npy", [i // each for i in order], (10 * each,), "|u1")
    mixed_code, mixed, err = samples("mixed.npy", "--labels", "order.npy", *requirements)
    check("labels from a file", mixed_code == 0 and mixed == out, mixed + err)
    code, listed, err = samples("real.npy", "--labels", "t-shirt,1,2,3,4,5,6,7,8,boot")
    check("labels from a list", code == 0 and listed == out, listed + err)

    code, out, err = samples("mixed.npy", "--require-accuracy", 0.5)
    check("pictures of other classes fall short", code == 2 and err.count("\n") == 1, out + err)

    # The last ones: not within the first block of distances.
    copies = pictures_by_class("train", reversed(range(4000)), each)
    write_npy("copies.npy", floats(copies), shape)
    code, out, err = samples("copies.npy", *requirements)
    check("training pictures are too close", code == 2 and "samples 0.000" in out, out + err)
    check("and that alone is said", err.count("\n") == 1 and "closer" in err, err)

    draw = random.Random(2)
    write_npy("noise.npy", [draw.uniform(-1, 1) for _ in range(10 * each * PIXELS)], shape)
    code, out, err = samples("noise.npy", "--require-accuracy", 0.3)
    check("noise is not accepted", code == 2, out + err)

    bad_input()


main()
