# tweedie_program(NAME SOURCE...): an executable over the core, recipes and the file formats, and over the U-Net
# where a source includes it.
#
# tweedie_programs(NAME SOURCE... BACKENDS cpp|omp|tbb|spy...): one for each backend, compiled once: NAME for the
# build's own backend and the spy, NAME.cpp and so on for the others. NAME_objects is what was compiled.
#
# Where the tree as configured cannot build it (the U-Net without LibTorch) no target comes to be: a caller asks
# if(TARGET NAME) or if(TARGET NAME_objects).

# What the sources are linked with, or "none".
function(tweedie_libraries_of result)
  set(libraries tweedie_warnings)
  # Before the core: they call it.
  foreach(library recipes state_file io)
    if(TARGET tweedie_${library})
      list(APPEND libraries tweedie_${library})
    endif()
  endforeach()
  foreach(source ${ARGN})
    get_source_file_property(generated ${source} GENERATED)
    if(generated)
      continue()
    endif()
    file(STRINGS ${source} line REGEX "#include .(tweedie/networks/unet|torch/)")
    if(line)
      list(APPEND libraries tweedie_unet_file tweedie_unet)
    endif()
    # An #include that comes or goes changes what is linked.
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${source})
  endforeach()
  list(REMOVE_DUPLICATES libraries)
  if(tweedie_unet IN_LIST libraries AND NOT TARGET tweedie_unet)
    message(STATUS "Tweedie: ${ARGN} is left out, it needs LibTorch")
    set(libraries none)
  endif()
  set(${result} ${libraries} PARENT_SCOPE)
endfunction()

function(tweedie_program name)
  tweedie_libraries_of(libraries ${ARGN})
  if(NOT libraries STREQUAL "none")
    add_executable(${name} ${ARGN})
    target_link_libraries(${name} PRIVATE ${libraries} tweedie::tweedie)
  endif()
endfunction()

function(tweedie_programs name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "BACKENDS")
  tweedie_libraries_of(libraries ${arg_UNPARSED_ARGUMENTS})
  if(libraries STREQUAL "none")
    return()
  endif()
  add_library(${name}_objects OBJECT ${arg_UNPARSED_ARGUMENTS})
  target_link_libraries(${name}_objects PRIVATE tweedie_headers ${libraries})
  string(TOLOWER ${TWEEDIE_BACKEND_USED} own)
  foreach(backend ${arg_BACKENDS})
    if(backend STREQUAL own OR backend STREQUAL "spy")
      set(program ${name})
    else()
      set(program ${name}.${backend})
    endif()
    add_executable(${program} $<TARGET_OBJECTS:${name}_objects>)
    target_link_libraries(${program} PRIVATE ${libraries} tweedie_core_${backend})
  endforeach()
endfunction()

# Where all of a program is there to be read in <tweedie/tweedie.hpp>, that header is read once for all such programs.
function(tweedie_precompiled name)
  get_target_property(sources ${name} SOURCES)
  foreach(source ${sources})
    file(STRINGS ${source} line REGEX "#include .tweedie/tweedie.hpp")
    if(NOT line)
      return()
    endif()
  endforeach()
  if(NOT TARGET tweedie_precompiled)
    file(WRITE ${PROJECT_BINARY_DIR}/precompiled.cpp "")
    tweedie_libraries_of(libraries)
    add_library(tweedie_precompiled OBJECT ${PROJECT_BINARY_DIR}/precompiled.cpp)
    target_link_libraries(tweedie_precompiled PRIVATE tweedie_headers ${libraries})
    target_precompile_headers(tweedie_precompiled PRIVATE <tweedie/tweedie.hpp>)
  endif()
  target_precompile_headers(${name} REUSE_FROM tweedie_precompiled)
endfunction()
