# `cmake --install`, and what find_package(tweedie) finds then: the targets tweedie::tweedie (the backend of
# this build), tweedie::core_cpp and so on, tweedie::core_cuda, tweedie::io, tweedie::state_file, tweedie::recipes. Networks on LibTorch
# stay here: their library belongs to the machine that built it.
include(CMakePackageConfigHelpers)

foreach(folder dsl schedules samplers networks pipelines io)
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/${folder} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/tweedie
          FILES_MATCHING PATTERN "*.hpp" PATTERN "unet*" EXCLUDE PATTERN "recipes" EXCLUDE)
endforeach()
install(FILES ${PROJECT_SOURCE_DIR}/pipelines/ready/tweedie.hpp DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/tweedie)

set(installed tweedie_headers tweedie_arithmetic)
foreach(target core_cpp core_omp core_tbb core_spy core_cuda io state_file recipes)
  if(TARGET tweedie_${target})
    list(APPEND installed tweedie_${target})
    set_target_properties(tweedie_${target} PROPERTIES EXPORT_NAME ${target})
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
