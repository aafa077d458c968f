"""Packages of AOTInductor as --model, compiled here by the PyTorch whose LibTorch the build has;
the same network as TorchScript draws the same pictures."""
import array
import os
import subprocess

from _tool import fresh, refused, run

folder = fresh("work")
with open(os.path.join(folder, "net.pt2"), "wb") as f:
    f.write(b"PK\x03\x04")
done = run("inspect", "net.pt2", cwd=folder)
if "aoti: this build has no engine" in done.stderr:
    refused("-DTWEEDIE_AOTI=ON", "inspect", "net.pt2", cwd=folder)
    print("skipped: this build has no LibTorch of 2.x, as a wheel of PyTorch has it")
    raise SystemExit(77)
refused("'net.pt2' could not be read", "inspect", "net.pt2", cwd=folder)
with open(os.path.join(folder, "net.pt2"), "w") as f:
    f.write("no network")
refused("'net.pt2' is no package of AOTInductor", "inspect", "net.pt2", cwd=folder)

if not os.environ.get("TWEEDIE_TORCH_PYTHON"):
    print("skipped: LibTorch is not that of a Python, which would compile a network")
    raise SystemExit(77)

MAKE = """
import torch

class net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first = torch.nn.Conv2d(1, 8, 3, padding=1)
        self.labels = torch.nn.Embedding(4, 8)
        self.last = torch.nn.Conv2d(8, 1, 3, padding=1)

    def forward(self, x, t, y):
        h = self.first(x) + self.labels(y)[:, :, None, None] + (t / 1000)[:, None, None, None]
        return self.last(torch.nn.functional.silu(h))

torch.manual_seed(0)
module = net().eval()
card = '''predicts = "v"
schedule = "cosine"
range = [-1.0, 1.0]
shape = [1, 8, 8]
[inputs]
x = "%s"
time = "%s"
labels = "%s"
[labels]
count = 3
null = 3
'''
example = (torch.randn(2, 1, 8, 8), torch.tensor([5.0, 500.0]), torch.tensor([0, 3]))
torch.jit.save(torch.jit.trace(module, example), "net.pt",
               _extra_files={"tweedie": card % ("x", "t", "y")})
rows = torch.export.Dim("rows", min=1, max=4096)
exported = torch.export.export(module, example, dynamic_shapes=({0: rows}, ) * 3)
torch._inductor.aoti_compile_and_package(
    exported, package_path="net.pt2",
    inductor_configs={"aot_inductor.metadata": {"tweedie": card % ("0", "1", "2")}})
"""
subprocess.run([os.environ["TWEEDIE_TORCH_PYTHON"], "-c", MAKE], cwd=folder, check=True,
               capture_output=True)
drawn = []
for name in ["net.pt", "net.pt2"]:
    done = run("sample", "--model", name, "--count", "5", "--seed", "2", "--steps", "6", "--label",
               "0", "--out", name + ".npy", cwd=folder)
    assert done.returncode == 0, done.stderr
    with open(os.path.join(folder, name + ".npy"), "rb") as f:
        drawn.append(f.read())
floats = [array.array("f", one[-5 * 64 * 4:]) for one in drawn]
assert max(abs(a - b) for a, b in zip(*floats)) < 1e-4
assert max(map(abs, floats[0])) > 0.01
done = run("inspect", "net.pt2", cwd=folder)
assert "input 2: numbers of any type and shape" in done.stdout, done.stdout + done.stderr

# A type that is not the package's is told by the package, and not read as if it were.
card = done.stdout.split(":\n\n")[1].split("\n# Samples")[0]
with open(os.path.join(folder, "net.toml"), "w") as f:
    f.write(card.replace("labels = \"2\"", "labels = \"2\"\nlabels_type = \"i32\""))
refused("'net.pt2' failed: AOTInductor", "sample", "--model", "net.pt2", "--out", "n.npy",
        cwd=folder)
os.remove(os.path.join(folder, "net.toml"))
refused("a likelihood needs the network's derivative", "likelihood", "--model", "net.pt2", "--in",
        "net.pt.npy", cwd=folder)
refused("expected float32", "sample", "--model", "net.pt2", "--precision", "bfloat16", "--out",
        "n.npy", cwd=folder)
