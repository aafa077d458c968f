"""The planner beside the same network and the same loop in PyTorch, eager and compiled, in one run.

    .deps/peers/bin/python bench/planner/measure.py build/bench/planner examples/planner/planner.safetensors

The three take turns. First they are held to each other: from the same noise the same plans. PyTorch is given the
scenes as tensors and the gradient as its formula, no autograd: its times are of the loop alone, Tweedie's of all that
turns a scene into a plan. On two cores each has a thread or a process a core.
"""

import argparse
import math
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from statistics import median

import torch
from safetensors.torch import load_file

SD, MARGIN_OF_FLOATS = 0.5, 2e-3
LEGS = 15


def levels(steps, low=0.02, high=5.0, rho=5.0):
    """grids::karras, and the clean end."""
    if steps == 1:
        return [high, 0.0]
    a, b = high ** (1 / rho), low ** (1 / rho)
    return [(a + i / (steps - 1) * (b - a)) ** rho for i in range(steps)] + [0.0]


def silu(a):
    return torch.nn.functional.silu(a)


def network(w, x, context, rho):
    h = silu(torch.addmm(context + features(rho) @ w["times"], x, w["path"]))
    h = h + silu(torch.addmm(w["second.bias"], h, w["second"]))
    h = h + silu(torch.addmm(w["third.bias"], h, w["third"]))
    return torch.addmm(w["last.bias"], h, w["last"])


def features(rho):
    """Of a level, on which alone they depend: made once."""
    if rho not in FEATURES:
        angles = [0.5 * (k + 1) * math.log(rho) for k in range(8)]
        FEATURES[rho] = torch.tensor([f(a) for a in angles for f in (math.sin, math.cos)])
    return FEATURES[rho]


FEATURES = {}


def cost_gradient(x0, obstacles):
    """grad J, J = 1/2 sum over legs and discs of depth^2, by its formula."""
    p = x0.view(-1, LEGS + 1, 2).clone()
    p[:, 0] = FIRST
    p[:, -1] = LAST
    a, along = p[:, None, :-1], (p[:, 1:] - p[:, :-1])[:, None]
    c = obstacles[:, :, None, :2]
    where = (((c - a) * along).sum(-1) / (along * along).sum(-1).clamp(min=1e-12)).clamp(0, 1)[..., None]
    off = a + where * along - c
    distance = (off * off).sum(-1).clamp(min=1e-12).sqrt()
    push = (-(obstacles[:, :, 2:] - distance).clamp(min=0) / distance)[..., None] * off
    gradient = torch.zeros_like(p)
    gradient[:, :-1] += ((1 - where) * push).sum(1)
    gradient[:, 1:] += (where * push).sum(1)
    gradient[:, 0] = 0
    gradient[:, -1] = 0
    return gradient.view(-1, 2 * (LEGS + 1))


FIRST, LAST = torch.tensor([-1.0, 0.0]), torch.tensor([1.0, 0.0])


def plan(w, sigmas, fields, obstacles, x, ends):
    """DPM-Solver++ 2M of x0 - grad J, the ends put back after each step; ends[:, k] is the noise of step k."""
    context = fields @ w["field"] + w["first.bias"]
    before = past = None
    for k, (t, s) in enumerate(zip(sigmas, sigmas[1:])):
        n = math.sqrt(t * t + SD * SD)
        x0 = SD * SD / (n * n) * x + t * SD / n * network(w, x / n, context, t)
        x0 = x0 - cost_gradient(x0, obstacles)
        if s == 0:
            x = x0.clone()
        else:
            h = math.log(t / s)
            d = x0
            if past is not None:
                q = min(h, max(2 * before, 1.0)) / (2 * before)
                d = (1 + q) * x0 - q * past
            x = s / t * x - math.expm1(-h) * d
            past, before = x0, h
        noise = ends[:, k]
        x[:, :2] = FIRST + s * noise[:, :2]
        x[:, -2:] = LAST + s * noise[:, 2:]
    return x


