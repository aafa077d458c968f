"""A .cu file compiles without a warning, and its PTX is what a fused kernel should be.

No GPU is needed. The PTX is read for
  - the number of kernels, if the source says `// kernels: N` (Thrust's EmptyKernel does not count);
  - `.local`: an array that did not fit registers, or a slow path of libm;
  - floats stored to global memory one at a time instead of four, and floats so loaded unless the source says why they
    must be: `// scalar: <reason>`, or `// scalar store: <reason>`.

Exit code 77: skipped.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile


def body_of(ptx, start):
    """From the entry's name to its closing brace."""
    depth = 0
    for match in re.compile(r"[{}]").finditer(ptx, start):
        depth += 1 if match.group() == "{" else -1
        if depth == 0:
            return ptx[start:match.end()]
    return ptx[start:]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--include", required=True)
    parser.add_argument("--arch", default="sm_90")
    parser.add_argument("--keep", help="write the PTX here")
    parser.add_argument("source")
    args = parser.parse_args()

    nvcc = shutil.which("nvcc") or shutil.which("/usr/local/cuda/bin/nvcc")
    if not nvcc:
        print("skipped: nvcc was not found")
        sys.exit(77)

    with open(args.source) as f:
        source = f.read()
    with tempfile.TemporaryDirectory() as folder:
        output = args.keep or os.path.join(folder, "out.ptx")
        run = subprocess.run(
            [nvcc, "-std=c++20", "-ptx", f"-arch={args.arch}", "-Werror", "all-warnings",
             "--fmad=false", "-DFMT_USE_CONSTEXPR=1",
             "-DTHRUST_DEVICE_SYSTEM=THRUST_DEVICE_SYSTEM_CUDA",
             "-I", args.include, "-o", output, args.source],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if run.returncode != 0:
            sys.exit(f"{run.stdout}\nnvcc refuses {args.source}")
        with open(output) as f:
            ptx = f.read()

    wrong = []
    kernels = [m for m in re.finditer(r"\.visible\s+\.entry\s+(\w+)", ptx) if "EmptyKernel" not in m.group(1)]
    wanted = re.search(r"//\s*kernels:\s*(\d+)", source)
    if wanted and int(wanted.group(1)) != len(kernels):
        wrong.append(f"{len(kernels)} kernels instead of {wanted.group(1)}")

    scalar_allowed = re.search(r"//\s*scalar:\s*\S", source)
    store_allowed = re.search(r"//\s*scalar store:\s*\S", source)
    for m in kernels:
        name, body = m.group(1), body_of(ptx, m.start())
        for line in body.splitlines():
            line = line.strip()
            if ".local" in line:
                wrong.append(f"{name}: local memory: {line}")
            # Untyped .b32 is how newer compilers write a float's move.
            elif scalar := re.match(r"(?:@%p\d+\s+)?(ld|st)\.global(?!\S*\.v4)\S*\.[fb]32\b", line):
                if not (store_allowed if scalar.group(1) == "st" else scalar_allowed):
                    wrong.append(f"{name}: one float at a time: {line}")
        vectors = len(re.findall(r"\b(?:ld|st)\.global\S*\.v4", body))
        print(f"kernel {kernels.index(m) + 1}: {vectors} accesses of four, {len(body.splitlines())} lines")
    if wrong:
        sys.exit("\n".join(wrong))
    print(f"{len(kernels)} kernels")


main()
