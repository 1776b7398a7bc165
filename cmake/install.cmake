# What `cmake --install` leaves: arkfm, libark.a, include/ark, and ark.pc, which finds its own prefix.

include(GNUInstallDirs)
install(TARGETS arkfm ark)
install(DIRECTORY include/ark DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})

# The library is static, so a program that links it links what ark_deps names too.
get_target_property(deps ark_deps INTERFACE_LINK_LIBRARIES)
set(ARK_PC_LIBS "")
foreach(dep IN LISTS deps)
    if(dep MATCHES "^PkgConfig::(.+)")
        list(APPEND ARK_PC_LIBS ${${CMAKE_MATCH_1}_LDFLAGS})
    elseif(dep STREQUAL "Threads::Threads")
        list(APPEND ARK_PC_LIBS -pthread)
    elseif(dep STREQUAL "OpenMP::OpenMP_C")
        list(APPEND ARK_PC_LIBS ${OpenMP_C_FLAGS})
    elseif(IS_ABSOLUTE ${dep}) # as -l: CMake's reader of .pc files puts paths before libark.a, where they resolve nothing
        get_filename_component(dir ${dep} DIRECTORY)
        get_filename_component(base ${dep} NAME_WE)
        string(REGEX REPLACE "^lib" "-l" base ${base})
        list(APPEND ARK_PC_LIBS -L${dir} ${base})
    elseif(dep MATCHES "::")
        message(FATAL_ERROR "cmake/install.cmake: no linker flag is known for ${dep}")
    else()
        list(APPEND ARK_PC_LIBS -l${dep})
    endif()
endforeach()
list(REMOVE_DUPLICATES ARK_PC_LIBS)
list(JOIN ARK_PC_LIBS " " ARK_PC_LIBS)

file(RELATIVE_PATH ARK_PC_PREFIX ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
string(REGEX REPLACE "/$" "" ARK_PC_PREFIX ${ARK_PC_PREFIX})
configure_file(cmake/ark.pc.in ark.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/ark.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
