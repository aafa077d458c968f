// Where buffers lie: on the host, or in the memory of a device, worked on in the order of a stream.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>

namespace tweedie {

/// A recorded order of launches, which one launch repeats.
class recording {
 public:
  virtual ~recording() = default;
  /// Enqueues all of it, once more.
  virtual void launch() = 0;
};

/// The memory of a device with the stream in whose order everything happens to it. Its pointers
/// mean nothing to the host. Every function but copy_out and wait only enqueues; all but release
/// throw tweedie::error.
class device_memory {
 public:
  explicit device_memory(void* stream) : stream_(stream) {}
  device_memory(device_memory const&) = delete;
  device_memory& operator=(device_memory const&) = delete;
  virtual ~device_memory() = default;

  /// Aligned to 256 bytes. Throws where there is not so much.
  virtual void* allocate(std::size_t bytes) = 0;
  virtual void release(void* p, std::size_t bytes) noexcept = 0;
  virtual void zero(void* to, std::size_t bytes) = 0;
  virtual void copy(void* to, void const* from, std::size_t bytes) = 0;
  /// From the host, which may change `from` as soon as the call returns.
  virtual void copy_in(void* to, void const* from, std::size_t bytes) = 0;
  /// To the host: waits until it is there.
  virtual void copy_out(void* to, void const* from, std::size_t bytes) = 0;
  virtual void wait() = 0;

  /// Throws where kernels cannot be launched now: the calling thread's device is another.
  virtual void check_ready() const = 0;
  /// Throws where a call that others made on the device has failed, and nobody asked.
  virtual void check_done(char const* what) const = 0;
  /// Throws where a pointer that the caller gave is not of this device.
  virtual void check_pointer(void const* p, char const* what) const = 0;
  /// Whether the host may read and write it between two calls, each of which waits for its end.
  virtual bool is_shared_with_host() const = 0;

  /// From here to end_recording() what this thread enqueues is written down, not done.
  virtual void begin_recording() = 0;
  virtual std::unique_ptr<recording> end_recording() = 0;
  /// Ends one that failed; what was written down is forgotten.
  virtual void drop_recording() noexcept = 0;

  /// A cudaStream_t.
  void* stream() const { return stream_; }

 private:
  void* stream_;
};

/// Where a state lies: `{}` is the host, `on(stream)` (dsl/device/backends/cuda.hpp) a device.
struct placement {
  std::shared_ptr<device_memory> memory = {};

  bool on_device() const { return memory != nullptr; }
  /// Whether a program or a network for hosts can do its part there.
  bool for_hosts() const { return !memory || memory->is_shared_with_host(); }
  friend bool operator==(placement const&, placement const&) = default;
};

/// Where a state lies that is not told: the host, but for the backend that runs the tests on a
/// device.
placement const& default_placement();

}  // namespace tweedie
