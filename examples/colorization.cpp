// Colours for a gray photograph: its left half teaches what colours there are, its right half is
// seen in gray and coloured by inpainting, in a basis where the gray is one coordinate.
//
//   build/examples/colorization coffee.png
//
// writes colorization.png: the gray, the result and the truth. coffee.png (Rachel Michetti, CC0)
// lies in skimage/data/ of what `pip download --no-deps scikit-image` fetches;
// docs/colorization.png was made from it.
//
// The network is exact for a mixture of Gaussians N(m_k, C_k) over patches of 8 x 8 x 3 numbers:
//   eps = sigma sum r_k S_k^-1 (x - alpha m_k),  S_k = alpha^2 C_k + sigma^2 I,
// r_k the probability of component k given x. A pixel gets the mean over the patches around it.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <span>
#include <tweedie/io/png.hpp>
#include <tweedie/networks/in_basis.hpp>
#include <tweedie/samplers/repaint.hpp>
#include <tweedie/tweedie.hpp>
#include <vector>

using namespace tweedie;

namespace {

constexpr std::size_t side = 8, channels = 3, size = channels * side * side;

/// Inverse and ln of the determinant of a positive definite matrix, by Cholesky.
struct inverted {
  std::vector<float> matrix = std::vector<float>(size * size);
  double log_determinant = 0;

  explicit inverted(std::vector<double> a) {
    for (std::size_t j = 0; j < size; ++j) {  // the lower triangle becomes L of L L^T
      for (std::size_t k = 0; k < j; ++k)
        for (std::size_t i = j; i < size; ++i) a[i * size + j] -= a[i * size + k] * a[j * size + k];
      double const root = std::sqrt(a[j * size + j]);
      for (std::size_t i = j; i < size; ++i) a[i * size + j] /= root;
      log_determinant += 2 * std::log(root);
    }
    std::vector<double> b(size);
    for (std::size_t c = 0; c < size; ++c) {  // L L^T b = e_c
      for (std::size_t i = 0; i < size; ++i) {
        b[i] = i == c;
        for (std::size_t k = 0; k < i; ++k) b[i] -= a[i * size + k] * b[k];
        b[i] /= a[i * size + i];
      }
      for (std::size_t i = size; i-- > 0;) {
        for (std::size_t k = i + 1; k < size; ++k) b[i] -= a[k * size + i] * b[k];
        b[i] /= a[i * size + i];
      }
      for (std::size_t i = 0; i < size; ++i) matrix[c * size + i] = static_cast<float>(b[i]);
    }
  }
};

struct component {
  std::vector<double> mean = std::vector<double>(size),
                      covariance = std::vector<double>(size * size);
  double weight = 0;

  inverted noised(double alpha, double sigma) const {
    std::vector<double> s = covariance;
    for (double& c : s) c *= alpha * alpha;
    for (std::size_t i = 0; i < size; ++i) s[i * size + i] += sigma * sigma;
    return inverted(std::move(s));
  }
  /// y = S^-1 (x - alpha m), and ln of weight N(x; alpha m, S) but for a constant.
  double weigh(std::span<float const> x, double alpha, inverted const& s,
               std::span<float> y) const {
    std::ranges::fill(y, 0.0f);
    double distance = 0;
    for (std::size_t j = 0; j < size; ++j) {
      float const d = x[j] - static_cast<float>(alpha * mean[j]);
      for (std::size_t i = 0; i < size; ++i) y[i] += s.matrix[j * size + i] * d;
    }
    for (std::size_t j = 0; j < size; ++j)
      distance += (double{x[j]} - alpha * mean[j]) * double{y[j]};
    return std::log(weight) - (distance + s.log_determinant) / 2;
  }
};

/// Calls f(indices) with where the numbers of each patch of a picture lie, every `stride` pixels.
template <class F>
void for_each_patch(std::size_t height, std::size_t width, std::size_t stride, F f) {
  std::vector<std::size_t> indices(size);
  auto const last = [&](std::size_t top, std::size_t extent) { return top + side == extent; };
  for (std::size_t top = 0;; top = std::min(top + stride, height - side)) {
    for (std::size_t left = 0;; left = std::min(left + stride, width - side)) {
      for (std::size_t k = 0; k < size; ++k)
        indices[k] = (k / (side * side) * height + top + k / side % side) * width + left + k % side;
      f(indices);
      if (last(left, width)) break;
    }
    if (last(top, height)) break;
  }
}

/// Predicts eps.
struct patch_network {
  std::vector<component> mixture;

