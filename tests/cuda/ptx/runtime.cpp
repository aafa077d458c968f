// A stand-in for CUDA's runtime library that runs kernels in the interpreter, for machines without
// a GPU. A program that nvcc compiled for PTX alone, uncompressed,
//
//   nvcc -gencode arch=compute_75,code=compute_75 --compress-mode=none
//
// is linked with this in place of cudart: the PTX lies in the program as text, and launches take
// the same way through Thrust and CUB. A kernel may touch what this runtime has allocated and
// nothing else, to the byte. Streams are one, and nothing is asynchronous; what is captured is done
// when its graph is launched. Threads take turns.
#include <cuda_runtime_api.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "decode.hpp"
#include "fault.hpp"
#include "records.hpp"

// The parts of the runtime that only the code that nvcc writes calls have no header of their own.
extern "C" {
void** __cudaRegisterFatBinary(void* wrapper);
void __cudaRegisterFatBinaryEnd(void** handle);
void __cudaUnregisterFatBinary(void** handle);
char __cudaInitModule(void** handle);
void __cudaRegisterFunction(void** handle, char const* host, char* device, char const* name,
                            int thread_limit, uint3* tid, uint3* bid, dim3* block, dim3* grid,
                            int* warp_size);
void __cudaRegisterVar(void** handle, char* host, char* device, char const* name, int external,
                       std::size_t size, int constant, int global);
unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, std::size_t shared, void* stream);
cudaError_t __cudaPopCallConfiguration(dim3* grid, dim3* block, std::size_t* shared, void* stream);
cudaError_t __cudaGetKernel(cudaKernel_t* kernel, void const* host);
cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block, void** arguments,
                               std::size_t shared, cudaStream_t stream);
}

/// What was captured, in its order.
struct CUgraph_st {
  std::vector<std::function<cudaError_t()>> work;
};
struct CUgraphExec_st : CUgraph_st {};
/// The host's time: nothing is asynchronous.
struct CUevent_st {
  std::chrono::steady_clock::time_point at;
};

namespace ptx {
namespace {

/// One .cu file's PTX: entries are decoded when they are first launched.
struct module_of_ptx {
  file_text text;
  std::map<std::string, std::uint64_t> globals;
  std::map<std::string, std::unique_ptr<unsigned char[]>> storage;
  std::map<std::string, entry> entries;

  entry const& find(std::string const& name, memory& all) {
    if (auto const at = entries.find(name); at != entries.end()) return at->second;
    if (storage.empty())
      for (auto const& v : text.variables) {
        auto& place = storage[v.name] = std::make_unique<unsigned char[]>(v.bytes + 1);
        all.add(place.get(), v.bytes);
        globals[v.name] = reinterpret_cast<std::uint64_t>(place.get());
      }
    for (auto const& e : text.entries)
      if (e.name == name) return entries[name] = decode(e, globals);
    throw fault("the PTX has no entry " + name);
  }
};

struct kernel_name {
  module_of_ptx* file;
  std::string name;
};

struct call_configuration {
  dim3 grid, block;
  std::size_t shared;
  void* stream;
};

/// All that this runtime knows. Never destroyed: kernels are unregistered at the very end.
struct world {
  memory all;
  std::vector<std::unique_ptr<module_of_ptx>> files;
  std::map<void const*, kernel_name> kernels;
  std::vector<launch_record> launches;
  runtime_calls calls;
  std::string fault_text;
  cudaError_t last = cudaSuccess;
  std::recursive_mutex turn;
};
world& here() {
  static world* const one = new world;
  return *one;
}

// A thread's own: what stands between three angle brackets, and what is being captured, if anything
// is.
thread_local std::vector<call_configuration> configurations;
thread_local std::unique_ptr<CUgraph_st> capture;

/// For a thread that does something here, as long as it does.
struct turn {
  std::lock_guard<std::recursive_mutex> one{here().turn};
};

cudaError_t failed(std::string const& what) {
  world& w = here();
  std::fprintf(stderr, "%s\n", what.c_str());
  if (w.fault_text.empty()) w.fault_text = what;
  return w.last = cudaErrorLaunchFailure;
}

/// Does it now, or writes it down where a graph is captured.
cudaError_t enqueue(std::function<cudaError_t()> work) {
  turn const one;
  world& w = here();
  if (w.last == cudaErrorLaunchFailure) return w.last;
  if (!capture) return work();
  capture->work.push_back(std::move(work));
  return cudaSuccess;
}

cudaError_t launch(kernel_name const& k, dim3 grid, dim3 block, void** arguments,
                   std::size_t dynamic) {
  turn const one;
  try {
    entry const& e = k.file->find(k.name, here().all);
    if (dynamic > 0) throw fault("the interpreter has no dynamic shared memory");
    std::vector<unsigned char> parameters(e.parameter_bytes + 1);
    for (std::size_t i = 0; i < e.parameters.size(); ++i)
      std::memcpy(parameters.data() + e.parameters[i].offset, arguments[i], e.parameters[i].bytes);
    return enqueue([&k, &e, grid, block, parameters]() -> cudaError_t {
      world& w = here();
      try {
        launch_record r{k.name, {grid.x, grid.y, grid.z}, {block.x, block.y, block.z}, 0, {}};
        w.all.take_uses();
        r.instructions = run(e, r.grid, r.block, parameters.data(), w.all);
        r.uses = w.all.take_uses();
        w.launches.push_back(std::move(r));
        return cudaSuccess;
      } catch (std::exception const& mistake) {
        return failed(mistake.what());
      }
    });
  } catch (std::exception const& mistake) {
    return failed(mistake.what());
  }
}

// Room around each allocation, so that an access a little beside it is in none.
constexpr std::size_t margin = 256;

constexpr std::size_t alignment = 256;  // of cudaMalloc

cudaError_t allocate(void** p, std::size_t bytes) {
  turn const one;
  ++here().calls.allocations;
  std::size_t const whole = (margin + bytes + margin + alignment - 1) / alignment * alignment;
  auto* const room = static_cast<unsigned char*>(std::aligned_alloc(alignment, whole));
  if (!room) return cudaErrorMemoryAllocation;
  *p = room + margin;
  here().all.add(*p, bytes > 0 ? bytes : 1);
  return cudaSuccess;
}
cudaError_t release(void* p) {
  if (!p) return cudaSuccess;
  turn const one;
  here().all.remove(p);
  std::free(static_cast<unsigned char*>(p) - margin);
  return cudaSuccess;
}

cudaError_t synchronised() {
  turn const one;
  ++here().calls.synchronisations;
  return here().last;
}

}  // namespace

std::vector<launch_record> take_launches() { return std::exchange(here().launches, {}); }
runtime_calls take_calls() { return std::exchange(here().calls, {}); }
std::vector<std::string> never_launched() {
  std::vector<std::string> r;
  for (auto const& file : here().files)
    for (auto const& e : file->text.entries)
      if (e.statements.size() > 1 && !file->entries.contains(e.name)) r.push_back(e.name);
  return r;
}
std::string const& first_fault() { return here().fault_text; }

}  // namespace ptx

