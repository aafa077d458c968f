// A CUDA device's memory and stream, by the runtime's own functions; the kernels are launched by
// what nvcc compiled.
#include <tweedie/dsl/device/backends/cuda.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include <fmt/format.h>

#include <tweedie/dsl/base/error.hpp>

namespace tweedie {
namespace {

constexpr int oldest_major = 7, oldest_minor = 5;

/// An error that was thrown is not found again by the next call.
std::string take_message(cudaError_t code) {
  cudaGetLastError();
  return cudaGetErrorString(code);
}

bool ends_recording(cudaError_t code) {
  return code >= cudaErrorStreamCaptureUnsupported && code <= cudaErrorStreamCaptureWrongThread;
}

}  // namespace

namespace detail {

void check_cuda(int code, char const* doing) {
  auto const e = static_cast<cudaError_t>(code);
  if (e == cudaSuccess) return;
  std::string const message = take_message(e);
  if (ends_recording(e))
    throw error(
        fmt::format("{}: work that cannot be recorded was given to a loop that is being recorded "
                    "({}); expected "
                    "a network that enqueues on its batch's stream and waits for nothing",
                    doing, message));
  if (e == cudaErrorNoKernelImageForDevice || e == cudaErrorUnsupportedPtxVersion)
    throw error(
        fmt::format("{}: a device was given that the kernels were not compiled for ({}), expected "
                    "one of nvcc's -arch, or newer where PTX was kept",
                    doing, message));
  throw error(fmt::format("{}: the device says '{}'; the mistake may be in earlier work on it",
                          doing, message));
}

}  // namespace detail

namespace {

using detail::check_cuda;

class cuda_recording final : public recording {
 public:
  cuda_recording(cudaGraphExec_t graph, cudaStream_t stream) : graph_(graph), stream_(stream) {}
  ~cuda_recording() override { cudaGraphExecDestroy(graph_); }
  void launch() override {
    check_cuda(cudaGraphLaunch(graph_, stream_), "launching a recorded loop");
  }

 private:
  cudaGraphExec_t graph_;
  cudaStream_t stream_;
};

class cuda_memory final : public device_memory {
 public:
  cuda_memory(cudaStream_t stream, int device, device_options options)
      : device_memory(stream), stream_(stream), device_(device), options_(std::move(options)) {}

  void* allocate(std::size_t bytes) override {
    void* p = nullptr;
    if (options_.allocate) {
      p = options_.allocate(bytes, stream_);
      if (!p)
        throw error(fmt::format(
            "{} bytes of device memory were asked for, the caller's allocator has none", bytes));
      try {
        check_pointer(p, "the caller's allocator");
        if (reinterpret_cast<std::uintptr_t>(p) % 256 != 0)
          throw error(
              "the caller's allocator: memory was given that is not aligned, expected 256 bytes");
      } catch (...) {
        options_.release(p, bytes, stream_);
        throw;
      }
      return p;
    }
    cudaError_t const e = options_.shared_with_host
                              ? cudaMallocManaged(&p, bytes, cudaMemAttachGlobal)
                              : cudaMallocAsync(&p, bytes, stream_);
    if (e == cudaErrorMemoryAllocation) {
      take_message(e);
      std::size_t unused = 0, all = 0;
      cudaMemGetInfo(&unused, &all);
      throw error(fmt::format(
          "{} bytes of device memory were asked for, device {} has {} of {} left; expected fewer "
          "samples at a time, or smaller ones",
          bytes, device_, unused, all));
    }
    check_cuda(e, "asking for device memory");
    return p;
  }

  void release(void* p, std::size_t bytes) noexcept override {
    if (options_.allocate) options_.release(p, bytes, stream_);
    else if (options_.shared_with_host) cudaFree(p);
    else cudaFreeAsync(p, stream_);
  }

