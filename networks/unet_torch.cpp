// The U-Net of unet.hpp in LibTorch, whose headers cost 18 s and want C++17 of clang: a library of
// its own, which unet.cpp loads.
//
// All weights lie in one flat tensor, the only leaf of the gradient's graph; a layer holds indices
// into the list of its views. Splitting costs nothing forward and one concatenation backward, and
// it leaves a checkpoint with plain runs of floats.
//
// Compiled with TWEEDIE_TORCH_CUDA where LibTorch and the CUDA Toolkit are there for it.
#include "unet_body.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/Event.h>
#include <c10/core/StreamGuard.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/autograd/variable.h>
#ifdef TWEEDIE_TORCH_CUDA
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAStream.h>
#endif

#include <dlfcn.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include <algorithm>
#include <cmath>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <utility>

namespace tweedie::networks {
namespace {

using at::Tensor;

struct linear_map {
  std::size_t weight, bias;
};
struct convolution {
  std::size_t weight, bias;
  int stride, padding;
};
struct norm {
  std::size_t weight, bias;
};

struct residual_block {
  norm norm1;
  convolution conv1;
  linear_map embedding;
  norm norm2;
  convolution conv2;
  bool widens = false;
  convolution skip{};
};

struct attention_block {
  norm before;
  linear_map qkv, out;
};

struct resolution {
  std::vector<residual_block> down, up;
  bool attends = false;
  attention_block attention{};           // on the way up
  convolution downsample{}, upsample{};  // to and from the next smaller resolution
};

struct skeleton {
  convolution first;
  linear_map time1, time2;
  std::size_t classes = 0;
  std::vector<resolution> resolutions;
  bool attends = false;  // in the middle
  attention_block middle_attention{};
  residual_block middle;
  norm last_norm;
  convolution last;
};

enum class start { zeros, ones, uniform, table };

// Gives every weight its name, its place and its first value.
class builder {
 public:
  explicit builder(std::uint64_t seed) : random_(seed) {}

  std::size_t add(std::string name, std::vector<std::int64_t> shape, start how) {
    std::size_t count = 1;
    for (auto n : shape) count *= static_cast<std::size_t>(n);
    double bound = 0;
    if (how == start::uniform) {  // fan_avg, as DDPM's default initializer
      double field = shape.size() == 4 ? static_cast<double>(shape[2] * shape[3]) : 1;
      bound = std::sqrt(6 / (field * static_cast<double>(shape[0] + shape[1])));
    } else if (how == start::table) {
      bound = std::sqrt(3.0) * 0.5;
    }
    for (std::size_t i = 0; i < count; ++i) {
      float value = how == start::ones ? 1.0f : 0.0f;
      if (bound > 0) {  // own conversion: the standard's distributions differ between libraries
        value =
            static_cast<float>(bound * (2 * (static_cast<double>(random_() >> 11) * 0x1p-53) - 1));
      }
      values.push_back(value);
    }
    tensors.push_back({std::move(name), std::move(shape), values.size() - count, count});
    return tensors.size() - 1;
  }

  linear_map linear(std::string const& name, int in, int out, start how = start::uniform) {
    auto weight = add(name + ".weight", {out, in}, how);
    return {weight, add(name + ".bias", {out}, start::zeros)};
  }

  convolution conv(std::string const& name, int in, int out, int kernel, int stride = 1,
                   start how = start::uniform) {
    auto weight = add(name + ".weight", {out, in, kernel, kernel}, how);
    return {weight, add(name + ".bias", {out}, start::zeros), stride, kernel / 2};
  }

  norm group_norm(std::string const& name, int channels) {
    auto weight = add(name + ".weight", {channels}, start::ones);
    return {weight, add(name + ".bias", {channels}, start::zeros)};
  }

