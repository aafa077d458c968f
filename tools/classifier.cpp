// The classifier of classifier.hpp in LibTorch. As in networks/unet_torch.cpp, all weights lie in
// one flat tensor, the only leaf of the gradient's graph.
#include "classifier.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <dlfcn.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/variable.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <utility>

namespace tweedie::tool {
namespace {

using at::Tensor;

// A convolution, its maximum over 2x2, the batch's normalization, a ReLU.
struct stage {
  std::size_t weight, scale, shift, mean, variance;
};
struct linear_map {
  std::size_t weight, bias;
};

// A copy: what autograd keeps must outlive the caller's buffer.
Tensor pictures_of(float const* from, std::size_t rows) {
  Tensor result = at::empty({static_cast<std::int64_t>(rows), 1, 28, 28}, at::kFloat);
  std::copy_n(from, rows * classifier::elements, result.data_ptr<float>());
  return result;
}

}  // namespace

struct classifier::body {
  std::vector<classifier_tensor> tensors;
  stage conv[3];
  linear_map hidden, last;
  std::int64_t learned = 0;  // floats that have a gradient: all but the means and variances behind
  Tensor flat, moment1, moment2;
  std::int64_t steps = 0;

  explicit body(std::uint64_t seed) {
    std::mt19937_64 random(seed);
    std::vector<float> values;
    auto const add = [&](std::string name, std::vector<std::int64_t> shape, auto value) {
      std::size_t count = 1;
      for (auto n : shape) count *= static_cast<std::size_t>(n);
      tensors.push_back({std::move(name), std::move(shape), values.size(), count});
      for (std::size_t i = 0; i < count; ++i) values.push_back(value());
      return tensors.size() - 1;
    };
    auto const zero = [] { return 0.0f; };
    auto const one = [] { return 1.0f; };
    // He et al. 2015: a ReLU keeps half of the variance. Own conversion of the bits: the standard's
    // distributions differ between libraries.
    auto const weight = [&](std::string const& name, std::vector<std::int64_t> shape,
                            double fan_in) {
      return add(name + ".weight", std::move(shape), [&random, bound = std::sqrt(6 / fan_in)] {
        double const u = static_cast<double>(random() >> 11) * 0x1p-53;
        return static_cast<float>(bound * (2 * u - 1));
      });
    };
    std::int64_t const channels[] = {1, 16, 32, 64}, inside = 96, pixels = 3 * 3;
    for (std::size_t i = 0; i < 3; ++i) {
      std::string const name = "conv" + std::to_string(i + 1);
      auto const in = channels[i], out = channels[i + 1];
      conv[i].weight = weight(name, {out, in, 3, 3}, static_cast<double>(9 * in));
      conv[i].scale = add(name + ".scale", {out}, one);
      conv[i].shift = add(name + ".shift", {out}, zero);
    }
    auto const linear = [&](std::string const& name, std::int64_t in, std::int64_t out) {
      auto const w = weight(name, {out, in}, static_cast<double>(in));
      return linear_map{w, add(name + ".bias", {out}, zero)};
    };
    hidden = linear("hidden", channels[3] * pixels, inside);
    last = linear("last", inside, classes);
    learned = static_cast<std::int64_t>(values.size());
    for (std::size_t i = 0; i < 3; ++i) {
      std::string const name = "conv" + std::to_string(i + 1);
      conv[i].mean = add(name + ".mean", {channels[i + 1]}, zero);
      conv[i].variance = add(name + ".variance", {channels[i + 1]}, one);
    }
    flat = at::from_blob(values.data(), {static_cast<std::int64_t>(values.size())}, at::kFloat)
               .clone();
    moment1 = at::zeros({learned}, at::kFloat);
    moment2 = at::zeros({learned}, at::kFloat);
  }

