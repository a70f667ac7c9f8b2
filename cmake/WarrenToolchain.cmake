# Flags that every target shares.
add_library(warren_flags INTERFACE)
target_compile_options(warren_flags INTERFACE -Wall -Wextra -fno-omit-frame-pointer)
if(NOT WARREN_SANITIZE)
  # Instrumented code makes g++ 12 warn of what is not there; the plain build lets nothing pass.
  target_compile_options(warren_flags INTERFACE -Werror)
endif()
target_include_directories(warren_flags INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_definitions(warren_flags INTERFACE WARREN_VERSION="${PROJECT_VERSION}")

if(WARREN_SANITIZE)
  add_compile_options(-fsanitize=${WARREN_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${WARREN_SANITIZE})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # g++ sees uninitialised variants in instrumented code where there are none; the plain build warns.
    add_compile_options(-Wno-maybe-uninitialized)
  endif()
  if(WARREN_SANITIZE MATCHES "thread")
    # ThreadSanitizer does not know fences; Asio does not need them where each loop has one thread.
    add_compile_definitions(BOOST_ASIO_DISABLE_FENCED_BLOCK)
  endif()
endif()

find_program(WARREN_CCACHE ccache)
if(WARREN_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${WARREN_CCACHE})
endif()

find_program(WARREN_MOLD mold)
if(WARREN_MOLD)
  add_link_options(-fuse-ld=mold)
endif()