  residual_block residual(std::string const& name, int in, int out, int embedding,
                          bool scale_shift) {
    residual_block b;
    b.norm1 = group_norm(name + ".norm1", in);
    b.conv1 = conv(name + ".conv1", in, out, 3);
    b.embedding = linear(name + ".embedding", embedding, scale_shift ? 2 * out : out);
    b.norm2 = group_norm(name + ".norm2", out);
    b.conv2 = conv(name + ".conv2", out, out, 3, 1, start::zeros);
    b.widens = in != out;
    if (b.widens) b.skip = conv(name + ".skip", in, out, 1);
    return b;
  }

  attention_block attention(std::string const& name, int channels) {
    attention_block b;
    b.before = group_norm(name + ".norm", channels);
    b.qkv = linear(name + ".qkv", channels, 3 * channels);
    b.out = linear(name + ".out", channels, channels, start::zeros);
    return b;
  }

  std::vector<unet_tensor> tensors;
  std::vector<float> values;

 private:
  std::mt19937_64 random_;
};

std::string text(std::size_t n) { return std::to_string(n); }
std::string text(int n) { return std::to_string(n); }

void check(unet_config const& c) {
  auto positive = [](int value, char const* what) {
    if (value < 1)
      throw error(std::string("unet: ") + what + " is " + text(value) + ", it must be at least 1");
  };
  positive(c.channels, "channels");
  positive(c.size, "size");
  positive(c.base, "base");
  positive(c.groups, "groups");
  if (c.classes < 0)
    throw error("unet: classes is " + text(c.classes) + ", it must be 0 (unconditional) or more");
  if (c.multipliers.empty())
    throw error("unet: no multiplier was given, one per resolution was expected");
  if (c.blocks.size() != c.multipliers.size()) {
    throw error("unet: blocks has " + text(c.blocks.size()) + " entries and multipliers has " +
                text(c.multipliers.size()) + ", both have one per resolution");
  }
  for (int b : c.blocks) positive(b, "a resolution's number of blocks");
  for (int m : c.multipliers) {
    positive(m, "a multiplier");
    if (c.base * m % c.groups != 0) {
      throw error("unet: groups is " + text(c.groups) + ", which does not divide the " +
                  text(c.base * m) + " channels of a resolution");
    }
  }
  int size = c.size;
  std::vector<int> sizes;
  for (std::size_t i = 0; i < c.multipliers.size(); ++i, size /= 2) {
    sizes.push_back(size);
    if (i + 1 < c.multipliers.size() && size % 2 != 0) {
      throw error("unet: size is " + text(c.size) + ", which cannot be halved " +
                  text(c.multipliers.size() - 1) + " times");
    }
  }
  for (int a : c.attention) {
    if (std::find(sizes.begin(), sizes.end(), a) == sizes.end()) {
      throw error("unet: attention was asked at size " + text(a) +
                  ", which is none of the network's resolutions");
    }
  }
  if (!(c.dropout >= 0 && c.dropout < 1)) {
    throw error("unet: dropout is " + std::to_string(c.dropout) +
                ", it must be at least 0 and below 1");
  }
  if (!std::isfinite(c.time_scale)) throw error("unet: time_scale is not a finite number");
}

// DDPM's 4 * base, but at least 128 in a network that is narrow only where the picture is large.
int embedding_width(unet_config const& c) {
  return 4 * (c.base < 16 ? std::max(c.base, 2) : std::max(c.base, 32));
}
int sine_width(unet_config const& c) { return embedding_width(c) / 2; }

skeleton build(unet_config const& c, builder& b) {
  skeleton s;
  int const wide = embedding_width(c);
  auto width = [&](std::size_t i) { return c.base * c.multipliers[i]; };
  auto block = [&](std::string const& name, int in, int out) {
    return b.residual(name, in, out, wide, c.scale_shift);
  };
  s.time1 = b.linear("time.0", sine_width(c), wide);
  s.time2 = b.linear("time.1", wide, wide);
  if (c.classes > 0) s.classes = b.add("classes.weight", {c.classes + 1, wide}, start::table);
  s.first = b.conv("first", c.channels, width(0), 3);

  std::size_t const count = c.multipliers.size();
  s.resolutions.resize(count);
  int size = c.size;
  for (std::size_t i = 0; i < count; ++i, size /= 2) {
    auto& r = s.resolutions[i];
    std::string const name = "down." + text(i);
    r.attends = std::find(c.attention.begin(), c.attention.end(), size) != c.attention.end();
    for (int k = 0; k < c.blocks[i]; ++k) {
      int in = k > 0 || i == 0 ? width(i) : width(i - 1);
      r.down.push_back(block(name + "." + text(k), in, width(i)));
    }
    if (i + 1 < count) r.downsample = b.conv(name + ".downsample", width(i), width(i), 3, 2);
  }
  int const inner = width(count - 1);
  // DDPM's middle is block, attention, block: the first is the last on the way down.
  s.attends = std::exchange(s.resolutions.back().attends, false);
  if (s.attends) s.middle_attention = b.attention("middle.attention", inner);
  s.middle = block("middle.0", inner, inner);
  for (std::size_t i = count; i-- > 0;) {
    auto& r = s.resolutions[i];
    std::string const name = "up." + text(i);
    if (i + 1 < count) r.upsample = b.conv(name + ".upsample", width(i + 1), width(i), 3);
    for (int k = 0; k < c.blocks[i]; ++k)
      r.up.push_back(block(name + "." + text(k), 2 * width(i), width(i)));
    if (r.attends) r.attention = b.attention(name + ".attention", width(i));
  }
  s.last_norm = b.group_norm("last.norm", width(0));
  s.last = b.conv("last", width(0), c.channels, 3, 1, start::zeros);
  return s;
}

// One uniform number per element from a counter (the finalizer of MurmurHash3), so that dropout has
// no state.
Tensor dropout_mask(Tensor const& like, float probability, std::uint64_t seed,
                    std::uint64_t layer) {
  Tensor mask = at::empty_like(like, like.options().requires_grad(false));
  float* to = mask.data_ptr<float>();
  auto const count = mask.numel();
  std::uint64_t key = seed + 0x9e3779b97f4a7c15u * (layer + 1);
  key = (key ^ (key >> 30)) * 0xbf58476d1ce4e5b9u;
  key = (key ^ (key >> 27)) * 0x94d049bb133111ebu;
  auto const low = static_cast<std::uint32_t>(key), high = static_cast<std::uint32_t>(key >> 32);
  auto const cut = static_cast<std::uint32_t>(static_cast<double>(probability) * 0x1p31);
  float const kept = 1 / (1 - probability);
  for (std::int64_t i = 0; i < count; ++i) {
    std::uint32_t h = (static_cast<std::uint32_t>(i) * 0x9e3779b9u) ^ low;
    h = (h ^ (h >> 16)) * 0x85ebca6bu;
    h = ((h + high) ^ (h >> 13)) * 0xc2b2ae35u;
    h ^= h >> 16;
    to[i] = (h >> 1) < cut ? 0.0f : kept;
  }
  return mask;
}

struct pass {
  unet_config const& config;
  skeleton const& net;
  std::vector<Tensor> const& weights;
  bool training;
  std::uint64_t seed;
  std::uint64_t layer = 0;

