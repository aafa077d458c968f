# `cmake --install`, and what find_package(tweedie) finds then: the targets tweedie::tweedie (the backend of
# this build), tweedie::core_cpp and so on, tweedie::core_cuda, tweedie::io, tweedie::state_file, tweedie::recipes, and where
# LibTorch was found tweedie::unet and tweedie::unet_file, whose users need LibTorch when they run and not before.
include(CMakePackageConfigHelpers)

set(excluded "unet*")
if(TWEEDIE_TORCH_USED)
  set(excluded "unet_body.hpp")
endif()
foreach(folder dsl schedules samplers predicts guidances thresholds networks pipelines io)
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/${folder} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/tweedie
          FILES_MATCHING PATTERN "*.hpp" PATTERN ${excluded} EXCLUDE PATTERN "recipes" EXCLUDE)
endforeach()
install(FILES ${TWEEDIE_INCLUDE}/tweedie/tweedie.hpp DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/tweedie)
install(DIRECTORY ${TWEEDIE_INCLUDE}/tweedie/generated DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/tweedie)

if(TARGET tweedie_c)
  install(FILES ${PROJECT_SOURCE_DIR}/bindings/c/tweedie.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
endif()

# What was not built, as after `make demo`, is built now.
set(libraries "")
set(installed tweedie_headers tweedie_arithmetic)
foreach(target core_cpp core_omp core_tbb core_spy core_cuda io state_file recipes c onnx unet unet_file unet_onnx)
  if(TARGET tweedie_${target} AND (TWEEDIE_TORCH_USED OR NOT target MATCHES unet))
    list(APPEND installed tweedie_${target})
    list(APPEND libraries tweedie_${target})
    set_target_properties(tweedie_${target} PROPERTIES EXPORT_NAME ${target})
  endif()
endforeach()
if(TARGET tweedie_unet_torch)
  list(APPEND libraries tweedie_unet_torch)
  set_target_properties(tweedie_unet_torch PROPERTIES INSTALL_RPATH_USE_LINK_PATH ON)  # LibTorch, where it was found
endif()
foreach(engine openvino torchscript aoti)
  if(TARGET tweedie_${engine})
    list(APPEND libraries tweedie_${engine})
    set_target_properties(tweedie_${engine} PROPERTIES INSTALL_RPATH_USE_LINK_PATH ON)  # where its engine was found
  endif()
endforeach()
add_custom_target(tweedie_installed)
add_dependencies(tweedie_installed ${libraries})
list(TRANSFORM libraries REPLACE "(.+)" "$<TARGET_FILE:\\1>")
install(CODE "
  set(libraries \"${libraries}\")
  foreach(file IN LISTS libraries)
    if(NOT EXISTS \"\${file}\")
      execute_process(COMMAND \${CMAKE_COMMAND} --build \"${PROJECT_BINARY_DIR}\" --target tweedie_installed
                      COMMAND_ERROR_IS_FATAL ANY)
      break()
    endif()
  endforeach()")
if(TARGET tweedie_unet_torch)
  install(TARGETS tweedie_unet_torch LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
endif()
foreach(engine openvino torchscript aoti)
  if(TARGET tweedie_${engine})
    install(TARGETS tweedie_${engine} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
  endif()
endforeach()
install(TARGETS ${installed} EXPORT tweedie_targets)
set(folder ${CMAKE_INSTALL_LIBDIR}/cmake/tweedie)
install(EXPORT tweedie_targets NAMESPACE tweedie:: FILE tweedie_targets.cmake DESTINATION ${folder})

string(TOLOWER ${TWEEDIE_BACKEND_USED} TWEEDIE_CORE)
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/tweedie-config.cmake.in
  ${PROJECT_BINARY_DIR}/tweedie-config.cmake INSTALL_DESTINATION ${folder})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/tweedie-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/tweedie-config.cmake ${PROJECT_BINARY_DIR}/tweedie-config-version.cmake
        DESTINATION ${folder})

# The same for builds that are not CMake's: the core alone. Boost's headers are a folder of the system.
if(NOT IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}" AND NOT IS_ABSOLUTE "${CMAKE_INSTALL_INCLUDEDIR}")
  list(JOIN users " " TWEEDIE_PC_FLAGS)
  set(TWEEDIE_PC_LIBS "")
  if(TWEEDIE_CORE STREQUAL "omp")
    list(JOIN OpenMP_CXX_FLAGS " " TWEEDIE_PC_LIBS)
  elseif(TWEEDIE_CORE STREQUAL "tbb")
    set(TWEEDIE_PC_LIBS "-ltbb")
  endif()
  file(RELATIVE_PATH TWEEDIE_PC_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
  configure_file(${PROJECT_SOURCE_DIR}/cmake/tweedie.pc.in ${PROJECT_BINARY_DIR}/tweedie.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/tweedie.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endif()
