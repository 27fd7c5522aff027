#define _GNU_SOURCE
#include "CContainerInternal.h"

int ccontainer_open_in_root(int root, const char *path, int flags, uint32_t mode) {
  struct open_how how = {.flags = (uint64_t)(flags | O_CLOEXEC), .mode = (flags & O_CREAT) ? mode : 0, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
  for (int attempt = 0; attempt < 64; attempt++) {
    long result = syscall(SYS_openat2, root, path, &how, sizeof how);
    if (result >= 0) return (int)result;
    if (errno != EAGAIN && errno != EINTR) return -errno;
  }
  return -EAGAIN;
}

int ccontainer_pidfd_open(int pid) {
  long result = syscall(SYS_pidfd_open, pid, 0);
  return result < 0 ? -errno : (int)result;
}

int ccontainer_pidfd_send_signal(int pidfd, int signal) {
  return syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0) < 0 ? -errno : 0;
}

int ccontainer_send_descriptor(int socket, int descriptor, const char *text) {
  struct iovec part = {.iov_base = (void *)(text && *text ? text : "x"), .iov_len = text && *text ? strlen(text) : 1};
  char control[CMSG_SPACE(sizeof(int))] = {0};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(header), &descriptor, sizeof(int));
  while (sendmsg(socket, &message, MSG_NOSIGNAL) < 0)
    if (errno != EINTR) return -errno;
  return 0;
}

int ccontainer_receive_descriptor(int socket) {
  char byte[4096];
  struct iovec part = {.iov_base = byte, .iov_len = sizeof byte};
  char control[CMSG_SPACE(sizeof(int))] = {0};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  ssize_t count;
  while ((count = recvmsg(socket, &message, MSG_CMSG_CLOEXEC)) < 0)
    if (errno != EINTR) return -errno;
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  if (!header || header->cmsg_type != SCM_RIGHTS) return -EBADMSG;
  int descriptor;
  memcpy(&descriptor, CMSG_DATA(header), sizeof(int));
  return descriptor;
}

int ccontainer_signal_descriptor(const void *set) { return signalfd(-1, set, SFD_CLOEXEC | SFD_NONBLOCK); }

int ccontainer_read_signal(int descriptor) {
  struct signalfd_siginfo information;
  return read(descriptor, &information, sizeof information) == sizeof information ? (int)information.ssi_signo : 0;
}

int ccontainer_close_above(unsigned first) { return close_range(first, ~0U, 0) < 0 ? -errno : 0; }

int ccontainer_subreaper(int on) { return prctl(PR_SET_CHILD_SUBREAPER, on, 0, 0, 0) < 0 ? -errno : 0; }

/* CVE-2019-5736: the program is run from a sealed copy, so that no container can write to the file through /proc. */
int ccontainer_seal_self(void) {
  int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  if (self < 0) return -errno;
  int seals = fcntl(self, F_GET_SEALS);
  if (seals >= 0 && (seals & F_SEAL_WRITE)) {
    close(self);
    return 0;
  }
  struct stat status;
  int copy = memfd_create("viv-oci", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (copy < 0 || fstat(self, &status) < 0) return -errno;
  off_t done = 0;
  while (done < status.st_size) {
    ssize_t count = sendfile(copy, self, &done, (size_t)(status.st_size - done));
    if (count <= 0) return count < 0 ? -errno : -EIO;
  }
  close(self);
  if (fcntl(copy, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0) return -errno;
  return copy;
}

/* ---- the channel ---- */

void ccontainer_tell(struct ccontainer_state *state, int kind, int step, int value) {
  struct ccontainer_message message = {.kind = kind, .step = step, .value = value};
  while (send(state->channel, &message, sizeof message, MSG_NOSIGNAL) < 0 && errno == EINTR) {
  }
}

int ccontainer_await_answer(struct ccontainer_state *state) {
  char byte;
  ssize_t count;
  while ((count = recv(state->channel, &byte, 1, 0)) < 0 && errno == EINTR) {
  }
  /* A parent that has gone, or said no: it knows why. */
  return count == 1 && byte == 1 ? 0 : -ECANCELED;
}

/* ---- the process of the steps ---- */

static void run_steps(const struct ccontainer_launch_plan *launch) {
  struct ccontainer_state state = {.channel = launch->channel, .root = -1, .start = -1};
  for (size_t index = 0; index < launch->step_count; index++) {
    int result = ccontainer_carry_out(&state, &launch->steps[index], (int)index);
    if (result < 0) {
      if (state.start >= 0) {
        int value = -result;
        while (send(state.start, &value, sizeof value, MSG_NOSIGNAL) < 0 && errno == EINTR) {
        }
      } else {
        ccontainer_tell(&state, CCONTAINER_TELLS_FAILURE, (int)index, -result);
      }
      _exit(result == -ENOENT ? 127 : 126);
    }
  }
  _exit(0);
}

/* ---- the process that makes the namespaces ---- */

static int make_namespaces(const struct ccontainer_launch_plan *launch, struct ccontainer_state *state) {
  for (size_t index = 0; index < launch->joined_count; index++)
    if (setns(launch->joined[index], launch->joined_kinds[index]) < 0) return -errno;
  uint64_t made = launch->made;
  if (made & CLONE_NEWUSER) {
    if (unshare(CLONE_NEWUSER) < 0) return -errno;
    /* The parent may look at this process to write its maps, though its memory is not to be read. */
    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    ccontainer_tell(state, CCONTAINER_TELLS_USER, -1, 0);
    int answer = ccontainer_await_answer(state);
    if (answer < 0) return answer;
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  }
  int in_user = (made & CLONE_NEWUSER) != 0;
  for (size_t index = 0; index < launch->joined_count; index++) in_user |= launch->joined_kinds[index] == CLONE_NEWUSER;
  if (in_user && (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)) return -errno;
  made &= ~(uint64_t)CLONE_NEWUSER;
  if (made && unshare((int)made) < 0) return -errno;
  if (launch->time_offsets) {
    int file = open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);
    if (file < 0) return -errno;
    ssize_t count = write(file, launch->time_offsets, strlen(launch->time_offsets));
    int failure = count < 0 ? -errno : 0;
    close(file);
    if (failure) return failure;
  }
  return 0;
}

int ccontainer_launch(const struct ccontainer_launch_plan *launch) {
  int maker = fork();
  if (maker != 0) return maker < 0 ? -errno : maker;
  /* A runtime that is killed takes what it has not finished along. */
  prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  struct ccontainer_state state = {.channel = launch->channel, .root = -1, .start = -1};
  int result = make_namespaces(launch, &state);
  if (result < 0) {
    ccontainer_tell(&state, CCONTAINER_TELLS_FAILURE, -1, -result);
    _exit(1);
  }
  struct clone_args arguments = {.flags = CLONE_PARENT, .exit_signal = 0};
  long child = syscall(SYS_clone3, &arguments, sizeof arguments);
  if (child == 0) run_steps(launch);
  if (child < 0)
    ccontainer_tell(&state, CCONTAINER_TELLS_FAILURE, -1, errno);
  else
    ccontainer_tell(&state, CCONTAINER_TELLS_PROCESS, -1, (int)child);
  _exit(child < 0);
}
