"""Two builds of one source of kernels/: what the CPU's writes, the other one's kernels must write too.

    compare.py --cpu PROGRAM --cuda PROGRAM [--source FILE --all-of FOLDER]

With --all-of, FILE must include each header of FOLDER. Exit code 77: skipped.
"""

import argparse
import os
import subprocess
import sys
import tempfile

parser = argparse.ArgumentParser()
parser.add_argument("--cpu", required=True)
parser.add_argument("--cuda", required=True)
parser.add_argument("--source")
parser.add_argument("--all-of")
args = parser.parse_args()

if args.all_of:
    with open(args.source) as f:
        source = f.read()
    folder = os.path.basename(args.all_of)
    missing = [h for h in sorted(os.listdir(args.all_of)) if h.endswith(".hpp") and f"/{folder}/{h}>" not in source]
    if missing:
        sys.exit(f"{args.source} leaves out {', '.join(missing)} of {folder}/")

with tempfile.TemporaryDirectory() as folder:
    written = os.path.join(folder, "written")
    subprocess.run([args.cpu, "--write", written], check=True)
    sys.exit(subprocess.run([args.cuda, "--check", written]).returncode)
