#define _GNU_SOURCE
#include "CLinux.h"
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <x86intrin.h>

int clinux_memfd_create(const char *name) {
  int result = memfd_create(name, MFD_CLOEXEC);
  return result == -1 ? -errno : result;
}

int clinux_punch_hole(int fd, int64_t offset, int64_t length) {
  int result = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length);
  return result == -1 ? -errno : result;
}

int clinux_ioctl(int fd, unsigned long request, uintptr_t argument) {
  int result = ioctl(fd, request, argument);
  return result == -1 ? -errno : result;
}

uint64_t clinux_rdtsc(void) { return __rdtsc(); }

void clinux_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t result[4]) {
  __cpuid_count(leaf, subleaf, result[0], result[1], result[2], result[3]);
}
