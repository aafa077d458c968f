"""ONNX files as --model: the pictures of the model that they were exported from, whatever is done
with them; and what does not fit is refused by one sentence."""
import os
import struct

from _tool import content, fresh, pictures, refused, run

folder = fresh("work")
pictures(os.path.join(folder, "pictures"))
done = run("train", "--data", "pictures", "--config", "tiny", "--steps", "20", "--batch", "8",
           "--rate", "2e-3", "--out", "v.safetensors", cwd=folder)
assert done.returncode == 0, done.stderr
done = run("export", "--model", "v.safetensors", "--out", "net.onnx", cwd=folder)
if done.returncode != 0 or "not read back" in done.stdout:
    print("skipped: built without ONNX's library or without an engine")
    raise SystemExit(77)


def floats(name):
    data = content(os.path.join(folder, name))
    begin = 10 + struct.unpack("<H", data[8:10])[0]
    return struct.unpack("<%df" % ((len(data) - begin) // 4), data[begin:])


def write(name, text):
    with open(os.path.join(folder, name), "w") as f:
        f.write(text)


def write_npy(name, shape, values):
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': (%s), }" % "".join(
        "%d, " % n for n in shape)
    header += " " * (53 - len(header) % 64 + 64) + "\n"
    with open(os.path.join(folder, name), "wb") as f:
        f.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() +
                struct.pack("<%df" % len(values), *values))


def drawn(*words, out="a.npy", command="sample"):
    done = run(command, *words, "--out", out, cwd=folder)
    assert done.returncode == 0, "%s: %s" % (" ".join(words), done.stderr)
    return floats(out) if out.endswith(".npy") else content(os.path.join(folder, out))


def near(a, b, most):
    assert len(a) == len(b)
    worst = max(abs(x - y) for x, y in zip(a, b))
    assert worst < most, worst


# The same pictures, guided and not, with several evaluations a step, in batches and by two threads.
line = ("--count", "10", "--seed", "3", "--steps", "8")
for words in [(), ("--guidance", "0", "--label", "3"), ("--sampler", "heun", "--grid", "karras"),
              ("--sampler", "ancestral"), ("--label", "none", "--batch", "3"), ("--threads", "2")]:
    near(drawn("--model", "net.onnx", *line, *words),
         drawn("--model", "v.safetensors", *line, *words), 2e-3)
assert drawn("--model", "net.onnx", *line, out="a.png")[1:4] == b"PNG"

# Encoded and decoded.
drawn("--model", "v.safetensors", "--count", "2", "--steps", "8", "--label", "1", out="p.npy")
near(drawn("--model", "net.onnx", "--in", "p.npy", "--steps", "12", out="l.npy", command="encode"),
     drawn("--model", "v.safetensors", "--in", "p.npy", "--steps", "12", command="encode"), 5e-3)
near(drawn("--model", "net.onnx", "--from", "l.npy", "--steps", "12"),
     drawn("--model", "v.safetensors", "--from", "l.npy", "--steps", "12"), 5e-3)
drawn("--model", "net.onnx", "--between", "p.npy", "--steps", "4", "--count", "3", out="b.png",
      command="interpolate")
assert run("explain", "--model", "net.onnx", "--steps", "4",
           cwd=folder).stdout == run("explain", "--model", "v.safetensors", "--steps", "4",
                                     cwd=folder).stdout

# 16 bits, or the sentence that this processor has none of them.
done = run("sample", "--model", "net.onnx", *line, "--precision", "bfloat16", "--out", "h.npy",
           cwd=folder)
assert done.returncode == 0 or "expected float32" in done.stderr, done.stderr

