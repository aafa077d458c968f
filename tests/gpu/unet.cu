// The shipped U-Net in a plan on a device, over a LibTorch with CUDA: beside the host's answers,
// which it meets but for the order of sums; enqueued on the plan's stream and not waited for.
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <tweedie/dsl/device/backends/cuda.hpp>
#include <tweedie/networks/unet_file.hpp>
#include <tweedie/networks/unet_network.hpp>
#include <tweedie/tweedie.hpp>

using namespace tweedie;
using networks::unet;

namespace {

// Two releases of LibTorch, on a host, differ by 2e-6 in an evaluation, by 4e-6 in these samples
// and by 1e-7 on average. TF32 would be off by 1e-3.
constexpr double of_an_evaluation = 1e-4, of_a_sample = 5e-4, of_samples_on_average = 2e-5;

std::shared_ptr<unet> shipped() {
  char const* const source = std::getenv("TWEEDIE_SOURCE_DIR");
  return networks::load_model(std::string(source ? source : ".") + "/models/fashion-v.safetensors")
      .network;
}

struct stream_of_a_test {
  cudaStream_t stream = nullptr;
  stream_of_a_test() { cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking); }
  ~stream_of_a_test() { cudaStreamDestroy(stream); }
};

auto plan_of(std::shared_ptr<unet const> const& net, int steps) {
  return (schedules::cosine{} | predicts::v{} | guidance::classifier_free{1} | thresholds::clip{1} |
          samplers::ddim{} | networks::unet_network{net})
      .plan(steps);
}

struct differences {
  double most = 0, mean = 0;
};
differences between(std::vector<float> const& a, std::vector<float> const& b) {
  BOOST_TEST_REQUIRE(a.size() == b.size());
  differences d;
  for (std::size_t i = 0; i < a.size(); ++i) {
    double const one = std::abs(double{a[i]} - double{b[i]});
    d.most = std::isfinite(one) ? std::max(d.most, one) : one;
    d.mean += one / static_cast<double>(a.size());
  }
  BOOST_TEST_MESSAGE("largest difference " << d.most << ", mean " << d.mean);
  return d;
}

/// Floats on the device, written and read in the order of a stream.
class floats {
 public:
  floats(std::vector<float> const& values, cudaStream_t stream)
      : size_(values.size()), stream_(stream) {
    cudaMalloc(&data_, size_ * sizeof(float));
    cudaMemcpyAsync(data_, values.data(), size_ * sizeof(float), cudaMemcpyDefault, stream);
  }
  floats(floats const&) = delete;
  ~floats() { cudaFree(data_); }
  float* data() const { return static_cast<float*>(data_); }
  std::vector<float> take() const {
    std::vector<float> r(size_);
    cudaMemcpyAsync(r.data(), data_, size_ * sizeof(float), cudaMemcpyDefault, stream_);
    cudaStreamSynchronize(stream_);
    return r;
  }

 private:
  void* data_ = nullptr;
  std::size_t size_;
  cudaStream_t stream_;
};

/// Rows with a gap after each, and the host's answer and the device's.
struct call {
  std::size_t samples, branches, pitch;
  std::vector<float> x, rows;
  std::vector<double> times, of_rows;
  std::vector<int> labels;

  call(unet const& net, std::size_t samples_, std::size_t branches_)
      : samples(samples_), branches(branches_), pitch(net.elements() + 4) {
    for (std::size_t i = 0; i < samples * pitch; ++i)
      x.push_back(static_cast<float>(std::sin(0.7 * static_cast<double>(i))));
    for (std::size_t i = 0; i < samples; ++i)
      times.push_back(static_cast<double>(i + 1) / static_cast<double>(samples + 1));
    for (std::size_t b = 0; b < branches; ++b) {
      rows.insert(rows.end(), x.begin(), x.end());
      of_rows.insert(of_rows.end(), times.begin(), times.end());
      for (std::size_t i = 0; i < samples; ++i)
        labels.push_back(b == 0 ? static_cast<int>(i % 10) : -1);
    }
  }
  std::vector<float> untouched() const { return std::vector<float>(rows.size(), 7.0f); }
  std::vector<float> on_host(unet const& net) const {
    auto out = untouched();
    net.forward(rows.data(), pitch, of_rows.data(), labels.data(), samples * branches, out.data(),
                pitch);
    return out;
  }
  std::vector<float> on_device(unet const& net, cudaStream_t stream) const {
    floats const from(x, stream), to(untouched(), stream);
    net.forward_on_device(from.data(), pitch, times.data(), labels.data(), samples, branches,
                          to.data(), stream);
    return to.take();
  }
};

