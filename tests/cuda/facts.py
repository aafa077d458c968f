"""Facts of emitted kernels, read from an object file of nvcc's that holds PTX as text: no GPU is
needed.

    facts.py OBJECT[:PART]... [--arch sm_90 ...] [--sass] [--registers N] [--recorded FILE
    [--write]]

PART is in the names of the kernels that are meant; without it all are.

From the PTX, for each kernel (the runtime's empty ones do not count):
  - no array that did not fit registers (`.local`), no call;
  - rows are loaded and stored 16 bytes at a time. What a kernel loads one float at a time is
    counted: the numbers of a sample where samples differ, masks, and what a reduction or an inlined
    network reads;
  - no division of floats and no `sqrt.rn`, which are calls, but in a kernel of a block per sample,
    or in a kernel whose formula has one (DIVIDES);
  - a sum of n terms is n - 1 fused multiply-adds an element: so many there are, and where nothing
    else is made of them (no noise, no function but a clip), no more;
  - how many instructions it has: beside those recorded in FILE, which --write renews, what has
changed is named. From `ptxas -v`, for each --arch: no spills, no stack, and no more registers than
--registers. From `cuobjdump` or `nvdisasm`, with --sass where one of them is found: 128-bit
accesses, as many as are needed, and no narrower store, no local memory, no call.

Exit code 77: skipped.
"""

import argparse
import collections
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile

# Functions of a formula that divide, once an element or once a row.
DIVIDES = {
    "scaled_clip": "dynamic thresholding divides each element by the sample's quantile",
    "ratio": "the corrector's step size, once a row",
    "optimized_scale": "the projection on the unconditional output, once a row",
    "norm_limit": "the length of the guidance, once a row",
    "projection": "the share of the guidance along x0, once a row",
    "rescaling": "the ratio of two deviations, once a row",
}

# Those that may take more registers than the others.
MORE_REGISTERS = {"small_mixture": 128}  # an exact network in double

FETCHED = os.path.join(os.path.dirname(__file__), "..", "..", ".deps", "nvdisasm", "nvidia", "cu13",
                       "bin")


def find(tool):
    return shutil.which(tool) or shutil.which(tool, path="/usr/local/cuda/bin:" + FETCHED)


def ptx_of(path):
    with open(path, "rb") as f:
        data = f.read()
    texts = []
    at = data.find(b"\n.version ")
    while at >= 0:
        end = data.index(b"\0", at)
        texts.append(data[at:end].decode())
        at = data.find(b"\n.version ", end)
    if not texts:
        sys.exit(f"{path} holds no PTX as text; compile it with --compress-mode=none")
    return texts


def entries_of(ptx):
    """The name and the lines of each kernel that does something."""
    for m in re.finditer(r"\.visible\s+\.entry\s+(\w+)", ptx):
        start = ptx.index("{", m.end())
        depth = 0
        for brace in re.compile(r"[{}]").finditer(ptx, start):
            depth += 1 if brace.group() == "{" else -1
            if depth == 0:
                break
        lines = [line.strip() for line in ptx[start + 1:brace.start()].splitlines()]
        lines = [line for line in lines if line and not line.startswith("//")]
        if [line for line in lines if not line.startswith(".")] != ["ret;"]:
            yield m.group(1), lines


def demangled(names):
    tool = find("c++filt")
    if not tool:
        return {n: n for n in names}
    out = subprocess.run([tool], input="\n".join(names), stdout=subprocess.PIPE, text=True,
                         check=True).stdout
    return dict(zip(names, out.splitlines()))


def short(name):
    """What a kernel does, in the words of its type: 'x out<0> | noise_stream<0> | clamp | x'"""
    body = name[name.find("tweedie::program<"):]
    depth, end = 0, len(body)
    for i, c in enumerate(body):
        depth += {"<": 1, ">": -1}.get(c, 0)
        if c == ">" and depth == 0:
            end = i
            break
    body = body[len("tweedie::program<"):end]
    for word in ("tweedie::", "sym::", "thresholds::", "detail::", "samplers::", "guidance::",
                 "reductions::", "functions::"):
        body = body.replace(word, "")
    body = body.replace(", besides<list<>, list<>, list<> >", "").replace("list<>",
                                                                          "-").replace(" >", ">")
    return body


