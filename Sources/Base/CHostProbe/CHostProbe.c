#define _GNU_SOURCE
#include "CHostProbe.h"

#include <asm/ldt.h>
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define PAGE 4096
// Far from everything else that a process maps, within 2 GiB of nothing; and below 4 GiB for 16- and 32-bit code.
#define PAGE_64 0x100000000000ull
#define PAGE_32 0x48000000ull
#define NOWHERE 0x5A5A5A5A5A5A5A5Aull
#define NOWHERE_32 0x5A5A5A5Aull
// Where FS points while strings run, so that FS:disp32 does not reach the thread's own data.
#define NOWHERE_BASE 0x200000000000ull
#define ARCH_SET_FS 0x1002
#define ARCH_GET_FS 0x1003

static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};
enum { signal_count = sizeof signals / sizeof *signals };

static struct {
    struct chostprobe_case *cases;
    int64_t count, index;
    uint8_t *page;
    int bits, owner, isRunning;
    // The longest length known to be too short, the shortest known to do, and the one being tried.
    int low, high, attempt;
    uint64_t start;
    uint64_t fsBase;
    greg_t saved[NGREG];
} probe;

// The handler runs with FS pointing nowhere: no thread-local data, no stack protector, system calls by hand.
#define BARE __attribute__((no_stack_protector))

BARE static long bare_syscall2(long number, long a, long b) {
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b) : "rcx", "r11", "memory");
    return result;
}

BARE static void lay(greg_t *registers) {
    struct chostprobe_case *current = &probe.cases[probe.index];
    volatile uint8_t *target = probe.page + PAGE - probe.attempt;
    for (int i = 0; i < probe.attempt; i++) target[i] = current->bytes[i];
    uint64_t nowhere = probe.bits == 64 ? NOWHERE : NOWHERE_32;
    for (int i = REG_R8; i <= REG_RSP; i++) registers[i] = (greg_t)nowhere;
    probe.start = probe.bits == 16 ? PAGE - probe.attempt : (uint64_t)target;
    registers[REG_RIP] = (greg_t)probe.start;
    registers[REG_EFL] = 0x302;
    uint64_t selector = probe.bits == 64 ? 0x33 : probe.bits == 32 ? 0x23 : 0x07;
    registers[REG_CSGSFS] = (greg_t)(((uint64_t)probe.saved[REG_CSGSFS] & ~0xFFFFull) | selector);
}

// Chooses the next attempt; 0 when every case is done.
BARE static int advance(void) {
    for (;;) {
        struct chostprobe_case *current = &probe.cases[probe.index];
        if (probe.high == 16 && probe.low < 15) {
            probe.attempt = probe.low == 0 ? current->hint : probe.low + 1;
            return 1;
        }
        if (probe.high < 16 && probe.low + 1 < probe.high) {
            probe.attempt = probe.high - 1;
            return 1;
        }
        current->length = probe.high == 16 ? 0 : (uint8_t)probe.high;
        probe.low = 0;
        probe.high = 16;
        if (++probe.index == probe.count) return 0;
    }
}

BARE static void handle(int number, siginfo_t *info, void *context) {
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    if (!probe.isRunning || bare_syscall2(SYS_gettid, 0, 0) != probe.owner) {
        // Not ours: the default action follows when the instruction runs again.
        struct { void *handler; unsigned long flags; void *restorer; unsigned long mask; } action = {0, 0, 0, 0};
        register long r10 __asm__("r10") = 8;
        long result;
        __asm__ volatile("syscall"
                         : "=a"(result)
                         : "a"(SYS_rt_sigaction), "D"((long)number), "S"(&action), "d"(0L), "r"(r10)
                         : "rcx", "r11", "memory");
        return;
    }
    if (probe.attempt == 0) {
        // The signal that starts it all.
        for (int i = 0; i < NGREG; i++) probe.saved[i] = registers[i];
        bare_syscall2(SYS_arch_prctl, ARCH_SET_FS, NOWHERE_BASE);
    } else {
        struct chostprobe_case *current = &probe.cases[probe.index];
        int isFetch = number == SIGSEGV && registers[REG_TRAPNO] == 14 && (registers[REG_ERR] & 16) != 0 &&
                      (uint64_t)info->si_addr == (uint64_t)probe.page + PAGE &&
                      (uint64_t)registers[REG_RIP] == probe.start;
        if (isFetch) {
            probe.low = probe.attempt;
        } else {
            probe.high = probe.attempt;
            current->exception = (uint8_t)registers[REG_TRAPNO];
        }
    }
    if (advance()) {
        lay(registers);
        return;
    }
    bare_syscall2(SYS_arch_prctl, ARCH_SET_FS, (long)probe.fsBase);
    for (int i = 0; i < NGREG; i++) registers[i] = probe.saved[i];
}