  Tensor const& at(std::size_t i) const { return weights[i]; }

  Tensor apply(linear_map const& m, Tensor const& x) const {
    return at::linear(x, at(m.weight), at(m.bias));
  }

  // What at::conv2d calls, with its four settings written down: on a device LibTorch's own are 19
  // bits of float32 (TF32), and an algorithm that may be another next time.
  Tensor apply(convolution const& c, Tensor const& x) const {
    constexpr bool search = false, same_each_time = true, with_cudnn = true, tf32 = false;
    return at::_convolution(x, at(c.weight), at(c.bias), {c.stride, c.stride},
                            {c.padding, c.padding}, {1, 1}, false, {0, 0}, 1, search,
                            same_each_time, with_cudnn, tf32);
  }

  Tensor apply(norm const& n, Tensor const& x) const {
    return at::group_norm(x, config.groups, at(n.weight), at(n.bias), 1e-5);
  }

  Tensor drop(Tensor const& x) {
    if (!training || config.dropout <= 0) return x;
    return x * dropout_mask(x, config.dropout, seed, layer++);
  }

  Tensor apply(residual_block const& b, Tensor const& x, Tensor const& embedding) {
    Tensor h = apply(b.conv1, at::silu(apply(b.norm1, x)));
    Tensor e = apply(b.embedding, embedding).unsqueeze(-1).unsqueeze(-1);
    if (config.scale_shift) {
      auto parts = e.chunk(2, 1);
      h = at::addcmul(parts[1], apply(b.norm2, h), parts[0] + 1);
    } else {
      h = apply(b.norm2, h + e);
    }
    h = apply(b.conv2, drop(at::silu(h)));
    return h + (b.widens ? apply(b.skip, x) : x);
  }

