#!/usr/bin/env bash
# The four grids, the ten recipes and the two plots of docs/pictures.md, from the shipped network: docs/pictures.sh [build folder]. About
# ten minutes on one core, most of them for the thousand steps.
set -euo pipefail
cd "$(dirname "$0")/.."
tweedie=${1:-build}/tweedie
draw() {  # name, options
  local name=$1
  shift
  "$tweedie" sample --model models/fashion-v.safetensors --guidance 1 --count 100 --seed 7 "$@" \
    --out "docs/$name.png"
}
draw ddim-50 --sampler ddim --steps 50
draw dpmpp_2m-15 --sampler dpmpp_2m --steps 15
draw heun-10 --sampler heun --steps 10 --grid karras
draw ancestral-1000 --sampler ancestral --steps 1000
mkdir -p docs/recipes
for recipe in pipelines/recipes/*.toml; do
  "$tweedie" sample --model models/fashion-v.safetensors --recipe "$recipe" --count 10 --columns 10 --seed 7 \
    --out "docs/recipes/$(basename "$recipe" .toml).png"
done
"$tweedie" plot --schedule variance_exploding --grid karras --out docs/schedule.png
"$tweedie" plot --model models/fashion-v.safetensors --loss --count 1000 --out docs/loss-levels.png