static int declare_code16(uint64_t base) {
    struct user_desc descriptor;
    memset(&descriptor, 0, sizeof descriptor);
    descriptor.base_addr = (unsigned)base;
    descriptor.limit = 0xFFFF;
    descriptor.contents = MODIFY_LDT_CONTENTS_CODE;
    return syscall(SYS_modify_ldt, 0x11, &descriptor, sizeof descriptor) == 0 ? 0 : errno;
}

/* The local table is empty again, as other code of the process expects it: this form of the descriptor clears an entry. */
static void forget_code16(void) {
    struct user_desc descriptor;
    memset(&descriptor, 0, sizeof descriptor);
    descriptor.read_exec_only = 1;
    descriptor.seg_not_present = 1;
    syscall(SYS_modify_ldt, 0x11, &descriptor, sizeof descriptor);
}

int chostprobe_measure(struct chostprobe_case *cases, int64_t count, int bits) {
    static uint8_t stack[1 << 16] __attribute__((aligned(64)));
    if (count <= 0) return 0;
    for (int64_t i = 0; i < count; i++) {
        if (cases[i].hint < 1 || cases[i].hint > 15) return EINVAL;
    }
    uint64_t address = bits == 64 ? PAGE_64 : PAGE_32;
    uint8_t *page = mmap((void *)address, 2 * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (page == MAP_FAILED) return errno;
    int result = 0;
    if (mprotect(page + PAGE, PAGE, PROT_NONE) != 0) result = errno;
    if (result == 0 && bits == 16) result = declare_code16(address);
    if (result != 0) {
        munmap(page, 2 * PAGE);
        return result;
    }
    memset(&probe, 0, sizeof probe);
    probe.cases = cases;
    probe.count = count;
    probe.page = page;
    probe.bits = bits;
    probe.high = 16;
    probe.owner = (int)syscall(SYS_gettid);
    syscall(SYS_arch_prctl, ARCH_GET_FS, &probe.fsBase);

    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack, .ss_flags = 0}, oldStack;
    sigaltstack(&alternate, &oldStack);
    struct sigaction action, old[signal_count];
    memset(&action, 0, sizeof action);
    action.sa_sigaction = handle;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigfillset(&action.sa_mask);
    for (int i = 0; i < signal_count; i++) sigaction(signals[i], &action, &old[i]);

    uint32_t mxcsr;
    uint16_t controlWord;
    __asm__ volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(mxcsr), "=m"(controlWord));
    probe.isRunning = 1;
    syscall(SYS_tgkill, getpid(), probe.owner, SIGTRAP);
    probe.isRunning = 0;
    // Strings may have left values on the x87 stack, in upper halves of vector registers and in the control words.
    __asm__ volatile("fninit\n\tvzeroupper\n\tldmxcsr %0\n\tfldcw %1" ::"m"(mxcsr), "m"(controlWord) : "memory");

    for (int i = 0; i < signal_count; i++) sigaction(signals[i], &old[i], NULL);
    sigaltstack(&oldStack, NULL);
    if (bits == 16) forget_code16();
    munmap(page, 2 * PAGE);
    return 0;
}
