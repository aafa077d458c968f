"""What may include what: the floors of the library, and the one place of each heavy dependency.

An edge that is not in the table is an error with the file and the line that has it; so is an edge
of the table that nothing uses any more.
"""

import pathlib
import re
import sys

SOURCE = pathlib.Path(__file__).resolve().parents[2]

# folder: the folders that it may include, beside itself.
BELOW_STAGES = ["dsl/language", "dsl/base"]
LAYERS = {
    "dsl/base": [],
    "dsl/language": ["dsl/base"],
    "dsl/lowering": ["dsl/language", "dsl/base"],
    "dsl/kernel": ["dsl/lowering", "dsl/language", "dsl/base"],
    "dsl/device": ["dsl/kernel", "dsl/lowering", "dsl/base"],
    "io": ["dsl/base"],
    "schedules":
    BELOW_STAGES,
    "samplers":
    BELOW_STAGES,
    "predicts":
    BELOW_STAGES,
    "guidances":
    BELOW_STAGES,
    "thresholds":
    BELOW_STAGES,
    "networks": ["dsl/device", *BELOW_STAGES, "io"],
    "pipelines": [
        "dsl/device", "dsl/kernel", "dsl/lowering", *BELOW_STAGES, "io", "schedules", "samplers",
        "predicts", "guidances", "thresholds", "networks"
    ],
}


def layer_of(path):
    """The folder of the table that a file lies in; None: of none."""
    return next((folder for folder in LAYERS if path.startswith(folder + "/")), None)


# What is not the language's own: the files that may include it, as the beginnings of their paths.
OTHERS = {
    r"boost/hana/": ["pipelines/compiled.hpp", "pipelines/ready/product.hpp"],
    r"boost/math/": ["pipelines/ready/scheduler_config.cpp"],
    r"boost/(?!hana/|math/)": [],
    r"thrust/|cub/|cuda/": ["dsl/device/backends/thrust.cpp", "dsl/device/on_device.hpp"],
    r"cuda_runtime": ["dsl/device/backends/cuda.hpp"],
    r"omp\.h|tbb/": ["dsl/device/backends/thrust.cpp"],
    r"immintrin\.h|arm_neon\.h": ["dsl/kernel/noise_"],
    r"ATen/|c10/|torch/": [
        "networks/aoti_torch.cpp", "networks/torchscript_torch.cpp", "networks/unet_torch.cpp",
        "tools/classifier.cpp"
    ],
    r"onnx/|google/": ["networks/unet_onnx.cpp"],
    r"nlohmann/": [
        "io/safetensors.cpp", "io/document.hpp", "networks/unet_file.cpp",
        "pipelines/ready/scheduler_config.cpp", "tools/plot.cpp"
    ],
    r"openvino/": ["networks/onnx_openvino.cpp"],
    r"toml\+\+/": ["io/document.cpp"],
    r"png\.h": ["io/png.cpp"],
    r"jpeglib\.h|jerror\.h": ["io/jpeg.cpp"],
    r"zlib\.h": ["io/gzip.cpp", "io/png.cpp", "io/safetensors.cpp"],
    r"CLI/": ["tools/"],
    r"fmt/(?!format\.h|ranges\.h)": [],
}


def includes():
    """(path, line, what is included) of the library and its tool."""
    for folder in sorted({one.split("/")[0] for one in LAYERS} | {"tools"}):
        for path in sorted((SOURCE / folder).rglob("*.[hc]pp")):
            name = path.relative_to(SOURCE).as_posix()
            for number, line in enumerate(path.read_text().split("\n"), 1):
                found = re.match(r'\s*#\s*include\s*[<"]([^>"]+)[>"]', line)
                if found:
                    yield name, number, found.group(1)


def main():
    wrong, seen = [], set()
    for name, line, included in includes():
        folder = layer_of(name)
        if included.startswith("tweedie/"):
            other = layer_of(included.removeprefix("tweedie/"))
            if other and folder and other != folder:
                seen.add((folder, other))
                if other not in LAYERS[folder]:
                    allowed = ", ".join([folder, *LAYERS[folder]])
                    wrong.append(
                        f"{name}:{line}: {folder}/ includes {included}; expected {allowed} alone")
            elif folder and not other and not included.startswith("tweedie/generated/"):
                wrong.append(
                    f"{name}:{line}: {included} was included; expected the headers that are needed")
            continue
        for pattern, places in OTHERS.items():
            if re.match(pattern, included) and not any(name.startswith(place) for place in places):
                expected = f"in {', '.join(places)} alone" if places else "nowhere"
                wrong.append(f"{name}:{line}: {included} is included; expected {expected}")
    for folder, others in LAYERS.items():
        for other in others:
            if (folder, other) not in seen:
                wrong.append(
                    f"tests/rules/layers.py: {folder} -> {other} is in the table, and no file "
                    "needs it"
                )
    print("\n".join(wrong) or f"{len(seen)} edges, all in the table")
    sys.exit(1 if wrong else 0)


main()
