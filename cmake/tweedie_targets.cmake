# The libraries: tweedie::tweedie (the core), tweedie::io, tweedie::unet.
#
# tweedie::core_cpp, core_omp and core_tbb are the same headers over one Thrust system each; tweedie::tweedie is
# the one chosen by TWEEDIE_BACKEND.

include(GNUInstallDirs)

# Users write <tweedie/dsl/...>, in the tree as after installing: links to the folders.
set(TWEEDIE_INCLUDE ${PROJECT_BINARY_DIR}/include)
file(MAKE_DIRECTORY ${TWEEDIE_INCLUDE}/tweedie)
foreach(folder dsl schedules samplers predicts guidances thresholds networks pipelines io)
  file(CREATE_LINK ${PROJECT_SOURCE_DIR}/${folder} ${TWEEDIE_INCLUDE}/tweedie/${folder} SYMBOLIC)
endforeach()
include(tweedie_generated)

find_package(Boost 1.74 REQUIRED)  # headers: Hana
find_package(fmt REQUIRED)
set(TWEEDIE_FMT fmt::fmt)
if(TWEEDIE_STATIC)  # Debian's fmt is a shared library, or headers
  set(TWEEDIE_FMT fmt::fmt-header-only)
  set(ZLIB_USE_STATIC_LIBS ON)
  find_library(PNG_LIBRARY_RELEASE libpng.a)
  find_library(JPEG_LIBRARY_RELEASE libjpeg.a)
  add_link_options(-static-libstdc++ -static-libgcc)
endif()
find_package(Threads REQUIRED)
if(NOT TWEEDIE_WITHOUT_OPENMP)
  find_package(OpenMP COMPONENTS CXX)
endif()
include(tweedie_cccl)

find_package(TBB QUIET)

if(TWEEDIE_BACKEND STREQUAL "AUTO")
  if(OpenMP_CXX_FOUND)
    set(TWEEDIE_BACKEND_USED OMP)
  else()
    set(TWEEDIE_BACKEND_USED CPP)
  endif()
elseif(TWEEDIE_BACKEND MATCHES "^(OMP|CPP|TBB)$")
  set(TWEEDIE_BACKEND_USED ${TWEEDIE_BACKEND})
else()
  message(FATAL_ERROR "TWEEDIE_BACKEND is ${TWEEDIE_BACKEND}; it can be OMP, TBB, CPP or AUTO")
endif()
if(TWEEDIE_BACKEND_USED STREQUAL "OMP" AND NOT OpenMP_CXX_FOUND)
  message(FATAL_ERROR "TWEEDIE_BACKEND is OMP, but ${CMAKE_CXX_COMPILER_ID} found no OpenMP "
                      "(clang++ needs libomp-dev)")
endif()
if(TWEEDIE_BACKEND_USED STREQUAL "TBB" AND NOT TBB_FOUND)
  message(FATAL_ERROR "TWEEDIE_BACKEND is TBB, but oneTBB was not found (Debian: libtbb-dev)")
endif()

# Own code only: linked PRIVATE by this project's targets, never part of what a user gets.
add_library(tweedie_warnings INTERFACE)
target_compile_options(tweedie_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wshadow $<$<BOOL:${TWEEDIE_WERROR}>:-Werror>
  # Three warnings of g++ 12's optimiser that are wrong about fmt 9.1 and libstdc++'s own strings and vectors
  $<$<CXX_COMPILER_ID:GNU>:-Wno-stringop-overflow -Wno-stringop-overread -Wno-restrict>)

# The same bits on every compiler and machine depend on these: a multiply and an add are fused only where
# the code says fma. The other two let a square root be one instruction and a select be branch-free.
set(TWEEDIE_ARITHMETIC -ffp-contract=off -fno-math-errno -fno-trapping-math -fopenmp-simd)
set(users ${TWEEDIE_ARITHMETIC})
if(TWEEDIE_ARCH)
  list(APPEND TWEEDIE_ARITHMETIC -march=${TWEEDIE_ARCH})
  # A user's targets get the instructions that this library is compiled with, so that kernels have fma there too: these
  # add to the user's own -march, wherever it stands, and do not replace it.
  execute_process(COMMAND ${CMAKE_CXX_COMPILER} -march=${TWEEDIE_ARCH} -dM -E -x c++ /dev/null OUTPUT_VARIABLE macros)
  foreach(set avx2 fma f16c bmi2 avx512f avx512dq avx512bw avx512vl)
    string(TOUPPER __${set}__ macro)
    if(macros MATCHES "#define ${macro} 1")
      list(APPEND users -m${set})
    endif()
  endforeach()
