"""Tweedie's fused step beside diffusers' own and beside the same formula under torch.compile, in
one run.

What is timed is the update: the network is free, its outputs are preset buffers. The three take
turns, each on two threads, and while one runs the others sleep. First they are held to each other:
without noise the same x to the rounding of a float, with noise the same mean and variance.
"""

# With --device cuda all lies on a GPU: Tweedie's steps and the compiled formula's are each recorded
# as one CUDA graph, diffusers' are called from Python as its pipelines do. Then a loop of 1000
# steps over 16x7 numbers, whose network is a tiny MLP: part of Tweedie's kernel, PyTorch's for the
# two others.

import argparse
import contextlib
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from statistics import median
from unittest import mock

if sys.prefix != sys.base_prefix:  # beside the peers, where they have a folder of their own
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", os.path.join(sys.prefix, "inductor"))

import diffusers
import numpy
import torch
import torch._inductor.config

DEVICE = torch.device("cpu")
BACKEND = "inductor"  # of torch.compile
THREADS = 2
STEPS = 50
SCALE = 7.5   # of guidance
PAUSE = 0.03  # seconds: an OpenMP thread without work spins for some milliseconds before it sleeps


@dataclass
class Size:
    """`steps` in a row are timed, `walks` times a turn, by default in so many turns."""
    name: str
    shape: tuple
    steps: int
    walks: int
    turns: int = 15

    @property
    def is_tiny(self):
        return math.prod(self.shape) < 1000


SIZES = [
    Size("16x7 floats", (16, 7, 1), 48, 40),
    Size("1 MiB", (16, 4, 64, 64), 48, 4),
    Size("12 MiB", (16, 3, 256, 256), 8, 2),
    Size("192 MiB", (256, 3, 256, 256), 2, 1, turns=7),
]
GPU_SIZES = [
    Size("16x7 floats", (16, 7, 1), 48, 4),
    Size("12 MiB", (16, 3, 256, 256), 48, 4),
    Size("48 MiB", (64, 3, 256, 256), 48, 2),
    Size("192 MiB", (256, 3, 256, 256), 48, 1, turns=7),
]


@dataclass
class Level:
    alpha: float
    sigma: float

    @property
    def log_snr(self):
        return math.log(self.alpha / self.sigma)


def x0_of(x, eps, t):
    return (x - t.sigma * eps) / t.alpha


def eps_of(x, x0, t):
    return (x - t.alpha * x0) / t.sigma


def guide(c, u):
    return u + SCALE * (c - u)


# The formulas for torch.compile, into x; r, t and s are the levels before, at and after the
# network's. Their numbers become constants of the compiled code, which a loop over many steps could
# not have: to this peer's advantage.


def ddim_guided(x, past, c, u, r, t, s):
    eps = guide(c, u)
    x.copy_(s.alpha * x0_of(x, eps, t) + s.sigma * eps)


def dpmpp_2m_guided(x, past, c, u, r, t, s):
    x0 = x0_of(x, guide(c, u), t)
    h = s.log_snr - t.log_snr
    q = h / (2 * (t.log_snr - r.log_snr))
    x.copy_(s.sigma / t.sigma * x - s.alpha * math.expm1(-h) * ((1 + q) * x0 - q * past))
    past.copy_(x0)


def ddpm_clip(x, past, c, u, r, t, s):
    x0 = x0_of(x, c, t).clamp(-1, 1)
    alpha = t.alpha / s.alpha
    beta = t.sigma**2 - alpha**2 * s.sigma**2
    shrink = s.sigma**2 / t.sigma**2
    x.copy_(s.alpha * beta / t.sigma ** 2 * x0 + alpha * shrink * x +
            math.sqrt(shrink * beta) * torch.randn_like(x))


def ddim_eta(x, past, c, u, r, t, s):
    kappa = s.sigma * math.sqrt(1 - (t.alpha / s.alpha * s.sigma / t.sigma) ** 2)
    kept = math.sqrt(s.sigma**2 - kappa**2)
    x.copy_(s.alpha * x0_of(x, c, t) + kept * c + kappa * torch.randn_like(x))


def ddim_dynamic(x, past, c, u, r, t, s):
    x0 = x0_of(x, c, t)
    rows = x0.reshape(x0.shape[0], -1)
    limit = torch.quantile(rows.abs(), 0.995, dim=1, keepdim=True).clamp(min=1)
    x0 = (rows.clamp(-limit, limit) / limit).reshape(x0.shape)
    x.copy_(s.alpha * x0 + s.sigma * eps_of(x, x0, t))


BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


def ddim_scheduler(**given):
    return diffusers.DDIMScheduler(**BETAS, clip_sample=False, steps_offset=1, **given)


@dataclass
class Case:
    """An update: diffusers' scheduler, what its step() is given besides, and what is asked at 12
    MiB, on a GPU at 48."""
    name: str
    formula: callable
    scheduler: callable
    asked: float
    asked_on_gpu: float = None
    given: dict = field(default_factory=dict)
    is_guided: bool = False
    is_noisy: bool = False

    def asked_of_diffusers(self, size):
        if DEVICE.type == "cuda":
            return self.asked_on_gpu if size.name == "48 MiB" else None
        return 100 if size.is_tiny else self.asked if size.name == "12 MiB" else None

    def asked_of_compiled(self, size):
        if DEVICE.type == "cuda":
            return 1
        return 20 if size.is_tiny else 10 if self.is_noisy else 1


CASES = [
    Case("DDIM, guided", ddim_guided, ddim_scheduler, 7, 5, is_guided=True),
    Case("DPM-Solver++ 2M, guided", dpmpp_2m_guided,
         lambda: diffusers.DPMSolverMultistepScheduler(**BETAS, timestep_spacing="linspace"), 10, 6,
         is_guided=True),
    Case("DDPM, clipped", ddpm_clip,
         lambda: diffusers.DDPMScheduler(**BETAS, clip_sample=True, steps_offset=1), 15, 6,
         is_noisy=True),
    Case("DDIM, eta = 1", ddim_eta, ddim_scheduler, 15, given={"eta": 1.0}, is_noisy=True),
    # By default sample_max_value = 1 makes of the threshold a clip at 1, and eps stays what the
    # network gave.
    Case(
        "DDIM, dynamic threshold", ddim_dynamic, lambda: ddim_scheduler(
            thresholding=True, dynamic_thresholding_ratio=0.995, sample_max_value=1e30), 10,
        given={"use_clipped_model_output": True}),
]


def settle():
    """What was enqueued is done."""
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()


def seconds_of(f):
    settle()
    start = time.perf_counter()
    f()
    settle()
    return time.perf_counter() - start


def recorded(f):
    """f as one CUDA graph, where there is a GPU."""
    if DEVICE.type != "cuda":
        return f
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        f()
    return graph.replay