/// Holds a stream back until it is opened, or somebody has waited too long for that.
struct gate {
  std::atomic<bool> open = false, was_waited_for = false;
  static void hold(void* self) {
    auto& g = *static_cast<gate*>(self);
    auto const end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!g.open && !g.was_waited_for) {
      if (std::chrono::steady_clock::now() > end) g.was_waited_for = true;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
};

}  // namespace

BOOST_AUTO_TEST_CASE(an_evaluation_is_the_hosts) {
  stream_of_a_test const t;
  auto const net = shipped();
  BOOST_TEST_REQUIRE(!net->why_not_on_devices());
  for (std::size_t branches : {1, 2})
    for (std::size_t samples : {1, 7, 300}) {
      call const c(*net, samples, branches);
      BOOST_TEST(between(c.on_host(*net), c.on_device(*net, t.stream)).most < of_an_evaluation);
      BOOST_TEST(between(c.on_device(*net, nullptr), c.on_device(*net, cudaStreamLegacy)).most <
                 of_an_evaluation);
    }
}

// Read on one stream, changed, read on another; the first is gone by then.
BOOST_AUTO_TEST_CASE(changed_weights_are_seen_on_any_stream) {
  auto const net = shipped();
  call const c(*net, 5, 2);
  std::vector<float> before;
  {
    stream_of_a_test const t;
    before = c.on_device(*net, t.stream);
  }
  stream_of_a_test const other;
  BOOST_TEST(between(before, c.on_device(*net, other.stream)).most < of_an_evaluation);
  net->parameters()[net->tensors().back().offset] += 0.5f;
  auto const after = c.on_device(*net, other.stream);
  BOOST_TEST(between(before, after).most > 0.4);
  BOOST_TEST(between(c.on_host(*net), after).most < of_an_evaluation);
}

BOOST_AUTO_TEST_CASE(samples_are_the_hosts) {
  stream_of_a_test const t;
  auto const plan = plan_of(shipped(), 20);
  request const asked{.shape = {16, 1, 28, 28}, .seed = 7};
  images const host = plan.sample(asked, label{3}, {});
  images const device = plan.sample(asked, label{3}, on(t.stream));
  auto const d = between(host.data, device.data);
  BOOST_TEST(d.most < of_a_sample);
  BOOST_TEST(d.mean < of_samples_on_average);
  BOOST_TEST((plan.sample(asked, label{3}, on(t.stream)).data == device.data));
  BOOST_TEST(between(host.data, plan.sample(asked, label{8}, on(t.stream)).data).mean > 0.05);
  auto const shared = plan.sample(asked, label{3}, on(t.stream, {.shared_with_host = true}));
  BOOST_TEST(between(host.data, shared.data).most < of_a_sample);
  BOOST_CHECK_THROW(plan.record(asked, label{3}, on(t.stream)), error);
}

BOOST_AUTO_TEST_CASE(a_step_waits_for_nothing) {
  stream_of_a_test const t;
  auto const plan = plan_of(shipped(), 4);
  state s = plan.start({.shape = {16, 1, 28, 28}, .seed = 7}, label{3}, on(t.stream));
  plan.advance(s);  // LibTorch has its memory
  plan.advance(s);
  cudaStreamSynchronize(t.stream);
  gate g;
  cudaLaunchHostFunc(t.stream, gate::hold, &g);
  plan.advance(s);
  BOOST_TEST(!g.was_waited_for);
  BOOST_TEST((cudaStreamQuery(t.stream) == cudaErrorNotReady));
  g.open = true;
  BOOST_TEST((plan.run(std::move(s)).data.size() == 16u * 28 * 28));
}
