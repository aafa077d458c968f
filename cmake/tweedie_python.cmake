# The Python module tweedie._core, a part of the wheel that pyproject.toml describes, where nanobind is found: in the
# environment of `pip`, or in .deps/python (made by cmake/bootstrap.sh). Of the stable ABI from Python 3.12 on, which is the
# first that nanobind has it for.
set(TWEEDIE_PYTHON_USED OFF)
if(NOT TWEEDIE_PYTHON OR TWEEDIE_STATIC OR NOT TARGET tweedie_recipes OR CMAKE_CROSSCOMPILING OR CMAKE_CXX_FLAGS MATCHES "-fsanitize")
  if(TWEEDIE_PYTHON STREQUAL "ON")
    message(FATAL_ERROR "TWEEDIE_PYTHON is ON, but the module needs recipes (toml++), and no TWEEDIE_STATIC, cross compiler or sanitizer")
  endif()
  return()
endif()
if(TWEEDIE_PYTHON STREQUAL "AUTO" AND (NOT TWEEDIE_TESTS OR NOT CMAKE_CXX_COMPILER_ID STREQUAL "GNU"))
  return()  # it is there for its test, which is in g++'s build
endif()
if(NOT SKBUILD AND EXISTS ${PROJECT_SOURCE_DIR}/.deps/python/bin/python)
  set(Python_EXECUTABLE ${PROJECT_SOURCE_DIR}/.deps/python/bin/python)
endif()
find_package(Python 3.9 COMPONENTS Interpreter Development.Module QUIET)
if(Python_FOUND)
  execute_process(COMMAND ${Python_EXECUTABLE} -m nanobind --cmake_dir OUTPUT_VARIABLE nanobind_DIR
                  OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  find_package(nanobind CONFIG QUIET)
endif()
if(NOT nanobind_FOUND)
  if(TWEEDIE_PYTHON STREQUAL "ON")
    message(FATAL_ERROR "TWEEDIE_PYTHON is ON, but nanobind or Python's headers were not found (`make deps`, python3-dev)")
  endif()
  return()
endif()
set(TWEEDIE_PYTHON_USED ON)

nanobind_add_module(tweedie_python STABLE_ABI NB_STATIC NB_SUPPRESS_WARNINGS NOMINSIZE
                    ${PROJECT_SOURCE_DIR}/bindings/python/module.cpp)
# Python's headers have a type `digit` at global scope, which a template of the kernels has a variable of.
set_source_files_properties(${PROJECT_SOURCE_DIR}/bindings/python/module.cpp PROPERTIES COMPILE_OPTIONS -Wno-shadow)
# Where its package would have it, so that the folder can be imported.
set(TWEEDIE_PYTHON_PACKAGE ${PROJECT_BINARY_DIR}/python/tweedie)
set_target_properties(tweedie_python PROPERTIES OUTPUT_NAME _core LIBRARY_OUTPUT_DIRECTORY ${TWEEDIE_PYTHON_PACKAGE})
target_compile_definitions(tweedie_python PRIVATE TWEEDIE_VERSION="${PROJECT_VERSION}")
target_link_libraries(tweedie_python PRIVATE tweedie_onnx tweedie_state_file tweedie_recipes tweedie::tweedie
                      tweedie_warnings)
target_link_options(tweedie_python PRIVATE -Wl,--exclude-libs,ALL)
nanobind_add_stub(tweedie_python_stub MODULE _core PYTHON_PATH ${TWEEDIE_PYTHON_PACKAGE}
                  OUTPUT ${TWEEDIE_PYTHON_PACKAGE}/_core.pyi DEPENDS tweedie_python)
if(TARGET tweedie_openvino)
  # The engine goes into the wheel beside the module, which loads it before the first file is opened. It finds OpenVINO
  # where it was built with it, if no wheel of PyPI brings the same version along.
  target_compile_definitions(tweedie_python PRIVATE TWEEDIE_OPENVINO_VERSION="${OpenVINO_VERSION}")
  add_custom_command(TARGET tweedie_python POST_BUILD COMMAND ${CMAKE_COMMAND} -E copy_if_different
                     $<TARGET_FILE:tweedie_openvino> ${TWEEDIE_PYTHON_PACKAGE}/)
  install(TARGETS tweedie_openvino LIBRARY DESTINATION tweedie COMPONENT python EXCLUDE_FROM_ALL)
endif()
install(TARGETS tweedie_python LIBRARY DESTINATION tweedie COMPONENT python EXCLUDE_FROM_ALL)
install(FILES ${TWEEDIE_PYTHON_PACKAGE}/_core.pyi DESTINATION tweedie COMPONENT python EXCLUDE_FROM_ALL)