class Peer:
    """PyTorch in this process, on one thread."""

    def __init__(self, weights, inputs, steps, compiled):
        torch.set_num_threads(1)
        self.w, self.inputs, self.sigmas = weights, inputs, levels(steps)
        self.steps = steps
        for t in self.sigmas[:-1]:
            features(t)
        self.plan = torch.compile(plan, dynamic=False) if compiled else plan

    def make(self, first, count, x, ends):
        return self.plan(self.w, self.sigmas, self.inputs["fields"][first:first + count],
                         self.inputs["obstacles"][first:first + count], x, ends)

    def worst(self):
        """How far its plans are from Tweedie's, from the same noise."""
        with torch.inference_mode():
            x = self.sigmas[0] * self.inputs["start"][:64]
            return (self.make(0, 64, x, self.inputs["ends"][:64]) - self.inputs["plans"][:64]).abs().max().item()

    def run(self, batch, seconds):
        with torch.inference_mode():
            for _ in range(3):
                self.make(0, batch, self.sigmas[0] * torch.randn(batch, 32), torch.randn(batch, self.steps, 4))
            start, core, done = time.perf_counter(), time.process_time(), 0
            while (now := time.perf_counter()) - start < seconds:
                first = done % (len(self.inputs["fields"]) - batch + 1)
                self.make(first, batch, self.sigmas[0] * torch.randn(batch, 32), torch.randn(batch, self.steps, 4))
                done += batch
        return done / (now - start), done / (time.process_time() - core)


def serve(pipe, weights, inputs, steps, compiled):
    peer = Peer(weights, inputs, steps, compiled)
    while question := pipe.recv():
        what, *given = question
        pipe.send(getattr(peer, what)(*given))


class Workers:
    """Two processes, of which a run uses one or both."""

    def __init__(self, *given):
        self.pipes, self.processes = [], []
        for _ in range(2):
            own, other = multiprocessing.Pipe()
            process = multiprocessing.Process(target=serve, args=(other, *given), daemon=True)
            process.start()
            self.pipes.append(own)
            self.processes.append(process)

    def ask(self, count, *question):
        for pipe in self.pipes[:count]:
            pipe.send(question)
        return [pipe.recv() for pipe in self.pipes[:count]]

    def end(self):
        for pipe, process in zip(self.pipes, self.processes):
            pipe.send(None)
            process.join()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("weights")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0)
    args = parser.parse_args()

    tweedie = subprocess.Popen([args.program, args.weights], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                               env={**os.environ, "OMP_NUM_THREADS": "1"})

    def ask(*words):
        tweedie.stdin.write(" ".join(map(str, words)) + "\n")
        tweedie.stdin.flush()
        return tweedie.stdout.readline() or sys.exit("bench/planner: the program has ended")

    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "inputs.safetensors")
        ask("dump", 512, args.steps, file)
        inputs, weights = load_file(file), load_file(args.weights)

    names = {"eager": False, "compiled": True}
    peers = {name: Workers(weights, inputs, args.steps, compiled) for name, compiled in names.items()}
    for name, workers in peers.items():
        worst = max(workers.ask(2, "worst"))
        print(f"{name}: plans are at most {worst:.1e} from Tweedie's")
        if not worst < MARGIN_OF_FLOATS:
            sys.exit("bench/planner: expected the same plans, to the rounding of floats")

    print(f"load average before: {os.getloadavg()[0]:.2f}; torch {torch.__version__}; {args.steps} evaluations")
    lines = {"plans a second": [], "plans in a second of a core's time": []}
    for cores in (1, 2):
        for batch in (1, 64):
            rates = {name: [] for name in ("Tweedie", *peers)}
            for _ in range(args.turns):
                rates["Tweedie"].append(tuple(map(float, ask("run", batch, cores, args.seconds, args.steps).split())))
                for name, workers in peers.items():
                    both = workers.ask(cores, "run", batch, args.seconds)
                    rates[name].append((sum(w for w, _ in both), sum(c for _, c in both) / cores))
            for k, table in enumerate(lines.values()):
                own, eager, compiled = (median(r[k] for r in rates[n]) for n in ("Tweedie", "eager", "compiled"))
                spread = "; ".join(f"{min(r[k] for r in rates[n]):,.0f} to {max(r[k] for r in rates[n]):,.0f}" for n in rates)
                table.append(f"| {cores} | {batch} | {own:,.0f} | {eager:,.0f} | {own / eager:.1f} | {compiled:,.0f} | "
                             f"{own / compiled:.1f} | {spread} |")
    for name, table in lines.items():
        print(f"\n{name}, the median of {args.turns} turns, and from the least to the most of the three:\n")
        print("| cores | batch | Tweedie | eager | times | compiled | times | spread |\n|---|---|---|---|---|---|---|---|")
        print("\n".join(table))
    print(f"load average after: {os.getloadavg()[0]:.2f}, of which the run itself is up to 2")
    for workers in peers.values():
        workers.end()


if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    main()
