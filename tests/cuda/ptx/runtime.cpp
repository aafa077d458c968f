// A stand-in for CUDA's runtime library that runs kernels in the interpreter, for machines without a
// GPU. A program that nvcc compiled for PTX alone, uncompressed,
//
//   nvcc -gencode arch=compute_75,code=compute_75 --compress-mode=none
//
// is linked with this in place of cudart: the PTX lies in the program as text, launches take the same
// way through Thrust and CUB, and a kernel reads and writes host memory. The program's operator new
// is replaced so that all allocations are known, to the byte; every access of a kernel is held to
// them. Streams are one, and nothing is asynchronous.
#include <cuda_runtime_api.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <optional>

#include "decode.hpp"
#include "fault.hpp"
#include "records.hpp"

// The parts of the runtime that only the code that nvcc writes calls have no header of their own.
extern "C" {
void** __cudaRegisterFatBinary(void* wrapper);
void __cudaRegisterFatBinaryEnd(void** handle);
void __cudaUnregisterFatBinary(void** handle);
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
  std::mutex lock;
  memory all;
  std::vector<std::unique_ptr<module_of_ptx>> files;
  std::map<void const*, kernel_name> kernels;
  std::vector<call_configuration> configurations;
  std::vector<launch_record> launches;
  runtime_calls calls;
  std::string fault_text;
  cudaError_t last = cudaSuccess;
};
world& here() {
  static world* const one = new (std::malloc(sizeof(world))) world;
  return *one;
}

/// While one lives, what is allocated is the interpreter's own: no kernel may touch it.
struct own_work {
  own_work() { ++depth; }
  ~own_work() { --depth; }
  own_work(own_work const&) = delete;
  own_work& operator=(own_work const&) = delete;
  static inline thread_local int depth = 0;
};

cudaError_t failed(std::string const& what) {
  world& w = here();
  std::fprintf(stderr, "%s\n", what.c_str());
  if (w.fault_text.empty()) w.fault_text = what;
  return w.last = cudaErrorLaunchFailure;
}

cudaError_t launch(kernel_name const& k, dim3 grid, dim3 block, void** arguments,
                   std::size_t dynamic) {
  world& w = here();
  if (w.last == cudaErrorLaunchFailure) return w.last;
  own_work const guard;
  try {
    entry const& e = k.file->find(k.name, w.all);
    if (dynamic > 0) throw fault("the interpreter has no dynamic shared memory");
    std::vector<unsigned char> parameters(e.parameter_bytes + 1);
    for (std::size_t i = 0; i < e.parameters.size(); ++i)
      std::memcpy(parameters.data() + e.parameters[i].offset, arguments[i], e.parameters[i].bytes);
    launch_record r{k.name, {grid.x, grid.y, grid.z}, {block.x, block.y, block.z}, 0, {}};
    w.all.take_uses();
    r.instructions = run(e, r.grid, r.block, parameters.data(), w.all);
    r.uses = w.all.take_uses();
    w.launches.push_back(std::move(r));
    return cudaSuccess;
  } catch (std::exception const& e) {
    return failed(e.what());
  }
}

// Room around each allocation, so that an access a little beside it is in none.
constexpr std::size_t margin = 256;

void* allocate(std::size_t bytes, std::size_t alignment = alignof(std::max_align_t)) {
  std::size_t const room = (margin + bytes + margin + alignment - 1) / alignment * alignment;
  std::size_t const before = (margin + alignment - 1) / alignment * alignment;
  auto* const p = static_cast<unsigned char*>(std::aligned_alloc(alignment, room + before));
  if (!p) throw std::bad_alloc();
  std::memcpy(p + before - sizeof(void*), &p, sizeof(void*));
  if (own_work::depth > 0) return p + before;
  std::scoped_lock const guard(here().lock);
  here().all.add(p + before, bytes > 0 ? bytes : 1);
  return p + before;
}
void release(void* p) {
  if (!p) return;
  {
    std::scoped_lock const guard(here().lock);
    here().all.remove(p);
  }
  void* whole = nullptr;
  std::memcpy(&whole, static_cast<unsigned char*>(p) - sizeof(void*), sizeof(void*));
  std::free(whole);
}

cudaError_t allocated(void** p, std::size_t bytes) {
  ++here().calls.allocations;
  try {
    *p = allocate(bytes, 256);
    return cudaSuccess;
  } catch (std::bad_alloc const&) {
    return cudaErrorMemoryAllocation;
  }
}
cudaError_t synchronised() {
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

void* operator new(std::size_t n) { return ptx::allocate(n); }
void* operator new[](std::size_t n) { return ptx::allocate(n); }
void* operator new(std::size_t n, std::align_val_t a) {
  return ptx::allocate(n, static_cast<std::size_t>(a));
}
void* operator new[](std::size_t n, std::align_val_t a) {
  return ptx::allocate(n, static_cast<std::size_t>(a));
}
void operator delete(void* p) noexcept { ptx::release(p); }
void operator delete[](void* p) noexcept { ptx::release(p); }
void operator delete(void* p, std::size_t) noexcept { ptx::release(p); }
void operator delete[](void* p, std::size_t) noexcept { ptx::release(p); }
void operator delete(void* p, std::align_val_t) noexcept { ptx::release(p); }
void operator delete[](void* p, std::align_val_t) noexcept { ptx::release(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { ptx::release(p); }
void operator delete[](void* p, std::size_t, std::align_val_t) noexcept { ptx::release(p); }

using ptx::here;

void** __cudaRegisterFatBinary(void* wrapper) {
  ptx::own_work const guard;
  // A wrapper's third word points to the binary: magic number, version, size of this header, size of
  // the rest. The PTX in it is text that ends in a 0.
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
void __cudaRegisterFunction(void** handle, char const* host, char*, char const* name, int, uint3*,
                            uint3*, dim3*, dim3*, int*) {
  here().kernels[host] = {reinterpret_cast<ptx::module_of_ptx*>(handle), name};
}
void __cudaRegisterVar(void**, char*, char*, char const*, int, std::size_t, int, int) {}

unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, std::size_t shared, void* stream) {
  here().configurations.push_back({grid, block, shared, stream});
  return 0;
}
cudaError_t __cudaPopCallConfiguration(dim3* grid, dim3* block, std::size_t* shared, void* stream) {
  auto const c = here().configurations.back();
  here().configurations.pop_back();
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
cudaError_t cudaGetLastError() { return here().last; }
cudaError_t cudaPeekAtLastError() { return here().last; }
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
cudaError_t cudaMalloc(void** p, std::size_t bytes) { return ptx::allocated(p, bytes); }
cudaError_t cudaMallocAsync(void** p, std::size_t bytes, cudaStream_t) {
  return ptx::allocated(p, bytes);
}
cudaError_t cudaFree(void* p) {
  ptx::release(p);
  return cudaSuccess;
}
cudaError_t cudaFreeAsync(void* p, cudaStream_t) { return cudaFree(p); }
cudaError_t cudaMemcpy(void* to, void const* from, std::size_t bytes, cudaMemcpyKind) {
  ++here().calls.copies;
  std::memcpy(to, from, bytes);
  return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* to, void const* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t) {
  return cudaMemcpy(to, from, bytes, kind);
}
cudaError_t cudaMemset(void* to, int value, std::size_t bytes) {
  std::memset(to, value, bytes);
  return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t) {
  return cudaMemset(to, value, bytes);
}
