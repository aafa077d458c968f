# The U-Net as an ONNX file, written by ONNX's own protocol buffers. Its CMake package asks for one of Protocol Buffers'
# that knows the compiler, so both are plain libraries here, as LibTorch is. Without them the library says that it cannot.

set(TWEEDIE_ONNX_EXPORT_USED OFF)
if(TWEEDIE_ONNX_EXPORT AND NOT TWEEDIE_STATIC)  # Debian has shared ones alone
  find_path(TWEEDIE_ONNX_INCLUDE onnx/onnx_pb.h)
  find_path(TWEEDIE_PROTOBUF_INCLUDE google/protobuf/message.h)
  find_library(TWEEDIE_ONNX_LIBRARY onnx)
  find_library(TWEEDIE_ONNX_PROTO_LIBRARY onnx_proto)
  find_library(TWEEDIE_PROTOBUF_LIBRARY protobuf)
  mark_as_advanced(TWEEDIE_ONNX_INCLUDE TWEEDIE_PROTOBUF_INCLUDE TWEEDIE_ONNX_LIBRARY TWEEDIE_ONNX_PROTO_LIBRARY
                   TWEEDIE_PROTOBUF_LIBRARY)
  if(TWEEDIE_ONNX_INCLUDE AND TWEEDIE_PROTOBUF_INCLUDE AND TWEEDIE_ONNX_LIBRARY AND TWEEDIE_ONNX_PROTO_LIBRARY AND
     TWEEDIE_PROTOBUF_LIBRARY)
    set(TWEEDIE_ONNX_EXPORT_USED ON)
    add_library(tweedie_onnx_proto INTERFACE)
    target_compile_definitions(tweedie_onnx_proto INTERFACE ONNX_ML=1 ONNX_NAMESPACE=onnx)
    target_include_directories(tweedie_onnx_proto SYSTEM INTERFACE ${TWEEDIE_ONNX_INCLUDE} ${TWEEDIE_PROTOBUF_INCLUDE})
    target_link_libraries(tweedie_onnx_proto INTERFACE ${TWEEDIE_ONNX_PROTO_LIBRARY} ${TWEEDIE_PROTOBUF_LIBRARY})
    # And its checker, for tests.
    add_library(tweedie_onnx_checker INTERFACE)
    target_link_libraries(tweedie_onnx_checker INTERFACE ${TWEEDIE_ONNX_LIBRARY} tweedie_onnx_proto)
  elseif(TWEEDIE_ONNX_EXPORT STREQUAL "ON")
    message(FATAL_ERROR "TWEEDIE_ONNX_EXPORT is ON, but ONNX's library or Protocol Buffers were not found "
                        "(Debian: libonnx-dev libprotobuf-dev)")
  endif()
endif()

if(TARGET tweedie_unet_file AND TARGET tweedie_onnx)
  add_library(tweedie_unet_onnx STATIC ${PROJECT_SOURCE_DIR}/networks/unet_onnx.cpp)
  add_library(tweedie::unet_onnx ALIAS tweedie_unet_onnx)
  target_link_libraries(tweedie_unet_onnx PUBLIC tweedie_unet_file tweedie_onnx tweedie_headers
                        PRIVATE $<BUILD_INTERFACE:tweedie_warnings>)
  if(TWEEDIE_ONNX_EXPORT_USED)
    target_compile_definitions(tweedie_unet_onnx PRIVATE TWEEDIE_ONNX_EXPORT TWEEDIE_VERSION="${PROJECT_VERSION}")
    target_link_libraries(tweedie_unet_onnx PRIVATE $<BUILD_INTERFACE:tweedie_onnx_proto>
      $<INSTALL_INTERFACE:${TWEEDIE_ONNX_PROTO_LIBRARY}> $<INSTALL_INTERFACE:${TWEEDIE_PROTOBUF_LIBRARY}>)
  endif()
endif()