using ptx::here;

void** __cudaRegisterFatBinary(void* wrapper) {
  // A wrapper's third word points to the binary: magic number, version, size of this header, size
  // of the rest. The PTX in it is text that ends in a 0.
  unsigned char const* binary = nullptr;
  std::memcpy(&binary, static_cast<unsigned char*>(wrapper) + 8, sizeof binary);
  std::uint64_t size = 0;
  std::memcpy(&size, binary + 8, sizeof size);
  std::string_view const all(reinterpret_cast<char const*>(binary), size + 16);
  auto file = std::make_unique<ptx::module_of_ptx>();
  try {
    std::size_t const start = all.find("\n.version ");
    if (start == std::string_view::npos)
      throw ptx::fault("the program holds no PTX as text; compile with --compress-mode=none");
    file->text = ptx::parse(all.substr(start, all.find('\0', start) - start));
  } catch (std::exception const& e) {
    ptx::failed(e.what());
  }
  here().files.push_back(std::move(file));
  return reinterpret_cast<void**>(here().files.back().get());
}
void __cudaRegisterFatBinaryEnd(void**) {}
void __cudaUnregisterFatBinary(void**) {}
char __cudaInitModule(void**) { return 1; }
void __cudaRegisterFunction(void** handle, char const* host, char*, char const* name, int, uint3*,
                            uint3*, dim3*, dim3*, int*) {
  here().kernels[host] = {reinterpret_cast<ptx::module_of_ptx*>(handle), name};
}
void __cudaRegisterVar(void**, char*, char*, char const*, int, std::size_t, int, int) {}

unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, std::size_t shared, void* stream) {
  ptx::configurations.push_back({grid, block, shared, stream});
  return 0;
}
cudaError_t __cudaPopCallConfiguration(dim3* grid, dim3* block, std::size_t* shared, void* stream) {
  auto const c = ptx::configurations.back();
  ptx::configurations.pop_back();
  *grid = c.grid;
  *block = c.block;
  *shared = c.shared;
  *static_cast<void**>(stream) = c.stream;
  return cudaSuccess;
}
cudaError_t __cudaGetKernel(cudaKernel_t* kernel, void const* host) {
  *kernel = reinterpret_cast<cudaKernel_t>(const_cast<void*>(host));
  return here().kernels.contains(host) ? cudaSuccess : cudaErrorInvalidDeviceFunction;
}
cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block, void** arguments,
                               std::size_t shared, cudaStream_t stream) {
  return cudaLaunchKernel(reinterpret_cast<void const*>(kernel), grid, block, arguments, shared,
                          stream);
}
cudaError_t cudaLaunchKernel(void const* host, dim3 grid, dim3 block, void** arguments,
                             std::size_t shared, cudaStream_t) {
  auto const k = here().kernels.find(host);
  if (k == here().kernels.end()) return cudaErrorInvalidDeviceFunction;
  return ptx::launch(k->second, grid, block, arguments, shared);
}

