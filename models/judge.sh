#!/bin/sh
# Draws 1000 pictures with a model, 100 a class, by 50 steps of ddim with guidance, and judges them:
# at least 90 % of the class asked for, no closer to the training pictures than test pictures are.
#
#   models/judge.sh BUILD MODEL [OPTION of tweedie sample ...]
#
# as in  models/judge.sh build models/fashion-v.safetensors --guidance 2 --threads 2
# Exit code: 0 met, 2 fell short, else bad input. Needs Debian's dataset-fashion-mnist.
set -eu
if [ $# -lt 2 ]; then
  echo "usage: $0 BUILD MODEL [OPTION of tweedie sample ...]" >&2
  exit 1
fi
build=$1 model=$2
shift 2
here=$(dirname "$0")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

"$build/tweedie" sample --model "$model" --sampler ddim --steps 50 --label all --count 1000 \
  --batch 100 --out "$work/samples.npy" "$@"
"$build/judge" samples --classifier "$here/classifier.safetensors" --samples "$work/samples.npy" \
  --labels all --require-accuracy 0.9 --require-distance