  void zero(void* to, std::size_t bytes) override {
    check_cuda(cudaMemsetAsync(to, 0, bytes, stream_), "clearing device memory");
    settle();
  }
  void copy(void* to, void const* from, std::size_t bytes) override {
    check_cuda(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream_),
               "copying on a device");
    settle();
  }
  // From pageable memory: the runtime has read it when the call returns.
  void copy_in(void* to, void const* from, std::size_t bytes) override {
    check_cuda(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream_),
               "copying to a device");
    settle();
  }
  void copy_out(void* to, void const* from, std::size_t bytes) override {
    check_cuda(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream_),
               "copying from a device");
    wait();
  }
  void wait() override { check_cuda(cudaStreamSynchronize(stream_), "waiting for a device"); }

  void check_ready() const override {
    int now = 0;
    check_cuda(cudaGetDevice(&now), "asking for the current device");
    if (now != device_)
      throw error(fmt::format(
          "a state on device {} was given to a thread whose device is {}, expected its own: call "
          "cudaSetDevice({})",
          device_, now, device_));
  }

  void check_done(char const* what) const override { check_cuda(cudaGetLastError(), what); }

  void check_pointer(void const* p, char const* what) const override {
    cudaPointerAttributes a{};
    check_cuda(cudaPointerGetAttributes(&a, p), what);
    if (a.type != cudaMemoryTypeDevice && a.type != cudaMemoryTypeManaged)
      throw error(fmt::format(
          "{}: a host pointer was given as a device buffer, expected memory of device {}", what,
          device_));
    if (a.device != device_)
      throw error(fmt::format("{}: memory of device {} was given, expected that of device {}", what,
                              a.device, device_));
  }

  bool is_shared_with_host() const override { return options_.shared_with_host; }

  void begin_recording() override {
    if (options_.shared_with_host)
      throw error(
          "a loop in memory that the host shares was to be recorded, which waits for every launch; "
          "expected on(stream) without shared_with_host");
    if (!stream_ || stream_ == cudaStreamLegacy)
      throw error(
          "a loop on the default stream was to be recorded, expected one on a stream of the "
          "caller's own: cudaStreamCreateWithFlags");
    check_cuda(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal),
               "beginning to record a loop");
  }
  std::unique_ptr<recording> end_recording() override {
    cudaGraph_t graph = nullptr;
    check_cuda(cudaStreamEndCapture(stream_, &graph), "recording a loop");
    cudaGraphExec_t executable = nullptr;
    cudaError_t const e = cudaGraphInstantiate(&executable, graph, 0);
    cudaGraphDestroy(graph);
    check_cuda(e, "making a recorded loop ready");
    return std::make_unique<cuda_recording>(executable, stream_);
  }
  void drop_recording() noexcept override {
    cudaGraph_t graph = nullptr;
    if (cudaStreamEndCapture(stream_, &graph) == cudaSuccess && graph) cudaGraphDestroy(graph);
    cudaGetLastError();
  }

 private:
  void settle() {
    if (options_.shared_with_host) wait();
  }

  cudaStream_t stream_;
  int device_;
  device_options options_;
};

int attribute_of(int device, cudaDeviceAttr which) {
  int value = 0;
  check_cuda(cudaDeviceGetAttribute(&value, which, device), "asking what a device can do");
  return value;
}

}  // namespace

placement on(cudaStream_t stream, device_options options) {
  int count = 0;
  if (cudaError_t const e = cudaGetDeviceCount(&count); e != cudaSuccess || count == 0)
    throw error(fmt::format(
        "on(stream): no CUDA device was found{}; expected one, or a call without on(stream), which "
        "runs on the host",
        e != cudaSuccess ? fmt::format(" ({})", take_message(e)) : ""));
  if (!options.allocate != !options.release)
    throw error(
        "on(stream): one of allocate and release was given, expected both of an allocator or none");
  int current = 0, of_stream = 0;
  check_cuda(cudaGetDevice(&current), "on(stream)");
  check_cuda(cudaStreamGetDevice(stream, &of_stream), "on(stream)");
  if (of_stream != current)
    throw error(
        fmt::format("on(stream): a stream of device {} was given to a thread whose device is {}, "
                    "expected one of its own: call cudaSetDevice({})",
                    of_stream, current, of_stream));
  int const major = attribute_of(current, cudaDevAttrComputeCapabilityMajor),
            minor = attribute_of(current, cudaDevAttrComputeCapabilityMinor);
  if (std::pair{major, minor} < std::pair{oldest_major, oldest_minor})
    throw error(
        fmt::format("on(stream): device {} is of compute capability {}.{}, expected {}.{} or newer",
                    current, major, minor, oldest_major, oldest_minor));
  if (!options.allocate && !options.shared_with_host &&
      !attribute_of(current, cudaDevAttrMemoryPoolsSupported))
    throw error(fmt::format(
        "on(stream): device {} has no memory pools, expected one that has, or an allocator in the "
        "options",
        current));
  return {std::make_shared<cuda_memory>(stream, current, std::move(options))};
}

}  // namespace tweedie