endif()
list(JOIN TWEEDIE_ARITHMETIC , TWEEDIE_ARITHMETIC_OF_NVCC)  # behind its -Xcompiler
list(JOIN TWEEDIE_ARITHMETIC $<COMMA> own_of_nvcc)
list(JOIN users $<COMMA> users_of_nvcc)
string(REGEX REPLACE "([][+.*?()^$|\\\\])" "\\\\\\1" here "${PROJECT_BINARY_DIR}")
set(own "$<BUILD_INTERFACE:$<FILTER:$<TARGET_PROPERTY:BINARY_DIR>,INCLUDE,^${here}(/|$)>>")
add_library(tweedie_arithmetic INTERFACE)
target_compile_options(tweedie_arithmetic INTERFACE
  "$<$<COMPILE_LANGUAGE:CXX>:$<IF:$<BOOL:${own}>,${TWEEDIE_ARITHMETIC},${users}>>"
  "$<$<COMPILE_LANGUAGE:CUDA>:--fmad=false;-Xcompiler=$<IF:$<BOOL:${own}>,${own_of_nvcc},${users_of_nvcc}>>")
# fmt 9.1 does not compile under nvcc as C++20 without.
target_compile_definitions(tweedie_arithmetic INTERFACE $<$<COMPILE_LANGUAGE:CUDA>:FMT_USE_CONSTEXPR=1>)

