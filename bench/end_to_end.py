"""Pictures a second of `tweedie sample` and `tweedie train` beside diffusers' loop over the same
network in PyTorch, OpenVINO and ONNX Runtime, in one run, in turns.

    .deps/peers/bin/python bench/end_to_end.py --program build/tweedie

First all are held to each other: the peers' network to the ONNX file, and from the same noise the
same pictures. Peers are processes that stay, and have drawn once before they are timed; a turn of
Tweedie is a process, timed by what it prints: its loop, in which the engine also compiles for the
batch's size. Prints Markdown.
"""

import argparse
import json
import os
import re
import struct
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from statistics import median

import numpy

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(HERE)
WORKER = os.path.join(HERE, "peers", "pictures.py")
MODELS = os.path.join(SOURCE, "models", "fashion-v")
THREADS = 2
PAUSE = 0.1  # seconds: threads without work spin for some milliseconds before they sleep
CLASSES = 10


@dataclass
class Ours:
    name: str
    model: str
    flags: list = field(default_factory=list)
    narrow: bool = False  # computes in 16 bits


@dataclass
class Peer:
    name: str
    engine: str
    kinds: list = field(default_factory=list)
    cold_only: bool = False

    @property
    def narrow(self):
        return "bfloat16" in self.kinds

    def command(self):
        kinds = [word for kind in self.kinds for word in ("--kind", kind)]
        return [sys.executable, WORKER, self.engine, *kinds, "--models", MODELS]


CONTENDERS = [
    Ours("tweedie, LibTorch", MODELS + ".safetensors"),
    Ours("tweedie, OpenVINO", MODELS + ".onnx"),
    Peer("PyTorch", "torch"),
    Peer("PyTorch, channels-last", "torch", ["channels-last"]),
    Peer("PyTorch, compiled", "torch", ["compiled"]),
    Peer("PyTorch, compiled, channels-last", "torch", ["compiled", "channels-last"]),
    Peer("OpenVINO's Python", "openvino"),
    Peer("ONNX Runtime's Python", "onnxruntime"),
    Peer("OpenVINO's Python, NumPy alone", "openvino", ["plain"], cold_only=True),
    Peer("ONNX Runtime's Python, NumPy alone", "onnxruntime", ["plain"], cold_only=True),
    Ours("tweedie, OpenVINO, bfloat16", MODELS + ".onnx", ["--precision", "bfloat16"], narrow=True),
    Peer("PyTorch, bfloat16", "torch", ["bfloat16"]),
    Peer("PyTorch, bfloat16, channels-last", "torch", ["bfloat16", "channels-last"]),
    Peer("PyTorch, compiled, bfloat16", "torch", ["compiled", "bfloat16"]),
    Peer("PyTorch, compiled, bfloat16, channels-last", "torch",
         ["compiled", "bfloat16", "channels-last"]),
    Peer("OpenVINO's Python, bfloat16", "openvino", ["bfloat16"]),
]
TRAINERS = [
    Ours("tweedie train", ""),
    Peer("PyTorch", "train"),
    Peer("PyTorch, channels-last", "train", ["channels-last"]),
]


def stop(why):
    sys.exit("bench/end_to_end: " + why)


