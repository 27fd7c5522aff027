#ifndef CCONTAINER_INTERNAL_H
#define CCONTAINER_INTERNAL_H

#include "CContainer.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* mount(2)'s flags; <sys/mount.h> and <linux/mount.h> exclude each other in Debian 12. */
int mount(const char *, const char *, const char *, unsigned long, const void *);
int umount2(const char *, int);
#ifndef MNT_DETACH
#define MNT_DETACH 2
#endif

struct ccontainer_state {
  int channel;
  /* The root folder (O_PATH), until it is the process's own. */
  int root;
  /* Whoever started the process, who hears of failures from then on. */
  int start;
  char executable[4096];
};

void ccontainer_tell(struct ccontainer_state *state, int kind, int step, int value);
int ccontainer_await_answer(struct ccontainer_state *state);
int ccontainer_carry_out(struct ccontainer_state *state, const struct ccontainer_step *step, int index);
/* A step on the file system, or 1 where it is another. */
int ccontainer_carry_out_mount(struct ccontainer_state *state, const struct ccontainer_step *step);

#endif
