"""Where there is no GPU, or no file that was packed for one, cmake/gpu.py says so in one sentence
and leaves what is there.

    no_gpu.py CMAKE/GPU.PY, in an empty folder
"""

import os
import subprocess
import sys


def refused(expected, *words, **environment):
    run = subprocess.run([sys.executable, sys.argv[1], "--build", "there", *words],
                         env=dict(os.environ, **environment), stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True)
    lines = run.stderr.splitlines()
    if run.returncode != 1 or run.stdout or len(lines) != 1 or expected not in lines[0]:
        sys.exit(
            f"{words}: '{expected}' was expected, alone and with exit code 1; it was {run.returncode} and\n"
            f"{run.stdout}{run.stderr}")


refused("no GPU was found", PATH="/nowhere")
os.makedirs("there/gpu", exist_ok=True)
with open("there/gpu/programs.txt", "w") as f:
    f.write("test as_before\n")
for name, content in (("empty", b""), ("other", b"no archive of any kind")):
    with open(name, "wb") as f:
        f.write(content)
    refused("cannot be unpacked", "--interpreted", "--prebuilt", name)
refused("cannot be unpacked", "--interpreted", "--prebuilt", "missing")
with open("there/gpu/programs.txt") as f:
    assert f.read() == "test as_before\n", "what was there is lost"
assert os.listdir("there") == ["gpu"], "something was left behind"