  void operator()(batch const& b) const {
    level const t = b.level_of(0);
    std::vector<inverted> inverses;
    for (auto const& c : mixture) inverses.push_back(c.noised(t.alpha, t.sigma));
    std::vector<float> x(size), sum(b.elements), count(b.elements);
    std::vector<std::vector<float>> y(mixture.size(), std::vector<float>(size));
    std::vector<double> weights(mixture.size());
    for (std::size_t row = 0; row < b.rows(); ++row) {
      std::ranges::fill(sum, 0.0f);
      std::ranges::fill(count, 0.0f);
      for_each_patch(b.shape[1], b.shape[2], side / 2, [&](auto const& indices) {
        for (std::size_t i = 0; i < size; ++i) x[i] = b.x_of(row)[indices[i]];
        for (std::size_t k = 0; k < mixture.size(); ++k)
          weights[k] = mixture[k].weigh(x, t.alpha, inverses[k], y[k]);
        double const highest = *std::ranges::max_element(weights);
        double total = 0;
        for (double& w : weights) total += w = std::exp(w - highest);
        for (std::size_t k = 0; k < mixture.size(); ++k)
          for (std::size_t i = 0; i < size; ++i)
            sum[indices[i]] += static_cast<float>(t.sigma * weights[k] / total) * y[k][i];
        for (std::size_t i = 0; i < size; ++i) count[indices[i]] += 1;
      });
      for (std::size_t i = 0; i < b.elements; ++i) b.out_of(row)[i] = sum[i] / count[i];
    }
  }
};

/// Components by expectation maximisation, each patch in its likeliest one; at first by brightness.
patch_network fit(images const& picture, std::size_t components, int rounds) {
  std::vector<std::vector<float>> patches;
  for_each_patch(picture.shape[2], picture.shape[3], 1, [&](auto const& indices) {
    patches.emplace_back();
    for (std::size_t i : indices) patches.back().push_back(picture.data[i]);
  });
  std::vector<std::size_t> order(patches.size()), of(patches.size());
  for (std::size_t n = 0; n < order.size(); ++n) order[n] = n;
  std::ranges::sort(order, {}, [&](std::size_t n) {
    double sum = 0;
    for (float a : patches[n]) sum += double{a};
    return sum;
  });
  for (std::size_t n = 0; n < order.size(); ++n) of[order[n]] = n * components / order.size();

  patch_network network;
  for (int round = 0;; ++round) {
    auto& mixture = network.mixture;
    mixture.assign(components, {});
    std::vector<double> count(components);
    for (std::size_t k : of) ++count[k];
    for (std::size_t n = 0; n < patches.size(); ++n)
      for (std::size_t i = 0; i < size; ++i)
        mixture[of[n]].mean[i] += double{patches[n][i]} / count[of[n]];
    for (std::size_t n = 0; n < patches.size(); ++n) {
      component& c = mixture[of[n]];
      for (std::size_t i = 0; i < size; ++i)
        for (std::size_t j = 0; j < size; ++j)
          c.covariance[i * size + j] += (double{patches[n][i]} - c.mean[i]) *
                                        (double{patches[n][j]} - c.mean[j]) / count[of[n]];
    }
    std::vector<inverted> inverses;
    for (std::size_t k = 0; k < components; ++k) {
      mixture[k].weight = count[k] / static_cast<double>(patches.size());
      inverses.push_back(mixture[k].noised(1, 0.03));
    }
    if (round == rounds) return network;
    std::vector<float> y(size);
    for (std::size_t n = 0; n < patches.size(); ++n) {
      double best = -std::numeric_limits<double>::infinity();
      for (std::size_t k = 0; k < components; ++k) {
        double const weight = mixture[k].weigh(patches[n], 1, inverses[k], y);
        if (weight > best) best = weight, of[n] = k;
      }
    }
  }
}

/// Columns `left` to `left + width` at half the size.
images halved(io::picture const& picture, std::size_t left, std::size_t width) {
  auto const& of = picture.shape;
  images r{{1, channels, of.height / 2, width}, {}};
  for (std::size_t c = 0; c < channels; ++c)
    for (std::size_t i = 0; i < of.height / 2; ++i)
      for (std::size_t j = left; j < left + width; ++j) {
        float const* at = &picture.values[(c * of.height + 2 * i) * of.width + 2 * j];
        r.data.push_back((at[0] + at[1] + at[of.width] + at[of.width + 1]) / 4);
      }
  return r;
}

/// Peak signal-to-noise ratio in dB, of values in [-1, 1].
double psnr(images const& a, images const& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.data.size(); ++i)
    sum += std::pow(double{a.data[i]} - double{b.data[i]}, 2);
  return 10 * std::log10(4 * static_cast<double>(a.data.size()) / sum);
}

}  // namespace

