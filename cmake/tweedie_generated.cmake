# What is made of the headers, so that a new sampler is one header, with no line elsewhere:
#
#   <tweedie/tweedie.hpp>              includes every stage, and the pipelines
#   <tweedie/generated/samplers.hpp>   samplers by name in the order of their files, of the lines `// name: ddim = ddim{} | DDIM (Song et al. 2021)` of their headers
#   generated/sampler_rows.inc         the rows of those with a bar in docs/methods.md (tests/table/methods.cpp)
#
# A header that comes, goes or changes configures again; what is made is written only if it is other than before.

function(write_if_other file content)
  if(IS_SYMLINK ${file})  # of a build folder that is older than this: what it points at is not ours to write
    file(REMOVE ${file})
  endif()
  if(EXISTS ${file})
    file(READ ${file} there)
  endif()
  if(NOT EXISTS ${file} OR NOT there STREQUAL content)
    file(WRITE ${file} "${content}")
  endif()
endfunction()

# Of the networks those that need no library; a user of another includes it.
file(GLOB stages RELATIVE ${PROJECT_SOURCE_DIR} CONFIGURE_DEPENDS
     ${PROJECT_SOURCE_DIR}/guidances/*.hpp ${PROJECT_SOURCE_DIR}/networks/*.hpp
     ${PROJECT_SOURCE_DIR}/predicts/*.hpp ${PROJECT_SOURCE_DIR}/samplers/*.hpp ${PROJECT_SOURCE_DIR}/schedules/*.hpp
     ${PROJECT_SOURCE_DIR}/thresholds/*.hpp)
list(FILTER stages EXCLUDE REGEX "^networks/unet")
foreach(one driven_loop explain likelihood noise_from objective pipeline slerp torch_noise)
  list(APPEND stages pipelines/${one}.hpp)
endforeach()
list(SORT stages)
set(all "// Everything of the language and its stages in one include; networks that need a library of their own are not in it.\n#pragma once\n\n")
foreach(header IN LISTS stages)
  string(APPEND all "#include <tweedie/${header}>\n")
endforeach()
write_if_other(${TWEEDIE_INCLUDE}/tweedie/tweedie.hpp "${all}")

set(includes "")
set(entries "")
set(separator "")
set(names "")
set(rows "")
file(GLOB samplers RELATIVE ${PROJECT_SOURCE_DIR} CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/samplers/*.hpp)
list(SORT samplers)
foreach(header IN LISTS samplers)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${header})
  file(STRINGS ${PROJECT_SOURCE_DIR}/${header} lines REGEX "^[ \t]*///?[ \t]*[Nn]ame[ \t]*:" ENCODING UTF-8)
  if(lines)
    string(APPEND includes "#include <tweedie/${header}>\n")
  endif()
  foreach(line IN LISTS lines)
    if(NOT line MATCHES "^// name: ([a-z0-9_]+) = ([a-z0-9_]+(<[^|{}]*>)?{[^|{}]*}) *(\\| *(.*))?$")
      message(FATAL_ERROR "${header}: '${line}' was found; expected a line such as // name: ddim = ddim{} | DDIM (Song et al. 2021), "
                          "where ddim{} is a sampler of the namespace tweedie::samplers")
    endif()
    set(name ${CMAKE_MATCH_1})
    set(sampler ${CMAKE_MATCH_2})
    set(method ${CMAKE_MATCH_5})
    if(name IN_LIST names)
      message(FATAL_ERROR "the name ${name} was given to two samplers, in ${header} and in ${header_of_${name}}; expected one for each")
    endif()
    list(APPEND names ${name})
    set(header_of_${name} ${header})
    string(APPEND entries "${separator}/* ${header} */ named{\"${name}\", tweedie::samplers::${sampler}}")
    set(separator ",\n    ")
    if(method)
      string(APPEND rows "  // ${method} | ${name}\n  row(vp | v | samplers::${sampler} | network);\n")
    endif()
  endforeach()
endforeach()
write_if_other(${TWEEDIE_INCLUDE}/tweedie/generated/samplers.hpp
"// Made by cmake/tweedie_generated.cmake.
#pragma once

#include <tuple>

#include <tweedie/pipelines/ready/named.hpp>
${includes}
namespace tweedie::ready {

inline auto const samplers = std::tuple{
    ${entries}};

}  // namespace tweedie::ready
")
write_if_other(${PROJECT_BINARY_DIR}/generated/sampler_rows.inc "${rows}")
