#ifndef CLINUX_FILES_H
#define CLINUX_FILES_H
#include <linux/fuse.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>

/* Calls on files through descriptors, for which glibc has no declaration outside GNU sources or which are variadic. Each gives what the
   call gives, or -errno. */

/* openat2(2) of one name, O_CLOEXEC added: nothing above `directory` is reached, no symbolic or magic link followed. */
int clinux_open_beneath(int directory, const char *name, int flags, unsigned mode);
/* openat(2), O_CLOEXEC added. */
int clinux_openat(int directory, const char *name, int flags, unsigned mode);
/* fstatat(2) with AT_EMPTY_PATH: also of an O_PATH descriptor, and of a symbolic link itself. */
int clinux_stat(int file, struct stat *status);
int clinux_statvfs(int file, struct statvfs *status);
/* readlinkat(2) of the O_PATH descriptor of a symbolic link. */
int64_t clinux_readlink(int link, void *buffer, size_t size);
int clinux_mkdirat(int directory, const char *name, unsigned mode);
int clinux_mknodat(int directory, const char *name, unsigned mode);
int clinux_symlinkat(const char *target, int directory, const char *name);
/* linkat(2) with AT_SYMLINK_FOLLOW, of a path below /proc/self/fd. */
int clinux_link(const char *path, int directory, const char *name);
int clinux_unlinkat(int directory, const char *name, int flags);
int clinux_renameat2(int from, const char *old_name, int to, const char *new_name, unsigned flags);
int clinux_chmod(const char *path, unsigned mode);
/* fchownat(2) and utimensat(2) with AT_EMPTY_PATH. */
int clinux_chown(int file, unsigned user, unsigned group);
int clinux_set_times(int file, const struct timespec times[2]);
int clinux_truncate(const char *path, int64_t size);
int clinux_ftruncate(int file, int64_t size);
int clinux_access(const char *path, int mode);
int clinux_fsync(int file, int data_only);
int clinux_syncfs(int file);
int clinux_fallocate(int file, int mode, int64_t offset, int64_t length);
int64_t clinux_lseek(int file, int64_t offset, int whence);
int64_t clinux_copy_file_range(int from, int64_t from_offset, int to, int64_t to_offset, size_t length);
int64_t clinux_getdents(int directory, void *buffer, size_t size);
int64_t clinux_pread(int file, void *buffer, size_t size, int64_t offset);
int64_t clinux_pwrite(int file, const void *buffer, size_t size, int64_t offset);
int64_t clinux_getxattr(const char *path, const char *name, void *value, size_t size);
int64_t clinux_listxattr(const char *path, void *list, size_t size);
int clinux_setxattr(const char *path, const char *name, const void *value, size_t size, int flags);
int clinux_removexattr(const char *path, const char *name);
/* The limit of open files, raised to what the process may have. */
int64_t clinux_raise_file_limit(void);

/* Flags that glibc declares only for GNU sources. */
static const int clinux_o_path = 010000000;
static const int clinux_whence_data = 3;
static const int clinux_whence_hole = 4;

#endif
