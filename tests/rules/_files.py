"""What the rules share: the files of the project, as git lists them."""

import pathlib
import subprocess
import sys

SOURCE = pathlib.Path(__file__).resolve().parents[2]


def files(*endings):
    """Paths below SOURCE, new files among them. Ends with exit code 77, skipped, if git lists
    none."""
    listed = subprocess.run(["git", "-C", SOURCE, "ls-files", "-co", "--exclude-standard"],
                            capture_output=True, text=True)
    if listed.returncode != 0:
        print("skipped: this is no git checkout, whose files git lists")
        sys.exit(77)
    return sorted(
        {n for n in listed.stdout.split("\n") if n.endswith(endings) and (SOURCE / n).is_file()})


def cpp_files():
    return files(".hpp", ".cpp", ".cu", ".cuh", ".h", ".c")


def python_files():
    return files(".py")


def pages():
    return files(".md")
