// The one place that knows which Catch2 the distribution has (2.13 in Debian 12, 3 in newer ones).
#pragma once

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
using Catch::Approx;
#else
#include <catch2/catch.hpp>
#endif