class Tweedie:
    """The program of steps.cpp."""

    def __init__(self, program):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)

    def ask(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            sys.exit("bench/peers: the program of steps.cpp has ended")
        return json.loads(line)

    def walk(self, count, shape, path):
        self.ask("walk", count, path)
        return read(path).reshape(shape)


def read(path):
    return torch.from_numpy(numpy.fromfile(path, dtype=numpy.float32)).to(DEVICE)


class Diffusers:
    """A scheduler's step() and before it the guidance, as the pipelines of diffusers write them."""

    def __init__(self, case, x, outputs):
        self.case, self.start, self.outputs = case, x, outputs
        self.scheduler = case.scheduler()
        self.rewind()

    def rewind(self):
        self.scheduler.set_timesteps(STEPS, device=DEVICE)
        self.times = list(self.scheduler.timesteps)
        self.x = self.start

    def levels(self):
        """Before, at and after the second step."""
        abar = self.scheduler.alphas_cumprod.double()
        return [
            Level(math.sqrt(abar[t].item()), math.sqrt(1 - abar[t].item()))
            for t in map(int, self.times[:3])
        ]

    def step(self, i):
        if self.case.is_guided:
            c, u = self.outputs.chunk(2)
            out = u + SCALE * (c - u)
        else:
            out = self.outputs[:len(self.x)]
        self.x = self.scheduler.step(out, self.times[i], self.x, **self.case.given,
                                     return_dict=False)[0]

    def walk(self, count):
        self.rewind()
        for i in range(count):
            self.step(i)
        return self.x

    def step_from(self, x, i):
        self.x = x
        self.step(i)
        return self.x

    def past_x0(self):
        outputs = getattr(self.scheduler, "model_outputs", None)
        return outputs[-1] if outputs else self.x

    @contextlib.contextmanager
    def silent(self):
        """With zeros for noise."""
        name = f"{type(self.scheduler).__module__}.randn_tensor"
        with mock.patch(name, lambda shape, **_: torch.zeros(shape, device=DEVICE)):
            yield

    def time(self, count):
        self.walk(1)
        return seconds_of(lambda: [self.step(i) for i in range(1, count + 1)]) / count


class Compiled:
    """The formula of the second step under torch.compile, in place, from where the first one
    led."""

    def __init__(self, case, start, past, outputs, levels):
        torch._dynamo.reset()
        self.start, self.x, self.past = start, start.clone(), past.clone()
        c, u = outputs.chunk(2)
        compiled = torch.compile(lambda x, past, c, u: case.formula(x, past, c, u, *levels),
                                 dynamic=False, backend=BACKEND)
        self.step = lambda: compiled(self.x, self.past, c, u)
        self.recorded = {}
        self.walk()

    def walk(self):
        self.x.copy_(self.start)
        self.step()
        return self.x

    def time(self, count):
        self.walk()
        if count not in self.recorded:
            self.recorded[count] = recorded(lambda: [self.step() for _ in range(count)])
        return seconds_of(self.recorded[count]) / count


def same(what, a, b):
    """A few roundings, of which guidance and the division by a small alpha make more."""
    error = ((a - b).abs().max() / b.abs().max()).item()
    if not error < 1e-5:
        sys.exit(f"bench/peers: {what} and diffusers differ by {error:.1e} of the largest value")


def same_noise(what, a, b, mean):
    """a and b are draws from one N(mean, kappa^2)."""
    far = 6 / math.sqrt(a.numel())
    a, b = ((v - mean).double() for v in (a, b))
    ratio = (a.std() / b.std()).item()
    if not abs(ratio - 1) < far or not abs(a.mean() / a.std()).item() < far:
        sys.exit(
            f"bench/peers: {what} and diffusers have other noise, {ratio:.4f} is the ratio of "
            "deviations"
        )


def compare(case, size, tweedie, folder, turns):
    """Seconds of a step, a list for each of the three."""
    data = torch.randn((3, *size.shape), generator=torch.Generator().manual_seed(1))
    x, outputs = data[0].to(DEVICE), data[1:].flatten(0, 1).to(DEVICE)
    start, end = os.path.join(folder, "start"), os.path.join(folder, "end")
    data.numpy().tofile(start)
    tweedie.ask("step", case.formula.__name__, len(x), x[0].numel(), start)
    ours = lambda count: tweedie.walk(count, size.shape, end)

    peer = Diffusers(case, x, outputs)
    first = peer.walk(1)
    compiled = Compiled(case, first, peer.past_x0(), outputs, peer.levels())

    if not case.is_noisy:
        theirs = peer.walk(2)
        same("Tweedie", ours(2), theirs)
        same("torch.compile", compiled.walk(), theirs)
    else:
        with peer.silent():
            means = peer.walk(1), peer.step_from(first, 1)
        same_noise("Tweedie", ours(1), first, means[0])
        same_noise("torch.compile", compiled.walk(), peer.step_from(first, 1), means[1])

    def several(one):
        return lambda: [one.time(size.steps) for _ in range(size.walks)]

    seconds = [], [], []
    for _ in range(turns):
        for of, turn in zip(seconds, (lambda: tweedie.ask("time", size.steps, size.walks),
                                      several(peer), several(compiled))):
            time.sleep(PAUSE)
            of += turn()
    return seconds


class TinyMlp(torch.nn.Module):
    """The network of tests/unit/tiny_mlp.hpp on rows of seven numbers without a label."""

    def __init__(self):
        super().__init__()
        i = torch.arange(7 * 16)
        self.first = ((i * 37 % 101) / 101 - 0.5).reshape(7, 16).to(DEVICE)
        self.second = ((i * 53 % 97) / 97 - 0.5).reshape(7, 16).T.contiguous().to(DEVICE)
        self.bias = (torch.arange(16) % 5 / 10).to(DEVICE)

    def forward(self, x, alpha):
        return torch.tanh(x @ self.first + (alpha * self.bias - 0.25)) @ self.second


def small_loop(tweedie, folder, runs, steps=1000):
    """Rows of a table: seconds of the loop, and how many times ours."""
    path = os.path.join(folder, "loop")
    ours = min(tweedie.ask("loop", steps, runs, path))
    start, end = read(path).reshape(2, 16, 7)
    mlp = TinyMlp()
    scheduler = diffusers.DDIMScheduler(prediction_type="v_prediction", clip_sample=False)
    scheduler.set_timesteps(steps, device=DEVICE)
    abar = torch.cat([torch.ones(1, dtype=torch.float64), scheduler.alphas_cumprod.double()])
    alpha, sigma = abar.sqrt(), (1 - abar).sqrt()
    numbers = torch.stack([alpha[1:], sigma[1:], alpha[:-1], sigma[:-1]],
                          1).float().flip(0).to(DEVICE)

    def loop():
        x = start
        for i, t in enumerate(scheduler.timesteps):
            x = scheduler.step(mlp(x, numbers[i, 0]), t, x, return_dict=False)[0]
        return x

    def formula(x, n):
        v = mlp(x, n[0])
        x.copy_(n[2] * (n[0] * x - n[1] * v) + n[3] * (n[1] * x + n[0] * v))

    torch._dynamo.reset()
    compiled, x = torch.compile(formula, dynamic=False, backend=BACKEND), start.clone()
    compiled(x, numbers[0])
    replayed = recorded(lambda: [compiled(x, n) for n in numbers])
    x.copy_(start)
    replayed()
    for what, at in (("diffusers", loop()), ("torch.compile", x)):
        error = ((at - end).abs().max() / end.abs().max()).item()
        if not error < 1e-3:
            sys.exit(
                f"bench/peers: {what}'s loop ends {error:.1e} of the largest value beside Tweedie's"
            )
    yield "Tweedie, inlined and recorded", ours, None
    yield "diffusers' step and the MLP, from Python", min(
        seconds_of(loop) for _ in range(min(runs, 3))), 100
    yield "compiled and recorded", min(seconds_of(replayed) for _ in range(runs)), 3


def processor():
    with open("/proc/cpuinfo") as f:
        return next(line.split(":")[1].strip() for line in f if line.startswith("model name"))


def time_of(seconds):
    factor, unit = (1, "s") if seconds >= 1 else (1e3, "ms") if seconds >= 1e-3 else (1e6, "us")
    return f"{seconds * factor:.3g} {unit}"


class Report:
    """Rows of the table as they come, and what was missed."""

    HEAD = ("| update | x | Tweedie | diffusers | times | asked | compiled | times | asked |\n"
            "|---|---|---|---|---|---|---|---|---|")

    def __init__(self, timed):
        self.rows, self.missed, self.timed = [self.HEAD] if timed else [], [], timed
        print(*self.rows, sep="\n")

    def add(self, case, size, seconds):
        if not self.timed:
            return print(f"{case.name}, {size.name}: diffusers and the compiled formula agree",
                         flush=True)
        words = [case.name, size.name, time_of(min(seconds[0]))]
        for peer, of, asked in (("diffusers", seconds[1], case.asked_of_diffusers(size)),
                                ("torch.compile", seconds[2], case.asked_of_compiled(size))):
            ratio = min(of) / min(seconds[0])
            short = asked is not None and round(ratio, 2) < asked
            digits = 2 if ratio < 10 else 1 if ratio < 100 else 0
            times = f"{ratio:.{digits}f}"
            words += [time_of(min(of)), f"**{times}**" if short else times, f"{asked or ''}"]
            if short:
                self.missed.append(
                    f"{case.name}, {size.name}, {peer}: {times} times, asked {asked} "
                    f"({median(of) / median(seconds[0]):.2f} by the medians)")
        self.rows.append("| " + " | ".join(words) + " |")
        print(self.rows[-1], flush=True)

    def closing(self):
        lines = [
            f"Missed: {len(self.missed)} of what is asked."
            if self.missed else "Nothing asked is missed."
        ]
        return lines + [f"- {m}" for m in self.missed]


def print_small_loop(tweedie, folder, runs, report):
    if not report.timed:
        list(small_loop(tweedie, folder, runs))
        return print(
            "1000 steps of 16x7 numbers with a tiny MLP: diffusers and the compiled formula agree")
    print(
        "\n| 1000 steps of 16x7 numbers with a tiny MLP | time | times | asked |\n|---|---|---|---|"
    )
    ours = None
    for what, seconds, asked in small_loop(tweedie, folder, runs):
        ours = ours or seconds
        times = seconds / ours
        print(f"| {what} | {time_of(seconds)} | {times:.3g} | {asked or ''} |", flush=True)
        if asked and times < asked:
            report.missed.append(f"1000 steps of 16x7, {what}: {times:.3g} times, asked {asked}")


def page(report, about):
    return "\n".join([
        "# Beside diffusers and torch.compile", "",
        *__doc__.strip().split("\n\n", 1)[1].splitlines(), "",
        "A time is the least of all turns, for one step; *times* is the peer's over Tweedie's, "
        "bold",
        "where it misses what is asked.", "", *report.rows, "", *report.closing(), "", *about, "",
        "Made by `make bench-peers`, [`bench/peers/measure.py`](../bench/peers/measure.py).", ""
    ])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--program", required=True, help="what steps.cpp was built into")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu",
                        help="where the program's states lie")
    parser.add_argument(
        "--interpreted", action="store_true", help=
        "with cuda: the program's device is the interpreter, the peers' is the CPU; no time is said"
    )
    parser.add_argument("--turns", type=int, help="of each case; more where others use the machine")
    parser.add_argument("--only", default="",
                        help="cases and sizes whose names hold this, such as 'DDIM' or '12 MiB'")
    parser.add_argument("--write", metavar="FILE",
                        help="the table and what was measured, as Markdown")
    args = parser.parse_args()

    global DEVICE, BACKEND
    on_gpu = args.device == "cuda"
    sizes, loops = (GPU_SIZES if on_gpu else SIZES), 20
    if args.interpreted:
        sizes, args.turns, loops, BACKEND = [Size("16x7 floats", (16, 7, 1), 3, 1)], 1, 1, "eager"
    elif on_gpu:
        DEVICE = torch.device("cuda")
    torch.set_num_threads(THREADS)
    machine = torch.cuda.get_device_name() if DEVICE.type == "cuda" else processor()
    compiled_for = "its GPU"
    if DEVICE.type == "cuda" and not any(
            map(shutil.which, (os.environ.get("CC", "cc"), "cc", "gcc", "clang"))):
        sys.exit(
            "bench/peers: no C compiler was found, expected one on the path: torch.compile's "
            "Triton calls it"
        )
    if DEVICE.type == "cpu" and not args.interpreted:
        from torch._inductor.cpu_vec_isa import pick_vec_isa
        # It would try its vectors in a process of its own and do without them where that takes a
        # minute, as on a busy machine: code that proves nothing. PyTorch itself runs on the same
        # vectors here.
        capability = torch.backends.cpu.get_cpu_capability()
        torch._inductor.config.cpp.vec_isa_ok = capability in ("AVX512", "AVX2") or None
        if capability == "AVX512" and pick_vec_isa().bit_width() < 512 or not pick_vec_isa():
            sys.exit(
                f"bench/peers: torch.compile takes {pick_vec_isa()} for its vectors, PyTorch "
                f"{capability}"
            )
        compiled_for = pick_vec_isa()

    report, load = Report(not args.interpreted), os.getloadavg()[0]
    tweedie = Tweedie(args.program)
    about = [
        f"{machine}, {THREADS} threads; load average {load:.2f} before. torch {torch.__version__} "
        f"(compiled for {compiled_for}), diffusers {diffusers.__version__}."
    ]
    with torch.no_grad(), tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            for case in CASES:
                if args.only in case.name or args.only in size.name:
                    report.add(case, size,
                               compare(case, size, tweedie, folder, args.turns or size.turns))
            n = math.prod(size.shape)
            if on_gpu and not size.is_tiny:
                copy = tweedie.ask("copy", n, 25)
                about.append(
                    f"The device's copy at {size.name}: {time_of(copy)} ({8 * n / copy * 1e-9:.0f} "
                    "GB/s)."
                )
            elif not size.is_tiny:
                out, within = tweedie.ask("triad", n, 25)
                about.append(f"STREAM triad at {size.name}: {time_of(out)} out of place "
                             f"({12 * n / out * 1e-9:.0f} GB/s), {time_of(within)} in place "
                             f"({12 * n / within * 1e-9:.0f} GB/s).")
        if on_gpu and not args.only:
            print_small_loop(tweedie, folder, loops, report)
    if args.interpreted:
        return
    about.append(
        f"Load average after: {os.getloadavg()[0]:.2f}, of which the run itself is up to {THREADS}."
    )
    print("", *report.closing(), "", *about, sep="\n")
    if args.write:
        with open(args.write + ".part", "w") as f:
            f.write(page(report, about))
        os.replace(args.write + ".part", args.write)


if __name__ == "__main__":
    main()
