"""Ctrl-C keeps the pictures that are finished, and --continue makes the rest: the same bits as in
one go."""
import os
import pty
import re
import shutil
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
works("train", "--data", "pictures", "--config", "tiny", "--steps", "5", "--batch", "4", "--out",
      "m2.safetensors")
model = ("--model", "m.safetensors", "--batch", "5")
for count, name in [("2", "two"), ("10", "ten"), ("41", "forty")]:
    for seed in ["1", "2"]:
        works("sample", *model, "--count", count, "--steps", "2", "--seed", seed, "--out",
              name + seed + ".npy")
line = ("sample", *model, "--sampler", "ancestral", "--steps", "200", "--count", "40", "--out",
        "a.npy")



def interrupted(words, count, steps):
    """What is said of a command that a signal ends after the first batch of five is whole: a
    terminal is shown each step."""
    here, there = pty.openpty()
    process = subprocess.Popen([TWEEDIE, *words], cwd=folder, stdout=subprocess.PIPE, stderr=there)
    os.close(there)
    said = ""
    shown = r"(\d+)/%d " % (count * steps)
    while not any(int(done) > 5 * steps for done in re.findall(shown, said)):
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
    return said


said = interrupted(line, 40, 200)
assert not os.path.exists(os.path.join(folder, "a.npy"))
part, count = rows("a.part.npy")
assert count % 5 == 0 and 5 <= count < 40, count
assert "interrupted after %d of 40 pictures" % count in said, said
assert "--continue 'a.part.npy'" in said, said
# Another command does not continue it, and says what differs; nor is any array of pictures a part.
for option, value, said in [("--sampler", "ddim", "sampler "),
                            ("--steps", "100", "steps 200 there, 100 here"),
                            ("--seed", "9", "seed 0 there, 9 here"),
                            ("--count", "50", "count 40 there, 50 here"),
                            ("--label", "3", "label 0,1,2,3,4,5,6,7,8,9 there, 3 here"),
                            ("--clip", "2", "threshold"), ("--guidance", "0", "guidance"),
                            ("--model", "m2.safetensors", "another model there")]:
    words = [*line[:-1], "x.npy"]
    if option in words:
        words[words.index(option) + 1] = value
    else:
        words += [option, value]
    refused(["'a.part.npy' is of another command: ", said], *words, "--continue", "a.part.npy",
            cwd=folder)
refused(["is of another command: command sample there, encode here"], "encode", *model, "--in",
        "forty1.npy", "--steps", "3", "--out", "x.npy", "--continue", "a.part.npy", cwd=folder)
os.rename(os.path.join(folder, "a.part.npy.json"), os.path.join(folder, "kept"))
refused(["'a.part.npy'", "there is no 'a.part.npy.json'"], *line, "--continue", "a.part.npy",
        cwd=folder)
shutil.copy(os.path.join(folder, "kept"), os.path.join(folder, "ten1.npy.json"))
refused(["'ten1.npy'", "not those of its record 'ten1.npy.json'"], *line, "--continue", "ten1.npy",
        cwd=folder)
for text in ["", "{", "[]", '{"seed": 1}', "x" * 100000]:
    with open(os.path.join(folder, "a.part.npy.json"), "w") as f:
        f.write(text)
    refused("a.part.npy.json", *line, "--continue", "a.part.npy", cwd=folder)
os.rename(os.path.join(folder, "kept"), os.path.join(folder, "a.part.npy.json"))
works(*line, "--continue", "a.part.npy")
continued, all_of_them = rows("a.npy")
assert all_of_them == 40 and continued.startswith(part)
works(*line)
assert rows("a.npy")[0] == continued

# encode and interpolate likewise; of other pictures, they are other commands.
for words in [("encode", *model, "--steps", "200", "--in", "ten1.npy"),
              ("interpolate", *model, "--count", "10", "--steps", "200", "--between", "two1.npy")]:
    interrupted((*words, "--out", "whole.npy"), 10, 200)
    assert rows("whole.part.npy")[1] == 5
    works(*words, "--continue", "whole.part.npy", "--out", "rest.npy")
    works(*words, "--out", "whole.npy")
    data = content(os.path.join(folder, "whole.npy"))
    assert content(os.path.join(folder, "rest.npy")) == data, words[0]
    refused(["--continue 'whole.npy'", "10 pictures of 10"], *words, "--continue", "whole.npy",
            "--out", "n.npy", cwd=folder)
    refused(["is of another command: another start there"], *words[:-1],
            words[-1].replace("1", "2"), "--continue", "whole.part.npy", "--out", "n.npy",
            cwd=folder)
print("nothing that was finished is lost")
