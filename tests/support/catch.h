// The one place that knows which Catch2 the distribution has (2.13 in Debian 12, 3 in newer ones).
//
// SAMOVAR_SKIP(reason) ends a test case that cannot be made here. Catch2 2 knows no such end: the case passes there,
// says why, and ctest counts it as skipped, by the words that it looks for (cmake/SamovarTargets.cmake).
#pragma once

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
using Catch::Approx;
#else
#include <catch2/catch.hpp>
#endif

#ifdef SKIP
#define SAMOVAR_SKIP(reason) SKIP(reason)
#else
#define SAMOVAR_SKIP(reason)            \
  do {                                  \
    WARN("test case skipped: " reason); \
    return;                             \
  } while (false)
#endif
