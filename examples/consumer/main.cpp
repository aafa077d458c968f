// Two sources that include everything, one program.
#include <cmath>
#include <cstdio>

#include <tweedie/pipelines/continuous_batch.hpp>
#include <tweedie/pipelines/state_file.hpp>
#include <tweedie/tweedie.hpp>

tweedie::images other();

int main() {
  using namespace tweedie;
  networks::gaussian_mixture const mixture{{{.mean = {0.5, -0.5}, .variance = 0.01}}};
  auto const pipeline =
      schedules::cosine{} | predicts::v{} | samplers::heun{} | mixture.predicting<predicts::v>();
  auto const mine = pipeline.sample({.shape = {100, 2}, .steps = 10, .seed = 1});
  double mean = 0;
  for (std::size_t i = 0; i < 100; ++i) mean += mine[i][0] / 100;
  bool const same = mine.data == other().data;
  std::printf("%s, mean %.3f, the other source agrees: %s\n", backend(), mean, same ? "yes" : "no");
  return same && std::abs(mean - 0.5) < 0.05 ? 0 : 1;
}
