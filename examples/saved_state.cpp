// A loop that is saved in its middle and finished by another process: this program starts itself
// again, and the two halves have the bits of one whole.
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>

#include <tweedie/pipelines/state_file.hpp>
#include <tweedie/tweedie.hpp>

using namespace tweedie;

int main(int argc, char** argv) {
  networks::gaussian_mixture const mixture{
      {{.mean = {0.8, 0.8}, .variance = 0.01}, {.mean = {-0.8, 0.4}, .variance = 0.02}}};
  auto const pipeline = schedules::cosine{} | predicts::v{} | samplers::sde_dpmpp_2m{} |
                        mixture.predicting<predicts::v>();
  auto const plan = pipeline.plan(grids::karras{.sigma_max = 80}, 12);
  char const* const file = "half.safetensors";

  if (argc > 1 && std::strcmp(argv[1], "finish") == 0) {  // the other process
    state const half = load_state(file, plan);
    auto const samples = plan.run(half);
    std::ofstream("whole.bin", std::ios::binary)
        .write(reinterpret_cast<char const*>(samples.data.data()),
               static_cast<std::streamsize>(samples.data.size() * sizeof(float)));
    fmt::print("process {} finished the steps from {} on\n", getpid(), half.evaluated);
    return 0;
  }

  state s = plan.start({.shape = {500, 2}, .seed = 11});
  for (int step = 0; step < 5; ++step) plan.advance(s);
  save_state(file, plan, s);
  fmt::print("process {} saved the state after 5 of {} steps\n", getpid(), plan.steps());
  std::fflush(stdout);
  if (std::system((std::string(argv[0]) + " finish").c_str()) != 0) return 1;

  auto const expected = plan.sample({.shape = {500, 2}, .seed = 11});
  std::string bytes(expected.data.size() * sizeof(float), '\0');
  std::ifstream("whole.bin", std::ios::binary)
      .read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  bool const same = std::memcmp(bytes.data(), expected.data.data(), bytes.size()) == 0;
  fmt::print("the bits are those of one process: {}\n", same ? "yes" : "no");
  return same ? 0 : 1;
}
