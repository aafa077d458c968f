# tweedie_program(NAME SOURCE... [BACKEND cpp|omp]): an executable over the core and the file formats, and over
# the U-Net where a source includes it.
#
# Where the tree as configured cannot build it (the U-Net without LibTorch) no target comes to be: a caller asks
# if(TARGET NAME).
function(tweedie_program name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "BACKEND" "")
  set(unet OFF)
  foreach(source ${arg_UNPARSED_ARGUMENTS})
    file(STRINGS ${source} line REGEX "#include .(tweedie/networks/unet|torch/)")
    if(line)
      set(unet ON)
    endif()
    # An #include that comes or goes changes what is linked.
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${source})
  endforeach()
  if(unet AND NOT TARGET tweedie_unet)
    message(STATUS "Tweedie: ${name} is left out, it needs LibTorch")
    return()
  endif()

  add_executable(${name} ${arg_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE tweedie_warnings)
  # Before the core: they call it.
  foreach(library recipes state_file io)
    if(TARGET tweedie_${library})
      target_link_libraries(${name} PRIVATE tweedie::${library})
    endif()
  endforeach()
  if(arg_BACKEND)
    target_link_libraries(${name} PRIVATE tweedie::core_${arg_BACKEND})
  else()
    target_link_libraries(${name} PRIVATE tweedie::tweedie)
  endif()
  if(unet)
    target_link_libraries(${name} PRIVATE tweedie::unet_file tweedie::unet)
  endif()
endfunction()
