// Settings for processes that move large messages all the time: the C library's allocator, and Abseil's mutexes.
#pragma once

namespace samovar {

// Keeps freed pages instead of giving them back to the kernel with every large message: touching fresh pages costs more
// than copying the data. Switches off the search for deadlocks at every lock, which distributions' builds of Abseil
// have on, in builds without assertions. Call once at the start of main.
void TuneProcess();

}  // namespace samovar
