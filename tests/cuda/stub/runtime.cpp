// See runtime.hpp. Only what the library, its network in the test and Thrust's for_each_n call.
#include "runtime.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <utility>

// Opaque to the caller: what a stream and a graph are is the runtime's own.
struct CUstream_st {
  int device = 0;
  bool recording = false, broken = false;
  std::vector<std::function<void()>> recorded;
};
struct CUgraph_st {
  std::vector<std::function<void()>> nodes;
};
struct CUgraphExec_st {
  std::vector<std::function<void()>> nodes;
};

namespace {

stub::seen counts;
stub::machine here;
cudaError_t last = cudaSuccess;
std::map<char const*, std::size_t> blocks;  // what is allocated, by where it begins
CUstream_st default_stream;
/// What stands between three angle brackets.
struct {
  dim3 grid, block;
  std::size_t shared;
  cudaStream_t stream;
} configured;

cudaError_t say(cudaError_t e) {
  if (e != cudaSuccess) last = e;
  return e;
}

/// The kernels by what stands for them on the host. They are registered before main, whatever the
/// order of the files.
std::map<void const*, std::string>& kernels() {
  static std::map<void const*, std::string> all;
  return all;
}

CUstream_st& of(cudaStream_t s) {
  return s == nullptr || s == cudaStreamLegacy ? default_stream : *s;
}

/// The bytes from p on that belong to an allocation; 0: none.
std::size_t room_at(void const* p) {
  auto const* const at = static_cast<char const*>(p);
  auto const after = blocks.upper_bound(at);
  if (after == blocks.begin()) return 0;
  auto const& [first, size] = *std::prev(after);
  return at < first + size ? static_cast<std::size_t>(first + size - at) : 0;
}

/// Does what is enqueued, or writes it down.
cudaError_t enqueue(cudaStream_t stream, std::function<void()> what) {
  CUstream_st& s = of(stream);
  if (s.device != here.current) return say(cudaErrorInvalidResourceHandle);
  if (std::ranges::find(counts.streams, stream) == counts.streams.end())
    counts.streams.push_back(stream);
  if (s.recording) s.recorded.push_back(std::move(what));
  else what();
  return cudaSuccess;
}

/// What must not happen while a stream is recorded spoils the recording.
bool spoils(cudaStream_t stream) {
  CUstream_st& s = of(stream);
  if (s.recording) s.broken = true;
  return s.recording;
}

cudaError_t launch(void const* function, cudaStream_t stream) {
  if (here.next_launch != cudaSuccess) return say(std::exchange(here.next_launch, cudaSuccess));
  if (!of(stream).recording) ++counts.launches;
  return enqueue(stream, [name = kernels()[function]] {
    ++counts.kernels;
    counts.names.push_back(name);
  });
}

cudaError_t allocate(void** p, std::size_t bytes) {
  ++counts.allocations;
  if (bytes > here.memory || stub::allocated() > here.memory - bytes)
    return say(cudaErrorMemoryAllocation);
  std::size_t const whole = (bytes + 255) / 256 * 256;
  *p = std::aligned_alloc(256, whole);
  std::memset(*p, 0xff, whole);  // no memory is clear before it was cleared
  blocks[static_cast<char*>(*p)] = bytes;
  return cudaSuccess;
}

cudaError_t release(void* p) {
  if (p == nullptr) return cudaSuccess;
  if (blocks.erase(static_cast<char*>(p)) == 0) return say(cudaErrorInvalidValue);
  std::free(p);
  return cudaSuccess;
}

}  // namespace

namespace stub {

seen const& now() { return counts; }
void forget() { counts = {}; }
machine& about() { return here; }
void reset() {
  here = {};
  last = cudaSuccess;
  default_stream = {};
}
std::size_t allocated() {
  std::size_t r = 0;
  for (auto const& [first, size] : blocks) r += size;
  return r;
}
cudaStream_t new_stream(int device) {
  auto* const s = new CUstream_st;
  s->device = device;
  return s;
}
void delete_stream(cudaStream_t s) { delete s; }

}  // namespace stub