int main(int argc, char** argv) {
  std::filesystem::path const path = argc > 1 ? argv[1] : "coffee.png";
  if (!std::filesystem::exists(path)) {
    fmt::print(
        "skipped: no colour photograph {}; the head of colorization.cpp says where to get one\n",
        path.string());
    return 77;
  }
  auto const photograph = io::read_png(path);
  if (photograph.shape.channels != channels || photograph.shape.height < 2 * side ||
      photograph.shape.width < 4 * side) {
    fmt::print(stderr,
               "{}: {} channels, {} x {} pixels were given, expected 3 channels and at least "
               "than {} x {} pixels\n",
               path.string(), photograph.shape.channels, photograph.shape.height,
               photograph.shape.width, 2 * side, 4 * side);
    return 1;
  }
  bool const smoke = std::getenv("TWEEDIE_SMOKE");
  std::size_t const part = photograph.shape.width / 4;
  images const taught = halved(photograph, 0, part), truth = halved(photograph, part, part);

  // In the basis the gray is the first channel, and all that is known.
  auto const basis = networks::channel_basis::gray();
  images const known = networks::rotate_channels(truth, basis);
  std::size_t const pixels = known.data.size() / channels;
  images mask{{known.shape.begin() + 1, known.shape.end()}, std::vector<float>(known.data.size())};
  std::fill_n(mask.data.begin(), pixels, 1.0f);

  auto const pipeline = schedules::cosine{} | predicts::epsilon{} |
                        samplers::repaint{samplers::ancestral{}, smoke ? 1 : 5} |
                        networks::in_basis{fit(taught, 6, smoke ? 1 : 5), basis};
  images const coloured = networks::rotate_channels_back(
      pipeline.plan(grids::karras{}, smoke ? 3 : 20)
          .sample({.shape = known.shape, .seed = 1, .known = known, .mask = mask}),
      basis);

  images gray = known;
  std::fill(gray.data.begin() + static_cast<std::ptrdiff_t>(pixels), gray.data.end(), 0.0f);
  gray = networks::rotate_channels_back(gray, basis);
  fmt::print("PSNR of the gray {:.2f} dB, coloured {:.2f} dB\n", psnr(gray, truth),
             psnr(coloured, truth));
  std::vector<float> row;
  for (auto const* one : std::initializer_list<images const*>{&gray, &coloured, &truth})
    row.insert(row.end(), one->data.begin(), one->data.end());
  io::write_png("colorization.png", row,
                {.count = 3, .channels = channels, .height = known.shape[2], .width = part},
                {.rows = 1});
}
