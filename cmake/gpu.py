"""Builds and runs what needs a GPU, and writes one report.

    cmake/gpu.py [--prebuilt FILE | --torch FOLDER] [--peers PYTHON]    on a machine with a GPU
    cmake/gpu.py --pack FILE [--arch sm_90]...                          on one that has nvcc: what --prebuilt takes
    cmake/gpu.py --interpreted [--only REGEX]                           a rehearsal: the interpreter stands for the GPU

In turn: the bits of each kernel on the device and in the interpreter beside the host's, every unit test with its states
on the device, a step's bandwidth and a small state's loop, and, with a Python that has PyTorch for CUDA, the same steps
beside diffusers and torch.compile. Needs no network. The exit code is 0 if all passed; without a GPU it is 1, after one
sentence.
"""

import argparse
import lzma
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time

SOURCE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ARCHS = ["sm_80", "sm_90", "sm_100", "sm_120"]


def devices():
    """The name, driver and compute capability of each GPU, as nvidia-smi has them."""
    if not shutil.which("nvidia-smi"):
        return []
    run = subprocess.run(["nvidia-smi", "--query-gpu=name,driver_version,compute_cap", "--format=csv,noheader"],
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return [line.split(", ") for line in run.stdout.strip().splitlines()] if run.returncode == 0 else []


def build(folder, archs, jobs, torch):
    """Whether all was built. Without LibTorch nothing that the programs need lies outside of them but the C library."""
    configure = ["cmake", "-S", SOURCE, "-B", folder, "-G", "Ninja", "-DCMAKE_CXX_COMPILER=g++",
                 f"-DTWEEDIE_GPU_ARCH={';'.join(archs)}", "-DTWEEDIE_BACKEND=CPP",
                 "-DTWEEDIE_WITHOUT_OPENMP=ON", "-DTWEEDIE_EXAMPLES=OFF", "-DTWEEDIE_BENCH=OFF",
                 "-DTWEEDIE_TOOLS=OFF", "-DTWEEDIE_TESTS=ON", "--log-level=WARNING"]
    configure += ["-DTWEEDIE_TORCH=ON", "-DTWEEDIE_STATIC=OFF", f"-DCMAKE_PREFIX_PATH={torch}"] if torch else \
                 ["-DTWEEDIE_TORCH=OFF", "-DTWEEDIE_STATIC=ON"]
    if subprocess.run(configure).returncode != 0:
        sys.exit("make gpu: the build cannot be configured")
    if not os.path.exists(os.path.join(folder, "gpu", "programs.txt")):
        sys.exit("make gpu: nvcc or the CUDA Toolkit 12.8 was not found, expected both or a prebuilt file: "
                 "make gpu PREBUILT=FILE")
    return subprocess.run(["cmake", "--build", folder, "-j", str(jobs), "--target", "gpu", "--",
                           "-k", "0"]).returncode == 0


def pack(folder, path):
    """The programs as one file, which is there whole or not at all."""
    programs = os.path.join(folder, "gpu")
    for name in os.listdir(programs):
        if name != "programs.txt":
            subprocess.run(["strip", os.path.join(programs, name)], check=True)
    # The programs are alike: what one has of the libraries the next ones refer to, over a window that holds some of them.
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": 128 << 20}]
    with lzma.open(path + ".part", "wb", filters=filters) as to, tarfile.open(fileobj=to, mode="w") as tar:
        tar.add(programs, "gpu")
    os.replace(path + ".part", path)


def unpack(path, folder):
    """What pack() wrote, in place of what is there; whole or not at all."""
    part, programs = os.path.join(folder, "unpacked.part"), os.path.join(folder, "gpu")
    shutil.rmtree(part, ignore_errors=True)
    try:
        with lzma.open(path) as packed, tarfile.open(fileobj=packed) as tar:
            tar.extractall(part, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
        os.stat(os.path.join(part, "gpu", "programs.txt"))
    except (OSError, EOFError, lzma.LZMAError, tarfile.TarError) as mistake:
        shutil.rmtree(part, ignore_errors=True)
        sys.exit(f"make gpu: {path} cannot be unpacked ({mistake}), expected a file that `make gpu-pack` wrote")
    shutil.rmtree(programs, ignore_errors=True)
    os.rename(os.path.join(part, "gpu"), programs)
    os.rmdir(part)


def run(program, *words, environment, seconds):
    """Whether it passed, what it said and how long it took."""
    begin = time.monotonic()
    try:
        done = subprocess.run([program, *words], env=environment, timeout=seconds, text=True, errors="replace",
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        passed, output = done.returncode == 0, done.stdout
    except subprocess.TimeoutExpired as late:
        passed, output = False, f"not done after {seconds} s\n{(late.stdout or b'').decode(errors='replace')}"
    except OSError as mistake:  # it was not built
        passed, output = False, str(mistake)
    return passed, output, time.monotonic() - begin


def imports(python, what):
    return bool(shutil.which(python)) and subprocess.run([python, "-c", what], stderr=subprocess.DEVNULL).returncode == 0


def version():
    git = subprocess.run(["git", "-C", SOURCE, "describe", "--always", "--dirty"], stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL, text=True) if shutil.which("git") else None
    return git.stdout.strip() if git and git.returncode == 0 else "an unknown version"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--build", metavar="FOLDER", help="default: build-gpu, or build-gpu-interpreted")
    parser.add_argument("--report", metavar="FILE", help="default: gpu.md there")
    parser.add_argument("--prebuilt", metavar="FILE", help="programs that --pack wrote, instead of building them")
    parser.add_argument("--torch", metavar="FOLDER", help="a LibTorch with CUDA: the U-Net on the device too")
    parser.add_argument("--peers", metavar="PYTHON", help="one that has PyTorch for CUDA, and diffusers at best")
    parser.add_argument("--pack", metavar="FILE", help="build, and write the programs there")
    parser.add_argument("--arch", action="append", help="to pack for; default: " + " ".join(ARCHS))
    parser.add_argument("--interpreted", action="store_true", help="rehearse without a GPU: most of an hour of two cores")
    parser.add_argument("--only", metavar="REGEX", default="", help="only the programs whose names match")
    parser.add_argument("--timeout", type=int, metavar="SECONDS", default=600, help="of each program")
    args = parser.parse_args()
    folder = os.path.abspath(args.build or os.path.join(SOURCE, "build-gpu" + "-interpreted" * args.interpreted))
    report = args.report or os.path.join(folder, "gpu.md")

    if args.pack:
        if not build(folder, ["interpreted"] if args.interpreted else args.arch or ARCHS, args.jobs, None):
            sys.exit("make gpu-pack: not all programs could be built, and nothing was written")
        pack(folder, args.pack)
        print(f"{args.pack}, {os.path.getsize(args.pack) >> 20} MiB: make gpu PREBUILT={args.pack}")
        return

    os.makedirs(folder, exist_ok=True)
    built = True
    if args.interpreted:
        machine, archs = "The interpreter in a GPU's place: no time means anything.", ["interpreted"]
    else:
        found = devices()
        if not found:
            sys.exit("make gpu: no GPU was found (nvidia-smi lists none), expected an NVIDIA one with its driver")
        name, driver, capability = found[0]
        machine, archs = f"{name}, driver {driver}, compute capability {capability}.", ["sm_" + capability.replace(".", "")]
    if args.prebuilt:
        unpack(args.prebuilt, folder)
    else:
        built = build(folder, archs, args.jobs, args.torch)

    programs = os.path.join(folder, "gpu")
    with open(os.path.join(programs, "programs.txt")) as f:
        kinds = [line.split() for line in f]
    kinds = [(kind, name) for kind, name in kinds if re.search(args.only, name)]
    environment = dict(os.environ, TWEEDIE_SMOKE="1", TWEEDIE_SOURCE_DIR=SOURCE, BOOST_TEST_COLOR_OUTPUT="no",
                       TWEEDIE_NUMBERS=os.path.join(folder, "numbers"))
    rows, failed, tables = [], [], []
    for kind, name in kinds:
        if kind == "peer":
            continue
        words = ["--interpreted"] if kind == "measured" and args.interpreted else []
        passed, output, seconds = run(os.path.join(programs, name), *words, environment=environment, seconds=args.timeout)
        if kind == "measured" and passed:
            tables.append(output)
        else:
            rows.append(f"| {name} | {'passed' if passed else 'FAILED'} | {seconds:.1f} |")
        print(f"{name}: {'passed' if passed else 'FAILED'}, {seconds:.1f} s", flush=True)
        if not passed:
            failed.append((name, output))

    peer = [name for kind, name in kinds if kind == "peer"]
    needed = "import diffusers, torch" + ("" if args.interpreted else "; assert torch.cuda.is_available()")
    candidates = [args.peers] if args.peers else [os.path.join(SOURCE, ".deps", "peers", "bin", "python"), "python3"]
    python = next((one for one in candidates if imports(one, needed)), None)
    if peer and not python:
        tables.append("No peers: no Python with diffusers and PyTorch for CUDA was found; --peers names one.\n")
    elif peer:
        words = [os.path.join(SOURCE, "bench", "peers", "measure.py"), "--device", "cuda",
                 "--program", os.path.join(programs, peer[0])] + ["--interpreted"] * args.interpreted
        passed, output, _ = run(python, *words, environment=environment, seconds=2 * args.timeout)
        print(f"peers: {'measured' if passed else 'FAILED'}", flush=True)
        tables.append(output if passed else "")
        if not passed:
            failed.append(("peers", output))

    passed = sum(row.split("|")[2] == " passed " for row in rows)
    with open(report + ".part", "w") as f:
        f.write(f"# On a GPU\n\n{machine} Tweedie {version()}.\n\n{passed} passed, {len(failed)} failed.\n\n"
                + "\n".join(tables)
                + "\n| program | | seconds |\n|---|---|---|\n" + "\n".join(rows) + "\n"
                + "".join(f"\n## {name}\n\n```\n{output}\n```\n" for name, output in failed))
    os.replace(report + ".part", report)
    print(f"{passed} passed, {len(failed)} failed; the report is {report}")
    sys.exit(1 if failed or not built else 0)


main()