  Tensor apply(attention_block const& a, Tensor const& x) const {
    auto const n = x.size(0), channels = x.size(1), pixels = x.size(2) * x.size(3);
    // Channels last, a picture is its list of tokens: nothing is copied.
    Tensor tokens = apply(a.before, x).permute({0, 2, 3, 1}).reshape({n * pixels, channels});
    auto qkv = apply(a.qkv, tokens).view({n, pixels, 3 * channels}).chunk(3, 2);
    Tensor scores =
        at::bmm(qkv[0] * (1 / std::sqrt(static_cast<double>(channels))), qkv[1].transpose(1, 2));
    Tensor mixed =
        apply(a.out, at::bmm(at::softmax(scores, 2), qkv[2]).view({n * pixels, channels}));
    return x + mixed.view({n, x.size(2), x.size(3), channels}).permute({0, 3, 1, 2});
  }

  Tensor operator()(Tensor const& x, Tensor const& sines, Tensor const& classes) {
    Tensor e = apply(net.time2, at::silu(apply(net.time1, sines)));
    if (config.classes > 0) e = e + at::embedding(at(net.classes), classes);
    e = at::silu(e);

    // Channels last: oneDNN's convolutions are a fifth faster on 16 to 96 channels. On a device
    // LibTorch's group norms answer in rows and columns, whatever they were given.
    Tensor h = apply(net.first, x.contiguous(x.is_cpu() ? at::MemoryFormat::ChannelsLast
                                                        : at::MemoryFormat::Contiguous));
    std::vector<Tensor> skips;
    auto const count = net.resolutions.size();
    for (std::size_t i = 0; i < count; ++i) {
      auto const& r = net.resolutions[i];
      for (auto const& b : r.down) skips.push_back(h = apply(b, h, e));
      if (i + 1 < count) h = apply(r.downsample, h);
    }
    if (net.attends) h = apply(net.middle_attention, h);
    h = apply(net.middle, h, e);
    for (std::size_t i = count; i-- > 0;) {
      auto const& r = net.resolutions[i];
      if (i + 1 < count) {
        // The convolution to fewer channels goes before the repetition: a quarter of the work.
        h = at::upsample_nearest2d(apply(r.upsample, h), {h.size(2) * 2, h.size(3) * 2});
      }
      for (auto const& b : r.up) {
        h = apply(b, at::cat({h, skips.back()}, 1), e);
        skips.pop_back();
      }
      if (r.attends) h = apply(r.attention, h);
    }
    return apply(net.last, at::silu(apply(net.last_norm, h)));
  }
};

run_of<float> floats_of(Tensor const& t) {
  return {t.data_ptr<float>(), static_cast<std::size_t>(t.numel())};
}

#ifdef TWEEDIE_TORCH_CUDA
char const* reason_against_devices() {
  if (c10::cuda::device_count() > 0) return nullptr;
  return "the U-Net's LibTorch finds no device, expected one that it can use, or a call without "
         "on(stream)";
}
c10::Stream stream_of(void* stream, at::Device device) {
  auto const given = static_cast<cudaStream_t>(stream);  // the default one has two names
  return c10::cuda::getStreamFromExternal(given == cudaStreamLegacy ? nullptr : given,
                                          device.index());
}
c10::Stream own_stream(at::Device device) {
  return c10::cuda::getStreamFromPool(false, device.index());
}
#else
char const* reason_against_devices() {
  return "the U-Net was built without CUDA, expected a build that found a LibTorch with CUDA and "
         "the CUDA Toolkit, or a call without on(stream)";
}
c10::Stream stream_of(void*, at::Device) { throw error(reason_against_devices()); }
c10::Stream own_stream(at::Device) { throw error(reason_against_devices()); }
#endif

// The weights in a device's memory, read by evaluations on any streams. LibTorch gives memory back
// in the order of the stream that it was asked for on: here one of LibTorch's own, since of a
// caller's nothing is known after the call, not even that it is still there. It goes on after all
// who read.
struct placed_weights {
  Tensor flat;
  std::uint64_t changes = 0;
  std::optional<c10::Stream> own = {};  // none where the device is the host
  std::optional<c10::Event> written = {}, read = {};
};

struct torch_body final : unet_body {
  skeleton net;
  Tensor flat, moment1, moment2;
  mutable std::mutex placing;
  mutable std::map<at::DeviceIndex, placed_weights> placed;

