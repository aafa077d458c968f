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
run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${FOLDER}/prefix)
run(${CMAKE_COMMAND} -S ${SOURCE} -B ${FOLDER}/installed -G Ninja -DCMAKE_CXX_COMPILER=${COMPILER}
    -DCMAKE_BUILD_TYPE=None -DCMAKE_PREFIX_PATH=${FOLDER}/prefix)
run(${CMAKE_COMMAND} --build ${FOLDER}/installed)
run(${FOLDER}/installed/consumer)

# The same sources in the same configuration: what differs is how the targets come to be.
run(${CMAKE_COMMAND} -S ${SOURCE} -B ${FOLDER}/subdirectory -G Ninja -DCMAKE_CXX_COMPILER=${COMPILER}
    -DCMAKE_BUILD_TYPE=None -DTWEEDIE_TREE=${TREE} -DTWEEDIE_RECIPES=OFF)
run(${CMAKE_COMMAND} --build ${FOLDER}/subdirectory --target consumer)
run(${FOLDER}/subdirectory/consumer)
