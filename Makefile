# The short way; each target sets up what it needs. CMake by hand: see CONTRIBUTING.md.
JOBS ?= $(shell nproc)
# In a file for OpenVINO, which takes a tenth of the disk that LibTorch does; there is none for ARM.
MODEL ?= models/fashion-v.$(if $(filter x86_64,$(shell uname -m)),onnx,safetensors)
TEST_FLAGS ?=
PEERS_FLAGS ?=
END_TO_END_FLAGS ?=
GPU_FLAGS ?=
COVERAGE ?=
COVERED := dsl pipelines samplers schedules predicts guidances thresholds networks io
PREBUILT ?=

help:
	@echo "make demo    a hundred pictures of clothes, drawn into demo.png"
	@echo "make test    build and run the tests under g++ and clang++"
	@echo "make cuda-all   the CUDA kernels assembled for each GPU, and what was emitted"
	@echo "make product   all that can be composed, walked through: product-exact writes docs/product.md,"
	@echo "               product-tool draws with the shipped networks (hours)"
	@echo "make bench   the fused step beside the machine's triad"
	@echo "make bench-peers   the same beside diffusers and torch.compile (fetches 3 GB)"
	@echo "make bench-end-to-end   pictures a second beside diffusers' loop in PyTorch, OpenVINO, ONNX Runtime"
	@echo "make gpu     the bits and the unit tests on a GPU, and what steps take there: build-gpu/gpu.md"
	@echo "make gpu-pack   its programs as one file, for a machine with a GPU: make gpu PREBUILT=FILE"
	@echo "make coverage   how many lines of the library the unit tests run, in percent (needs gcovr)"
	@echo "make reference     the headers' reference, in build/reference/html (needs Doxygen)"
	@echo "make deps    install what is missing (Debian 12: apt; Thrust from the CUDA Toolkit or PyPI)"
	@echo "make clean   remove the build folders"

deps:
	@cmake/bootstrap.sh all

# The tool and nothing else: no tests, no second compiler, no data set. A few minutes on two cores.
demo:
	@cmake/bootstrap.sh demo
	@cmake -S . -B build -G Ninja -DCMAKE_CXX_COMPILER=g++ \
	  $$([ -e build/CMakeCache.txt ] || echo -DTWEEDIE_TESTS=OFF) --log-level=WARNING
	cmake --build build -j $(JOBS) --target tweedie_tool
	build/tweedie explain --model $(MODEL) --sampler ddim --steps 50 --guidance 1
	OMP_WAIT_POLICY=passive build/tweedie sample --model $(MODEL) --sampler ddim --steps 50 --guidance 1 --count 100 --seed 7 \
	  --threads $(JOBS) --out demo.png

test: deps
	@python3 cmake/test.py --jobs $(JOBS) $(TEST_FLAGS)

cuda-all: deps
	@cmake -S . -B build -G Ninja -DCMAKE_CXX_COMPILER=g++ --log-level=WARNING
	cmake --build build -j $(JOBS) --target cuda-all

product: product-exact product-tool

# Minutes: on networks that are known exactly.
product-exact: deps
	@cmake -S . -B build -G Ninja -DCMAKE_CXX_COMPILER=g++ --log-level=WARNING
	cmake --build build -j $(JOBS) --target product_samplers product_guidances
	cmake --build build --target product

# Hours: every sampler on every grid, and every recipe, draws a hundred pictures with each shipped network.
product-tool: deps
	@cmake -S . -B build -G Ninja -DCMAKE_CXX_COMPILER=g++ --log-level=WARNING
	cmake --build build -j $(JOBS) --target tweedie_tool judge
	@mkdir -p build/product && cd build/product && OMP_WAIT_POLICY=passive TWEEDIE=$(CURDIR)/build/tweedie \
	  JUDGE=$(CURDIR)/build/judge TWEEDIE_SOURCE_DIR=$(CURDIR) python3 $(CURDIR)/tests/tool/product.py --whole

bench: deps
	@cmake -S . -B build -G Ninja -DCMAKE_CXX_COMPILER=g++ --log-level=WARNING
	cmake --build build -j $(JOBS) --target bench
	@{ for program in bench/*.cpp; do OMP_WAIT_POLICY=passive build/bench/$$(basename $$program .cpp) || exit 1; echo; done; \
	  python3 bench/compile_time.py --commands build/compile_commands.json; } | tee build/bench.md

# PEERS_FLAGS="--write docs/peers.md" renews the page.
bench-peers:
	@cmake/bootstrap.sh peers
	@cmake -S . -B build -G Ninja -DCMAKE_CXX_COMPILER=g++ \
	  $$([ -e build/CMakeCache.txt ] || echo -DTWEEDIE_TESTS=OFF) --log-level=WARNING
	cmake --build build -j $(JOBS) --target bench_peers
	@.deps/peers/bin/python bench/peers/measure.py --program build/bench/peers $(PEERS_FLAGS)

# Nothing else should run: half an hour. END_TO_END_FLAGS="--parts first" is one of its tables.
bench-end-to-end:
	@cmake/bootstrap.sh peers
	@cmake -S . -B build -G Ninja -DCMAKE_CXX_COMPILER=g++ \
	  $$([ -e build/CMakeCache.txt ] || echo -DTWEEDIE_TESTS=OFF) --log-level=WARNING
	cmake --build build -j $(JOBS) --target tweedie_tool
	@.deps/peers/bin/python bench/end_to_end.py --program build/tweedie $(END_TO_END_FLAGS)

# GPU_FLAGS="--peers PYTHON" names a Python that has PyTorch for CUDA and diffusers.
gpu:
	@python3 cmake/gpu.py --jobs $(JOBS) $(if $(PREBUILT),--prebuilt $(PREBUILT)) $(GPU_FLAGS)

# GPU_FLAGS="--arch sm_90" packs for these alone.
gpu-pack:
	@mkdir -p build-gpu
	@python3 cmake/gpu.py --jobs $(JOBS) --pack build-gpu/tweedie-gpu.tar.xz $(GPU_FLAGS)

# All unit tests, an hour; COVERAGE="test_form test_level" are these alone.
coverage:
	@command -v gcovr >/dev/null || { echo "make coverage: gcovr was not found; install the package gcovr" >&2; exit 1; }
	@cmake --preset coverage --log-level=WARNING
	cmake --build --preset coverage -j $(JOBS) $(if $(COVERAGE),--target $(COVERAGE))
	@find build-coverage -name '*.gcda' -delete
	@ctest --preset coverage -j $(JOBS) -R '^unit[.]($(if $(COVERAGE),$(subst $() ,|,$(strip $(COVERAGE))),.*))$$'
	@gcovr --root . $(foreach folder,$(COVERED),--filter $(folder)/) --exclude-throw-branches --print-summary \
	  --object-directory build-coverage --output build-coverage/lines.txt
	@echo "each file: build-coverage/lines.txt"

reference:
	@command -v doxygen >/dev/null || { echo "make reference: doxygen was not found; install the package doxygen" >&2; exit 1; }
	@mkdir -p build/reference
	@TWEEDIE_REFERENCE=build/reference doxygen docs/Doxyfile
	@echo "build/reference/html/index.html"

clean:
	rm -rf build build-*

.PHONY: help deps demo test cuda-all product product-exact product-tool bench bench-peers bench-end-to-end gpu gpu-pack coverage reference clean
