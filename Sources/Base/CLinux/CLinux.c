#define _GNU_SOURCE
#include "CLinux.h"
#include <cpuid.h>
#include <errno.h>
#include <unistd.h>
#include <stdlib.h>
#include <fcntl.h>
#include <net/if.h>
#include <linux/if_tun.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <ucontext.h>
#include <x86intrin.h>

int clinux_memfd_create(const char *name) {
  int result = memfd_create(name, MFD_CLOEXEC);
  return result == -1 ? -errno : result;
}

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U
#endif

int clinux_memfd_create_sealed(const char *name) {
  int result = memfd_create(name, MFD_CLOEXEC | MFD_NOEXEC_SEAL);
  return result == -1 ? -errno : result;
}

int clinux_punch_hole(int fd, int64_t offset, int64_t length) {
  int result = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length);
  return result == -1 ? -errno : result;
}

int clinux_zero_range(int fd, int64_t offset, int64_t length) {
  int result = fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, offset, length);
  return result == -1 ? -errno : result;
}

int clinux_allocate(int fd, int64_t offset, int64_t length) {
  int result = fallocate(fd, 0, offset, length);
  return result == -1 ? -errno : result;
}

int64_t clinux_next_data(int fd, int64_t offset) {
  off_t result = lseek(fd, offset, SEEK_DATA);
  return result == -1 ? -errno : result;
}

int64_t clinux_next_hole(int fd, int64_t offset) {
  off_t result = lseek(fd, offset, SEEK_HOLE);
  return result == -1 ? -errno : result;
}

int clinux_lock_byte(int fd, int64_t offset, int is_locked) {
  struct flock lock = {.l_type = is_locked ? F_RDLCK : F_UNLCK, .l_whence = SEEK_SET, .l_start = offset, .l_len = 1};
  int result = fcntl(fd, F_OFD_SETLK, &lock);
  return result == -1 ? -errno : result;
}

int clinux_byte_is_locked(int fd, int64_t offset) {
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = offset, .l_len = 1};
  if (fcntl(fd, F_OFD_GETLK, &lock) == -1) return -errno;
  return lock.l_type != F_UNLCK;
}

int clinux_block_device_size(int fd, uint64_t *byte_count) {
  int result = ioctl(fd, BLKGETSIZE64, byte_count);
  return result == -1 ? -errno : result;
}

int clinux_ioctl(int fd, unsigned long request, uintptr_t argument) {
  int result = ioctl(fd, request, argument);
  return result == -1 ? -errno : result;
}

int clinux_eventfd(void) {
  int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  return fd == -1 ? -errno : fd;
}

int clinux_tap_attach(int fd, const char *name) {
  struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
  if (strlen(name) >= sizeof request.ifr_name) return -ENAMETOOLONG;
  strcpy(request.ifr_name, name);
  return ioctl(fd, TUNSETIFF, &request) == -1 ? -errno : 0;
}

int clinux_tap_set_header_size(int fd, int size) { return ioctl(fd, TUNSETVNETHDRSZ, &size) == -1 ? -errno : 0; }

int clinux_tap_set_offloads(int fd, int checksum, int tcp4, int tcp6, int ecn) {
  unsigned long flags = (checksum ? TUN_F_CSUM : 0) | (tcp4 ? TUN_F_TSO4 : 0) | (tcp6 ? TUN_F_TSO6 : 0) | (ecn ? TUN_F_TSO_ECN : 0);
  return ioctl(fd, TUNSETOFFLOAD, flags) == -1 ? -errno : 0;
}

uint64_t clinux_rdtsc(void) { return __rdtsc(); }

int clinux_may_read_counter(void) {
  int mode = 0;
  return prctl(PR_GET_TSC, &mode) == 0 && mode == PR_TSC_ENABLE;
}

void clinux_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t result[4]) {
  __cpuid_count(leaf, subleaf, result[0], result[1], result[2], result[3]);
}

int clinux_openpt(char *path, size_t path_size) {
  int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (fd == -1) return -errno;
  if (grantpt(fd) == -1 || unlockpt(fd) == -1 || ptsname_r(fd, path, path_size) != 0) {
    int cause = errno;
    close(fd);
    return -cause;
  }
  return fd;
}

static __thread sigjmp_buf *volatile raising;
static __thread uint32_t raised_mxcsr;
static struct sigaction fpe_before;
static pthread_once_t fpe_once = PTHREAD_ONCE_INIT;

static void fpe_handle(int number, siginfo_t *info, void *opaque) {
  sigjmp_buf *place = raising;
  if (place) {
    raising = NULL;
    raised_mxcsr = ((ucontext_t *)opaque)->uc_mcontext.fpregs->mxcsr;
    siglongjmp(*place, 1);
  }
  if (fpe_before.sa_flags & SA_SIGINFO) {
    fpe_before.sa_sigaction(number, info, opaque);
  } else if (fpe_before.sa_handler == SIG_DFL || fpe_before.sa_handler == SIG_IGN) {
    signal(number, SIG_DFL);
  } else {
    fpe_before.sa_handler(number);
  }
}

static void fpe_install(void) {
  struct sigaction action = {.sa_sigaction = fpe_handle, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
  sigemptyset(&action.sa_mask);
  sigaction(SIGFPE, &action, &fpe_before);
}

int64_t clinux_call_raising(void (*code)(void *), void *argument) {
  pthread_once(&fpe_once, fpe_install);
  sigjmp_buf place;
  /* SA_NODEFER: the handler leaves no signal blocked, so no mask has to be restored. */
  if (sigsetjmp(place, 0)) {
    _mm_setcsr(0x1F80);
    __asm__ volatile("fninit");
    return raised_mxcsr;
  }
  raising = &place;
  code(argument);
  raising = NULL;
  return -1;
}
void *clinux_alias(void *address, size_t length) { return mremap(address, 0, length, MREMAP_MAYMOVE); }
