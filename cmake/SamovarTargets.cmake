# One way to declare a room's library, a program and a test, so that flags are the same everywhere.

add_library(samovar_options INTERFACE)
target_include_directories(samovar_options INTERFACE "${PROJECT_SOURCE_DIR}")
# -ffp-contract=off: the compiler must not choose per build where a multiply and an add round once;
# kernels that want FMA call it. Signed zeros, NaN and order of sums are kept (no -ffast-math).
# -fno-trapping-math: nobody reads the processor's flags of floating-point exceptions, so that both sides of a choice may be
# computed, without which GCC makes no vector instructions of a loop like ReLU's. Values are the same.
# -fPIC everywhere, so that libraries, programs and tests share one precompiled header.
target_compile_options(samovar_options INTERFACE
  -fPIC -fno-semantic-interposition -ffp-contract=off -fno-math-errno -fno-trapping-math -fno-omit-frame-pointer -Wall -Wextra
  "-ffile-prefix-map=${PROJECT_SOURCE_DIR}/=")
if(SAMOVAR_WERROR)
  target_compile_options(samovar_options INTERFACE -Werror)
endif()
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  target_compile_options(samovar_options INTERFACE -Wthread-safety)
endif()
if(SAMOVAR_SANITIZE)
  # With what sanitizers add to it, GCC 12 takes values of the standard library's own for uninitialised.
  target_compile_options(samovar_options INTERFACE "-fsanitize=${SAMOVAR_SANITIZE}" -fno-sanitize-recover=all
                         $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
  target_link_options(samovar_options INTERFACE "-fsanitize=${SAMOVAR_SANITIZE}")
endif()

# All but the engine is compiled for the lowest level that is supported.
set(SAMOVAR_BASELINE x86-64-v2)
add_library(samovar_baseline INTERFACE)
target_compile_options(samovar_baseline INTERFACE "-march=${SAMOVAR_BASELINE}")

# Shared libraries lie in <build>/lib, programs in <build>/bin.
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/lib")

# samovar_library(name [SHARED] SOURCES a.cc b.h ... DEPS other targets ...). SHARED: what the programs and the engine both
# use, of which a process must have one copy.
function(samovar_library name)
  cmake_parse_arguments(ARG "SHARED" "" "SOURCES;DEPS" ${ARGN})
  set(kind STATIC)
  if(ARG_SHARED)
    set(kind SHARED)
  endif()
  add_library(${name} ${kind} ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC samovar_options ${ARG_DEPS} PRIVATE samovar_baseline)
  samovar_precompile(${name})
endfunction()

# samovar_engine(name SOURCES ... DEPS ...): one shared library, libsamovar_engine.so, compiled once for each of
# SAMOVAR_ENGINE_LEVELS: the lowest in <build>/lib, which programs are linked with, the others in glibc-hwcaps/LEVEL below it,
# where the loader finds the highest that the CPU has. Only what SAMOVAR_ENGINE_API marks can be seen from outside.
function(samovar_engine name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  set(hwcaps "${CMAKE_LIBRARY_OUTPUT_DIRECTORY}/glibc-hwcaps")
  # What is not (any more) to be there would still be found, before what is.
  set(above_lowest ${SAMOVAR_ENGINE_LEVELS})
  list(POP_FRONT above_lowest lowest)
  file(GLOB stale RELATIVE "${hwcaps}" "${hwcaps}/*")
  list(REMOVE_ITEM stale ${above_lowest})
  foreach(level IN LISTS stale)
    file(REMOVE_RECURSE "${hwcaps}/${level}")
  endforeach()
  foreach(level IN LISTS SAMOVAR_ENGINE_LEVELS)
    set(library ${name}_${level})
    samovar_cpu_check(${level})
    add_library(${library} SHARED ${ARG_SOURCES} $<TARGET_OBJECTS:samovar_cpu_check_${level}>)
    target_link_libraries(${library} PUBLIC samovar_options ${ARG_DEPS})
    # GCC 12 takes the deliberately undefined registers of its own AVX-512 intrinsics for mistakes.
    target_compile_options(${library} PRIVATE "-march=${level}"
      $<$<AND:$<CXX_COMPILER_ID:GNU>,$<STREQUAL:${level},x86-64-v4>>:-Wno-uninitialized -Wno-maybe-uninitialized>)
    target_compile_definitions(${library} PRIVATE "SAMOVAR_ENGINE_LEVEL=\"${level}\"")
    set_target_properties(${library} PROPERTIES OUTPUT_NAME samovar_engine CXX_VISIBILITY_PRESET hidden
                          VISIBILITY_INLINES_HIDDEN ON)
    if(SAMOVAR_PCH)
      target_precompile_headers(${library} PRIVATE <algorithm> <cstdint> <functional> <memory> <string> <utility> <vector>
        <absl/status/statusor.h> <absl/strings/str_cat.h> <caffe.pb.h> "${PROJECT_SOURCE_DIR}/worker/nn/kernels/eigen.h")
    endif()
    if(level STREQUAL lowest)
      add_library(${name} INTERFACE)
      target_link_libraries(${name} INTERFACE ${library})
    else()
      set_target_properties(${library} PROPERTIES LIBRARY_OUTPUT_DIRECTORY "${hwcaps}/${level}")
      add_dependencies(${name} ${library})
    endif()
  endforeach()
endfunction()

# Stops a process with one clear line on a CPU that lacks the level's instructions; compiled for the oldest CPU.
function(samovar_cpu_check level)
  if(NOT TARGET samovar_cpu_check_${level})
    add_library(samovar_cpu_check_${level} OBJECT "${SAMOVAR_CPU_CHECK}")
    target_compile_options(samovar_cpu_check_${level} PRIVATE -fPIC -march=x86-64 -Wall -Wextra)
    target_compile_definitions(samovar_cpu_check_${level} PRIVATE "SAMOVAR_LEVEL=\"${level}\"")
  endif()
endfunction()

# samovar_program(name SOURCES ... DEPS ...): an executable in <build>/bin. Every program starts with the check
# that this CPU has the instructions of the baseline.
function(samovar_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  samovar_cpu_check(${SAMOVAR_BASELINE})
  add_executable(${name} ${ARG_SOURCES} $<TARGET_OBJECTS:samovar_cpu_check_${SAMOVAR_BASELINE}>)
  target_link_libraries(${name} PRIVATE samovar_options samovar_baseline ${ARG_DEPS})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bin")
endfunction()

# samovar_test(name [LABELS ...] [TIMEOUT seconds] SOURCES ... DEPS ...): one Catch2 program; each of its cases is a test of ctest.
function(samovar_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "LABELS;SOURCES;DEPS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  if(SAMOVAR_SANITIZE)
    math(EXPR ARG_TIMEOUT "10 * ${ARG_TIMEOUT}")
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE samovar_options samovar_baseline samovar_test_main ${ARG_DEPS})
  samovar_precompile(${name})
  # Before ctest ends it, a test that hangs tells where (tests/support/hang_report.h).
  math(EXPR seconds "${ARG_TIMEOUT} - 10")
  catch_discover_tests(${name} TEST_PREFIX "${name}: " PROPERTIES TIMEOUT ${ARG_TIMEOUT} ENVIRONMENT "SAMOVAR_TEST_SECONDS=${seconds}"
    SKIP_REGULAR_EXPRESSION "test.case.skipped:" LABELS "${ARG_LABELS}")
endfunction()

# One precompiled header of library headers, made once, used by every room. A target with other flags (optimisation, say)
# ignores it, which is why the compiler's warning about that is off.
set(CMAKE_PCH_WARN_INVALID OFF)
if(SAMOVAR_PCH)
  add_library(samovar_pch STATIC "${PROJECT_SOURCE_DIR}/cmake/pch.cc")
  target_link_libraries(samovar_pch PUBLIC samovar_options samovar::grpc samovar::protobuf absl::status absl::statusor
    absl::strings absl::synchronization absl::time Threads::Threads
    PRIVATE samovar_baseline)
  target_precompile_headers(samovar_pch PRIVATE <algorithm> <cstdint> <functional> <map> <memory> <string> <utility> <vector>
    <absl/status/statusor.h> <absl/strings/str_cat.h> <absl/strings/str_format.h> <absl/synchronization/mutex.h>
    <absl/time/time.h> <google/protobuf/message.h> <grpcpp/grpcpp.h>)
endif()
function(samovar_precompile name)
  if(SAMOVAR_PCH)
    target_precompile_headers(${name} REUSE_FROM samovar_pch)
    target_link_libraries(${name} PRIVATE samovar_pch)
  endif()
endfunction()

# samovar_proto(name PROTOS a.proto ... [SERVICES] [DEPS ...]): generated code from files under proto/.
function(samovar_proto name)
  cmake_parse_arguments(ARG "SERVICES" "" "PROTOS;DEPS" ${ARGN})
  set(root "${PROJECT_SOURCE_DIR}/proto")
  set(out "${PROJECT_BINARY_DIR}/gen")
  set(generated)
  foreach(proto IN LISTS ARG_PROTOS)
    string(REGEX REPLACE "\\.proto$" "" stem "${proto}")
    set(outputs "${out}/${stem}.pb.cc" "${out}/${stem}.pb.h")
    set(flags --cpp_out=${out})
    if(ARG_SERVICES)
      list(APPEND outputs "${out}/${stem}.grpc.pb.cc" "${out}/${stem}.grpc.pb.h")
      list(APPEND flags --grpc_out=${out} --plugin=protoc-gen-grpc=${SAMOVAR_GRPC_CPP_PLUGIN})
    endif()
    add_custom_command(OUTPUT ${outputs}
      COMMAND ${CMAKE_COMMAND} -E make_directory ${out}
      COMMAND protobuf::protoc -I ${root} ${flags} ${root}/${proto}
      DEPENDS ${root}/${proto} protobuf::protoc
      COMMENT "Generating ${stem}.pb" VERBATIM)
    list(APPEND generated ${outputs})
  endforeach()
  add_library(${name} SHARED ${generated})
  # Generated code is not ours to lint, and its speed is not in any hot path.
  target_compile_options(${name} PRIVATE -w -O1)
  target_include_directories(${name} SYSTEM PUBLIC ${out})
  target_link_libraries(${name} PUBLIC samovar::protobuf ${ARG_DEPS})
  if(ARG_SERVICES)
    target_link_libraries(${name} PUBLIC samovar::grpc)
  endif()
endfunction()
