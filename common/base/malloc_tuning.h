// Settings of the C library's allocator for processes that move large messages.
#pragma once

namespace samovar {

// Keeps freed pages instead of giving them back to the kernel with every large message: touching fresh pages costs more than
// copying the data. Call once at the start of main.
void TuneMalloc();

}  // namespace samovar
