/* libseccomp (Debian: libseccomp-dev), which makes filters of system calls. */
#include <seccomp.h>
