#!/usr/bin/env bash
# Installs what is missing on Debian 12 and says what it does. What is there already is left alone.
#   cmake/bootstrap.sh demo    what the library and the tool need to draw
#   cmake/bootstrap.sh all     and what the tests, the measurements, training, export and plots need
#   cmake/bootstrap.sh peers   as demo, and PyTorch, diffusers and engines below .deps/peers
set -euo pipefail
cd "$(dirname "$0")/.."

demo=(g++ cmake ninja-build make libboost-dev libfmt-dev nlohmann-json3-dev libpng-dev libjpeg-dev zlib1g-dev
      libcli11-dev libtomlplusplus-dev python3)
torch=(libtorch-dev libopenblas0-pthread)  # half a gigabyte: networks in ONNX files go without
[ "$(uname -m)" = x86_64 ] || demo+=("${torch[@]}")  # OpenVINO's wheel is for it alone
rest=("${torch[@]}" clang clang-format libomp-dev libtbb-dev ccache libboost-test-dev gnuplot-nox dataset-fashion-mnist
      libonnx-dev libprotobuf-dev
      python3-dev python3-venv python3-numpy python3-pytest)
peers=(python3-dev python3-venv)  # torch.compile compiles against Python's headers

case "${1:-all}" in
  demo) packages=("${demo[@]}") ;;
  all) packages=("${demo[@]}" "${rest[@]}") ;;
  peers) packages=("${demo[@]}" "${torch[@]}" "${peers[@]}") ;;
  *) echo "bootstrap: given '$1', expected demo, all or peers" >&2; exit 2 ;;
esac