  torch_body(unet_config c, std::uint64_t seed) {
    config = std::move(c);
    check(config);
    builder b(seed);
    net = build(config, b);
    tensors = std::move(b.tensors);
    flat = at::from_blob(b.values.data(), {static_cast<std::int64_t>(b.values.size())}, at::kFloat)
               .clone();
    moment1 = at::zeros_like(flat);
    moment2 = at::zeros_like(flat);
  }

  std::vector<Tensor> views(Tensor const& of) const {
    std::vector<std::int64_t> counts;
    for (auto const& t : tensors) counts.push_back(static_cast<std::int64_t>(t.count));
    auto result = of.split_with_sizes(counts);
    for (std::size_t i = 0; i < tensors.size(); ++i) result[i] = result[i].view(tensors[i].shape);
    return result;
  }

  void check_rows(double const* times, int const* labels, std::size_t samples,
                  std::size_t branches = 1) const {
    for (std::size_t i = 0; i < samples; ++i) {
      if (!std::isfinite(times[i]))
        throw error("unet: the time of row " + text(i) + " is not a finite number");
    }
    for (std::size_t i = 0; labels && i < branches * samples; ++i) {
      if (labels[i] >= -1 && labels[i] < config.classes) continue;
      throw error("label " + text(labels[i]) + " was given, the network has " +
                  (config.classes ? "classes 0 to " + text(config.classes - 1)
                                  : std::string("no classes")));
    }
  }

  Tensor sines(double const* times, std::size_t rows) const {
    int const half = sine_width(config) / 2;
    Tensor result = at::empty({static_cast<std::int64_t>(rows), 2 * half}, at::kFloat);
    float* to = result.data_ptr<float>();
    for (std::size_t i = 0; i < rows; ++i, to += 2 * half) {
      for (int k = 0; k < half; ++k) {
        double angle =
            times[i] * config.time_scale * std::pow(10000.0, -k / static_cast<double>(half - 1));
        to[k] = static_cast<float>(std::sin(angle));
        to[half + k] = static_cast<float>(std::cos(angle));
      }
    }
    return result;
  }

  Tensor classes(int const* labels, std::size_t rows) const {
    Tensor result = at::full({static_cast<std::int64_t>(rows)}, config.classes, at::kLong);
    for (std::size_t i = 0; labels && i < rows; ++i) {
      if (labels[i] >= 0) result.data_ptr<std::int64_t>()[i] = labels[i];
    }
    return result;
  }

  // A copy: what autograd keeps must outlive the caller's buffers, and a pitch is closed up.
  Tensor pictures(float const* from, std::size_t pitch, std::size_t rows) const {
    Tensor result = at::empty(
        {static_cast<std::int64_t>(rows), config.channels, config.size, config.size}, at::kFloat);
    for (std::size_t i = 0; i < rows; ++i) {
      std::copy_n(from + i * pitch, elements(), result.data_ptr<float>() + i * elements());
    }
    return result;
  }

