# LibTorch as a plain library. Its own CMake package brings protobuf, Caffe2 and compile flags along.

set(TWEEDIE_TORCH_USED OFF)
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
  elseif(TWEEDIE_TORCH STREQUAL "ON")
    message(FATAL_ERROR "TWEEDIE_TORCH is ON, but LibTorch was not found (Debian: libtorch-dev)")
  endif()
endif()