  /// `of`: the learned weights, which the gradient is asked for. Training moves means and
  /// variances.
  Tensor logits(Tensor const& of, Tensor const& pictures, bool training) const {
    std::vector<std::int64_t> counts;
    for (auto const& t : tensors)
      if (static_cast<std::int64_t>(t.offset) < learned)
        counts.push_back(static_cast<std::int64_t>(t.count));
    auto const parts = of.split_with_sizes(counts);
    auto const at_place = [&](std::size_t i) {
      auto const& t = tensors[i];
      if (i < parts.size()) return parts[i].view(t.shape);
      return flat.narrow(0, static_cast<std::int64_t>(t.offset),
                         static_cast<std::int64_t>(t.count));
    };
    Tensor h = pictures.contiguous(at::MemoryFormat::ChannelsLast);
    for (auto const& s : conv) {
      // The maximum first: the rest has a quarter of the work.
      h = at::max_pool2d(at::conv2d(h, at_place(s.weight), {}, 1, 1), 2);
      h = at::batch_norm(h, at_place(s.scale), at_place(s.shift), at_place(s.mean),
                         at_place(s.variance), training, 0.1, 1e-5, false);
      h = at::relu(h);
    }
    h = at::relu(at::linear(h.flatten(1), at_place(hidden.weight), at_place(hidden.bias)));
    h = at::dropout(h, 0.3, training);
    return at::linear(h, at_place(last.weight), at_place(last.bias));
  }
};

classifier::classifier(std::uint64_t seed) : body_(std::make_unique<body>(seed)) {}
classifier::classifier(classifier&&) noexcept = default;
classifier::~classifier() = default;

void classifier::classify(float const* pictures, std::size_t rows, std::uint8_t* labels) const {
  at::NoGradGuard no_gradient;
  std::size_t const most = 500;  // rows whose activations stay small
  for (std::size_t begin = 0; begin < rows; begin += most) {
    std::size_t const count = std::min(most, rows - begin);
    Tensor const best = body_
                            ->logits(body_->flat.narrow(0, 0, body_->learned),
                                     pictures_of(pictures + begin * elements, count), false)
                            .argmax(1);
    for (std::size_t i = 0; i < count; ++i)
      labels[begin + i] = static_cast<std::uint8_t>(best.data_ptr<std::int64_t>()[i]);
  }
}

double classifier::train_step(float const* pictures, std::uint8_t const* labels, std::size_t rows,
                              double rate, std::uint64_t dropout_seed) {
  auto& b = *body_;
  Tensor target = at::empty({static_cast<std::int64_t>(rows)}, at::kLong);
  std::copy_n(labels, rows, target.data_ptr<std::int64_t>());
  at::manual_seed(dropout_seed);
  Tensor weights = b.flat.narrow(0, 0, b.learned);
  Tensor const leaf = weights.detach().requires_grad_(true);
  Tensor const loss =
      at::cross_entropy_loss(b.logits(leaf, pictures_of(pictures, rows), true), target);
  double const value = loss.item<double>();
  if (!std::isfinite(value))
    throw error("classifier: after " + std::to_string(b.steps) + " steps the loss is " +
                std::to_string(value) + "; expected a finite number, as with a smaller rate");
  Tensor const gradient = torch::autograd::grad({loss}, {leaf})[0];

  b.steps += 1;
  double const beta1 = 0.9, beta2 = 0.999, steps = static_cast<double>(b.steps);
  b.moment1.mul_(beta1).add_(gradient, 1 - beta1);
  b.moment2.mul_(beta2).addcmul_(gradient, gradient, 1 - beta2);
  Tensor const scale = (b.moment2 / (1 - std::pow(beta2, steps))).sqrt_().add_(1e-8);
  weights.addcdiv_(b.moment1, scale, -rate / (1 - std::pow(beta1, steps)));
  return value;
}

float* classifier::parameters() { return body_->flat.data_ptr<float>(); }
float const* classifier::parameters() const { return body_->flat.data_ptr<float>(); }
std::size_t classifier::size() const { return static_cast<std::size_t>(body_->flat.numel()); }
std::vector<classifier_tensor> const& classifier::tensors() const { return body_->tensors; }

void nearest_distances(float const* pictures, std::size_t count, float const* others,
                       std::size_t other_count, std::size_t elements, double* distances) {
  at::NoGradGuard no_gradient;
  auto const matrix = [&](float const* from, std::size_t rows) {
    return at::from_blob(const_cast<float*>(from),
                         {static_cast<std::int64_t>(rows), static_cast<std::int64_t>(elements)},
                         at::kFloat);
  };
  // |a - b|^2 = |a|^2 - 2 a b + |b|^2: |a|^2 is the same for all b. Blocks of b, so that the
  // products stay in some 10 MB.
  Tensor const a = matrix(pictures, count);
  Tensor least = at::full({static_cast<std::int64_t>(count)}, HUGE_VAL, at::kFloat);
  Tensor nearest = at::zeros({static_cast<std::int64_t>(count)}, at::kLong);
  std::size_t const most = 2000;
  for (std::size_t begin = 0; begin < other_count; begin += most) {
    Tensor const b = matrix(others + begin * elements, std::min(most, other_count - begin));
    auto const [value, index] = at::addmm(b.square().sum(1), a, b.t(), 1, -2).min(1);
    Tensor const closer = value < least;
    least = at::where(closer, value, least);
    nearest = at::where(closer, index + static_cast<std::int64_t>(begin), nearest);
  }
  // Again for the nearest alone: the difference of large numbers above has lost digits.
  for (std::size_t i = 0; i < count; ++i) {
    float const* x = pictures + i * elements;
    float const* y =
        others + static_cast<std::size_t>(nearest.data_ptr<std::int64_t>()[i]) * elements;
    double sum = 0;
    for (std::size_t k = 0; k < elements; ++k) {
      double const d = static_cast<double>(x[k]) - static_cast<double>(y[k]);
      sum += d * d;
    }
    distances[i] = std::sqrt(sum);
  }
}

void set_torch_threads(int threads) {
  at::set_num_threads(threads);
  // OpenBLAS on pthreads keeps its own count, whatever LibTorch is told.
  using setter = void (*)(int);
  if (auto set = reinterpret_cast<setter>(dlsym(RTLD_DEFAULT, "openblas_set_num_threads")))
    set(threads);
  at::globalContext().setFlushDenormal(true);
}

}  // namespace tweedie::tool