add_library(tweedie_headers INTERFACE)
target_compile_features(tweedie_headers INTERFACE cxx_std_20)
target_include_directories(tweedie_headers INTERFACE
  $<BUILD_INTERFACE:${TWEEDIE_INCLUDE}> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_link_libraries(tweedie_headers INTERFACE
  tweedie_arithmetic Boost::headers ${TWEEDIE_FMT} Threads::Threads)

# The compiled part: plans and states; noise, one source per instruction set, each of which says its own in a
# pragma; the widest that the machine has is chosen at run time.
file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/dsl/*.cpp ${PROJECT_SOURCE_DIR}/schedules/*.cpp
     ${PROJECT_SOURCE_DIR}/pipelines/*.cpp)
list(FILTER sources EXCLUDE REGEX "/dsl/device/backends/|/pipelines/ready/|_file\\.cpp$")
add_library(tweedie_compiled OBJECT ${sources})
target_link_libraries(tweedie_compiled PUBLIC tweedie_headers PRIVATE $<BUILD_INTERFACE:tweedie_warnings>)
set_target_properties(tweedie_compiled PROPERTIES POSITION_INDEPENDENT_CODE ON)

# The door to the hardware, once per system: what includes the headers is the same for all, so that a program is
# compiled once and linked with the one or the other. The spy counts launches, for tests.
set(TWEEDIE_BACKENDS CPP)
foreach(system OMP TBB CPP SPY)
  string(TOLOWER ${system} lower)
  if((system STREQUAL "OMP" AND NOT OpenMP_CXX_FOUND) OR (system STREQUAL "TBB" AND NOT TBB_FOUND))
    continue()
  endif()
  if(system STREQUAL "SPY")
    set(door ${PROJECT_SOURCE_DIR}/dsl/device/backends/spy.cpp)
  else()
    set(door ${PROJECT_SOURCE_DIR}/dsl/device/backends/thrust.cpp)
    list(APPEND TWEEDIE_BACKENDS ${system})
  endif()
  add_library(tweedie_core_${lower} STATIC ${door} $<TARGET_OBJECTS:tweedie_compiled>)
  add_library(tweedie::core_${lower} ALIAS tweedie_core_${lower})
  if(NOT system STREQUAL "SPY")
    target_compile_definitions(tweedie_core_${lower} PRIVATE
      THRUST_HOST_SYSTEM=THRUST_HOST_SYSTEM_CPP THRUST_DEVICE_SYSTEM=THRUST_DEVICE_SYSTEM_${system})
  endif()
  target_include_directories(tweedie_core_${lower} SYSTEM PRIVATE ${TWEEDIE_CCCL_INCLUDE})
  target_link_libraries(tweedie_core_${lower} PUBLIC tweedie_headers PRIVATE $<BUILD_INTERFACE:tweedie_warnings>)
  set_target_properties(tweedie_core_${lower} PROPERTIES POSITION_INDEPENDENT_CODE ON)
endforeach()
if(TARGET tweedie_core_omp)
  target_link_libraries(tweedie_core_omp PRIVATE OpenMP::OpenMP_CXX)
endif()
if(TARGET tweedie_core_tbb)
  target_link_libraries(tweedie_core_tbb PRIVATE TBB::tbb)
endif()
list(REMOVE_DUPLICATES TWEEDIE_BACKENDS)
string(TOLOWER ${TWEEDIE_BACKEND_USED} lower)
add_library(tweedie::tweedie ALIAS tweedie_core_${lower})

# A device beside it, where the CUDA Toolkit is: what g++ compiles of it calls the runtime alone; the kernels are
# those of the .cu files that nvcc compiles for whoever links this.
if(TWEEDIE_CUDA)
  find_package(CUDAToolkit 12.8 QUIET)
endif()
if(TARGET CUDA::cudart_static)
  add_library(tweedie_device OBJECT ${PROJECT_SOURCE_DIR}/dsl/device/backends/cuda.cpp)
  target_include_directories(tweedie_device SYSTEM PRIVATE ${CUDAToolkit_INCLUDE_DIRS})
  target_link_libraries(tweedie_device PUBLIC tweedie_headers PRIVATE $<BUILD_INTERFACE:tweedie_warnings>)
  set_target_properties(tweedie_device PROPERTIES POSITION_INDEPENDENT_CODE ON)
  add_library(tweedie_core_cuda STATIC $<TARGET_OBJECTS:tweedie_device>)
  add_library(tweedie::core_cuda ALIAS tweedie_core_cuda)
  target_link_libraries(tweedie_core_cuda PUBLIC tweedie::tweedie CUDA::cudart_static)
endif()

# Files: plain arrays and key-value maps.
file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/io/*.cpp)
find_path(TWEEDIE_TOML_INCLUDE toml++/toml.h)
mark_as_advanced(TWEEDIE_TOML_INCLUDE)
if(NOT TWEEDIE_TOML_INCLUDE)
  list(FILTER sources EXCLUDE REGEX "/document\\.cpp$")  # TOML and JSON to one tree
endif()
if(sources)
  find_package(nlohmann_json 3.9 REQUIRED)
  find_package(ZLIB REQUIRED)
  find_package(PNG REQUIRED)
  add_library(tweedie_io STATIC ${sources})
  add_library(tweedie::io ALIAS tweedie_io)
  target_compile_features(tweedie_io PUBLIC cxx_std_20)
  target_include_directories(tweedie_io PUBLIC
    $<BUILD_INTERFACE:${TWEEDIE_INCLUDE}> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_link_libraries(tweedie_io PUBLIC nlohmann_json::nlohmann_json ${TWEEDIE_FMT}
                        PRIVATE PNG::PNG ZLIB::ZLIB tweedie_arithmetic $<BUILD_INTERFACE:tweedie_warnings>)
  if(TWEEDIE_TOML_INCLUDE)
    target_include_directories(tweedie_io SYSTEM PRIVATE ${TWEEDIE_TOML_INCLUDE})
  endif()
  if(TWEEDIE_JPEG)  # without it a JPEG is refused by a sentence
    find_package(JPEG QUIET)
    if(JPEG_FOUND)
      target_compile_definitions(tweedie_io PRIVATE TWEEDIE_JPEG)
      target_link_libraries(tweedie_io PRIVATE JPEG::JPEG)
    endif()
  endif()
  set_target_properties(tweedie_io PROPERTIES POSITION_INDEPENDENT_CODE ON)
endif()

# States as files, over io.
if(TARGET tweedie_io)
  add_library(tweedie_state_file STATIC ${PROJECT_SOURCE_DIR}/pipelines/state_file.cpp)
  add_library(tweedie::state_file ALIAS tweedie_state_file)
  target_link_libraries(tweedie_state_file PUBLIC tweedie_headers tweedie_io PRIVATE $<BUILD_INTERFACE:tweedie_warnings>)
  set_target_properties(tweedie_state_file PROPERTIES POSITION_INDEPENDENT_CODE ON)
endif()

# Recipes: pipelines that are put together at run time, and the programs that are compiled for them.
if(TWEEDIE_RECIPES AND TARGET tweedie_io AND TWEEDIE_TOML_INCLUDE)
  # The shipped ones become part of the library.
  file(GLOB recipes CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/pipelines/recipes/*.toml)
  set(TWEEDIE_SHIPPED_RECIPES "")
  foreach(recipe ${recipes})
    cmake_path(GET recipe STEM name)
    file(READ ${recipe} text)
    string(APPEND TWEEDIE_SHIPPED_RECIPES "    {\"${name}\", R\"recipe(${text})recipe\"},\n")
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${recipe})
  endforeach()
  configure_file(${PROJECT_SOURCE_DIR}/cmake/shipped_recipes.cpp.in ${PROJECT_BINARY_DIR}/shipped_recipes.cpp @ONLY)
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/pipelines/ready/*.cpp)
  add_library(tweedie_recipes STATIC ${sources} ${PROJECT_BINARY_DIR}/shipped_recipes.cpp)
  add_library(tweedie::recipes ALIAS tweedie_recipes)
  # What reads a file runs once. recipe.cpp has loops over elements: lists of terms, and thresholds.
  set_source_files_properties(${PROJECT_SOURCE_DIR}/pipelines/ready/recipe_text.cpp PROPERTIES
    COMPILE_OPTIONS $<$<CONFIG:Release>:-O1>)
  target_link_libraries(tweedie_recipes PUBLIC tweedie_headers tweedie_io PRIVATE $<BUILD_INTERFACE:tweedie_warnings>)
  set_target_properties(tweedie_recipes PROPERTIES POSITION_INDEPENDENT_CODE ON)
endif()

# In C: a shared library of which nothing is seen but what bindings/c/tweedie.h says.
if(TARGET tweedie_recipes AND NOT TWEEDIE_STATIC)  # a library's static parts would have to be made for shared ones
  add_library(tweedie_c SHARED ${PROJECT_SOURCE_DIR}/bindings/c/tweedie.cpp)
  add_library(tweedie::c ALIAS tweedie_c)
  set_target_properties(tweedie_c PROPERTIES OUTPUT_NAME tweedie SOVERSION ${PROJECT_VERSION_MAJOR} VERSION ${PROJECT_VERSION}
                        CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
  target_include_directories(tweedie_c PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/bindings/c> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_link_libraries(tweedie_c PRIVATE tweedie_state_file tweedie_recipes tweedie::tweedie tweedie_warnings)
  target_link_options(tweedie_c PRIVATE -Wl,--exclude-libs,ALL)
endif()

# The U-Net: one source in LibTorch's C++, whose headers cost 18 s and 1.3 GB, in a library that is loaded when a program
# has its first network or sets LibTorch's threads. A new source in networks/ is named here.
include(tweedie_torch)
if(TWEEDIE_TORCH_USED)
  add_library(tweedie_unet_torch MODULE ${PROJECT_SOURCE_DIR}/networks/unet_torch.cpp)
  set_target_properties(tweedie_unet_torch PROPERTIES
    CXX_STANDARD ${TWEEDIE_TORCH_STANDARD} LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR})
  target_include_directories(tweedie_unet_torch PRIVATE ${TWEEDIE_INCLUDE})
  target_link_libraries(tweedie_unet_torch PRIVATE tweedie_torch tweedie_arithmetic tweedie_warnings
    $<TARGET_NAME_IF_EXISTS:tweedie_torch_cuda>)
endif()
if(TARGET tweedie_io)  # without LibTorch too: the tool draws with ONNX files, and says what it cannot
  add_library(tweedie_unet STATIC ${PROJECT_SOURCE_DIR}/networks/unet.cpp)
  if(TWEEDIE_TORCH_USED)
    add_library(tweedie::unet ALIAS tweedie_unet)
    add_dependencies(tweedie_unet tweedie_unet_torch)
    target_compile_definitions(tweedie_unet PRIVATE
      TWEEDIE_UNET_FOLDER="$<TARGET_FILE_DIR:tweedie_unet_torch>"
      TWEEDIE_UNET_LIBRARY="$<TARGET_FILE_NAME:tweedie_unet_torch>")
  endif()
  target_include_directories(tweedie_unet PUBLIC
    $<BUILD_INTERFACE:${TWEEDIE_INCLUDE}> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_link_libraries(tweedie_unet PUBLIC ${CMAKE_DL_LIBS}
                        PRIVATE tweedie_arithmetic $<BUILD_INTERFACE:tweedie_warnings>)
  # The library is loaded by its name: a program over the installed package looks where it was installed.
  target_link_options(tweedie_unet INTERFACE
    $<INSTALL_INTERFACE:-Wl,-rpath,$<INSTALL_PREFIX>/${CMAKE_INSTALL_LIBDIR}>)
  add_library(tweedie_unet_file STATIC ${PROJECT_SOURCE_DIR}/networks/unet_file.cpp)
  if(TWEEDIE_TORCH_USED)
    add_library(tweedie::unet_file ALIAS tweedie_unet_file)
  endif()
  target_link_libraries(tweedie_unet_file PUBLIC tweedie_unet tweedie_io
                        PRIVATE tweedie_arithmetic $<BUILD_INTERFACE:tweedie_warnings>)
endif()

# Networks from files: what their numbers mean, and the engines that run them, each in a library that is loaded with its
# first file. OpenVINO_DIR names the folder of OpenVINOConfig.cmake where it is not the one that cmake/bootstrap.sh unpacked.
set(TWEEDIE_OPENVINO_USED OFF)
if(TARGET tweedie_recipes)
  if(TWEEDIE_OPENVINO AND NOT TWEEDIE_STATIC)
    find_package(OpenVINO QUIET COMPONENTS Runtime
                 HINTS ${OpenVINO_DIR} $ENV{OPENVINO_DIR} ${PROJECT_SOURCE_DIR}/.deps/openvino/openvino/cmake)
    if(NOT OpenVINO_FOUND AND TWEEDIE_OPENVINO STREQUAL "ON")
      message(FATAL_ERROR "TWEEDIE_OPENVINO is ON, but OpenVINO was not found: name the folder of its OpenVINOConfig.cmake by "
                          "-DOpenVINO_DIR= (`make deps` unpacks it into .deps/)")
    endif()
  endif()
  add_library(tweedie_onnx STATIC ${PROJECT_SOURCE_DIR}/networks/file_network.cpp ${PROJECT_SOURCE_DIR}/networks/engines.cpp
              ${PROJECT_SOURCE_DIR}/networks/card.cpp)
  add_library(tweedie::onnx ALIAS tweedie_onnx)
  set_target_properties(tweedie_onnx PROPERTIES POSITION_INDEPENDENT_CODE ON)
  target_link_libraries(tweedie_onnx PUBLIC tweedie_headers tweedie_recipes tweedie_io ${CMAKE_DL_LIBS}
                        PRIVATE $<BUILD_INTERFACE:tweedie_warnings>)
  if(OpenVINO_FOUND AND NOT TWEEDIE_STATIC)
    set(TWEEDIE_OPENVINO_USED ${OpenVINO_VERSION})
    add_library(tweedie_openvino MODULE ${PROJECT_SOURCE_DIR}/networks/onnx_openvino.cpp)
    set_target_properties(tweedie_openvino PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR})
    # Its library alone: its targets bring a oneTBB along, whose folder would hide the system's.
    get_target_property(folders openvino::runtime INTERFACE_INCLUDE_DIRECTORIES)
    target_include_directories(tweedie_openvino SYSTEM PRIVATE ${folders})
    target_include_directories(tweedie_openvino PRIVATE ${TWEEDIE_INCLUDE})
    target_link_libraries(tweedie_openvino PRIVATE $<TARGET_FILE:openvino::runtime> ${TWEEDIE_FMT} tweedie_arithmetic
                          tweedie_warnings)
    # Found by its name, where it was loaded before: the Python package does so.
    target_link_options(tweedie_openvino PRIVATE -Wl,-soname,$<TARGET_FILE_NAME:tweedie_openvino>)
    add_dependencies(tweedie_onnx tweedie_openvino)
    target_compile_definitions(tweedie_onnx PRIVATE
      TWEEDIE_OPENVINO_FOLDER="$<TARGET_FILE_DIR:tweedie_openvino>"
      TWEEDIE_OPENVINO_LIBRARY="$<TARGET_FILE_NAME:tweedie_openvino>")
  endif()
  if(TWEEDIE_TORCH_USED)  # fmt as headers: a wheel of PyTorch brings its own version of them along
    add_library(tweedie_torchscript MODULE ${PROJECT_SOURCE_DIR}/networks/torchscript_torch.cpp)
    set_target_properties(tweedie_torchscript PROPERTIES
      CXX_STANDARD ${TWEEDIE_TORCH_STANDARD} LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR})
    target_include_directories(tweedie_torchscript PRIVATE ${TWEEDIE_INCLUDE})
    target_link_libraries(tweedie_torchscript PRIVATE tweedie_torch fmt::fmt-header-only tweedie_arithmetic tweedie_warnings)
    add_dependencies(tweedie_onnx tweedie_torchscript)
    target_compile_definitions(tweedie_onnx PRIVATE
      TWEEDIE_TORCHSCRIPT_FOLDER="$<TARGET_FILE_DIR:tweedie_torchscript>"
      TWEEDIE_TORCHSCRIPT_LIBRARY="$<TARGET_FILE_NAME:tweedie_torchscript>")
  endif()
  set(package_loader ${TWEEDIE_TORCH_INCLUDE}/torch/csrc/inductor/aoti_package/model_package_loader.h)
  if(TWEEDIE_AOTI AND TWEEDIE_TORCH_USED AND EXISTS ${package_loader})
    add_library(tweedie_aoti MODULE ${PROJECT_SOURCE_DIR}/networks/aoti_torch.cpp)
    set_target_properties(tweedie_aoti PROPERTIES
      CXX_STANDARD ${TWEEDIE_TORCH_STANDARD} LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR})
    target_include_directories(tweedie_aoti PRIVATE ${TWEEDIE_INCLUDE})
    target_link_libraries(tweedie_aoti PRIVATE tweedie_torch fmt::fmt-header-only tweedie_arithmetic tweedie_warnings)
    add_dependencies(tweedie_onnx tweedie_aoti)
    target_compile_definitions(tweedie_onnx PRIVATE
      TWEEDIE_AOTI_FOLDER="$<TARGET_FILE_DIR:tweedie_aoti>" TWEEDIE_AOTI_LIBRARY="$<TARGET_FILE_NAME:tweedie_aoti>")
  elseif(TWEEDIE_AOTI STREQUAL "ON")
    message(FATAL_ERROR "TWEEDIE_AOTI is ON, but no LibTorch of 2.x was found: name the folder torch/ of a wheel of "
                        "PyTorch by -DCMAKE_PREFIX_PATH=")
  endif()
  target_link_options(tweedie_onnx INTERFACE
    $<INSTALL_INTERFACE:-Wl,-rpath,$<INSTALL_PREFIX>/${CMAKE_INSTALL_LIBDIR}>)
endif()

include(tweedie_onnx_export)
