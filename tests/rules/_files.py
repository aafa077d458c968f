"""What the rules share: the C++ files of the project, as git lists them."""

import pathlib
import subprocess
import sys

SOURCE = pathlib.Path(__file__).resolve().parents[2]


def cpp_files():
    """Paths below SOURCE, new files among them. Ends with exit code 77, skipped, where git lists none."""
    listed = subprocess.run(["git", "-C", SOURCE, "ls-files", "-co", "--exclude-standard"], capture_output=True, text=True)
    if listed.returncode != 0:
        print("skipped: this is no git checkout, whose files git lists")
        sys.exit(77)
    return sorted({n for n in listed.stdout.split("\n") if n.endswith((".hpp", ".cpp", ".cu", ".cuh")) and (SOURCE / n).is_file()})
