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

if(MLAD_BUILD_FUZZ)
  target_compile_options(mlad_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

# Paths are cached relative to the checkout: all clones on a machine share objects.
find_program(MLAD_CCACHE ccache)
if(MLAD_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
    CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${MLAD_CCACHE})
endif()

# mlad_library(NAME [SRCS a.cc b.cc] DEPS mlad_base absl::status)
# Without SRCS: every .cc of the folder. Every dependency is public: headers of
# a layer include those of the layers it uses.
function(mlad_library name)
  cmake_parse_arguments(ARG "" "" "SRCS;DEPS" ${ARGN})
  if(NOT ARG_SRCS)
    file(GLOB ARG_SRCS CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  endif()
  if(ARG_SRCS)
    add_library(${name} STATIC ${ARG_SRCS})
    target_link_libraries(${name} PUBLIC mlad_flags ${ARG_DEPS})
  else()
    add_library(${name} INTERFACE)
    target_link_libraries(${name} INTERFACE mlad_flags ${ARG_DEPS})
  endif()
endfunction()

# mlad_program(NAME SRCS main.cc DEPS ...): an executable in build/PRESET/bin.
function(mlad_program name)
  cmake_parse_arguments(ARG "" "" "SRCS;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SRCS})
  target_link_libraries(${name} PRIVATE mlad_flags ${ARG_DEPS})
endfunction()

# mlad_test(NAME SRCS a_test.cc DEPS ... LABELS unit [PER_ISA] [TIMEOUT s])
# One GoogleTest program, one ctest entry NAME; PER_ISA adds NAME.scalar, NAME.avx2,
# NAME.avx512 and NAME.amx, which run it again with MLAD_ISA set (a visible skip where
# the CPU lacks the instructions).
function(mlad_test name)
  cmake_parse_arguments(ARG "PER_ISA" "TIMEOUT" "SRCS;DEPS;LABELS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  add_executable(${name} ${ARG_SRCS})
  target_link_libraries(${name} PRIVATE mlad_flags ${ARG_DEPS} GTest::gmock GTest::gtest_main)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  if(MLAD_SANITIZE)
    target_compile_options(${name} PRIVATE -O0)  # compiles in a third of the time
  endif()
  add_test(NAME ${name} COMMAND ${name} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  set_tests_properties(${name} PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT})
  if(MLAD_SANITIZE MATCHES address)
    # hwloc leaks a little when it refuses a malformed topology, gRPC's c-ares when
    # it resolves a name.
    set_tests_properties(${name} PROPERTIES ENVIRONMENT
      "LSAN_OPTIONS=suppressions=${CMAKE_SOURCE_DIR}/tests/lsan.supp:print_suppressions=0")
  elseif(MLAD_SANITIZE MATCHES thread)
    # Interceptors called from libraries that are not instrumented (oneTBB) see
    # accesses without what orders them.
    set_tests_properties(${name} PROPERTIES ENVIRONMENT
      "TSAN_OPTIONS=suppressions=${CMAKE_SOURCE_DIR}/tests/tsan.supp:ignore_noninstrumented_modules=1")
  endif()
  if(ARG_PER_ISA)
    foreach(isa scalar avx2 avx512 amx)
      add_test(NAME ${name}.${isa} COMMAND ${name} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
      set_tests_properties(${name}.${isa} PROPERTIES
        LABELS "${ARG_LABELS};per_isa" TIMEOUT ${ARG_TIMEOUT}
        ENVIRONMENT "MLAD_ISA=${isa}"
        SKIP_REGULAR_EXPRESSION "\\[  SKIPPED \\].*ISA")
    endforeach()
  endif()
endfunction()

# mlad_folder_tests(DEPS ... LABELS ... [PER_ISA] [TIMEOUT s])
# Declares every X_test.cc of the folder tests/FOLDER as the test FOLDER_X_test.
function(mlad_folder_tests)
  get_filename_component(folder ${CMAKE_CURRENT_SOURCE_DIR} NAME)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*_test.cc)
  foreach(source ${sources})
    get_filename_component(name ${source} NAME_WE)
    mlad_test(${folder}_${name} SRCS ${source} ${ARGN})
  endforeach()
endfunction()

# Options of sources that are compiled for AVX-512; of kernels/ and of tests of them.
set(MLAD_AVX512_OPTIONS -fno-exceptions -mavx2 -mfma -mf16c -mavx512f -mavx512bw
  -mavx512dq -mavx512vl -mavx512vnni)
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
  # GCC 12 warns of the undefined operands inside its own intrinsics.
  list(APPEND MLAD_AVX512_OPTIONS -Wno-uninitialized -Wno-maybe-uninitialized)
endif()
