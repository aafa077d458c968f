"""Ctrl-C keeps the pictures that are finished, and --continue makes the rest: the same bits as in
one go."""
import os
import pty
import re
import signal
import subprocess

from _tool import TWEEDIE, content, fresh, pictures, refused, run

folder = fresh("work")
pictures(os.path.join(folder, "pictures"))


def works(*words):
    done = run(*words, cwd=folder)
    assert done.returncode == 0, "%s: %s" % (" ".join(words), done.stderr)


def rows(name):
    """The pictures of a .npy, and how many they are."""
    data = content(os.path.join(folder, name))
    return data[128:], (len(data) - 128) // 3136


works("train", "--data", "pictures", "--config", "tiny", "--steps", "4", "--batch", "4", "--out",
      "m.safetensors")
model = ("--model", "m.safetensors", "--batch", "5")
line = ("sample", *model, "--sampler", "ancestral", "--steps", "200", "--count", "40", "--out",
        "a.npy")

# A terminal is shown each step: after the first batch is whole, a signal.
here, there = pty.openpty()
process = subprocess.Popen([TWEEDIE, *line], cwd=folder, stdout=subprocess.PIPE, stderr=there)
os.close(there)
said = ""
while not any(int(done) > 5 * 200 for done in re.findall(r"(\d+)/8000 ", said)):
    said += os.read(here, 4096).decode(errors="replace")
process.send_signal(signal.SIGINT)
while True:
    try:
        piece = os.read(here, 4096)
    except OSError:  # the other end is closed
        break
    if not piece:
        break
    said += piece.decode(errors="replace")
assert process.wait(timeout=60) == 130, said
assert not os.path.exists(os.path.join(folder, "a.npy"))
part, count = rows("a.part.npy")
assert count % 5 == 0 and 5 <= count < 40, count
assert "interrupted after %d of 40 pictures" % count in said, said
assert "--continue 'a.part.npy'" in said, said
works(*line, "--continue", "a.part.npy")
continued, all_of_them = rows("a.npy")
assert all_of_them == 40 and continued.startswith(part)
works(*line)
assert rows("a.npy")[0] == continued

# encode and interpolate likewise, from a part as they leave it.
works("sample", *model, "--count", "10", "--steps", "2", "--out", "ten.npy")
works("sample", *model, "--count", "2", "--steps", "2", "--out", "two.npy")
for words in [("encode", *model, "--in", "ten.npy", "--steps", "3"),
              ("interpolate", *model, "--between", "two.npy", "--count", "10", "--steps", "3")]:
    works(*words, "--out", "whole.npy")
    data = content(os.path.join(folder, "whole.npy"))
    with open(os.path.join(folder, "whole.part.npy"), "wb") as f:
        f.write(data[:128].replace(b"(10,", b"( 5,") + data[128:128 + 5 * 3136])
    works(*words, "--continue", "whole.part.npy", "--out", "rest.npy")
    assert content(os.path.join(folder, "rest.npy")) == data, words[0]
    refused(["--continue 'whole.npy'", "10 pictures of 10"], *words, "--continue", "whole.npy",
            "--out", "n.npy", cwd=folder)
print("nothing that was finished is lost")
