# Installs BUILD below FOLDER, builds SOURCE over it and runs it; then configures and builds it once more with TREE as
# a folder of its own, as far as the libraries that it links. Both are built without optimisation: what counts is that
# targets and headers are found, and that the consumer runs.
function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE failed OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(failed)
    message(FATAL_ERROR "${ARGN}:\n${output}")
  endif()
endfunction()

file(REMOVE_RECURSE ${FOLDER})
file(REMOVE ${BUILD}/libtweedie_core_spy.a)  # as after `make demo`, which builds a part
run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${FOLDER}/prefix)
set(arch "")
if(X86)
  set(arch -march=haswell)
endif()
run(${CMAKE_COMMAND} -S ${SOURCE} -B ${FOLDER}/installed -G Ninja -DCMAKE_CXX_COMPILER=${COMPILER}
    -DCMAKE_BUILD_TYPE=None -DCMAKE_PREFIX_PATH=${FOLDER}/prefix -DCMAKE_CXX_FLAGS=${arch}
    -DCMAKE_EXPORT_COMPILE_COMMANDS=ON)
run(${CMAKE_COMMAND} --build ${FOLDER}/installed)
run(${FOLDER}/installed/consumer)

# The consumer's own -march is the only one.
if(X86)
  file(READ ${FOLDER}/installed/compile_commands.json commands)
  string(REGEX MATCHALL "-march=[^ ]*" given "${commands}")
  list(REMOVE_DUPLICATES given)
  if(NOT given STREQUAL arch)
    message(FATAL_ERROR "the consumer's flags have '${given}'; expected '${arch}' alone")
  endif()
endif()

# By pkg-config, where it is: the headers and the core.
find_program(pkg_config pkg-config)
if(pkg_config)
  foreach(what cflags libs)
    execute_process(COMMAND ${CMAKE_COMMAND} -E env PKG_CONFIG_PATH=${FOLDER}/prefix/${LIBDIR}/pkgconfig ${pkg_config} --${what} tweedie
                    OUTPUT_VARIABLE ${what} OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
    separate_arguments(${what} UNIX_COMMAND "${${what}}")
  endforeach()
  run(${COMPILER} -std=c++20 ${arch} ${cflags} ${SOURCE}/main.cpp ${SOURCE}/other.cpp -o ${FOLDER}/by_pkg_config ${libs})
  run(${FOLDER}/by_pkg_config)
endif()

# The same sources in the same configuration: what differs is how the targets come to be.
run(${CMAKE_COMMAND} -S ${SOURCE} -B ${FOLDER}/subdirectory -G Ninja -DCMAKE_CXX_COMPILER=${COMPILER}
    -DCMAKE_BUILD_TYPE=None -DTWEEDIE_TREE=${TREE} -DTWEEDIE_RECIPES=OFF -DTWEEDIE_TORCH=OFF)
run(${CMAKE_COMMAND} --build ${FOLDER}/subdirectory --target consumer)
run(${FOLDER}/subdirectory/consumer)