# Thrust: the CUDA Toolkit's if it is new enough, else the pinned wheel, unpacked below .deps/.
has_cccl() {
  local version
  version=$(sed -n 's/^#define CCCL_VERSION \([0-9]*\).*/\1/p' "$1/cuda/std/__cccl/version.h" 2>/dev/null)
  [ "${version:-0}" -ge 3000000 ] && [ -e "$1/thrust/version.h" ]
}
wheel=1
toolkit=$(command -v nvcc || true)
for folder in ${toolkit:+"$(dirname "$(readlink -f "$toolkit")")/../include/cccl"} \
              /usr/local/cuda/include/cccl .deps/cccl/nvidia/*/include/cccl; do
  if has_cccl "$folder"; then wheel=; break; fi
done
disassembler=  # what reads machine code, where there is nvcc to emit it
if [ "${1:-all}" = all ] && [ -n "$toolkit" ] && ! command -v nvdisasm >/dev/null &&
   ! [ -e .deps/nvdisasm/nvidia/cu13/bin/nvdisasm ]; then disassembler=1; fi
engine=  # what runs ONNX files: a wheel for Debian 12's Python, of this version
if [ "$(uname -m)" = x86_64 ] && [ -z "${OpenVINO_DIR:-}" ] &&
   ! cmp -s cmake/openvino.txt .deps/openvino/pinned.txt; then engine=1; fi
[ -z "$wheel$disassembler$engine" ] || packages+=(python3-pip)

# is_installed PACKAGE ARCHITECTURE: it may be there for another one too.
is_installed() {
  dpkg-query -W -f='${Architecture} ${Status}\n' "$1" 2>/dev/null | grep -qE "^(all|$2) install ok installed$"
}
native=$(dpkg --print-architecture 2>/dev/null || true)
missing=()
for package in "${packages[@]}"; do
  is_installed "$package" "$native" || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  if ! command -v apt-get >/dev/null; then
    echo "bootstrap: no apt-get here; install the like of: ${missing[*]}" >&2
    exit 1
  fi
  root=()
  if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null; then
      echo "bootstrap: to install ${missing[*]} takes root or sudo" >&2
      exit 1
    fi
    root=(sudo)
  fi
  echo "bootstrap: installing ${missing[*]}"
  "${root[@]}" apt-get update -qq
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    "${missing[@]}" >/dev/null
fi

# For the tests on ARM: the cross compiler, qemu and arm64's libraries. Where the mirror has none of them, cmake/test.py
# says that it leaves them out.
arm=(g++-aarch64-linux-gnu qemu-user libfmt-dev:arm64 libboost-test1.74-dev:arm64 zlib1g-dev:arm64
     libpng-dev:arm64 libjpeg62-turbo-dev:arm64)
if [ "${1:-all}" = all ] && [ "$native" = amd64 ]; then
  missing=()
  for package in "${arm[@]}"; do
    is_installed "$package" "amd64|arm64" || missing+=("$package")
  done
  if [ ${#missing[@]} -gt 0 ]; then
    root=()
    [ "$(id -u)" = 0 ] || root=(sudo)
    echo "bootstrap: installing ${missing[*]}"
    { "${root[@]}" dpkg --add-architecture arm64 && "${root[@]}" apt-get update -qq &&
      "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        "${missing[@]}" >/dev/null; } || echo "bootstrap: they were not found, the tests on ARM will be left out"
  fi
fi

# Debian's own Python: another one on the path may have no pip.
python=/usr/bin/python3
[ -x $python ] || python=python3

# fetch REQUIREMENTS FOLDER: unpacks a pinned wheel below .deps/, whole or not at all.
fetch() {
  rm -rf ".deps/$2" ".deps/$2.part" .deps/wheel
  mkdir -p .deps/wheel
  $python -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
    --require-hashes -r "$1" -d .deps/wheel
  $python - ".deps/$2.part" <<'PYTHON'
import glob, sys, zipfile
(wheel,) = glob.glob(".deps/wheel/*.whl")
with zipfile.ZipFile(wheel) as z:
    z.extractall(sys.argv[1])
PYTHON
  mv ".deps/$2.part" ".deps/$2"
  rm -rf .deps/wheel
}

if [ -n "$wheel" ]; then
  echo "bootstrap: fetching Thrust (CCCL 3.0, the wheel nvidia-cuda-cccl) into .deps/"
  fetch cmake/cccl.txt cccl
fi

# Networks in ONNX files; without it the library and the tool do without them.
if [ -n "$engine" ]; then
  echo "bootstrap: fetching OpenVINO (its wheel, 59 MB) into .deps/"
  (fetch cmake/openvino.txt openvino && cp cmake/openvino.txt .deps/openvino/pinned.txt) ||
    echo "bootstrap: without OpenVINO networks in ONNX files are left out" >&2
fi

# The tests do without.
if [ -n "$disassembler" ]; then
  echo "bootstrap: fetching nvdisasm (the wheel nvidia-cuda-nvdisasm) into .deps/"
  (fetch cmake/nvdisasm.txt nvdisasm && chmod +x .deps/nvdisasm/nvidia/cu13/bin/nvdisasm) ||
    echo "bootstrap: without nvdisasm the tests read PTX and no machine code" >&2
fi

# What builds the Python package, beside Debian's NumPy and pytest. The tests do without.
if [ "${1:-all}" = all ] && ! cmp -s cmake/python.txt .deps/python/requirements.txt; then
  echo "bootstrap: fetching nanobind and scikit-build-core into .deps/python"
  rm -rf .deps/python
  ($python -m venv --system-site-packages .deps/python &&
   .deps/python/bin/pip install --quiet --disable-pip-version-check --only-binary=:all: --require-hashes \
     -r cmake/python.txt && cp cmake/python.txt .deps/python/requirements.txt) ||
    { rm -rf .deps/python; echo "bootstrap: without them the Python package is left out" >&2; }
fi

# What draws the notebook's figures. The tests do without.
if [ "${1:-all}" = all ] && [ -e .deps/python ] && ! cmp -s cmake/notebook.txt .deps/python/notebook.txt; then
  echo "bootstrap: fetching matplotlib into .deps/python"
  (.deps/python/bin/pip install --quiet --disable-pip-version-check --no-deps --only-binary=:all: --require-hashes \
     -r cmake/notebook.txt && cp cmake/notebook.txt .deps/python/notebook.txt) ||
    echo "bootstrap: without matplotlib docs/notebook.ipynb is not run" >&2
fi

if [ "${1:-all}" = peers ] &&
   ! cmp -s bench/peers/requirements.txt .deps/peers/requirements.txt; then
  echo "bootstrap: fetching PyTorch, diffusers, OpenVINO and ONNX Runtime, 3 GB, into .deps/peers"
  rm -rf .deps/peers
  $python -m venv .deps/peers
  .deps/peers/bin/pip install --quiet --disable-pip-version-check --no-cache-dir --only-binary=:all: \
    --require-hashes -r bench/peers/requirements.txt
  cp bench/peers/requirements.txt .deps/peers/   # last: it says that all of them are there
fi
echo "bootstrap: everything is there"
