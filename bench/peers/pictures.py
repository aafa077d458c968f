"""What bench/end_to_end.py holds Tweedie beside: diffusers' loop over the shipped network in
PyTorch, OpenVINO and ONNX Runtime. One process is one peer, which does what its input asks, a line
of JSON each:

    {"draw": noise.npy, "labels": [..], "batch": 50, "steps": 50, "out": x.npy} -> {"seconds": ..}
    {"train": 20, "batch": 128} -> {"seconds": ..}

NumPy is all that is imported before it is known what else is needed: a cold process is timed too.
"""

import argparse
import json
import math
import os
import sys
import time

import numpy

HERE = os.path.dirname(os.path.abspath(__file__))
THREADS = 2
SCALE = 2  # of guidance, in diffusers' count: w = 1
T = 1000   # the cosine schedule's


# --- Networks. Each takes x {n, 1, 28, 28}, the time as the file counts it, and labels {n}.


class Torch:
    """As arrays of PyTorch, in one of the ways in which it is usually made faster."""

    def __init__(self, model, kinds):
        import torch

        import unet

        torch.set_num_threads(THREADS)
        self.torch, self.kinds = torch, kinds
        self.network = unet.load(model)
        if "channels-last" in kinds:
            self.network = self.network.to(memory_format=torch.channels_last)
        self.called = self.network
        if "compiled" in kinds:
            check_vectors(torch)
            self.called = torch.compile(self.network, dynamic=False)

    def __call__(self, x, t, y):
        torch = self.torch
        if "channels-last" in self.kinds:
            x = x.contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16, enabled="bfloat16" in self.kinds):
            return self.called(x, t, y).float()


def check_vectors(torch):
    """torch.compile tries its vectors in a process of its own and does without them where that
    takes a minute, as on a busy machine: code that proves nothing."""
    import torch._inductor.config

    capability = torch.backends.cpu.get_cpu_capability()
    torch._inductor.config.cpp.vec_isa_ok = capability in ("AVX512", "AVX2") or None


class OpenVINO:
    def __init__(self, model, kinds):
        import openvino

        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": THREADS,
            "INFERENCE_PRECISION_HINT": "bf16" if "bfloat16" in kinds else "f32",
        }
        self.compiled = openvino.Core().compile_model(model, "CPU", settings)

    def __call__(self, x, t, y):
        return self.compiled([x, t, y], share_inputs=True, share_outputs=True)[0]


class OnnxRuntime:
    def __init__(self, model, kinds):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = THREADS
        self.session = onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])

    def __call__(self, x, t, y):
        return self.session.run(None, {"x": x, "t": t, "y": y})[0]


# A network over the arrays of one, for a loop over those of the other: nothing is copied.


def over_numpy(network):
    import torch

    torch.set_num_threads(THREADS)
    return lambda *given: torch.from_numpy(network(*(a.numpy() for a in given)))


def over_torch(network):
    import torch

    def call(*given):
        with torch.no_grad():
            return network(*map(torch.from_numpy, given)).numpy()

    return call


# --- Loops.


class Diffusers:
    """The loop of its pipelines: both branches as one batch, guidance, the scheduler's step."""

    def __init__(self, network):
        import diffusers
        import torch

        self.network, self.torch = network, torch
        # thresholds::clip derives eps anew from the clipped x0, grids::uniform is "trailing".
        self.scheduler = diffusers.DDIMScheduler(
            num_train_timesteps=T, beta_schedule="squaredcos_cap_v2", clip_sample=True,
            prediction_type="v_prediction", timestep_spacing="trailing")

    def __call__(self, noise, labels, steps, null):
        torch, scheduler = self.torch, self.scheduler
        with torch.no_grad():
            latents = torch.from_numpy(noise)
            y = torch.from_numpy(numpy.concatenate([numpy.full_like(labels, null), labels]))
            scheduler.set_timesteps(steps)
            for t in scheduler.timesteps:
                both = scheduler.scale_model_input(torch.cat([latents] * 2), t)
                when = (t + 1).float().expand(len(both)).contiguous()
                uncond, cond = self.network(both, when, y).chunk(2)
                v = uncond + SCALE * (cond - uncond)
                latents = scheduler.step(v, t, latents, use_clipped_model_output=True,
                                         return_dict=False)[0]
            return latents.numpy()


def cosine_table():
    """alpha and sigma of the levels 0 to T (Nichol & Dhariwal 2021, eq. 17)."""
    at = [math.cos((i / T + 0.008) / 1.008 * math.pi / 2) ** 2 for i in range(T + 1)]
    beta = [min(1 - b / a, 0.999) for a, b in zip(at, at[1:])]
    abar = numpy.cumprod([1.0] + [1 - b for b in beta])
    return numpy.sqrt(abar), numpy.sqrt(1 - abar)


class Plain:
    """The same in NumPy alone: the least that a program in Python can load."""

    def __init__(self, network):
        self.network = network
        self.alpha, self.sigma = (a.astype(numpy.float32) for a in cosine_table())

    def __call__(self, noise, labels, steps, null):
        x, y = noise, numpy.concatenate([numpy.full_like(labels, null), labels])
        times = [round(T - k * T / steps) for k in range(steps + 1)]
        for t, s in zip(times, times[1:]):
            when = numpy.full(len(y), t, numpy.float32)
            uncond, cond = numpy.split(self.network(numpy.concatenate([x, x]), when, y), 2)
            v = uncond + SCALE * (cond - uncond)
            x0 = (self.alpha[t] * x - self.sigma[t] * v).clip(-1, 1)
            eps = (x - self.alpha[t] * x0) / self.sigma[t]
            x = self.alpha[s] * x0 + self.sigma[s] * eps
        return x


