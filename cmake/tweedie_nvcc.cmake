# tweedie_nvcc_object(RESULT SOURCE OPTION...): an object file that nvcc makes of a .cu file, with the arithmetic that the
# same bits depend on, on the host as on the device. RESULT becomes its path. The project does not enable CMake's
# CUDA language: a machine with the toolkit and another host compiler than nvcc takes would not configure.

function(tweedie_nvcc_object result source)
  cmake_path(GET source STEM name)
  set(object ${CMAKE_CURRENT_BINARY_DIR}/${result}.o)
  if(TWEEDIE_STATIC)
    list(APPEND ARGN -DFMT_HEADER_ONLY=1)
  endif()
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    list(APPEND ARGN -ccbin ${CMAKE_CXX_COMPILER})
  endif()
  add_custom_command(OUTPUT ${object}
    COMMAND ${TWEEDIE_NVCC} -std=c++20 -c ${ARGN} --fmad=false -Werror all-warnings -DFMT_USE_CONSTEXPR=1
            -Xcompiler ${TWEEDIE_ARITHMETIC_OF_NVCC} -I ${TWEEDIE_INCLUDE} -MD -MT ${object} -MF ${object}.d -o ${object} ${source}
    DEPENDS ${source} DEPFILE ${object}.d COMMENT "nvcc: ${name}.cu" VERBATIM)
  set(${result} ${object} PARENT_SCOPE)
endfunction()
