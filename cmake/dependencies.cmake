# Libraries: found once, gathered in ark_deps. A missing required one stops with the Debian package's name.

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
add_library(ark_deps INTERFACE)
target_link_libraries(ark_deps INTERFACE Threads::Threads m)
set(ark_summary "")

function(ark_need name pkg debian)
    pkg_check_modules(${name} IMPORTED_TARGET ${pkg})
    if(NOT ${name}_FOUND)
        message(FATAL_ERROR "${pkg} not found: run scripts/setup.sh, or apt-get install ${debian}")
    endif()
    target_link_libraries(ark_deps INTERFACE PkgConfig::${name})
    set(ark_summary "${ark_summary}\n  ${pkg} ${${name}_VERSION}" PARENT_SCOPE)
endfunction()

ark_need(JPEG libjpeg libjpeg-dev)
ark_need(SPNG spng libspng-dev)
ark_need(DEFLATE libdeflate libdeflate-dev)
ark_need(YAML yaml-0.1 libyaml-dev)
ark_need(JANSSON jansson libjansson-dev)

find_path(LBFGS_INCLUDE lbfgs.h) # ships no pkg-config file
find_library(LBFGS_LIBRARY lbfgs)
if(NOT LBFGS_INCLUDE OR NOT LBFGS_LIBRARY)
    message(FATAL_ERROR "liblbfgs not found: run scripts/setup.sh, or apt-get install liblbfgs-dev")
endif()
target_include_directories(ark_deps INTERFACE ${LBFGS_INCLUDE})
target_link_libraries(ark_deps INTERFACE ${LBFGS_LIBRARY})
set(ark_summary "${ark_summary}\n  liblbfgs")

if(ARK_OPENMP)
    find_package(OpenMP REQUIRED COMPONENTS C)
    target_link_libraries(ark_deps INTERFACE OpenMP::OpenMP_C)
    target_compile_definitions(ark_deps INTERFACE ARK_HAVE_OPENMP=1)
    set(ark_summary "${ark_summary}\n  OpenMP ${OpenMP_C_VERSION}")
else()
    set(ark_summary "${ark_summary}\n  OpenMP off")
endif()

# oneDNN runs inside tasks of ours, where its OpenMP must be held to one thread; without OpenMP it stays out.
# Found by header and library: Debian's CMake package of it insists on OpenCL's development files.
if(ARK_ONEDNN AND ARK_OPENMP)
    find_path(DNNL_INCLUDE oneapi/dnnl/dnnl.h)
    find_library(DNNL_LIBRARY dnnl)
    if(NOT DNNL_INCLUDE OR NOT DNNL_LIBRARY)
        message(FATAL_ERROR "oneDNN not found: apt-get install libdnnl-dev, or configure with -DARK_ONEDNN=OFF")
    endif()
    file(STRINGS ${DNNL_INCLUDE}/oneapi/dnnl/dnnl_version.h dnnl_numbers REGEX "define DNNL_VERSION_(MAJOR|MINOR|PATCH)")
    string(REGEX REPLACE "[^0-9]+([0-9]+)" ".\\1" dnnl_version "${dnnl_numbers}")
    string(REGEX REPLACE "^[.]" "" dnnl_version "${dnnl_version}")
    target_include_directories(ark_deps INTERFACE ${DNNL_INCLUDE})
    target_link_libraries(ark_deps INTERFACE ${DNNL_LIBRARY})
    target_compile_definitions(ark_deps INTERFACE ARK_HAVE_ONEDNN=1)
    set(ark_summary "${ark_summary}\n  oneDNN ${dnnl_version}")
else()
    set(ark_summary "${ark_summary}\n  oneDNN off (own products of bfloat16 too)")
endif()

function(ark_print_summary)
    message(STATUS "arkfm ${PROJECT_VERSION}, ${CMAKE_BUILD_TYPE}, ${CMAKE_C_COMPILER_ID} ${CMAKE_C_COMPILER_VERSION}, "
        "CPU variants: ${ARK_CPU_VARIANTS}${ark_summary}")
endfunction()
