# LibTorch as a plain library. Its own CMake package brings protobuf, Caffe2 and compile flags along. CMAKE_PREFIX_PATH
# may name another than the system's: an unpacked libtorch/, or the folder torch/ of a Python wheel.

set(TWEEDIE_TORCH_USED OFF)
set(TWEEDIE_TORCH_CUDA_USED OFF)
set(TWEEDIE_TORCH_STANDARD 17)
if(NOT "${CMAKE_PREFIX_PATH}" STREQUAL "${TWEEDIE_TORCH_PREFIX}")  # what was found elsewhere is forgotten
  foreach(found INCLUDE LIBRARY CPU_LIBRARY CUDA_LIBRARY CUDA_INCLUDE)
    unset(TWEEDIE_TORCH_${found} CACHE)
  endforeach()
  unset(TWEEDIE_C10_LIBRARY CACHE)
  unset(TWEEDIE_C10_CUDA_LIBRARY CACHE)
  set(TWEEDIE_TORCH_PREFIX "${CMAKE_PREFIX_PATH}" CACHE INTERNAL "where LibTorch was looked for")
endif()
if(TWEEDIE_TORCH)
  find_path(TWEEDIE_TORCH_INCLUDE torch/csrc/api/include/torch/torch.h)
  find_library(TWEEDIE_TORCH_LIBRARY torch)
  find_library(TWEEDIE_TORCH_CPU_LIBRARY torch_cpu)
  find_library(TWEEDIE_C10_LIBRARY c10)
  mark_as_advanced(TWEEDIE_TORCH_INCLUDE TWEEDIE_TORCH_LIBRARY TWEEDIE_TORCH_CPU_LIBRARY
                   TWEEDIE_C10_LIBRARY)
  if(TWEEDIE_TORCH_INCLUDE AND TWEEDIE_TORCH_LIBRARY AND TWEEDIE_TORCH_CPU_LIBRARY AND TWEEDIE_C10_LIBRARY)
    set(TWEEDIE_TORCH_USED ON)
    add_library(tweedie_torch INTERFACE)
    target_include_directories(tweedie_torch SYSTEM INTERFACE
      ${TWEEDIE_TORCH_INCLUDE} ${TWEEDIE_TORCH_INCLUDE}/torch/csrc/api/include)
    target_link_libraries(tweedie_torch INTERFACE
      ${TWEEDIE_TORCH_LIBRARY} ${TWEEDIE_TORCH_CPU_LIBRARY} ${TWEEDIE_C10_LIBRARY})
    if(EXISTS ${TWEEDIE_TORCH_INCLUDE}/torch/headeronly)  # a LibTorch whose headers are C++20
      set(TWEEDIE_TORCH_STANDARD 20)
    endif()

    # Its CUDA, where it was built with it: of the same folders, or it is another's.
    cmake_path(GET TWEEDIE_TORCH_LIBRARY PARENT_PATH folder)
    find_library(TWEEDIE_TORCH_CUDA_LIBRARY torch_cuda PATHS ${folder} NO_DEFAULT_PATH)
    find_library(TWEEDIE_C10_CUDA_LIBRARY c10_cuda PATHS ${folder} NO_DEFAULT_PATH)
    find_path(TWEEDIE_TORCH_CUDA_INCLUDE c10/cuda/CUDAStream.h PATHS ${TWEEDIE_TORCH_INCLUDE} NO_DEFAULT_PATH)
    mark_as_advanced(TWEEDIE_TORCH_CUDA_LIBRARY TWEEDIE_C10_CUDA_LIBRARY TWEEDIE_TORCH_CUDA_INCLUDE)
    if(TARGET tweedie_device AND TWEEDIE_TORCH_CUDA_LIBRARY AND TWEEDIE_C10_CUDA_LIBRARY AND TWEEDIE_TORCH_CUDA_INCLUDE)
      set(TWEEDIE_TORCH_CUDA_USED ON)
      add_library(tweedie_torch_cuda INTERFACE)
      target_compile_definitions(tweedie_torch_cuda INTERFACE TWEEDIE_TORCH_CUDA)
      target_include_directories(tweedie_torch_cuda SYSTEM INTERFACE ${CUDAToolkit_INCLUDE_DIRS})
      # Its kernels make themselves known when it is loaded: nothing names them.
      target_link_libraries(tweedie_torch_cuda INTERFACE
        -Wl,--push-state,--no-as-needed ${TWEEDIE_TORCH_CUDA_LIBRARY} ${TWEEDIE_C10_CUDA_LIBRARY} -Wl,--pop-state)
    endif()
  elseif(TWEEDIE_TORCH STREQUAL "ON")
    message(FATAL_ERROR "TWEEDIE_TORCH is ON, but LibTorch was not found (Debian: libtorch-dev)")
  endif()
endif()
