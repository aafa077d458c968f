"""Threads that wait do not spin, unless it was asked for: what the program's libraries read from
the environment when they are loaded."""
import os
import subprocess

from _tool import TWEEDIE, fresh, pictures

folder = fresh("work")
pictures(os.path.join(folder, "pictures"))


def environment_of(**given):
    """Of a training that is at work, by the system's word."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "OPENBLAS_"))}
    process = subprocess.Popen([TWEEDIE, "train", "--data", "pictures", "--config", "tiny",
                                "--steps", "1000000", "--batch", "8", "--threads", "2", "--out",
                                "m.safetensors"], cwd=folder, env={**clean, **given},
                               stderr=subprocess.PIPE, text=True)  # fmt: skip
    try:
        begun = process.stderr.readline()  # the classes, and then what is trained
        while begun and not begun.startswith("training "):
            begun = process.stderr.readline()
        assert begun.startswith("training "), begun
        with open("/proc/%d/environ" % process.pid) as f:
            return dict(line.split("=", 1) for line in f.read().split("\0") if line)
    finally:
        process.kill()
        process.wait()


found = environment_of()
assert found.get("OMP_WAIT_POLICY") == "passive", found.get("OMP_WAIT_POLICY")
assert found.get("OPENBLAS_THREAD_TIMEOUT") == "4", found.get("OPENBLAS_THREAD_TIMEOUT")

# What is there stays.
given = {"OMP_WAIT_POLICY": "active", "OPENBLAS_CORETYPE": "Haswell"}
found = environment_of(**given)
assert {k: found.get(k) for k in given} == given, found

# The program is the same process, with its words and its answer.
done = subprocess.run([TWEEDIE, "explain", "--sampler", "no such"], capture_output=True, text=True,
                      env={"PATH": os.environ["PATH"]})  # fmt: skip
assert done.returncode == 1 and "'no such'" in done.stderr, done.stderr
