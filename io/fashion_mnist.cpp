#include <string>
#include <system_error>
#include <tweedie/dsl/base/error.hpp>
#include <tweedie/io/fashion_mnist.hpp>
#include <tweedie/io/idx.hpp>
#include <utility>

namespace tweedie::io {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view images_name = "-images-idx3-ubyte", labels_name = "-labels-idx1-ubyte";

/// The unpacked file, else the packed one, whether it is there or not.
fs::path file_of(fs::path const& folder, fashion_mnist_part part, std::string_view kind) {
  auto const name = (part == fashion_mnist_part::train ? "train" : "t10k") + std::string(kind);
  std::error_code code;
  return fs::exists(folder / name, code) ? folder / name : folder / (name + ".gz");
}

}  // namespace

bool has_fashion_mnist(fashion_mnist_part part, fs::path const& folder) {
  std::error_code code;
  return fs::exists(file_of(folder, part, images_name), code) &&
         fs::exists(file_of(folder, part, labels_name), code);
}

labelled_images read_fashion_mnist(fashion_mnist_part part, fs::path const& folder) {
  auto const images_path = file_of(folder, part, images_name);
  auto const labels_path = file_of(folder, part, labels_name);
  auto const images = read_idx(images_path);
  auto labels = read_idx(labels_path);
  if (images.shape.size() != 3 || images.shape[1] != 28 || images.shape[2] != 28)
    throw error("'" + images_path.string() + "' has the shape " + to_text(images.shape) +
                "; expected pictures, [count, 28, 28]");
  if (labels.shape.size() != 1)
    throw error("'" + labels_path.string() + "' has the shape " + to_text(labels.shape) +
                "; expected labels, [count]");
  if (images.shape[0] != labels.shape[0])
    throw error("'" + images_path.string() + "' has " + std::to_string(images.shape[0]) +
                " pictures; expected as many as the " + std::to_string(labels.shape[0]) +
                " labels of '" + labels_path.string() + "'");
  for (std::size_t i = 0; i < labels.data.size(); ++i)
    if (labels.data[i] > 9)
      throw error("'" + labels_path.string() + "' has the label " + std::to_string(labels.data[i]) +
                  " at index " + std::to_string(i) + "; expected 0 to 9");

  labelled_images result{images.shape[0], {}, std::move(labels.data)};
  result.images.reserve(images.data.size());
  // (2 p - 255) / 255: both ends are exact and the middle is symmetric.
  for (int pixel : images.data)
    result.images.push_back(static_cast<float>(2 * pixel - 255) / 255.0f);
  return result;
}

}  // namespace tweedie::io
