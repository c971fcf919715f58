# Everything mlad links, all of it packaged by Debian 12 (deploy/packages.txt).

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(Protobuf REQUIRED)      # module mode: gRPC's config needs its variables
find_package(gRPC CONFIG REQUIRED)   # brings Abseil
find_package(absl CONFIG REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(TBB CONFIG REQUIRED)
find_package(CLI11 CONFIG REQUIRED)
find_package(spdlog CONFIG REQUIRED)
find_package(nlohmann_json CONFIG REQUIRED)
find_package(tomlplusplus CONFIG REQUIRED)
pkg_check_modules(HWLOC REQUIRED IMPORTED_TARGET hwloc)
pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)
pkg_check_modules(HTTPLIB REQUIRED IMPORTED_TARGET cpp-httplib)
pkg_check_modules(SYSTEMD REQUIRED IMPORTED_TARGET libsystemd)

if(MLAD_BUILD_TESTS OR MLAD_BUILD_FUZZ)
  find_package(GTest CONFIG REQUIRED)
endif()
if(MLAD_BUILD_BENCH)
  find_package(benchmark CONFIG REQUIRED)
endif()
