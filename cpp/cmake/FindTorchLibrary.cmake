# SPDX-License-Identifier: MIT
# Defines the target hepgen_torch: the headers and libraries of the torch that the Python on PATH imports, or that
# CMAKE_PREFIX_PATH names, and HEPGEN_TORCH_LIB_DIR and HEPGEN_TORCH_VERSION.
#
# torch's own CMake package is not used: a CUDA build of it fails to configure without CUDA's headers and compiler,
# which this library, device-generic throughout, does not need.

if(NOT HEPGEN_TORCH_ROOT)
  find_package(Python COMPONENTS Interpreter REQUIRED)
  execute_process(
    COMMAND "${Python_EXECUTABLE}" -c
            "import importlib.util as u, pathlib as p; print(p.Path(u.find_spec('torch').origin).parent)"
    OUTPUT_VARIABLE HEPGEN_TORCH_ROOT OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(NOT HEPGEN_TORCH_ROOT)
    message(FATAL_ERROR "torch was not found by ${Python_EXECUTABLE}: install it there (pip install torch==2.13.0), "
                        "or set HEPGEN_TORCH_ROOT to the folder that holds torch's include/ and lib/")
  endif()
endif()
set(HEPGEN_TORCH_LIB_DIR "${HEPGEN_TORCH_ROOT}/lib")

file(STRINGS "${HEPGEN_TORCH_ROOT}/version.py" line REGEX "^__version__ = ")
string(REGEX REPLACE ".*'([0-9]+\\.[0-9]+\\.[0-9]+).*" "\\1" HEPGEN_TORCH_VERSION "${line}")

add_library(hepgen_torch INTERFACE)
target_include_directories(
  hepgen_torch SYSTEM INTERFACE "${HEPGEN_TORCH_ROOT}/include"
                                "${HEPGEN_TORCH_ROOT}/include/torch/csrc/api/include")
target_link_directories(hepgen_torch INTERFACE "${HEPGEN_TORCH_LIB_DIR}")
# Device backends register themselves when their library is loaded: keep those that no symbol asks for.
set(libraries torch torch_cpu c10)
if(EXISTS "${HEPGEN_TORCH_LIB_DIR}/libtorch_cuda.so")
  list(APPEND libraries torch_cuda c10_cuda)
endif()
target_link_libraries(hepgen_torch INTERFACE -Wl,--no-as-needed ${libraries} -Wl,--as-needed)
message(STATUS "torch ${HEPGEN_TORCH_VERSION} in ${HEPGEN_TORCH_ROOT}")
