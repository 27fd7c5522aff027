#define _GNU_SOURCE
#include "CContainerInternal.h"

static int failed(long result) { return result < 0 ? -errno : 0; }

static int write_file(const char *path, const char *text) {
  int file = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
  if (file < 0) return -errno;
  int result = failed(write(file, text, strlen(text)));
  close(file);
  return result;
}

static int raise_loopback(void) {
  struct ifreq request = {0};
  strcpy(request.ifr_name, "lo");
  int plug = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (plug < 0) return -errno;
  int result = failed(ioctl(plug, SIOCGIFFLAGS, &request));
  request.ifr_flags |= IFF_UP;
  if (!result) result = failed(ioctl(plug, SIOCSIFFLAGS, &request));
  close(plug);
  return result;
}

/* A terminal of the container's own devpts, whose other end goes out through a socket. */
static int open_console(struct ccontainer_state *state, const struct ccontainer_step *step) {
  int leader = ccontainer_open_in_root(state->root >= 0 ? state->root : AT_FDCWD, "/dev/pts/ptmx", O_RDWR | O_NOCTTY, 0);
  if (leader < 0) return leader;
  int zero = 0;
  int follower = -1, result = failed(ioctl(leader, TIOCSPTLCK, &zero));
  if (!result) {
    follower = ioctl(leader, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    result = failed(follower);
  }
  if (!result && step->number) {
    struct winsize size = {.ws_row = (unsigned short)(step->number >> 16), .ws_col = (unsigned short)step->number};
    result = failed(ioctl(leader, TIOCSWINSZ, &size));
  }
  if (!result && fchown(follower, step->uid, (gid_t)-1) < 0 && errno != EPERM && errno != EINVAL) result = -errno;
  if (!result && (step->flag & 1)) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", follower);
    int console = open("/dev/console", O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK, 0666);
    if (console >= 0) close(console);
    result = failed(mount(link, "/dev/console", "bind", 1 << 12 /* MS_BIND */, NULL));
  }
  if (!result) result = ccontainer_send_descriptor(step->descriptor, leader, step->second);
  if (!result) result = failed(ioctl(follower, TIOCSCTTY, 0));
  for (int number = 0; !result && number < 3; number++) result = failed(dup2(follower, number));
  if (follower > 2) close(follower);
  close(leader);
  return result;
}

int ccontainer_run_hook(const struct ccontainer_step *step) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) return -errno;
  int child = fork();
  if (child < 0) return -errno;
  if (child == 0) {
    signal(SIGPIPE, SIG_DFL);
    dup2(ends[0], 0);
    close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
    execve(step->first, step->list, step->more);
    _exit(errno == ENOENT ? 127 : 126);
  }
  close(ends[0]);
  signal(SIGPIPE, SIG_IGN);
  const char *text = step->second;
  size_t left = strlen(text);
  while (left > 0) {
    ssize_t count = write(ends[1], text, left);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break; /* a hook need not read */
    text += count;
    left -= (size_t)count;
  }
  signal(SIGPIPE, SIG_DFL);
  close(ends[1]);
  int handle = ccontainer_pidfd_open(child), status = 0;
  struct pollfd wait = {.fd = handle, .events = POLLIN};
  int timeout = step->number ? (step->number > 2000000 ? 2000000000 : (int)step->number * 1000) : -1;
  int ready;
  while ((ready = poll(&wait, 1, timeout)) < 0 && errno == EINTR) {
  }
  if (ready == 0) kill(child, SIGKILL);
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (handle >= 0) close(handle);
  if (ready == 0) return -ETIMEDOUT;
  return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -ECHILD;
}

static int set_capabilities(uint64_t effective, uint64_t permitted, uint64_t inheritable) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[2] = {
      {.effective = (uint32_t)effective, .permitted = (uint32_t)permitted, .inheritable = (uint32_t)inheritable},
      {.effective = (uint32_t)(effective >> 32), .permitted = (uint32_t)(permitted >> 32), .inheritable = (uint32_t)(inheritable >> 32)}};
  return failed(syscall(SYS_capset, &header, data));
}

static int drop_bounding(uint64_t kept) {
  for (int capability = 0; capability < 64; capability++) {
    if (kept >> capability & 1 || prctl(PR_CAPBSET_READ, capability, 0, 0, 0) <= 0) continue;
    if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0) return -errno;
  }
  return 0;
}

static int set_ambient(uint64_t raised) {
  if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0) return raised ? -errno : 0;
  for (int capability = 0; capability < 64; capability++)
    if (raised >> capability & 1 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) < 0) return -errno;
  return 0;
}

static int load_filter(const struct ccontainer_step *step) {
  struct {
    unsigned short count;
    const void *filter;
  } program = {.count = (unsigned short)(step->byte_count / 8), .filter = step->bytes};
  long result = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, step->number, &program);
  if (result < 0) return -errno;
  if (step->number & SECCOMP_FILTER_FLAG_NEW_LISTENER) {
    int sent = step->descriptor >= 0 ? ccontainer_send_descriptor(step->descriptor, (int)result, step->second) : -EBADF;
    close((int)result);
    return sent;
  }
  return 0;
}

static int enter_folder(const struct ccontainer_step *step) {
  if (chdir(step->first) < 0) {
    if (errno != ENOENT || !(step->flag & 1)) return -errno;
    char path[4096];
    size_t length = strlen(step->first);
    if (length >= sizeof path) return -ENAMETOOLONG;
    memcpy(path, step->first, length + 1);
    for (size_t index = 1; index <= length; index++) {
      if (path[index] != '/' && path[index] != 0) continue;
      char cut = path[index];
      path[index] = 0;
      if (mkdir(path, 0755) < 0 && errno != EEXIST) return -errno;
      path[index] = cut;
    }
    if (chdir(step->first) < 0) return -errno;
  }
  /* CVE-2024-21626: a working folder outside the root has no path here. */
  char place[4096];
  long count = syscall(SYS_getcwd, place, sizeof place);
  return count < 0 ? -errno : place[0] == '/' ? 0 : -EXDEV;
}