cudaError_t cudaLaunchKernelExC(cudaLaunchConfig_t const* c, void const* host, void** arguments) {
  return cudaLaunchKernel(host, c->gridDim, c->blockDim, arguments, c->dynamicSmemBytes, c->stream);
}

cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* a, void const*) {
  *a = {};
  a->ptxVersion = a->binaryVersion = 75;
  a->maxThreadsPerBlock = 1024;
  return cudaSuccess;
}
cudaError_t cudaGetDevice(int* device) {
  *device = 0;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int) { return cudaSuccess; }
// A launch that failed stays failed, as on a device.
cudaError_t cudaGetLastError() {
  ptx::turn const one;
  return here().last == cudaErrorLaunchFailure ? here().last
                                               : std::exchange(here().last, cudaSuccess);
}
cudaError_t cudaPeekAtLastError() {
  ptx::turn const one;
  return here().last;
}
char const* cudaGetErrorName(cudaError_t e) {
  return e == cudaSuccess              ? "cudaSuccess"
         : e == cudaErrorLaunchFailure ? "cudaErrorLaunchFailure"
                                       : "a CUDA error";
}
char const* cudaGetErrorString(cudaError_t e) {
  return e == cudaErrorLaunchFailure ? here().fault_text.c_str() : cudaGetErrorName(e);
}
cudaError_t cudaStreamSynchronize(cudaStream_t) { return ptx::synchronised(); }
cudaError_t cudaDeviceSynchronize() { return ptx::synchronised(); }
cudaError_t cudaMalloc(void** p, std::size_t bytes) { return ptx::allocate(p, bytes); }
cudaError_t cudaMallocAsync(void** p, std::size_t bytes, cudaStream_t) {
  return ptx::allocate(p, bytes);
}
cudaError_t cudaMallocManaged(void** p, std::size_t bytes, unsigned) {
  return ptx::allocate(p, bytes);
}
cudaError_t cudaFree(void* p) { return ptx::release(p); }
cudaError_t cudaFreeAsync(void* p, cudaStream_t) { return ptx::release(p); }
cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* a, void const* p) {
  ptx::turn const one;
  *a = {};
  a->type = here().all.size_of(p) > 0 ? cudaMemoryTypeDevice : cudaMemoryTypeUnregistered;
  return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* to, void const* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t) {
  ptx::turn const one;
  ++here().calls.copies;
  if (kind != cudaMemcpyHostToDevice)
    return ptx::enqueue([=] {
      std::memcpy(to, from, bytes);
      return cudaSuccess;
    });
  // The host may change what it gave.
  auto const* const first = static_cast<unsigned char const*>(from);
  return ptx::enqueue([to, given = std::vector<unsigned char>(first, first + bytes)] {
    std::memcpy(to, given.data(), given.size());
    return cudaSuccess;
  });
}
cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t) {
  return ptx::enqueue([=] {
    std::memset(to, value, bytes);
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr which, int) {
  *value = which == cudaDevAttrComputeCapabilityMajor   ? 7
           : which == cudaDevAttrComputeCapabilityMinor ? 5
                                                        : 1;
  return cudaSuccess;
}
cudaError_t cudaMemGetInfo(std::size_t* unused, std::size_t* all) {
  *unused = *all = std::size_t{1} << 34;
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = reinterpret_cast<cudaStream_t>(&here());
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t) { return cudaSuccess; }
cudaError_t cudaStreamGetDevice(cudaStream_t, int* device) { return cudaGetDevice(device); }
cudaError_t cudaStreamBeginCapture(cudaStream_t, cudaStreamCaptureMode) {
  ptx::capture = std::make_unique<CUgraph_st>();
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t, cudaGraph_t* graph) {
  *graph = ptx::capture.release();
  return *graph ? cudaSuccess : cudaErrorIllegalState;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* made, cudaGraph_t graph, unsigned long long) {
  *made = new CUgraphExec_st{*graph};
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
  ptx::turn const one;
  for (auto const& work : graph->work)
    if (cudaError_t const e = work(); e != cudaSuccess) return e;
  return here().last;
}

cudaError_t cudaEventCreate(cudaEvent_t* event) {
  *event = new CUevent_st;
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t) {
  event->at = std::chrono::steady_clock::now();
  return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t) { return ptx::synchronised(); }
cudaError_t cudaEventElapsedTime(float* ms, cudaEvent_t from, cudaEvent_t to) {
  *ms = std::chrono::duration<float, std::milli>(to->at - from->at).count();
  return cudaSuccess;
}