extern "C" {

// What the compiler's own code calls.

void** __cudaRegisterFatBinary(void*) {
  static void* handle = nullptr;
  return &handle;
}
void __cudaRegisterFatBinaryEnd(void**) {}
void __cudaUnregisterFatBinary(void**) {}
void __cudaRegisterFunction(void**, char const* host, char*, char const* name, int, uint3*, uint3*,
                            dim3*, dim3*, int*) {
  kernels()[host] = name;
}
void __cudaRegisterVar(void**, char*, char*, char const*, int, std::size_t, int, int) {}
unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, std::size_t shared, CUstream_st* s) {
  configured = {grid, block, shared, s};
  return 0;
}
cudaError_t __cudaPopCallConfiguration(dim3* grid, dim3* block, std::size_t* shared, void* s) {
  *grid = configured.grid;
  *block = configured.block;
  *shared = configured.shared;
  *static_cast<cudaStream_t*>(s) = configured.stream;
  return cudaSuccess;
}
cudaError_t __cudaGetKernel(cudaKernel_t* kernel, void const* function) {
  *kernel = reinterpret_cast<cudaKernel_t>(const_cast<void*>(function));
  return cudaSuccess;
}
cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3, dim3, void**, std::size_t,
                               cudaStream_t stream) {
  return launch(kernel, stream);
}

// The runtime.

cudaError_t cudaLaunchKernel(void const* function, dim3, dim3, void**, std::size_t,
                             cudaStream_t stream) {
  return launch(function, stream);
}
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* a, void const*) {
  *a = {};
  a->ptxVersion = a->binaryVersion = 80;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int* n) {
  *n = here.devices;
  return here.devices > 0 ? cudaSuccess : say(cudaErrorNoDevice);
}
cudaError_t cudaGetDevice(int* d) {
  *d = here.current;
  return here.devices > 0 ? cudaSuccess : say(cudaErrorNoDevice);
}
cudaError_t cudaSetDevice(int d) {
  here.current = d;
  return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr which, int) {
  switch (which) {
    case cudaDevAttrComputeCapabilityMajor:
      *value = here.major;
      break;
    case cudaDevAttrComputeCapabilityMinor:
      *value = here.minor;
      break;
    case cudaDevAttrMemoryPoolsSupported:
      *value = here.memory_pools;
      break;
    default:
      return say(cudaErrorInvalidValue);
  }
  return cudaSuccess;
}
cudaError_t cudaMemGetInfo(std::size_t* unused, std::size_t* all) {
  *all = here.memory;
  *unused = here.memory - std::min(here.memory, stub::allocated());
  return cudaSuccess;
}

cudaError_t cudaGetLastError() { return std::exchange(last, cudaSuccess); }
cudaError_t cudaPeekAtLastError() { return last; }
char const* cudaGetErrorString(cudaError_t e) {
  static std::string said;
  return (said = "error " + std::to_string(e)).c_str();
}
char const* cudaGetErrorName(cudaError_t e) { return cudaGetErrorString(e); }

cudaError_t cudaMallocAsync(void** p, std::size_t bytes, cudaStream_t) {
  return allocate(p, bytes);
}
cudaError_t cudaFreeAsync(void* p, cudaStream_t) { return release(p); }
cudaError_t cudaMallocManaged(void** p, std::size_t bytes, unsigned) { return allocate(p, bytes); }
cudaError_t cudaFree(void* p) { return release(p); }
cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* a, void const* p) {
  *a = {};
  a->device = here.current;
  a->type = room_at(p) > 0 ? cudaMemoryTypeDevice : cudaMemoryTypeUnregistered;
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, void const* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  bool const to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  bool const from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  if (to_device != (room_at(to) > 0) || from_device != (room_at(from) > 0) ||
      (to_device && room_at(to) < bytes) || (from_device && room_at(from) < bytes))
    return say(cudaErrorInvalidValue);
  return enqueue(stream, [=] {
    ++(kind == cudaMemcpyHostToDevice   ? counts.copies_in
       : kind == cudaMemcpyDeviceToHost ? counts.copies_out
                                        : counts.copies);
    std::memmove(to, from, bytes);
  });
}
cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t stream) {
  if (room_at(to) < bytes) return say(cudaErrorInvalidValue);
  return enqueue(stream, [=] {
    ++counts.clears;
    std::memset(to, value, bytes);
  });
}

cudaError_t cudaStreamGetDevice(cudaStream_t stream, int* d) {
  *d = of(stream).device;
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  if (spoils(stream)) return say(cudaErrorStreamCaptureUnsupported);
  ++counts.waits;
  return cudaSuccess;
}
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  CUstream_st& s = of(stream);
  s.recording = true;
  s.broken = false;
  s.recorded.clear();
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  CUstream_st& s = of(stream);
  *graph = nullptr;
  s.recording = false;
  if (s.broken) return say(cudaErrorStreamCaptureInvalidated);
  *graph = new CUgraph_st{std::move(s.recorded)};
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* made, cudaGraph_t graph, unsigned long long) {
  *made = new CUgraphExec_st{graph->nodes};
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graph) {
  delete graph;
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t graph, cudaStream_t) {
  ++counts.graph_launches;
  for (auto const& node : graph->nodes) node();
  return cudaSuccess;
}

}  // extern "C"
