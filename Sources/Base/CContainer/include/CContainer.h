/* The stage of a container: clones, and carries out a list of steps in the new process up to execve(2). It decides nothing: what is done, and in
   which order, is the list, which was made before. */
#ifndef CCONTAINER_H
#define CCONTAINER_H

#include <stddef.h>
#include <stdint.h>

/* What a step does; the fields that it uses are named behind it. Paths "in the root" are resolved below the root folder and never leave it. */
enum ccontainer_operation {
  CCONTAINER_SYNC = 1,        /* number: sent to the parent, whose answer is awaited */
  CCONTAINER_UNSHARE,         /* number: namespaces */
  CCONTAINER_SESSION,         /* a session of its own */
  CCONTAINER_HOSTNAME,        /* first */
  CCONTAINER_DOMAINNAME,      /* first */
  CCONTAINER_LOOPBACK,        /* brings `lo` up */
  CCONTAINER_WRITE,           /* first: path; second: what is written */
  CCONTAINER_PROPAGATION,     /* first: path; number: MS_ flags */
  CCONTAINER_ROOT,            /* first: the root folder, bound onto itself */
  CCONTAINER_BIND,            /* first: source; second: place in the root; number: MOUNT_ATTR_ set; other: cleared; flag: 1 recursive bind, 2 recursive
                                 attributes, 4 nothing is made where the place is missing, 8 the id map of `descriptor` */
  CCONTAINER_MOUNT,           /* first: source; second: place in the root; third: type; bytes: data; number: MS_ flags */
  CCONTAINER_PLACE_FLAGS,     /* second: place in the root; number: MS_ flags of propagation, one after another in `bytes` (u64) */
  CCONTAINER_NODE,            /* second: place in the root; number: mode and type; other: device; uid, gid */
  CCONTAINER_SYMLINK,         /* first: target; second: place in the root */
  CCONTAINER_MASK,            /* second: place in the root that is hidden, if it exists */
  CCONTAINER_READONLY,        /* second: place in the root that becomes read-only, if it exists */
  CCONTAINER_PIVOT,           /* number: 0 pivot_root, 1 move and chroot, 2 chroot alone */
  CCONTAINER_ROOT_READONLY,
  CCONTAINER_CONSOLE,         /* descriptor: socket for the terminal; number: rows << 16 | columns; flag: 1 binds it to /dev/console; uid, gid */
  CCONTAINER_HOOK,            /* first: program; list: arguments; more: environment; second: what it reads; number: seconds, 0 for no limit */
  CCONTAINER_LIMIT,           /* number: resource; other: soft; third number in uid/gid: see `limit` */
  CCONTAINER_SCHEDULER,       /* bytes: struct sched_attr */
  CCONTAINER_IO_PRIORITY,     /* number */
  CCONTAINER_PERSONALITY,     /* number */
  CCONTAINER_AFFINITY,        /* bytes: mask */
  CCONTAINER_NO_NEW_PRIVILEGES,
  CCONTAINER_GROUPS,          /* bytes: gid_t each */
  CCONTAINER_BOUNDING,        /* number: capabilities that stay */
  CCONTAINER_USER,            /* uid, gid; capabilities are kept */
  CCONTAINER_CAPABILITIES,    /* number: effective; other: permitted; limit: inheritable */
  CCONTAINER_AMBIENT,         /* number */
  CCONTAINER_SECCOMP,         /* bytes: program; number: flags; descriptor: socket for the listener or -1; second: what goes with it */
  CCONTAINER_UMASK,           /* number */
  CCONTAINER_FOLDER,          /* first: working folder; flag: 1 makes it */
  CCONTAINER_DESCRIPTORS,     /* number: descriptors from here on are closed by execve */
  CCONTAINER_FIND,            /* list: arguments, of which the first is looked for; more: environment */
  CCONTAINER_AWAIT_START,     /* descriptor: listening socket */
  CCONTAINER_EXECUTE          /* list: arguments; more: environment */
};

struct ccontainer_step {
  int32_t operation;
  int32_t flag;
  int32_t descriptor;
  uint32_t uid;
  uint32_t gid;
  uint64_t number;
  uint64_t other;
  uint64_t limit;
  const char *first;
  const char *second;
  const char *third;
  const void *bytes;
  size_t byte_count;
  char *const *list;
  char *const *more;
};

/* What the stage tells its parent: one such packet a message. */
struct ccontainer_message {
  int32_t kind;  /* ccontainer_message_kind */
  int32_t step;  /* which one, or -1 before the steps */
  int32_t value; /* the number of a sync, a process, or an error number */
};
enum ccontainer_message_kind {
  CCONTAINER_TELLS_SYNC = 1,
  CCONTAINER_TELLS_PROCESS, /* value: the process that carries out the steps, as the parent sees it */
  CCONTAINER_TELLS_USER,    /* a user namespace waits for its maps; value: the process that is in it */
  CCONTAINER_TELLS_FAILURE,
  CCONTAINER_TELLS_READY    /* execve comes next, or the start is awaited */
};

struct ccontainer_launch_plan {
  /* A packet socket, whose other end is the parent's. */
  int32_t channel;
  /* Namespaces that are joined, in this order: descriptors and their CLONE_NEW flags. */
  const int32_t *joined;
  const int32_t *joined_kinds;
  size_t joined_count;
  /* Namespaces that are made, as CLONE_NEW flags; those of cgroups are unshared by a step. */
  uint64_t made;
  /* What is written to timens_offsets, or NULL. */
  const char *time_offsets;
  const struct ccontainer_step *steps;
  size_t step_count;
};

/* Starts the stage: returns the process that makes the namespaces, which ends by itself, or -errno. Only for a process of one thread. */
int ccontainer_launch(const struct ccontainer_launch_plan *launch);

/* Runs a hook to its end: 0, or -errno; -ECHILD where it ends with another status than 0. */
int ccontainer_run_hook(const struct ccontainer_step *step);

/* Raw calls that libc of Debian 12 has no function for; -errno where they fail. */
int ccontainer_open_in_root(int root, const char *path, int flags, uint32_t mode);
int ccontainer_pidfd_open(int pid);
int ccontainer_pidfd_send_signal(int pidfd, int signal);
int ccontainer_send_descriptor(int socket, int descriptor, const char *text);
int ccontainer_receive_descriptor(int socket);
int ccontainer_close_above(unsigned first);
int ccontainer_subreaper(int on);
int ccontainer_seal_self(void);
/* A descriptor of the signals of a sigset_t, and the next one from it, 0 where there is none. */
int ccontainer_signal_descriptor(const void *set);
int ccontainer_read_signal(int descriptor);

#endif