# A card beside the file goes before the one inside: the labels as a condition with a name.
card = """predicts = "v"
schedule = { name = "cosine", s = 0.008 }
time = "t"
range = [-1.0, 1.0]

[inputs]
x = "x"
time = "t"

[conditions.class]
input = "y"
null = 10
"""
labels = [i // 2 for i in range(10)]
expected = drawn("--model", "net.onnx", *line, "--label", "0,1,2,3,4")
os.rename(os.path.join(folder, "net.onnx"), os.path.join(folder, "named.onnx"))
write("named.toml", card)
write_npy("y.npy", (10,), labels)
near(drawn("--model", "named.onnx", *line, "--condition", "class=y.npy"), expected, 1e-6)
write_npy("one.npy", (1,), [3])
drawn("--model", "named.onnx", *line, "--condition", "class=one.npy")
done = run("inspect", "named.onnx", cwd=folder)
assert card in done.stdout.replace('."class"', ".class").replace("null = 10.0",
                                                                 "null = 10"), done.stdout

named = ("sample", "--model", "named.onnx", "--out", "n.npy", *line)
refused(["takes the condition 'class'", "--condition class=x.npy"], *named, "--guidance", "0",
        cwd=folder)
refused(["--condition clas=y.npy was given", "did you mean class?"], *named, "--condition",
        "clas=y.npy", cwd=folder)
refused("expected a name and its array", *named, "--condition", "y.npy", cwd=folder)
refused("expected one", *named, "--condition", "class=y.npy", "--condition", "class=y.npy",
        cwd=folder)
write_npy("three.npy", (3,), [1, 2, 3])
refused("expected 10 rows, or one for all", *named, "--condition", "class=three.npy", cwd=folder)
refused("--label 3 was given, but the network is unconditional", *named, "--condition",
        "class=y.npy", "--label", "3", cwd=folder)



# Samples that are no pictures, of any rank: what the tool wrote of them it takes, one or several.
def message(*fields):
    """A message of protobuf: (number, bytes or text or whole number)."""
    def varint(n):
        return bytes([n]) if n < 128 else bytes([n % 128 + 128]) + varint(n // 128)

    parts = []
    for number, value in fields:
        if isinstance(value, int):
            parts.append(varint(number * 8) + varint(value))
        else:
            data = value.encode() if isinstance(value, str) else value
            parts.append(varint(number * 8 + 2) + varint(len(data)) + data)
    return b"".join(parts)


def value_info(name, shape):
    sizes = [(1, message((2, "N") if n is None else (1, n))) for n in shape]
    tensor = message((1, 1), (2, message(*sizes)))  # FLOAT
    return message((1, name), (2, message((1, tensor))))


SHAPED_CARD = """predicts = "v"
schedule = "cosine"
time = "t"

[inputs]
x = "x"
time = "t"
"""
for shape in [(4, ), (3, 5), (5, 3, 2), (2, 3, 4, 5)]:
    graph = message((1, message((1, "x"), (2, "out"), (4, "Identity"))), (2, "g"),
                    (11, value_info("x", (None, *shape))), (11, value_info("t", (None, ))),
                    (12, value_info("out", (None, *shape))))
    with open(os.path.join(folder, "shaped.onnx"), "wb") as f:
        f.write(message((1, 8), (7, graph), (8, message((1, ""), (2, 17)))))
    write("shaped.toml", SHAPED_CARD)
    shaped = ("--model", "shaped.onnx", "--steps", "3")
    size = len(drawn(*shaped, "--count", "2", out="two.npy")) // 2
    latents = drawn(*shaped, "--in", "two.npy", out="lat.npy", command="encode")
    both = drawn(*shaped, "--from", "lat.npy")
    assert len(latents) == len(both) == 2 * size
    drawn(*shaped, "--between", "two.npy", "--count", "3", out="b.npy", command="interpolate")
    write_npy("single.npy", shape, latents[:size])
    near(drawn(*shaped, "--from", "single.npy"), both[:size], 1e-6)
    write_npy("wrong.npy", (2, *shape[:-1], shape[-1] + 1), [0] * (2 * size // shape[-1] *
                                                                  (shape[-1] + 1)))
    refused(["{count, %s}" % ", ".join(str(n) for n in shape)], "sample", *shaped, "--from",
            "wrong.npy", "--out", "n.npy", cwd=folder)

# Without a card: a draft of one, which is one as soon as it is beside the file.
bare = content(os.path.join(folder, "named.onnx")).replace(b"\x07tweedie", b"\x07nothing")
with open(os.path.join(folder, "bare.onnx"), "wb") as f:
    f.write(bare)
refused("has no card", "sample", "--model", "bare.onnx", "--out", "n.npy", cwd=folder)
done = run("inspect", "bare.onnx", cwd=folder)
assert "'bare.toml', to be filled in" in done.stdout, done.stdout
draft = done.stdout.split("to be filled in:\n\n")[1]
write("bare.toml", draft)  # as it is printed, nothing is guessed
refused("the key 'predicts' is missing", "sample", "--model", "bare.onnx", "--out", "n.npy",
        cwd=folder)
for key in ("predicts", "schedule", "time"):
    draft = draft.replace(f"# {key} =", f"{key} =")
write("bare.toml", draft)
refused("neither count nor names was given", "sample", "--model", "bare.onnx", "--out", "n.npy",
        cwd=folder)
draft = draft.replace("# count", "count").replace("# null", "null")
write("bare.toml", draft)
drawn("--model", "bare.onnx", "--count", "2", "--steps", "8", "--label", "1", "--grid", "karras",
      "--clip", "1")

bad = ("sample", "--model", "bare.onnx", "--out", "n.npy")
for change, word in [
    (("predicts = \"epsilon\"", "predicts = \"epsilom\""), "did you mean epsilon?"),
    (("schedule = \"linear\"", "schedule = \"lineal\""), "did you mean linear?"),
    (("time = \"t - 1\"", "time = \"t-1\""), "did you mean t - 1?"),
    (("x = \"x\"", "x = \"z\""), "there is none of that name"),
    (("time = \"t - 1\"", "time = \"1000 t\""), "times of the schedule linear are not told in"),
    (("schedule = \"linear\"", "schedule = \"rectified_flow\""), "time = \"t - 1\" was given"),
    (("null = 10", "nul = 10"), "did you mean null?"),
    (("null = 10", "null = 9"), "which is how label 9 is told"),
    (("predicts =", "predict ="), "did you mean predicts?"),
    (("count = 10", "count = 0"), "expected a whole number from 1"),
]:
    assert change[0] in draft, draft
    write("bare.toml", draft.replace(*change))
    refused(word, *bad, cwd=folder)
write("bare.toml", "schedule = \"cosine\"")
refused("the key 'predicts' is missing", *bad, cwd=folder)

# An empty card is what a shell makes before inspect writes into it.
write("bare.toml", "")
assert run("inspect", "bare.onnx", cwd=folder).stdout == done.stdout

# What an ONNX file cannot, or what is none.
os.rename(os.path.join(folder, "named.onnx"), os.path.join(folder, "net.onnx"))
refused("a likelihood needs the network's derivative", "likelihood", "--model", "net.onnx", "--in",
        "p.npy", cwd=folder)
write("m.toml", card)
refused("'m.toml' beside it would be read in place", "export", "--model", "v.safetensors", "--out",
        "m.onnx", cwd=folder)
os.remove(os.path.join(folder, "m.toml"))
os.mkfifo(os.path.join(folder, "pipe.onnx"))
refused("is a pipe or a device", "sample", "--model", "pipe.onnx", "--out", "n.npy", cwd=folder)
refused("No such file", "sample", "--model", "net.pt", "--out", "n.npy", cwd=folder)
write_npy("given.npy", (10, ), labels)
os.rename(os.path.join(folder, "named.toml"), os.path.join(folder, "net.toml"))
refused("is read as 'given.npy'", "sample", "--model", "net.onnx", "--condition",
        "class=given.npy", "--out", "given.npy", cwd=folder)
write_npy("half.npy", (10, ), [0.5] * 10)
refused("expected whole numbers", "sample", "--model", "net.onnx", "--count", "10", "--condition",
        "class=half.npy", "--out", "n.npy", cwd=folder)
os.remove(os.path.join(folder, "net.toml"))
refused("an export needs its weights", "export", "--model", "net.onnx", "--out", "m.onnx",
        cwd=folder)
write("text.onnx", "no network")
for command in [("sample", "--out", "n.npy", "--model"), ("inspect",)]:
    refused("'text.onnx' is no ONNX file", *command, "text.onnx", cwd=folder)
refused("did you mean bfloat16?", "sample", "--model",
        "net.onnx", "--precision", "bfloat6", "--out", "n.npy", cwd=folder)
refused("which is computed in float32", "sample", "--model", "v.safetensors", "--precision",
        "bfloat16", "--out", "n.npy", cwd=folder)