  // The caller's memory, where it is: branches x samples pictures, `pitch` floats apart. A device's
  // pointer says which device it is.
  Tensor in_place(float const* at, std::size_t pitch, std::size_t samples, std::size_t branches,
                  unet_memory memory) const {
    std::int64_t const size = config.size, apart = static_cast<std::int64_t>(pitch),
                       rows = static_cast<std::int64_t>(samples);
    return at::from_blob(
        const_cast<float*>(at),
        {static_cast<std::int64_t>(branches), rows, config.channels, size, size},
        {rows * apart, apart, size * size, size, 1},
        at::dtype(at::kFloat).device(memory == unet_memory::host ? at::kCPU : at::kCUDA));
  }

  // x: the samples, which the branches share; `most` rows of out at a time. What the host fills is
  // small when all samples are at one level, as in a plan: CUDA has read it, from memory that is
  // not pinned, when the call returns, and for some 64 KB and more may wait until it can.
  void evaluate(std::vector<Tensor> const& weights, Tensor const& x, double const* times,
                int const* labels, Tensor const& out, std::int64_t most) const {
    auto const branches = out.size(0), samples = out.size(1);
    auto const at_once = std::max<std::int64_t>(1, most / branches);
    auto const rows = static_cast<std::size_t>(samples);
    bool const at_one_level =
        std::all_of(times, times + rows, [&](double t) { return t == times[0]; });
    Tensor const when = sines(times, at_one_level ? 1 : rows)
                            .to(out.device(), at::kFloat, true)
                            .expand({samples, -1});
    Tensor const which = classes(labels, static_cast<std::size_t>(branches) * rows)
                             .to(out.device(), at::kLong, true)
                             .view({branches, samples});
    for (std::int64_t begin = 0; begin < samples; begin += at_once) {
      auto const end = std::min(begin + at_once, samples);
      pass run{config, net, weights, false, 0};
      Tensor const to = out.slice(1, begin, end);
      Tensor seen = at::empty(to.sizes(), x.options());
      seen.copy_(x.slice(1, begin, end));
      Tensor y =
          run(seen.flatten(0, 1),
              when.slice(0, begin, end).expand({branches, -1, -1}).flatten(0, 1).contiguous(),
              which.slice(1, begin, end).flatten());
      to.copy_(y.view(to.sizes()));
    }
  }

  // The weights as they are now, for what is enqueued on `on` next.
  Tensor weights_for(at::Device device, std::optional<c10::Stream> const& on) const {
    std::lock_guard<std::mutex> const one(placing);
    auto& there = placed[device.index()];
    if (!there.flat.defined() || there.changes != changes) {
      std::optional<c10::StreamGuard> order;
      if (on) {
        if (!there.own) {
          there.own = own_stream(device);
          there.written.emplace(device.type());
          there.read.emplace(device.type());
        }
        order.emplace(*there.own);
      }
      there.flat = flat.to(device, at::kFloat, true, true);
      there.changes = changes;
      if (on) there.written->record(*there.own);
    }
    if (on) there.written->block(*on);
    return there.flat;
  }

  // What was enqueued on `on` is the last to read the weights.
  void have_read(at::Device device, std::optional<c10::Stream> const& on) const {
    if (!on) return;
    std::lock_guard<std::mutex> const one(placing);
    auto& there = placed[device.index()];
    there.read->record(*on);
    there.read->block(*there.own);
  }