# --- Training: what `tweedie train` does in a step, as a script in PyTorch writes it.


class Training:
    """v of the cosine schedule, Adam (fused), the gradient's norm at most 1, the weights' average.
    Its pictures are random numbers that lie ready: loading costs it nothing."""

    def __init__(self, model, kinds):
        import torch

        import unet

        torch.set_num_threads(THREADS)
        self.torch = torch
        self.layout = (torch.channels_last
                       if "channels-last" in kinds else torch.contiguous_format)
        self.network = unet.load(model).train().to(memory_format=self.layout)
        self.average = [p.detach().clone() for p in self.network.parameters()]
        self.adam = torch.optim.Adam(self.network.parameters(), 2e-4, fused=True)
        self.levels = [torch.from_numpy(a).float() for a in cosine_table()]

    def step(self, x0, y):
        torch, count = self.torch, len(x0)
        t = torch.randint(1, T + 1, (count, ))
        alpha, sigma = (a[t].view(-1, 1, 1, 1) for a in self.levels)
        eps = torch.randn_like(x0)
        y = torch.where(torch.rand(count) < 0.1, self.network.config["classes"], y)
        v = self.network(alpha * x0 + sigma * eps, t, y)
        loss = torch.nn.functional.mse_loss(v, alpha * eps - sigma * x0)
        self.adam.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.adam.step()
        with torch.no_grad():
            torch._foreach_lerp_(self.average, list(self.network.parameters()), 0.001)
        return loss.item()

    def __call__(self, steps, batch):
        config = self.network.config
        x0 = self.torch.rand(batch, config["channels"], config["size"], config["size"]) * 2 - 1
        x0 = x0.contiguous(memory_format=self.layout)
        y = self.torch.arange(batch) % config["classes"]
        start = time.perf_counter()
        for _ in range(steps):
            self.step(x0, y)
        return time.perf_counter() - start


# --- What is asked.


def peer(engine, kinds, models):
    """The loop over an engine's network."""
    plain = "plain" in kinds
    if engine == "torch":
        network = Torch(models + ".safetensors", kinds)
        return Plain(over_torch(network)) if plain else Diffusers(network)
    network = {"openvino": OpenVINO, "onnxruntime": OnnxRuntime}[engine](models + ".onnx", kinds)
    return Plain(network) if plain else Diffusers(over_numpy(network))


def draw(loop, asked):
    noise, labels = numpy.load(asked["draw"]), numpy.array(asked["labels"])
    start = time.perf_counter()
    drawn = [
        loop(noise[i:i + asked["batch"]], labels[i:i + asked["batch"]], asked["steps"],
             asked.get("null", 10)) for i in range(0, len(noise), asked["batch"])
    ]
    seconds = time.perf_counter() - start
    if asked.get("out"):
        numpy.save(asked["out"], numpy.concatenate(drawn))
    return {"seconds": seconds}


def check(models):
    """The largest difference between the network here and the ONNX file's, and what one picture's
    evaluation takes."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    rng = numpy.random.default_rng(1)
    x = rng.standard_normal((16, 1, 28, 28), numpy.float32)
    t = numpy.concatenate([[1, T], rng.integers(1, T, 14)]).astype(numpy.float32)
    y = numpy.arange(16) % 11
    ours = Torch(models + ".safetensors", [])
    with torch.no_grad():
        a = ours(*map(torch.from_numpy, (x, t, y))).numpy()
        with FlopCounterMode(display=False) as counted:
            ours(*(torch.from_numpy(b[:1]) for b in (x, t, y)))
    b = OnnxRuntime(models + ".onnx", [])(x, t, y)
    return {
        "difference": float(abs(a - b).max()),
        "largest": float(abs(b).max()),
        "flops": counted.get_total_flops(),
        "parameters": sum(p.numel() for p in ours.network.parameters())
    }


def products(of, size=2048, runs=5):
    """Floating-point operations a second of the fastest of `runs` matrix products."""
    if of == "numpy":
        a, b = numpy.ones((2, size, size), numpy.float32)
        multiply = numpy.matmul
    else:
        import torch

        torch.set_num_threads(THREADS)
        a, b = torch.ones((2, size, size), dtype=getattr(torch, of))
        multiply = torch.matmul
    best = math.inf
    for _ in range(runs + 1):
        start = time.perf_counter()
        multiply(a, b)
        best = min(best, time.perf_counter() - start)
    return {"flops": 2 * size**3 / best}


def versions():
    from importlib.metadata import version

    names = ("torch", "diffusers", "openvino", "onnxruntime", "numpy")
    return {name: version(name) for name in names}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("engine", choices=["torch", "openvino", "onnxruntime", "train", "none"])
    parser.add_argument("--kind", action="append", default=[],
                        help="channels-last, compiled, bfloat16, plain")
    parser.add_argument("--models", required=True, help="the path before .safetensors and .onnx")
    parser.add_argument("--once", type=json.loads, metavar="JSON",
                        help="this is asked, and nothing is read")
    given = parser.parse_args()
    sys.path.insert(0, HERE)
    loop = train = None

    def answer(asked):
        nonlocal loop, train
        if "train" in asked:
            train = train or Training(given.models + ".safetensors", given.kind)
            return {"seconds": train(asked["train"], asked["batch"])}
        if "draw" in asked:
            loop = loop or peer(given.engine, given.kind, given.models)
            return draw(loop, asked)
        if "products" in asked:
            return products(asked["products"])
        return check(given.models) if "check" in asked else versions()

    if given.once:
        return print(json.dumps(answer(given.once)))
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
