// Whole loops, whose bits on a device are the host's: with a network that is a kernel of its own, a
// mask, a reduction, 16-bit buffers and rows that are no multiple of 4, each also as a recorded
// loop; and samples that come and go.
#include <boost/test/unit_test.hpp>
#include <cstring>
#include <vector>

#include <tweedie/networks/small_mixture.hpp>
#include <tweedie/pipelines/continuous_batch.hpp>
#include <tweedie/tweedie.hpp>

#include "../../unit/tiny_mlp.hpp"

using namespace tweedie;

namespace {

/// out = 0.7 x + 0.05 label: one fma, the same everywhere.
TWEEDIE_HD float exact(float x, int label) {
  return math::detail::fma(0.7f, x, 0.05f * static_cast<float>(label));
}

template <class In, class Out>
__global__ void evaluate(In const* x, Out* out, int const* labels, unsigned long long pitch,
                         unsigned long long samples, unsigned long long rows,
                         unsigned long long labelled) {
  unsigned long long const i = blockIdx.x * 256ull + threadIdx.x, row = i / pitch;
  if (row >= rows) return;
  float const a = to_float(x[row % samples * pitch + i % pitch]);
  out[i] = from_float<Out>(exact(a, row < labelled ? labels[row] : no_label));
}

template <class In, class Out> struct exact_network {
  using kind = kinds::network;
  using input = In;
  using output = Out;
  static constexpr bool enqueues = true;

  void operator()(batch const& b) const {
    auto const* const in = static_cast<In const*>(b.input);
    auto* const out = static_cast<Out*>(b.output);
    std::size_t const labelled = b.samples * b.conditions;
    if (b.on_device) {
      auto const blocks = static_cast<unsigned>((b.rows() * b.pitch + 255) / 256);
      evaluate<<<blocks, 256, 0, static_cast<cudaStream_t>(b.stream)>>>(
          in, out, b.device_labels, b.pitch, b.samples, b.rows(), labelled);
    } else
      for (std::size_t row = 0; row < b.rows(); ++row)
        for (std::size_t i = 0; i < b.pitch; ++i)
          out[row * b.pitch + i] =
              from_float<Out>(exact(to_float(in[row % b.samples * b.pitch + i]), b.label_of(row)));
  }
};
exact_network<float, float> const network;

bool same(images const& a, images const& b) {
  return a.shape == b.shape &&
         std::memcmp(a.data.data(), b.data.data(), a.data.size() * sizeof(float)) == 0;
}

#if defined(TWEEDIE_INTERPRETED)
std::vector<std::vector<std::size_t>> const shapes{{3, 5, 7}, {2, 3, 20, 20}, {1, 2}};
#else
std::vector<std::vector<std::size_t>> const shapes{
    {3, 5, 7}, {64, 1, 28, 28}, {2, 3, 64, 64}, {1, 2}};
#endif

struct own_stream {
  cudaStream_t stream = nullptr;
  own_stream() { cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking); }
  ~own_stream() { cudaStreamDestroy(stream); }
};

/// Host, device and a recorded loop's next batch, for rows of several lengths.
template <class Pipeline>
void all_agree(char const* name, Pipeline const& pipeline,
               std::vector<std::vector<std::size_t>> const& of_shapes = shapes) {
  BOOST_TEST_MESSAGE(name);
  own_stream const own;
  for (std::vector<std::size_t> const& shape : of_shapes) {
    request r{.shape = shape, .steps = 8, .seed = 5, .first_id = 1000};
    auto const plan = pipeline.plan(r.steps);
    if (plan.layout().uses_known) {
      r.known = {shape, std::vector<float>(detail::product_of(shape), 0.25f)};
      r.mask = {{shape.begin() + 1, shape.end()}, {}};
      for (std::size_t i = 0; i < detail::product_of(r.mask.shape); ++i)
        r.mask.data.push_back(static_cast<float>(i % 3) / 2);
    }
    images const on_host = plan.sample(r, label{3}, placement{});
    BOOST_TEST(same(on_host, plan.sample(r, label{3}, on(own.stream))), name << " on a device");

    request before = r;
    before.seed = 99;
    before.first_id = 0;
    auto loop = plan.record(before, label{1}, on(own.stream));
    BOOST_TEST(same(on_host, loop.sample(r, label{3})), name << " as a recorded loop");
  }
}

auto const guided =
    schedules::cosine{} | predicts::v{} | guidance::classifier_free{2} | thresholds::clip{};

}  // namespace

