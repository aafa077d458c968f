"""tweedie export: the file and its card are there, and what is refused leaves all as it was."""
import os
import re
import struct

from _tool import content, files, fresh, pictures, refused, run

folder = fresh("work")
pictures(os.path.join(folder, "pictures"))
train = ("train", "--data", "pictures", "--config", "tiny", "--steps", "3", "--batch", "8")
done = run(*train, "--out", "v.safetensors", cwd=folder)
assert done.returncode == 0, done.stderr

line = ("export", "--model", "v.safetensors")
done = run(*line, "--out", "net.onnx", cwd=folder)
if "this build cannot write ONNX" in done.stderr:
    refused("Debian: libonnx-dev and libprotobuf-dev", *line, "--out", "net.onnx", cwd=folder)
    print("skipped: built without ONNX's library")
    raise SystemExit(77)
assert done.returncode == 0, done.stderr
whole = content(os.path.join(folder, "net.onnx"))
for word in [
    "'net.onnx': %d bytes" % len(whole),
    "y int64 {N} from 0 to 9, 10 without a label",
    "predicts v on the schedule cosine, t from 0 to 1000",
]:
    assert word in done.stdout, (word, done.stdout)
for line_of_card in [
    b'predicts = "v"\n',
    b'name = "cosine", s = 0.008',
    b'time = "t"\n',
    b'labels = "y"\n',
    b'names = ["t-shirt","trouser",',
    b"null = 10.0\n",
]:
    assert line_of_card in whole, line_of_card
assert "read back by " in done.stdout or "not read back, no engine" in done.stdout, done.stdout
assert "net.onnx" in files(folder)
assert not [name for name in files(folder) if name.startswith(".tweedie")]

# Pictures by the file are pictures by the model, where an engine runs it.
if "read back by " in done.stdout:
    drawn = []
    for model in ["v.safetensors", "net.onnx"]:
        words = ("--label", "3", "--guidance", "1", "--steps", "5", "--count", "2")
        done = run("sample", "--model", model, *words, "--out", "x.npy", cwd=folder)
        assert done.returncode == 0, done.stderr
        drawn.append(struct.unpack("<1568f", content(os.path.join(folder, "x.npy"))[-6272:]))
    assert max(abs(a - b) for a, b in zip(*drawn)) < 1e-3
    assert max(map(abs, drawn[0])) > 0.1

# The models that come with the library, to 1e-5, where an engine says so.
for name in ["fashion-v", "fashion-epsilon"]:
    model = os.path.join(os.environ["TWEEDIE_SOURCE_DIR"], "models", name + ".safetensors")
    done = run("export", "--model", model, "--out", "shipped.onnx", cwd=folder)
    assert done.returncode == 0, done.stderr
    apart = re.search(r"read back by .*: at most (\S+) from", done.stdout)
    assert apart is None or float(apart.group(1)) <= 1e-5, done.stdout
    there = model.replace(".safetensors", ".onnx")  # what `make demo` draws with
    assert not os.path.exists(there) or content(there) == content(
        os.path.join(folder, "shipped.onnx")), "%s is not what export writes" % there
os.remove(os.path.join(folder, "shipped.onnx"))

# The same bytes again, over a file that was there; half of them in 16 bits.
done = run(*line, "--out", "net.onnx", cwd=folder)
assert done.returncode == 0 and content(os.path.join(folder, "net.onnx")) == whole, done.stderr
for kind in ["f16", "bf16"]:
    done = run(*line, "--out", kind + ".onnx", "--type", kind, cwd=folder)
    assert done.returncode == 0 and kind in done.stdout, done.stderr
    assert len(content(os.path.join(folder, kind + ".onnx"))) < 0.8 * len(whole)


def no(expected, *words, **more):
    refused(expected, *words, cwd=folder, **more)
    assert content(os.path.join(folder, "net.onnx")) == whole


no(["--out 'net.pt'", "ends in .onnx"], *line, "--out", "net.pt")
no(["--type 'f61'", "expected one of: f32, f16, bf16"], *line, "--out", "net.onnx", "--type", "f61")
no("there is no folder 'none'", *line, "--out", "none/net.onnx")
no("did you mean 'v.safetensors'", "export", "--model", "w.safetensors", "--out", "other.onnx")
no("'net.onnx'", "export", "--model", "net.onnx", "--out", "other.onnx")
no("expected another name", "export", "--model", "net.onnx", "--out", "net.onnx")
no("--out", "export", "--model", "v.safetensors")
no("expected room for", *line, "--out", "net.onnx", largest_file=10000)

# A model whose schedule nobody knows has no card that can be read.
made = content(os.path.join(folder, "v.safetensors"))
with open(os.path.join(folder, "strange.safetensors"), "wb") as f:
    f.write(made.replace(b'{\\"name\\":\\"cosine\\"', b'{\\"name\\":\\"cosinf\\"'))
strange = ("export", "--model", "strange.safetensors", "--out", "net.onnx")
no(["'strange.safetensors': schedule", "did you mean cosine"], *strange)
written = [name for name in files(folder) if name.endswith(".onnx")]
assert written == ["bf16.onnx", "f16.onnx", "net.onnx"], written