def parts_of(text):
    """What stands between the commas of 'name<a, b<c, d>, e>'."""
    parts, depth = [""], 0
    for c in text[text.index("<") + 1:]:
        depth += {"<": 1, ">": -1}.get(c, 0)
        if depth < 0:
            return [p.strip() for p in parts if p.strip()]
        if c == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += c


class Kernel:
    def __init__(self, name, lines, says):
        self.name = name
        lists = parts_of(says[says.index("tweedie::program<"):])
        reads, writes = parts_of(lists[0]), [parts_of(one)[0] for one in parts_of(lists[3])]
        # Eight elements a thread where a buffer is of 16 bits, four otherwise: accesses of 16 bytes
        # for each buffer.
        mixed = any("float16" in one for one in reads + writes)
        self.narrowest = 2 if mixed else 4  # bytes of an element
        self.reads, self.writes = (sum(2 if mixed and "float16" not in one else 1 for one in part)
                                   for part in (reads, writes))
        # Multiply-adds of the program's sums for one element.
        program = ", ".join(lists)
        sums = [parts_of(program[m.start():]) for m in re.finditer(r"\bsum<", program)]
        self.fmas = sum(len(target_and_terms) - 2 for target_and_terms in sums)
        functions = [parts_of(program[m.start():])[1] for m in re.finditer(r"\bnode<", program)]
        self.only_sums = "noise_stream" not in program and all(
            f.endswith("functions::clamp") for f in functions)
        # What a reduction or an inlined network does is not the program's own.
        self.by_block = "_and_go_on" in name
        code = [re.sub(r"^@!?%?\w+\s+", "", line) for line in lines]
        self.opcodes = [
            m.group(0) for m in (re.match(r"[a-z]\w*(?:[.:]+\w+)*", line) for line in code)
            if m and not line_is_label(m.string)
        ]
        self.lines = lines
        self.accesses, self.rows = collections.Counter(), collections.Counter()
        for o in self.opcodes:
            m = re.match(r"(ld|st)\.global\b(.*)\.[bfus](\d+)$", o)
            if m:
                vector = re.search(r"\.v(\d)", m.group(2))
                count = int(vector.group(1)) if vector else 1
                self.accesses[m.group(1), int(m.group(3)) // 8 * count] += 1
                self.rows[m.group(1)] += int(m.group(3)) // 8 * count == 16

    def wrong(self):
        if any(".local" in line for line in self.lines):
            yield "local memory: an array that did not fit registers"
        if any(re.match(r"call\b", o) for o in self.opcodes):
            yield "a call"
        divides = any(f in self.name for f in DIVIDES)
        for o in self.opcodes:
            if re.match(r"(div\.\w+\.f\d\d|rcp\.|sqrt\.|rsqrt\.)",
                        o) and not divides and not self.by_block:
                yield f"{o}, which is a call"
            if re.search(r"\.(approx|ftz|full)\b", o):
                yield f"{o}, which is no exact arithmetic"
        for (kind, size), n in sorted(self.accesses.items()):
            if kind == "st" and size < 16 and not (self.by_block and size == 4):
                yield f"{n} stores of {size} bytes"
        # The code for a chunk stands there several times: for whole blocks and for the last one,
        # for each of a thread's.
        copies = max(1, self.rows["st"] // self.writes)
        for kind, n in (("ld", self.reads), ("st", self.writes)):
            if self.rows[kind] != copies * n:
                yield (f"{self.rows[kind]} {kind} of 16 bytes, where {copies} times {n} were "
                       "expected")
        fmas, expected = self.opcodes.count("fma.rn.f32"), copies * (16 //
                                                                     self.narrowest) * self.fmas
        if not self.by_block and (fmas < expected or self.only_sums and fmas > expected):
            yield f"{fmas} fused multiply-adds, where {expected} were expected"

    def fact(self):
        a = self.accesses
        single = sum(n for (kind, size), n in a.items() if kind == "ld" and size == 4)
        return (f"{len(self.opcodes):5} instructions, {self.rows['ld']} + {self.rows['st']} of 16 "
                f"bytes, {single} single loads")


def line_is_label(line):
    return re.match(r"[$\w]+:$", line) is not None


def ptxas(text, arch, folder, keep=None):
    """Registers, spilled bytes and stack of each kernel."""
    path, cubin = os.path.join(folder, "in.ptx"), keep or os.path.join(folder, "out.cubin")
    with open(path, "w") as f:
        f.write(text)
    run = subprocess.run([find("ptxas"), "-v", f"-arch={arch}", path, "-o", cubin],
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if run.returncode != 0:
        sys.exit(f"{run.stdout}\nptxas refuses the PTX for {arch}")
    found = {}
    name = None
    for line in run.stdout.splitlines():
        if m := re.search(r"Compiling entry function '(\w+)'", line):
            name = m.group(1)
        elif m := re.search(
                r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads",
                line):
            found.setdefault(name, {}).update(stack=int(m.group(1)),
                                              spills=int(m.group(2)) + int(m.group(3)))
        elif m := re.search(r"Used (\d+) registers", line):
            found.setdefault(name, {})["registers"] = int(m.group(1))
    return found


def sass(cubin):
    """The machine code of each kernel; None where no tool can read it."""
    if tool := find("cuobjdump"):
        command = [tool, "-sass", cubin]
    elif tool := find("nvdisasm"):
        command = [tool, "-c", cubin]
    else:
        return None
    text = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    found, name = collections.defaultdict(list), None
    for line in text.splitlines():
        if m := re.search(r"Function : (\w+)|^\s*\.text\.(\w+):", line):
            name = m.group(1) or m.group(2)
        elif name and (m := re.search(
                r"^\s*(?:/\*[0-9a-f]+\*/)?\s+(?:@!?U?P\w+\s+)?([A-Z][A-Z0-9_.]+)", line)):
            found[name].append(m.group(1))
    return found


def compare(counts, path, renew):
    """Names the kernels whose number of instructions is not the recorded one. Not wrong, but to be
    seen."""
    release = re.search(
        r"release (\S+),",
        subprocess.run([find("ptxas"), "--version"], stdout=subprocess.PIPE, text=True).stdout)
    head = (f"# Instructions of each kernel's PTX, by CUDA {release.group(1)}; written by facts.py "
            "--write\n")
    says = {name: short(text)[:110].rstrip() for name, text in demangled(list(counts)).items()}
    key = {name: hashlib.sha1(name.encode()).hexdigest()[:10] for name in counts}
    if renew:
        with open(path + ".part", "w") as f:
            f.write(head + "".join(sorted(f"{key[n]} {counts[n]:5} {says[n]}\n" for n in counts)))
        os.replace(path + ".part", path)
        return
    with open(path) as f:
        written, *lines = f
    if written != head:
        print(
            f"instructions are not compared: recorded {written[2:].strip()}, here is CUDA "
            f"{release.group(1)}"
        )
        return
    before = {line.split()[0]: line.split(maxsplit=2)[1:] for line in lines}
    changed = 0
    for name in sorted(counts, key=says.get):
        n, was = counts[name], int(before.get(key[name], [0])[0])
        if n != was:
            changed += 1
            print(f"changed: {n} instructions instead of {was or 'none'}: {says[name]}")
    for gone in before.keys() - set(key.values()):
        changed += 1
        print(f"changed: no longer there: {before[gone][1].strip()}")
    print(f"{changed} of {len(counts)} kernels have other instructions than recorded"
          if changed else f"all {len(counts)} kernels have the instructions that are recorded")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("objects", nargs="+")
    parser.add_argument("--arch", action="append", default=[])
    parser.add_argument("--sass", action="store_true")
    parser.add_argument("--registers", type=int, default=128,
                        help="the most that a kernel may take")
    parser.add_argument("--recorded", metavar="FILE")
    parser.add_argument("--write", action="store_true", help="renew it")
    args = parser.parse_args()
    if not find("ptxas"):
        print("skipped: ptxas was not found")
        sys.exit(77)

    wrong, counts = [], {}
    for argument in args.objects:
        path, _, part = argument.partition(":")
        for text in ptx_of(path):
            entries = [e for e in entries_of(text) if part in e[0]]
            if not entries:
                wrong.append(f"{path} has no kernel" +
                             (f" with '{part}' in its name" if part else ""))
                continue
            names = demangled([name for name, _ in entries])
            kernels = [
                Kernel(name, lines, names[name]) for name, lines in entries
                if "tweedie::program<" in names[name]
            ]
            if len(kernels) < len(entries):
                wrong.append(f"{len(entries) - len(kernels)} kernels of {path} are of no program")
            says = {k.name: short(names[k.name]) for k in kernels}
            for k in kernels:
                wrong += [f"{says[k.name]}: {what}" for what in k.wrong()]
                counts[k.name] = len(k.opcodes)
            measured = {}
            with tempfile.TemporaryDirectory() as folder:
                for arch in args.arch:
                    cubin = os.path.join(folder, arch + ".cubin")
                    measured[arch] = ptxas(text, arch, folder, cubin)
                    for k in kernels:
                        m = measured[arch][k.name]
                        if m["spills"] or m["stack"]:
                            wrong.append(
                                f"{says[k.name]}: {m['spills']} bytes spilled, {m['stack']} bytes "
                                f"of stack on {arch}"
                            )
                        most = max([args.registers] +
                                   [n for part, n in MORE_REGISTERS.items() if part in k.name])
                        if m["registers"] > most:
                            wrong.append(
                                f"{says[k.name]}: {m['registers']} registers on {arch}, above "
                                f"{most}"
                            )
                    if args.sass:
                        code = sass(cubin)
                        if code is None:
                            print(
                                "no facts of machine code: neither cuobjdump nor nvdisasm was found"
                            )
                            args.sass = False
                            continue
                        for k in kernels:
                            ops = code[k.name]
                            if any(re.match(r"(LDL|STL)\b", o) for o in ops):
                                wrong.append(f"{says[k.name]}: local memory in the code for {arch}")
                            called = any(re.match(r"CALL\b", o) for o in ops)
                            if called and not k.by_block and not any(f in k.name for f in DIVIDES):
                                wrong.append(f"{says[k.name]}: a call in the code for {arch}")
                            wide = {
                                kind: sum(bool(re.match(kind + r"\.E\S*\.128", o)) for o in ops)
                                for kind in ("LDG", "STG")
                            }
                            if wide["LDG"] < k.reads or wide["STG"] < k.writes:
                                wrong.append(
                                    f"{says[k.name]}: {wide['LDG']} wide loads and {wide['STG']} wide stores in the "
                                    f"code for {arch}, where {k.reads} and {k.writes} or more were expected"
                                )
                            narrow = sum(bool(re.match(r"STG\.", o)) for o in ops) - wide["STG"]
                            if narrow and not k.by_block:
                                wrong.append(
                                    f"{says[k.name]}: {narrow} narrow stores in the code for {arch}"
                                )
            for k in sorted(kernels, key=lambda k: says[k.name]):
                registers = ", ".join(f"{measured[a][k.name]['registers']} registers on {a}"
                                      for a in args.arch)
                print(f"{k.fact()}{', ' + registers if registers else ''}: {says[k.name][:150]}")
            for arch in args.arch:
                print(
                    f"{len(kernels)} kernels, at most {max(m['registers'] for m in measured[arch].values())} "
                    f"registers on {arch}")

    if args.recorded and not (args.write and wrong):
        compare(counts, args.recorded, args.write)
    if wrong:
        sys.exit("\n".join("WRONG: " + w for w in wrong))


main()