BOOST_AUTO_TEST_CASE(deterministic) {
  all_agree("ddim", guided | samplers::ddim{} | network);
  all_agree("euler", guided | samplers::euler{} | network);
  all_agree("heun", guided | samplers::heun{} | network);
  all_agree("dpmpp_2m", guided | samplers::dpmpp_2m{} | network);
  all_agree("dpmpp_3m", guided | samplers::dpmpp_3m{} | network);
  all_agree("unipc_2", guided | samplers::unipc_2{} | network);
  all_agree("lms_3", guided | samplers::lms_3{} | network);
}
BOOST_AUTO_TEST_CASE(stochastic) {
  all_agree("ddim_eta", guided | samplers::ddim_eta{.eta = 0.5} | network);
  all_agree("ancestral", guided | samplers::ancestral{} | network);
  all_agree("sde_dpmpp_2m", guided | samplers::sde_dpmpp_2m{} | network);
}
BOOST_AUTO_TEST_CASE(scaled_input) {
  all_agree("edm", schedules::edm{} | predicts::edm{} | samplers::euler{} | network);
}
BOOST_AUTO_TEST_CASE(inpainting) {
  all_agree("replacement", guided | samplers::replacement{samplers::ddim{}} | network);
}
BOOST_AUTO_TEST_CASE(a_guidance_that_remembers) {
  all_agree("apg",
            schedules::cosine{} | predicts::v{} | guidance::apg{} | samplers::ddim{} | network);
}
BOOST_AUTO_TEST_CASE(a_reduction) {
  all_agree("dynamic", schedules::cosine{} | predicts::v{} | thresholds::dynamic{} |
                           samplers::ddim{} | network);
}
BOOST_AUTO_TEST_CASE(buffers_of_16_bits) {
  all_agree("bfloat16 to float16", schedules::cosine{} | predicts::v{} | samplers::ancestral{} |
                                       exact_network<bfloat16, float16>{});
}

// The network is in the step's kernel.
BOOST_AUTO_TEST_CASE(an_inlined_network) {
  networks::inlined const mlp{tiny_mlp{}};
  all_agree("inlined ancestral", guided | samplers::ancestral{} | mlp);
  all_agree("inlined heun", guided | samplers::heun{} | mlp);
  all_agree("inlined dynamic",
            schedules::cosine{} | predicts::v{} | thresholds::dynamic{} | samplers::ddim{} | mlp);
  all_agree("inlined within", schedules::cosine{} | predicts::v{} |
                                  guidance::within{guidance::classifier_free{2}, 300, 800} |
                                  samplers::ddim{} | mlp);
  all_agree("inlined edm", schedules::edm{} | predicts::edm{} | samplers::euler{} | mlp);
}

// In double: the same bits all the same.
BOOST_AUTO_TEST_CASE(an_inlined_mixture) {
  networks::gaussian_mixture const two{
      {{.mean = {-1, 0.5, 2, 0, 1}, .variance = 0.05, .weight = 0.4, .label = 3},
       {.mean = {0.8, -0.6, 0, 1, 2}, .variance = 0.1, .weight = 1.2, .label = 1}}};
  networks::inlined const mixture{networks::small_mixture<predicts::v, 2, 5>{two}};
  all_agree("inlined mixture",
            schedules::cosine{} | predicts::v{} | guidance::classifier_free{2} |
                samplers::ancestral{} | mixture,
            {{3, 5}, {40, 5, 1}});
}

template <class Network> void they_come_and_go(Network const& network) {
  own_stream const own;
  auto const run = [&](placement const& where) {
    std::vector<finished_sample> all;
    auto const plan = [&](int steps) {
      auto p = (guided | samplers::ancestral{} | network).plan(steps);
      return std::make_shared<decltype(p) const>(std::move(p));
    };
    auto const first = plan(6);
    continuous_batch batch(first, {5, 7}, where);
    batch.join(first, {.id = 1, .seed = 3, .given = label{2}});
    batch.join(plan(4), {.id = 2, .seed = 3, .given = label{4}});
    for (int k = 0; !batch.empty(); ++k) {
      if (k == 2) batch.join(plan(9), {.id = 3, .seed = 8, .given = label{0}});
      for (auto& done : batch.advance()) all.push_back(std::move(done));
    }
    return all;
  };
  auto const host = run({}), device = run(on(own.stream));
  BOOST_TEST_REQUIRE(host.size() == device.size());
  for (std::size_t i = 0; i < host.size(); ++i) {
    BOOST_TEST(host[i].id == device[i].id);
    BOOST_TEST(same(host[i].sample, device[i].sample));
  }
}
BOOST_AUTO_TEST_CASE(samples_that_come_and_go) { they_come_and_go(network); }
BOOST_AUTO_TEST_CASE(samples_of_an_inlined_network) {
  they_come_and_go(networks::inlined{tiny_mlp{}});
}
