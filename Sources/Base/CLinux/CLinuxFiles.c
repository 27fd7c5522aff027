#define _GNU_SOURCE
#include "CLinuxFiles.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

_Static_assert(O_PATH == 010000000 && SEEK_DATA == 3 && SEEK_HOLE == 4, "the header's copies");
_Static_assert(sizeof(struct fuse_in_header) == 40 && sizeof(struct fuse_out_header) == 16, "FUSE headers");
_Static_assert(sizeof(struct fuse_entry_out) == 128 && sizeof(struct fuse_attr) == 88, "FUSE attributes");

#define CHECKED(call) __extension__({ __auto_type result = (call); result == -1 ? -errno : result; })

int clinux_open_beneath(int directory, const char *name, int flags, unsigned mode) {
  struct open_how how = {
    .flags = (unsigned)flags | O_CLOEXEC,
    .mode = mode,
    .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
  };
  return (int)CHECKED(syscall(SYS_openat2, directory, name, &how, sizeof how));
}
int clinux_openat(int directory, const char *name, int flags, unsigned mode) {
  return CHECKED(openat(directory, name, flags | O_CLOEXEC, mode));
}
int clinux_stat(int file, struct stat *status) { return CHECKED(fstatat(file, "", status, AT_EMPTY_PATH)); }
int clinux_statvfs(int file, struct statvfs *status) { return CHECKED(fstatvfs(file, status)); }
int64_t clinux_readlink(int link, void *buffer, size_t size) { return CHECKED(readlinkat(link, "", buffer, size)); }
int clinux_mkdirat(int directory, const char *name, unsigned mode) { return CHECKED(mkdirat(directory, name, mode)); }
int clinux_mknodat(int directory, const char *name, unsigned mode) { return CHECKED(mknodat(directory, name, mode, 0)); }
int clinux_symlinkat(const char *target, int directory, const char *name) {
  return CHECKED(symlinkat(target, directory, name));
}
int clinux_link(const char *path, int directory, const char *name) {
  return CHECKED(linkat(AT_FDCWD, path, directory, name, AT_SYMLINK_FOLLOW));
}
int clinux_unlinkat(int directory, const char *name, int flags) { return CHECKED(unlinkat(directory, name, flags)); }
int clinux_renameat2(int from, const char *old_name, int to, const char *new_name, unsigned flags) {
  return CHECKED(renameat2(from, old_name, to, new_name, flags));
}
int clinux_chmod(const char *path, unsigned mode) { return CHECKED(fchmodat(AT_FDCWD, path, mode, 0)); }
int clinux_chown(int file, unsigned user, unsigned group) {
  return CHECKED(fchownat(file, "", user, group, AT_EMPTY_PATH));
}
int clinux_set_times(int file, const struct timespec times[2]) {
  return (int)CHECKED(syscall(SYS_utimensat, file, "", times, AT_EMPTY_PATH));
}
int clinux_truncate(const char *path, int64_t size) { return CHECKED(truncate(path, size)); }
int clinux_ftruncate(int file, int64_t size) { return CHECKED(ftruncate(file, size)); }
int clinux_access(const char *path, int mode) { return CHECKED(access(path, mode)); }
int clinux_fsync(int file, int data_only) { return CHECKED(data_only ? fdatasync(file) : fsync(file)); }
int clinux_syncfs(int file) { return CHECKED(syncfs(file)); }
int clinux_fallocate(int file, int mode, int64_t offset, int64_t length) {
  return CHECKED(fallocate(file, mode, offset, length));
}
int64_t clinux_lseek(int file, int64_t offset, int whence) { return CHECKED(lseek(file, offset, whence)); }
int64_t clinux_copy_file_range(int from, int64_t from_offset, int to, int64_t to_offset, size_t length) {
  return CHECKED(copy_file_range(from, &from_offset, to, &to_offset, length, 0));
}
int64_t clinux_getdents(int directory, void *buffer, size_t size) {
  return CHECKED(syscall(SYS_getdents64, directory, buffer, size));
}
int64_t clinux_pread(int file, void *buffer, size_t size, int64_t offset) {
  return CHECKED(pread(file, buffer, size, offset));
}
int64_t clinux_pwrite(int file, const void *buffer, size_t size, int64_t offset) {
  return CHECKED(pwrite(file, buffer, size, offset));
}
int64_t clinux_getxattr(const char *path, const char *name, void *value, size_t size) {
  return CHECKED(getxattr(path, name, value, size));
}
int64_t clinux_listxattr(const char *path, void *list, size_t size) { return CHECKED(listxattr(path, list, size)); }
int clinux_setxattr(const char *path, const char *name, const void *value, size_t size, int flags) {
  return CHECKED(setxattr(path, name, value, size, flags));
}
int clinux_removexattr(const char *path, const char *name) { return CHECKED(removexattr(path, name)); }

int64_t clinux_raise_file_limit(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) == -1) return -errno;
  if (limit.rlim_cur < limit.rlim_max) {
    rlim_t before = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) == -1) limit.rlim_cur = before;
  }
  return limit.rlim_cur > INT32_MAX ? INT32_MAX : (int64_t)limit.rlim_cur;
}