static int find(struct ccontainer_state *state, const struct ccontainer_step *step) {
  const char *name = step->list[0];
  struct stat status;
  if (strchr(name, '/')) {
    if (strlen(name) >= sizeof state->executable) return -ENAMETOOLONG;
    strcpy(state->executable, name);
    if (stat(name, &status) < 0) return -errno;
    return S_ISDIR(status.st_mode) || faccessat(AT_FDCWD, name, X_OK, AT_EACCESS) < 0 ? -EACCES : 0;
  }
  const char *search = "";
  for (char *const *entry = step->more; *entry; entry++)
    if (strncmp(*entry, "PATH=", 5) == 0) search = *entry + 5;
  int result = -ENOENT;
  for (const char *part = search; *name; ) {
    const char *end = strchrnul(part, ':');
    int count = snprintf(state->executable, sizeof state->executable, "%.*s/%s", (int)(end - part), end == part ? "." : part, name);
    if (end == part) count = snprintf(state->executable, sizeof state->executable, "./%s", name);
    if (count > 0 && (size_t)count < sizeof state->executable && stat(state->executable, &status) == 0 && !S_ISDIR(status.st_mode)) {
      if (faccessat(AT_FDCWD, state->executable, X_OK, AT_EACCESS) == 0) return 0;
      result = -EACCES;
    }
    if (!*end) break;
    part = end + 1;
  }
  return result;
}

static int await_start(struct ccontainer_state *state, const struct ccontainer_step *step) {
  ccontainer_tell(state, CCONTAINER_TELLS_READY, -1, 0);
  close(state->channel);
  state->channel = -1;
  int client;
  while ((client = accept4(step->descriptor, NULL, NULL, SOCK_CLOEXEC)) < 0)
    if (errno != EINTR && errno != ECONNABORTED) return -errno;
  close(step->descriptor);
  state->start = client;
  return 0;
}

static int execute(struct ccontainer_state *state, const struct ccontainer_step *step) {
  if (state->channel >= 0) {
    ccontainer_tell(state, CCONTAINER_TELLS_READY, -1, 0);
    fcntl(state->channel, F_SETFD, FD_CLOEXEC);
  }
  if (state->root >= 0) close(state->root);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  for (int number = 1; number < 32; number++) signal(number, SIG_DFL);
  execve(state->executable, step->list, step->more);
  return -errno;
}

int ccontainer_carry_out(struct ccontainer_state *state, const struct ccontainer_step *step, int index) {
  int mounted = ccontainer_carry_out_mount(state, step);
  if (mounted <= 0) return mounted;
  switch (step->operation) {
  case CCONTAINER_SYNC:
    ccontainer_tell(state, CCONTAINER_TELLS_SYNC, index, (int)step->number);
    return ccontainer_await_answer(state);
  case CCONTAINER_UNSHARE: return failed(unshare((int)step->number));
  case CCONTAINER_SESSION: return failed(setsid());
  case CCONTAINER_HOSTNAME: return failed(sethostname(step->first, strlen(step->first)));
  case CCONTAINER_DOMAINNAME: return failed(setdomainname(step->first, strlen(step->first)));
  case CCONTAINER_LOOPBACK: return raise_loopback();
  case CCONTAINER_WRITE: return write_file(step->first, step->second);
  case CCONTAINER_CONSOLE: return open_console(state, step);
  case CCONTAINER_HOOK: return ccontainer_run_hook(step);
  case CCONTAINER_LIMIT: {
    struct rlimit limit = {.rlim_cur = step->other, .rlim_max = step->limit};
    return failed(setrlimit((int)step->number, &limit));
  }
  case CCONTAINER_SCHEDULER: return failed(syscall(SYS_sched_setattr, 0, step->bytes, 0));
  case CCONTAINER_IO_PRIORITY: return failed(syscall(SYS_ioprio_set, 1, 0, step->number));
  case CCONTAINER_PERSONALITY: return failed(personality(step->number));
  case CCONTAINER_AFFINITY: return failed(syscall(SYS_sched_setaffinity, 0, step->byte_count, step->bytes));
  case CCONTAINER_NO_NEW_PRIVILEGES: return failed(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  case CCONTAINER_GROUPS: return failed(setgroups(step->byte_count / sizeof(gid_t), step->bytes));
  case CCONTAINER_BOUNDING: return drop_bounding(step->number);
  case CCONTAINER_USER:
    if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0) return -errno;
    if (setresgid(step->gid, step->gid, step->gid) < 0 || setresuid(step->uid, step->uid, step->uid) < 0) return -errno;
    return failed(prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0));
  case CCONTAINER_CAPABILITIES: return set_capabilities(step->number, step->other, step->limit);
  case CCONTAINER_AMBIENT: return set_ambient(step->number);
  case CCONTAINER_SECCOMP: return load_filter(step);
  case CCONTAINER_UMASK: umask((mode_t)step->number); return 0;
  case CCONTAINER_FOLDER: return enter_folder(step);
  case CCONTAINER_DESCRIPTORS: return failed(close_range((unsigned)step->number, ~0U, CLOSE_RANGE_CLOEXEC));
  case CCONTAINER_FIND: return find(state, step);
  case CCONTAINER_AWAIT_START: return await_start(state, step);
  case CCONTAINER_EXECUTE: return execute(state, step);
  default: return -EINVAL;
  }
}
