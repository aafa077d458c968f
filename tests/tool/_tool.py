"""What the tests of the program share: a small folder of pictures, and how the program is run."""
import os
import resource
import shutil
import signal
import struct
import subprocess
import time

TWEEDIE = os.environ["TWEEDIE"]


def fresh(name):
    """An empty folder below the working directory."""
    shutil.rmtree(name, ignore_errors=True)
    os.makedirs(name)
    return os.path.abspath(name)


def pictures(folder, count=48):
    """The files of Fashion-MNIST with few pictures: a bright bar whose place is the label."""
    os.makedirs(folder, exist_ok=True)
    labels = bytes(i % 10 for i in range(count))
    pixels = bytearray()
    for i in range(count):
        for y in range(28):
            for x in range(28):
                pixels.append(220 + i % 30 if y // 3 == labels[i] else (x * i) % 20)
    with open(os.path.join(folder, "train-images-idx3-ubyte"), "wb") as f:
        f.write(struct.pack(">IIII", 0x803, count, 28, 28) + bytes(pixels))
    with open(os.path.join(folder, "train-labels-idx1-ubyte"), "wb") as f:
        f.write(struct.pack(">II", 0x801, count) + labels)


def run(*words, cwd=None, largest_file=None, timeout=300):
    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write past it fails, as on a full disk
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))

    return subprocess.run([TWEEDIE, *words], cwd=cwd, capture_output=True, text=True,
                          timeout=timeout, preexec_fn=limit if largest_file else None)


def begin(*words, cwd=None):
    return subprocess.Popen([TWEEDIE, *words], cwd=cwd, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def wait_for(path, process, than=None):
    """Until the file is there (and is another than before); the process must still run."""
    end = time.monotonic() + 120
    while True:
        if os.path.exists(path) and os.stat(path).st_ino != than:
            return
        assert process.poll() is None, "it ended before %s came:\n%s" % (path,
                                                                         process.stderr.read())
        assert time.monotonic() < end, path + " did not come"
        time.sleep(0.002)


def content(path):
    with open(path, "rb") as f:
        return f.read()


def files(folder):
    return sorted(os.path.relpath(os.path.join(at, name), folder)
                  for at, _, names in os.walk(folder) for name in names)


def refused(expected, *words, cwd, largest_file=None):
    """One sentence with the expected words, exit code 1, and no file more than before."""
    before = files(cwd)
    done = run(*words, cwd=cwd, largest_file=largest_file)
    said = done.stderr.strip()
    line = " ".join(words)
    assert done.returncode == 1, "%s: exit code %d\n%s" % (line, done.returncode, said)
    sentences = [s for s in said.split("\n") if s.startswith("tweedie: ")]
    assert len(sentences) == 1 and said.endswith(
        sentences[0]), "%s: not one sentence:\n%s" % (line, said)
    assert done.stdout == "", "%s: said on stdout: %s" % (line, done.stdout)
    for word in expected if isinstance(expected, list) else [expected]:
        assert word in said, "%s: '%s' is not in: %s" % (line, word, said)
    assert files(cwd) == before, "%s: left %s" % (line, set(files(cwd)) - set(before))
