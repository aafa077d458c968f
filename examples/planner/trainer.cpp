#include "trainer.hpp"

#include <torch/torch.h>

#include <cmath>

namespace planner {

struct trainer::body {
  std::vector<torch::Tensor> weights;  // in mlp.hpp's order, [inputs, outputs]
  std::unique_ptr<torch::optim::Adam> adam;
};

namespace {

torch::Tensor view(float const* from, std::size_t rows, std::size_t columns) {
  return torch::from_blob(const_cast<float*>(from),
                          {static_cast<long>(rows), static_cast<long>(columns)});
}

}  // namespace

trainer::trainer(std::uint64_t seed) : body_(std::make_unique<body>()) {
  torch::manual_seed(seed);
  torch::set_num_threads(1);
  auto const matrix = [&](long inputs, long outputs, double scale, long all_inputs) {
    return torch::randn({inputs, outputs}) * (scale / std::sqrt(static_cast<double>(all_inputs)));
  };
  auto const bias = [](long outputs) { return torch::zeros({outputs}); };
  constexpr long wide = 192;
  body_->weights = {matrix(32, wide, 1.4, 112),    matrix(16, wide, 1.4, 112),
                    matrix(64, wide, 1.4, 112),    bias(wide),
                    matrix(wide, wide, 1.4, wide), bias(wide),
                    matrix(wide, wide, 1.4, wide), bias(wide),
                    matrix(wide, 32, 0.1, wide),   bias(32)};
  for (auto& w : body_->weights) w.set_requires_grad(true);
  body_->adam = std::make_unique<torch::optim::Adam>(body_->weights);
}
trainer::~trainer() = default;

double trainer::step(float const* inputs, float const* times, float const* fields,
                     float const* targets, float const* weights, std::size_t rows, double rate) {
  auto const& w = body_->weights;
  for (auto& group : body_->adam->param_groups())
    static_cast<torch::optim::AdamOptions&>(group.options()).lr(rate);
  body_->adam->zero_grad();
  auto h = torch::silu(view(inputs, rows, 32).mm(w[0]) + view(times, rows, 16).mm(w[1]) +
                       view(fields, rows, 64).mm(w[2]) + w[3]);
  h = h + torch::silu(torch::addmm(w[5], h, w[4]));
  h = h + torch::silu(torch::addmm(w[7], h, w[6]));
  auto const out = torch::addmm(w[9], h, w[8]);
  auto const loss = ((out - view(targets, rows, 32)).square() * view(weights, rows, 1)).mean();
  loss.backward();
  body_->adam->step();
  return loss.item<double>();
}

std::vector<float> trainer::weights() const {
  std::vector<float> all;
  for (auto const& w : body_->weights) {
    auto const one = w.detach().contiguous();
    all.insert(all.end(), one.data_ptr<float>(), one.data_ptr<float>() + one.numel());
  }
  return all;
}

}  // namespace planner
