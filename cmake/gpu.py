"""Builds and runs what needs a GPU, and writes one report.

    cmake/gpu.py [--prebuilt FILE | --torch FOLDER] [--peers PYTHON]
        on a machine with a GPU
    cmake/gpu.py --pack FILE [--arch sm_90]...
        on one that has nvcc: what --prebuilt takes
    cmake/gpu.py --interpreted [--only REGEX]
        a rehearsal: the interpreter stands for the GPU

In turn: the bits of each kernel on the device and in the interpreter beside the host's, the unit
tests with their states on the device, a step's bandwidth and a small state's loop, and, with a
Python that has PyTorch for CUDA and diffusers, the same steps beside theirs. Needs no network. The
report is there from the first program on. The exit code is 0 if all passed; without a GPU it is 1,
after one sentence.
"""

import argparse
import lzma
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import time

SOURCE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ARCHS = ["sm_80", "sm_90", "sm_100", "sm_120"]


def refuse(sentence):
    sys.exit("make gpu: " + sentence)


def devices():
    """The name, driver and compute capability of each GPU, as nvidia-smi has them."""
    if not shutil.which("nvidia-smi"):
        return []
    run = subprocess.run(
        ["nvidia-smi", "--query-gpu=name,driver_version,compute_cap", "--format=csv,noheader"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return [line.split(", ")
            for line in run.stdout.strip().splitlines()] if run.returncode == 0 else []


def version():
    """Of this tree."""
    git = subprocess.run(["git", "-C", SOURCE, "describe", "--always", "--dirty"],
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                         text=True) if shutil.which("git") else None
    return git.stdout.strip() if git and git.returncode == 0 else "an unknown version"


def libc():
    """(2, 36), or () where it is no glibc."""
    return tuple(map(
        int,
        platform.libc_ver()[1].split("."))) if platform.libc_ver()[0] == "glibc" else ()


class Programs:
    """The folder gpu/ of a build, and programs.txt in it, which says what there should be."""

    def __init__(self, folder):
        self.folder, self.archs, self.of, self.libc, self.all = folder, [], None, (), []
        with open(os.path.join(folder, "programs.txt")) as f:
            for line in f.read().splitlines():
                word, _, rest = line.partition(" ")
                if word == "for":
                    self.archs = rest.split(";")
                elif word == "of":
                    self.of = rest
                elif word == "libc":
                    self.libc = tuple(map(int, rest.split(".")))
                elif word in ("test", "interpreted", "measured", "peer") and re.fullmatch(
                        r"\w+", rest):
                    self.all.append((word, rest))
                else:
                    raise ValueError(f"'{line}' in programs.txt")
        if not self.all or not self.archs:
            raise ValueError("no program in programs.txt")

    def matching(self, only):
        """The names of those that are meant by --only; one at least."""
        names = [name for _, name in self.all if re.search(only, name)]
        if not names:
            refuse(
                f"--only '{only}' was given, expected a part of one of: "
                f"{' '.join(name for _, name in self.all)}"
            )
        return names

    def path(self, name):
        return os.path.join(self.folder, name)


def build(folder, archs, jobs, torch=None, only=""):
    """The programs, and whether those asked for were built. Without LibTorch they need nothing
    beside them but the C library."""
    configure = ["cmake", "-S", SOURCE, "-B", folder, "-G", "Ninja", "-DCMAKE_CXX_COMPILER=g++",
                 f"-DTWEEDIE_GPU_ARCH={';'.join(archs)}", "-DTWEEDIE_BACKEND=CPP",
                 "-DTWEEDIE_WITHOUT_OPENMP=ON", "-DTWEEDIE_EXAMPLES=OFF", "-DTWEEDIE_BENCH=OFF",
                 "-DTWEEDIE_TOOLS=OFF", "-DTWEEDIE_TESTS=ON", "--log-level=WARNING"]
    with_torch = ["-DTWEEDIE_TORCH=ON", "-DTWEEDIE_STATIC=OFF", f"-DCMAKE_PREFIX_PATH={torch}"]
    configure += with_torch if torch else ["-DTWEEDIE_TORCH=OFF", "-DTWEEDIE_STATIC=ON"]
    # What does not build must not be there from the last time.
    shutil.rmtree(os.path.join(folder, "gpu"), ignore_errors=True)
    if subprocess.run(configure).returncode != 0:
        refuse("the build cannot be configured")
    if not os.path.exists(os.path.join(folder, "gpu", "programs.txt")):
        refuse(
            "nvcc or the CUDA Toolkit 12.8 was not found, expected both or a prebuilt file: make "
            "gpu PREBUILT=FILE"
        )
    programs = Programs(os.path.join(folder, "gpu"))
    if torch and ("test", "unet") not in programs.all:
        refuse(
            f"in {torch} no LibTorch with CUDA was found, expected an unpacked libtorch/ or a "
            "wheel's site-packages/torch"
        )
    targets = programs.matching(only) if only else ["gpu"]
    return programs, subprocess.run(
        ["cmake", "--build", folder, "-j",
         str(jobs), "--target", *targets, "--", "-k", "0"]).returncode == 0


def pack(programs, path):
    """The programs as one file, which is there whole or not at all."""
    with open(programs.path("programs.txt"), "a") as f:
        f.write(f"of {version()}\nlibc {'.'.join(map(str, libc()))}\n")
    names = [name for _, name in programs.all]
    if shutil.which("strip"):
        subprocess.run(["strip", *map(programs.path, names)], check=True)
    # The programs are alike: what one has of the libraries the next ones refer to, over a window
    # that holds some of them.
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": 128 << 20}]
    with lzma.open(path + ".part", "wb", filters=filters) as to, tarfile.open(fileobj=to,
                                                                              mode="w") as tar:
        for name in ["programs.txt", *names]:
            tar.add(programs.path(name), os.path.join("gpu", name))
    os.replace(path + ".part", path)


def unpack(path, folder):
    """What pack() wrote, in place of what is there; whole or not at all."""
    part, there = os.path.join(folder, "unpacked.part"), os.path.join(folder, "gpu")
    shutil.rmtree(part, ignore_errors=True)
    try:
        with lzma.open(path) as packed, tarfile.open(fileobj=packed) as tar:
            tar.extractall(part, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
        programs = Programs(os.path.join(part, "gpu"))
    except (OSError, EOFError, ValueError, lzma.LZMAError, tarfile.TarError) as mistake:
        shutil.rmtree(part, ignore_errors=True)
        refuse(f"{path} cannot be unpacked ({mistake}), expected a file that `make gpu-pack` wrote")
    if programs.libc and libc() and libc() < programs.libc:
        shutil.rmtree(part)
        refuse(f"{path} was packed over glibc {'.'.join(map(str, programs.libc))} and here is "
               f"{'.'.join(map(str, libc()))}, expected as new a one or newer")
    shutil.rmtree(there, ignore_errors=True)
    os.rename(os.path.join(part, "gpu"), there)
    os.rmdir(part)
    return Programs(there)


def run(program, *words, environment, seconds):
    """Whether it passed, what it said and how long it took."""
    begin = time.monotonic()
    try:
        done = subprocess.run([program, *words], env=environment, timeout=seconds, text=True,
                              errors="replace", stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        passed, output = done.returncode == 0, done.stdout
    except subprocess.TimeoutExpired as late:
        said = late.stdout or ""
        said = said if isinstance(said, str) else said.decode(errors="replace")
        passed, output = False, f"not done after {seconds} s\n{said}"
    except OSError as mistake:  # it was not built
        passed, output = False, str(mistake)
    return passed, output, time.monotonic() - begin


def imports(python, what):
    return bool(shutil.which(python)) and subprocess.run([python, "-c", what],
                                                         stderr=subprocess.DEVNULL).returncode == 0


class Report:
    """Written anew with each line: whatever ends the run, what is known is there."""

    def __init__(self, path, head):
        self.path, self.head = path, head
        self.rows, self.tables, self.failed, self.passed = [], [], [], 0

    def add(self, name, passed, output, seconds=None, is_table=False):
        """A program's line, or the table that it printed; of one that failed what it said."""
        if is_table and passed:
            self.tables.append(output)
        else:
            self.passed += passed
            took = "" if seconds is None else f"{seconds:.1f}"
            self.rows.append(f"| {name} | {'passed' if passed else 'FAILED'} | {took} |")
        if not passed:
            self.failed.append((name, output))
        print(f"{name}: {'passed' if passed else 'FAILED'}", flush=True)
        self.write()

    def write(self):
        with open(self.path + ".part", "w") as f:
            f.write(
                f"# On a GPU\n\n{self.head}\n\n{self.passed} passed, {len(self.failed)} failed.\n\n"
                + "\n".join(self.tables) + "\n| program | | seconds |\n|---|---|---|\n" +
                "\n".join(self.rows) + "\n" +"".join(f"\n## {name}\n\n```\n{output}\n```\n"
                                                     for name, output in self.failed))
        os.replace(self.path + ".part", self.path)


def peers(programs, name, args, environment, report):
    """The steps beside diffusers' and PyTorch's."""
    needed = "import diffusers, torch" + ("" if args.interpreted else
                                          "; assert torch.cuda.is_available()")
    candidates = [args.peers] if args.peers else [
        os.path.join(SOURCE, ".deps", "peers", "bin", "python"), "python3"
    ]
    python = next((one for one in candidates if imports(one, needed)), None)
    if not python:
        why = "no Python with diffusers and PyTorch for CUDA was found"
        if args.peers:
            return report.add("peers", False, f"{args.peers}: {why}")
        print(f"peers: left out, {why}", flush=True)
        report.tables.append(f"No peers: {why}; --peers names one.\n")
        return report.write()
    words = [
        os.path.join(SOURCE, "bench", "peers", "measure.py"), "--device", "cuda", "--program",
        programs.path(name)
    ]
    passed, output, _ = run(python, *words, *["--interpreted"] * args.interpreted,
                            environment=environment, seconds=2 * args.timeout)
    report.add("peers", passed, output, is_table=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--build", metavar="FOLDER",
                        help="default: build-gpu, or build-gpu-interpreted")
    parser.add_argument("--report", metavar="FILE", help="default: gpu.md there")
    parser.add_argument("--prebuilt", metavar="FILE",
                        help="programs that --pack wrote, instead of building them")
    parser.add_argument("--torch", metavar="FOLDER",
                        help="a LibTorch with CUDA: the U-Net on the device too")
    parser.add_argument("--peers", metavar="PYTHON",
                        help="one that has PyTorch for CUDA, and diffusers")
    parser.add_argument("--pack", metavar="FILE", help="build, and write the programs there")
    parser.add_argument("--arch", action="append", help="to pack for; default: " + " ".join(ARCHS))
    parser.add_argument("--interpreted", action="store_true",
                        help="rehearse without a GPU: most of an hour of two cores")
    parser.add_argument("--only", metavar="REGEX", default="",
                        help="only the programs whose names match")
    parser.add_argument("--timeout", type=int, metavar="SECONDS", default=600,
                        help="of each program")
    args = parser.parse_args()
    folder = os.path.abspath(args.build or
                             os.path.join(SOURCE, "build-gpu" + "-interpreted" * args.interpreted))
    report_path = os.path.abspath(args.report or os.path.join(folder, "gpu.md"))
    try:
        re.compile(args.only)
    except re.error as mistake:
        refuse(f"--only '{args.only}' was given ({mistake}), expected a regular expression")
    if args.torch and (args.prebuilt or args.pack):
        refuse(
            "--torch was given with --prebuilt or --pack, expected it alone: packed programs are "
            "without LibTorch"
        )
    for path in (args.pack, args.report):
        if path and not os.path.isdir(os.path.dirname(os.path.abspath(path))):
            refuse(f"{path} was to be written, expected a file in a folder that is there")

    if args.pack:
        programs, built = build(folder, ["interpreted"] if args.interpreted else args.arch or ARCHS,
                                args.jobs)
        if not built:
            sys.exit("make gpu-pack: not all programs could be built, and nothing was written")
        pack(programs, args.pack)
        print(f"{args.pack}, {os.path.getsize(args.pack) >> 20} MiB: make gpu PREBUILT={args.pack}")
        return

    if args.interpreted:
        machine, arch = "The interpreter in a GPU's place: no time means anything.", "interpreted"
    else:
        found = devices()
        if not found:
            refuse(
                "no GPU was found (nvidia-smi lists none), expected an NVIDIA one with its driver")
        name, driver, capability = found[0]
        machine = f"{name}, driver {driver}, compute capability {capability}."
        arch = "sm_" + capability.replace(".", "")
    os.makedirs(folder, exist_ok=True)
    if args.prebuilt:
        programs, built = unpack(args.prebuilt, folder), True
        if arch not in programs.archs:
            refuse(
                f"{args.prebuilt} was packed for {', '.join(programs.archs)}, expected {arch} "
                "among them"
            )
    else:
        programs, built = build(folder, [arch], args.jobs, args.torch and
                                os.path.abspath(args.torch), args.only)

    names = programs.matching(args.only)
    chosen = [(kind, name) for kind, name in programs.all if name in names]
    environment = dict(os.environ, TWEEDIE_SMOKE="1", TWEEDIE_SOURCE_DIR=SOURCE,
                       BOOST_TEST_COLOR_OUTPUT="no",
                       TWEEDIE_NUMBERS=os.path.join(folder, "numbers"),
                       TORCHINDUCTOR_CACHE_DIR=os.path.join(folder, "inductor"))
    report = Report(report_path, f"{machine} Tweedie {programs.of or version()}.")
    if not built:
        report.add("build", False,
                   "not all programs were built; what the compiler said is above the run's output")
    # First one that says at once whether the device can be used; last the interpreter's.
    order = ["test", "measured", "peer", "interpreted"]
    for kind, name in sorted(chosen, key=lambda one: (order.index(one[0]), one[1] != "on_a_gpu")):
        if kind == "peer":
            peers(programs, name, args, environment, report)
            continue
        words = ["--interpreted"] if kind == "measured" and args.interpreted else []
        passed, output, seconds = run(programs.path(name), *words, environment=environment,
                                      seconds=args.timeout)
        if not passed and not report.rows and output.startswith("on(stream):"):
            refuse(f"the device cannot be used, as it says: {output.splitlines()[0]}")
        report.add(name, passed, output, seconds, is_table=kind == "measured")

    print(f"{report.passed} passed, {len(report.failed)} failed; the report is {report_path}")
    sys.exit(1 if report.failed else 0)


main()
