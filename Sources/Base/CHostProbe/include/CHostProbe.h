// Asks the host CPU how long an instruction is.
#pragma once
#include <stdint.h>

// One byte string to be measured.
struct chostprobe_case {
    uint8_t bytes[15];
    // Where to look first, 1...15; only a matter of time.
    uint8_t hint;
    // Out: the number of bytes that the CPU fetches before it does anything else; 0 if it was not found.
    uint8_t length;
    // Out: the exception that the instruction ended in (SDM 3A table 6-1; 1 when it ran and the trap flag stopped it).
    uint8_t exception;
};

// Measures `count` cases in code of `bits` 16, 32 or 64, in the calling thread.
//
// Each string is laid against the end of a page that is followed by an inaccessible one, and is run for one instruction with
// registers that point nowhere. The caller must leave out what enters the kernel or changes the process (SYSCALL, SYSENTER,
// INT n). Not for two threads at once. Returns 0 or an errno.
int chostprobe_measure(struct chostprobe_case *cases, int64_t count, int bits);
