# Compiler flags and the functions with which every folder declares its targets.

add_library(mlad_flags INTERFACE)
target_include_directories(mlad_flags INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_options(mlad_flags INTERFACE
  -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual
  -ffp-contract=off  # kernels say fma where they mean it: bits must not depend on the optimiser
  -fno-omit-frame-pointer)
if(MLAD_WERROR)
  target_compile_options(mlad_flags INTERFACE -Werror)
endif()
if(MLAD_SANITIZE)
  target_compile_options(mlad_flags INTERFACE -fsanitize=${MLAD_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(mlad_flags INTERFACE -fsanitize=${MLAD_SANITIZE})
endif()

find_program(MLAD_CCACHE ccache)
if(MLAD_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${MLAD_CCACHE})
endif()

# mlad_library(NAME SRCS a.cc b.cc DEPS mlad_base absl::status)
# Every dependency is public: headers of a layer include those of the layers it uses.
function(mlad_library name)
  cmake_parse_arguments(ARG "" "" "SRCS;DEPS" ${ARGN})
  add_library(${name} STATIC ${ARG_SRCS})
  target_link_libraries(${name} PUBLIC mlad_flags ${ARG_DEPS})
endfunction()

# mlad_program(NAME SRCS main.cc DEPS ...): an executable in build/PRESET/bin.
function(mlad_program name)
  cmake_parse_arguments(ARG "" "" "SRCS;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SRCS})
  target_link_libraries(${name} PRIVATE mlad_flags ${ARG_DEPS})
endfunction()

# mlad_test(NAME SRCS a_test.cc DEPS ... LABELS unit [PER_ISA] [TIMEOUT s])
# One GoogleTest program, one ctest entry NAME; PER_ISA adds NAME.scalar, NAME.avx2
# and NAME.avx512, which run it again with MLAD_ISA set (a visible skip where the
# CPU lacks the instructions).
function(mlad_test name)
  cmake_parse_arguments(ARG "PER_ISA" "TIMEOUT" "SRCS;DEPS;LABELS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  add_executable(${name} ${ARG_SRCS})
  target_link_libraries(${name} PRIVATE mlad_flags ${ARG_DEPS} GTest::gmock GTest::gtest_main)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  add_test(NAME ${name} COMMAND ${name} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  set_tests_properties(${name} PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT})
  if(ARG_PER_ISA)
    foreach(isa scalar avx2 avx512)
      add_test(NAME ${name}.${isa} COMMAND ${name} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
      set_tests_properties(${name}.${isa} PROPERTIES
        LABELS "${ARG_LABELS};per_isa" TIMEOUT ${ARG_TIMEOUT}
        ENVIRONMENT "MLAD_ISA=${isa}"
        SKIP_REGULAR_EXPRESSION "\\[  SKIPPED \\].*ISA")
    endforeach()
  endif()
endfunction()