class Process:
    """A peer that stays, and sleeps while others run."""

    def __init__(self, peer):
        self.name = peer.name
        self.process = subprocess.Popen(peer.command(), stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    def ask(self, **what):
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            stop(f"'{self.name}' has ended")
        return json.loads(line)


class Bench:
    def __init__(self, args, folder):
        self.args, self.folder, self.processes = args, folder, {}

    def path(self, name):
        return os.path.join(self.folder, name)

    def process(self, peer):
        if peer.name + peer.engine not in self.processes:
            self.processes[peer.name + peer.engine] = Process(peer)
        return self.processes[peer.name + peer.engine]

    def noise(self, count):
        """The same for all, and labels in their order."""
        path = self.path(f"noise-{count}.npy")
        if not os.path.exists(path):
            rng = numpy.random.default_rng(7)
            numpy.save(path, rng.standard_normal((count, 1, 28, 28), numpy.float32))
        return path, [i * CLASSES // count for i in range(count)]

    def sample(self, ours, count, batch, steps, out):
        """The command, with what the peers' loop does written out."""
        noise, labels = self.noise(count)
        label = "all" if count >= CLASSES else ",".join(map(str, labels))
        return [self.args.program, "sample", "--model", ours.model, "--sampler", "ddim",
                "--steps", str(steps), "--guidance", "1", "--clip", "1", "--label", label,
                "--from", noise, "--batch", str(batch), "--threads", str(THREADS),
                *ours.flags, "--out", out]  # fmt: skip

    def run(self, command):
        done = subprocess.run(command, capture_output=True, text=True, cwd=self.folder)
        if done.returncode:
            stop(f"'{' '.join(command)}' says:\n{done.stderr}")
        return done.stdout

    def draw(self, of, count, batch, steps, out=None):
        """Pictures a second."""
        if isinstance(of, Ours):
            said = self.run(self.sample(of, count, batch, steps, out or self.path("drawn.npy")))
            return float(re.search(r"([\d.e+-]+) pictures/s", said).group(1))
        noise, labels = self.noise(count)
        done = self.process(of).ask(draw=noise, labels=labels, batch=batch, steps=steps, out=out)
        return count / done["seconds"]

    def first(self, of):
        """(seconds, bytes at most) of a process that draws one picture in two steps."""
        out = self.path("first.npy")
        if isinstance(of, Ours):
            command = self.sample(of, 1, 1, 2, out)
        else:
            noise, labels = self.noise(1)
            command = of.command() + ["--once", json.dumps({
                "draw": noise, "labels": labels, "batch": 1, "steps": 2, "out": out
            })]  # fmt: skip
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        said = process.stderr.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            stop(f"'{' '.join(command)}' says:\n{said.decode()}")
        return time.perf_counter() - start, used.ru_maxrss * 1024

    def training_set(self, count=1280):
        """Random numbers, as Fashion-MNIST's files."""
        folder = self.path("pictures")
        if not os.path.exists(folder):
            os.mkdir(folder)
            rng = numpy.random.default_rng(7)
            for name, head, data in (
                ("images-idx3", struct.pack(">IIII", 0x803, count, 28, 28),
                 rng.integers(0, 256, count * 784)),
                ("labels-idx1", struct.pack(">II", 0x801, count), numpy.arange(count) % CLASSES)):
                with open(os.path.join(folder, f"train-{name}-ubyte"), "wb") as f:
                    f.write(head + data.astype(numpy.uint8).tobytes())
        return folder

    def train(self, of, steps, batch):
        """Pictures a second. Of ours by a training of one step and one of more: what begins and
        ends a process is in both."""
        if not isinstance(of, Ours):
            return steps * batch / self.process(of).ask(train=steps, batch=batch)["seconds"]
        seconds = []
        for count in (1, 1 + steps):
            out = self.path("trained.safetensors")
            for name in os.listdir(self.folder):
                if name.startswith("trained."):
                    os.remove(self.path(name))
            start = time.perf_counter()
            self.run([self.args.program, "train", "--data", self.training_set(), "--steps",
                      str(count), "--batch", str(batch), "--threads", str(THREADS), "--out", out])
            seconds.append(time.perf_counter() - start)
        return steps * batch / (seconds[1] - seconds[0])


# --- What is printed.


def shown(values, digits=3):
    """The median, and between what it lies."""
    return " | ".join(f"{v:.{digits}g}" for v in (median(values), min(values), max(values)))


def table(heading, rows, unit, *more):
    """rows: (name, list of values, further cells)."""
    print(f"\n| {heading} | {unit} | least | most |" + "".join(f" {m} |" for m in more))
    print("|---" * (4 + len(more)) + "|")
    for name, values, *cells in rows:
        print(f"| {name} | {shown(values)} |" + "".join(f" {c} |" for c in cells))
    sys.stdout.flush()


def in_turns(rounds, contenders, measure):
    """A list of what was measured for each name."""
    found = {of.name: [] for of in contenders}
    for _ in range(rounds):
        for of in contenders:
            time.sleep(PAUSE)
            found[of.name].append(measure(of))
    return found


def beside(found, contenders, less_is_better=False):
    """Rows, with how many times the fastest peer of the same precision a line reaches."""
    for of in contenders:
        peers = [median(found[p.name]) for p in contenders
                 if isinstance(p, Peer) and p.narrow == of.narrow]
        own = median(found[of.name])
        best = (min if less_is_better else max)(peers, default=own)
        yield of.name, found[of.name], f"{(best / own if less_is_better else own / best):.2f}"


def better_layouts(contenders, speed):
    """Without the slower one of two that differ by channels-last, which is said."""
    slower = []
    for of in contenders:
        if isinstance(of, Peer) and "channels-last" in of.kinds:
            kinds = [k for k in of.kinds if k != "channels-last"]
            for rival in contenders:
                if isinstance(rival, Peer) and (rival.engine, rival.kinds) == (of.engine, kinds):
                    worse, better = sorted((of, rival), key=lambda c: speed[c.name])
                    slower.append(worse)
                    print(f"Left out: {worse.name}, {speed[worse.name]:.3g} pictures/s where "
                          f"{better.name} has {speed[better.name]:.3g}.")
    sys.stdout.flush()
    return [of for of in contenders if of not in slower]


def processor():
    with open("/proc/cpuinfo") as f:
        return next(line.split(":")[1].strip() for line in f if line.startswith("model name"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--program", required=True, type=os.path.abspath, help="build/tweedie")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each (3)")
    parser.add_argument("--count", type=int, default=100, help="pictures of a turn (100)")
    parser.add_argument("--steps", type=int, default=50, help="of the sampler (50)")
    parser.add_argument("--training-steps", type=int, default=20, help="of a turn (20)")
    parser.add_argument("--only", default="", help="contenders whose names match this expression")
    parser.add_argument("--parts", default="pictures,one,first,training",
                        help="what is measured (pictures,one,first,training)")
    args = parser.parse_args()
    parts = args.parts.split(",")
    chosen = [c for c in CONTENDERS if re.search(args.only, c.name)]
    warm = [c for c in chosen if isinstance(c, Ours) or not c.cold_only]
    rounds, load = args.rounds, os.getloadavg()[0]

    if sys.prefix != sys.base_prefix:  # beside the peers, where they have a folder of their own
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", os.path.join(sys.prefix, "inductor"))
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(args, folder)
        others = bench.process(Peer("others", "none"))
        seen = others.ask(check=True)
        if not seen["difference"] < 1e-5:
            stop(f"the peers' network and the ONNX file differ by {seen['difference']:.1e}")
        versions = others.ask(versions=True)
        print(f"{processor()}, {THREADS} threads, load average {load:.2f} before. "
              f"{', '.join(f'{n} {v}' for n, v in versions.items())}; {args.rounds} rounds. "
              "The peers' network and the ONNX file differ by "
              f"{seen['difference']:.1e} at most (the largest answer is {seen['largest']:.1f}).")

        batch = min(50, args.count)
        apart, speed = {}, {}
        if {"pictures", "one"} & {*parts}:
            reference = None
            for of in warm:
                out = bench.path("compared.npy")
                if isinstance(of, Peer):
                    bench.draw(of, batch, batch, 1)  # compiled for this size
                speed[of.name] = bench.draw(of, batch, batch, args.steps, out)
                drawn = numpy.load(out)
                reference = drawn if reference is None else reference
                off = numpy.abs(drawn - reference).max()
                apart[of.name] = f"{off:.1e}"
                if not of.narrow and not off < 1e-3:
                    stop(f"'{of.name}' draws other pictures: {off:.1e} apart")
            print("\nFrom the same noise all draw the same pictures.")
            warm = better_layouts(warm, speed)
            chosen = [c for c in chosen if c in warm or isinstance(c, Peer) and c.cold_only]

        limits = {of: [] for of in ("numpy", "float32", "bfloat16")}
        if "pictures" in parts:
            def drawn(of):
                if of is warm[0]:
                    for what, reached in limits.items():
                        time.sleep(PAUSE)
                        reached.append(others.ask(products=what)["flops"])
                return bench.draw(of, args.count, batch, args.steps)

            found = in_turns(rounds, warm, drawn)
            rows = [(*row, apart[row[0]]) for row in beside(found, warm)]
            a_picture = 2 * args.steps * seen["flops"]
            table(f"{args.count} pictures, {args.steps} steps, guidance, batches of {batch}", rows,
                  "pictures/s", "times the fastest peer", "pixels apart")
            print(f"\nAn evaluation of a picture is {seen['flops'] / 1e6:.1f} MFLOP "
                  f"(products and convolutions, {seen['parameters']} parameters), a picture "
                  f"{a_picture / 1e9:.1f} GFLOP. What matrix products of 2048 x 2048 reach:")
            names = {"numpy": "float32, NumPy (OpenBLAS)", "float32": "float32, PyTorch (MKL)",
                     "bfloat16": "bfloat16, PyTorch (oneDNN)"}  # fmt: skip
            table("limit", [(names[of], [f / 1e9 for f in v], f"{median(v) / a_picture:.1f}")
                            for of, v in limits.items()], "GFLOP/s", "pictures/s")
        if "one" in parts:
            count = max(1, min(10, args.count))
            for of in warm:
                if isinstance(of, Peer):
                    bench.draw(of, 1, 1, args.steps)  # compiled for this size
            found = in_turns(rounds, warm,
                             lambda of: 1e3 / bench.draw(of, count, 1, args.steps))
            table(f"one picture at a time, {args.steps} steps, guidance",
                  beside(found, warm, True), "ms", "times the fastest peer")
        if "first" in parts:
            for of in chosen:  # its files are in memory, and what is compiled is on the disk
                bench.first(of)
            both = in_turns(rounds, chosen, bench.first)
            found = {name: [s for s, _ in v] for name, v in both.items()}
            rows = [(*row, f"{max(m for _, m in both[row[0]]) / 2**20:.0f}")
                    for row in beside(found, chosen, True)]
            table("a process that draws one picture in two steps", rows, "s",
                  "times the fastest peer", "MiB")
        if "training" in parts:
            for of in TRAINERS[1:]:
                bench.train(of, 2, 128)
            found = in_turns(rounds, TRAINERS,
                             lambda of: bench.train(of, args.training_steps, 128))
            table("training, batches of 128", beside(found, TRAINERS), "pictures/s",
                  "times the fastest peer")
        print(f"\nLoad average after: {os.getloadavg()[0]:.2f}, "
              f"of which the run itself is up to {THREADS}.")


if __name__ == "__main__":
    main()