  char const* why_not_on_devices() const override { return reason_against_devices(); }
  void forward_in(unet_memory memory, float const* x, std::size_t pitch, double const* times,
                  int const* labels, std::size_t samples, std::size_t branches, float* out,
                  void* stream) const override;
  void forward(float const* x, std::size_t pitch, double const* times, int const* labels,
               std::size_t rows, float* out, std::size_t out_pitch) const override;
  void vjp(float const* x, std::size_t pitch, double const* times, int const* labels,
           std::size_t rows, float const* probe, std::size_t probe_pitch, float* result,
           std::size_t result_pitch) const override;
  double train_step(float const* x, float const* target, double const* times, int const* labels,
                    float const* weights, std::size_t samples, std::uint64_t dropout_seed,
                    adam const& settings, double* errors) override;
  run_of<float> parameters() const override { return floats_of(flat); }
  run_of<float> first_moment() const override { return floats_of(moment1); }
  run_of<float> second_moment() const override { return floats_of(moment2); }
};

void torch_body::forward(float const* x, std::size_t pitch, double const* times, int const* labels,
                         std::size_t rows, float* out, std::size_t out_pitch) const {
  auto const n = elements();
  if (pitch < n || out_pitch < n) {
    throw error("unet: a pitch of " + text(std::min(pitch, out_pitch)) +
                " floats was given, a picture has " + text(n));
  }
  check_rows(times, labels, rows);
  if (rows == 0) return;
  at::NoGradGuard no_gradient;
  std::int64_t const most = 128;  // rows whose activations stay within some 100 MB
  evaluate(views(flat), in_place(x, pitch, rows, 1, unet_memory::host), times, labels,
           in_place(out, out_pitch, rows, 1, unet_memory::host), most);
}

void torch_body::forward_in(unet_memory memory, float const* x, std::size_t pitch,
                            double const* times, int const* labels, std::size_t samples,
                            std::size_t branches, float* out, void* stream) const {
  if (pitch < elements()) {
    throw error("unet: a pitch of " + text(pitch) + " floats was given, a picture has " +
                text(elements()));
  }
  check_rows(times, labels, samples, branches);
  bool const on_device = memory == unet_memory::device;
  if (char const* why = on_device ? reason_against_devices() : nullptr)
    throw error(std::string("unet: a device's memory was given: ") + why);
  if (samples == 0 || branches == 0) return;
  try {
    at::NoGradGuard no_gradient;
    Tensor const seen = in_place(x, pitch, samples, 1, memory),
                 answer = in_place(out, pitch, samples, branches, memory);
    std::optional<c10::Stream> on;
    std::optional<c10::StreamGuard> order;
    if (on_device) {
      on = stream_of(stream, seen.device());
      order.emplace(*on);
    }
    Tensor const weights = weights_for(seen.device(), on);
    struct reader {
      torch_body const& of;
      at::Device device;
      std::optional<c10::Stream> const& on;
      ~reader() {
        try {
          of.have_read(device, on);
        } catch (c10::Error const&) {  // of a device that has failed
        }
      }
    } const until_the_end{*this, seen.device(), on};
    // Rows enough for each kernel to fill a device at the smallest pictures: with more only the
    // activations would grow.
    std::int64_t const most = 512;
    evaluate(views(weights), seen, times, labels, answer, most);
  } catch (c10::Error const& e) {
    std::string const what = e.what_without_backtrace();
    throw error("unet: on the device LibTorch says '" + what.substr(0, what.find('\n')) +
                "'; the mistake may be in earlier work on it");
  }
}

void torch_body::vjp(float const* x, std::size_t pitch, double const* times, int const* labels,
                     std::size_t rows, float const* probe, std::size_t probe_pitch, float* result,
                     std::size_t result_pitch) const {
  auto const n = elements();
  if (pitch < n || probe_pitch < n || result_pitch < n) {
    throw error("unet: a pitch of " + text(std::min({pitch, probe_pitch, result_pitch})) +
                " floats was given, a picture has " + text(n));
  }
  check_rows(times, labels, rows);
  at::AutoGradMode with_gradient(true);
  auto const weights = views(flat);
  std::size_t const most = 64;  // rows whose graphs stay within some 100 MB
  for (std::size_t begin = 0; begin < rows; begin += most) {
    std::size_t const count = std::min(most, rows - begin);
    Tensor leaf = pictures(x + begin * pitch, pitch, count).requires_grad_(true);
    pass run{config, net, weights, false, 0};
    Tensor y =
        run(leaf, sines(times + begin, count), classes(labels ? labels + begin : nullptr, count));
    Tensor direction = pictures(probe + begin * probe_pitch, probe_pitch, count);
    Tensor product = torch::autograd::grad({y}, {leaf}, {direction})[0].contiguous();
    for (std::size_t i = 0; i < count; ++i) {
      std::copy_n(product.data_ptr<float>() + i * n, n, result + (begin + i) * result_pitch);
    }
  }
}

double torch_body::train_step(float const* x, float const* target, double const* times,
                              int const* labels, float const* weights, std::size_t samples,
                              std::uint64_t dropout_seed, adam const& settings, double* errors) {
  if (samples == 0) throw error("unet: a training step was given no samples");
  check_rows(times, labels, samples);

  Tensor leaf = flat.detach().requires_grad_(true);
  auto const split = views(leaf);
  pass run{config, net, split, true, dropout_seed};
  Tensor y = run(pictures(x, elements(), samples), sines(times, samples), classes(labels, samples));
  Tensor each = (y - pictures(target, elements(), samples)).square().mean({1, 2, 3});
  if (errors) std::copy_n(each.data_ptr<float>(), samples, errors);
  if (weights) {
    Tensor factors = at::empty_like(each, each.options().requires_grad(false));
    std::copy_n(weights, samples, factors.data_ptr<float>());
    each = each * factors;
  }
  Tensor loss = each.mean();
  double const value = loss.item<double>();
  Tensor gradient = torch::autograd::grad({loss}, {leaf})[0].contiguous();
  double const length = gradient.norm().item<double>();
  if (!std::isfinite(value) || !std::isfinite(length)) {
    throw error("unet: after " + std::to_string(steps) + " steps the loss is " +
                std::to_string(value) + " and the norm of its gradient " + std::to_string(length) +
                ", both must be finite");
  }

  steps += 1;
  double const shrink = settings.clip > 0 && length > settings.clip ? settings.clip / length : 1;
  double const taken = static_cast<double>(steps);
  auto const rate = static_cast<float>(settings.rate / (1 - std::pow(settings.beta1, taken)));
  auto const correct = static_cast<float>(1 / (1 - std::pow(settings.beta2, taken)));
  auto const beta1 = static_cast<float>(settings.beta1), beta2 = static_cast<float>(settings.beta2);
  auto const epsilon = static_cast<float>(settings.epsilon), factor = static_cast<float>(shrink);
  float* p = flat.data_ptr<float>();
  float* m = moment1.data_ptr<float>();
  float* v = moment2.data_ptr<float>();
  float const* g = gradient.data_ptr<float>();
  for (std::int64_t i = 0, count = flat.numel(); i < count; ++i) {
    float const d = g[i] * factor;
    m[i] = beta1 * m[i] + (1 - beta1) * d;
    v[i] = beta2 * v[i] + (1 - beta2) * d * d;
    p[i] -= rate * m[i] / (std::sqrt(v[i] * correct) + epsilon);
  }
  return value;
}

void set_threads(int threads) {
  if (threads < 1)
    throw error("unet: " + text(threads) + " threads were asked for, it must be at least 1");
  at::set_num_threads(threads);
  // OpenBLAS on pthreads keeps its own count, whatever LibTorch is told; another BLAS has no such
  // function. RTLD_DEFAULT begins with the program, and glibc goes on to what this library needs.
  using setter = void (*)(int);
  if (auto set = reinterpret_cast<setter>(dlsym(RTLD_DEFAULT, "openblas_set_num_threads")))
    set(threads);
  at::globalContext().setFlushDenormal(true);
#ifdef __GLIBC__
  // Else a step returns its activations to the system and takes them back page by page, a tenth of
  // its time.
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 2047 << 20);
#endif
}

}  // namespace
}  // namespace tweedie::networks

// What unet.cpp asks the loaded library for.
extern "C" std::size_t tweedie_unet_layout() { return tweedie::networks::unet_layout; }
extern "C" tweedie::networks::unet_body* tweedie_unet_make(
    tweedie::networks::unet_config const& config, std::uint64_t seed) {
  return new tweedie::networks::torch_body(config, seed);
}
extern "C" void tweedie_unet_set_threads(int threads) { tweedie::networks::set_threads(threads); }
