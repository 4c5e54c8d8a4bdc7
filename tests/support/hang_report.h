// A test that hangs tells where, since nobody can look into it where it is run by night.
#pragma once

namespace samovar {

// Starts a thread that writes the stacks of all threads to stderr, and ends the process as abort() does, if it still
// runs when the time is over that SAMOVAR_TEST_SECONDS says, of the steady clock. Nothing if that is not set.
void ReportHangs();

}  // namespace samovar
