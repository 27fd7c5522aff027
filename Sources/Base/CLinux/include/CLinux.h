#ifndef CLINUX_H
#define CLINUX_H
#include <stddef.h>
#include <stdint.h>
#include "CLinuxBPF.h"
#include "CLinuxFiles.h"

/* Swift imports neither variadic functions nor function-like macros; this file is the only place that
   works around that. Nothing here decides anything: one call or one constant each. */

/* memfd_create(2) with MFD_CLOEXEC: the descriptor, or -errno. */
int clinux_memfd_create(const char *name);

/* The same with MFD_NOEXEC_SEAL, without which a host whose vm.memfd_noexec is 2 makes none: such a file can be mapped, also to run
   code from, but never be executed itself. */
int clinux_memfd_create_sealed(const char *name);

/* fallocate(2) with FALLOC_FL_PUNCH_HOLE and FALLOC_FL_KEEP_SIZE: 0, or -errno. */
int clinux_punch_hole(int fd, int64_t offset, int64_t length);

/* fallocate(2) with FALLOC_FL_ZERO_RANGE and FALLOC_FL_KEEP_SIZE: 0, or -errno. */
int clinux_zero_range(int fd, int64_t offset, int64_t length);

/* fallocate(2) without flags: 0, or -errno. */
int clinux_allocate(int fd, int64_t offset, int64_t length);

/* lseek(2) with SEEK_DATA or SEEK_HOLE: the offset, or -errno. */
int64_t clinux_next_data(int fd, int64_t offset);
int64_t clinux_next_hole(int fd, int64_t offset);

/* fcntl(2) with F_OFD_SETLK and F_RDLCK or F_UNLCK on one byte: 0, or -errno. */
int clinux_lock_byte(int fd, int64_t offset, int is_locked);

/* fcntl(2) with F_OFD_GETLK and F_WRLCK on one byte: whether another open file holds a lock there, or -errno. */
int clinux_byte_is_locked(int fd, int64_t offset);

/* ioctl(2) with BLKGETSIZE64: 0 and the device's size in bytes, or -errno. */
int clinux_block_device_size(int fd, uint64_t *byte_count);

/* mremap(2) with an old size of 0: a second mapping of the shared memory at `address`, with its protection; or MAP_FAILED. */
void *clinux_alias(void *address, size_t length);

/* ioctl(2): the result, or -errno. Does not retry on EINTR. */
int clinux_ioctl(int fd, unsigned long request, uintptr_t argument);

/* eventfd(2) with EFD_CLOEXEC and EFD_NONBLOCK: the descriptor, or -errno. */
int clinux_eventfd(void);

/* Connects an open /dev/net/tun to the tap interface `name` with TUNSETIFF (IFF_TAP, IFF_NO_PI, IFF_VNET_HDR): 0, or -errno. */
int clinux_tap_attach(int fd, const char *name);

/* TUNSETVNETHDRSZ: how long the header before each frame is: 0, or -errno. */
int clinux_tap_set_header_size(int fd, int size);

/* TUNSETOFFLOAD with those of TUN_F_CSUM, TUN_F_TSO4, TUN_F_TSO6 and TUN_F_TSO_ECN that are not 0 here: 0, or -errno. */
int clinux_tap_set_offloads(int fd, int checksum, int tcp4, int tcp6, int ecn);

/* The host's time-stamp counter (RDTSC). */
uint64_t clinux_rdtsc(void);

/* Whether prctl(2) PR_GET_TSC says that RDTSC raises no signal: 1 or 0. */
int clinux_may_read_counter(void);

/* The host's CPUID leaf: EAX, EBX, ECX, EDX into result[0...3]. */
void clinux_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t result[4]);

/* One word shared between threads: sequentially consistent OR, AND and load. */
static inline void clinux_atomic_or(uint32_t *word, uint32_t bits) { __atomic_fetch_or(word, bits, __ATOMIC_SEQ_CST); }
static inline void clinux_atomic_and(uint32_t *word, uint32_t bits) { __atomic_fetch_and(word, bits, __ATOMIC_SEQ_CST); }
static inline uint32_t clinux_atomic_load(const uint32_t *word) { return __atomic_load_n(word, __ATOMIC_SEQ_CST); }

/* posix_openpt(3), grantpt(3), unlockpt(3) and ptsname_r(3), which glibc declares only for X/Open sources: the controlling
   side's descriptor, closed on exec, and the other side's path; or -errno. */
int clinux_openpt(char *path, size_t path_size);

/* Calls `code(argument)`, generated code in which SIMD exceptions may be unmasked: -1 if it returned, or MXCSR as the
   exception that ended it left it. MXCSR is 0x1F80 and the x87 state empty after an exception. The first call installs a handler for SIGFPE;
   signals of other code go on to the handler that was there before. */
int64_t clinux_call_raising(void (*code)(void *), void *argument);

#endif
