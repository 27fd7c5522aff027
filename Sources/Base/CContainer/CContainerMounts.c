#define _GNU_SOURCE
#include "CContainerInternal.h"

/* The path by which a descriptor can be given to mount(2). */
static const char *link_of(int descriptor, char *buffer) {
  snprintf(buffer, 64, "/proc/self/fd/%d", descriptor);
  return buffer;
}

/* Opens the folder of a place in the root, making what is missing; `name` gets the last component. */
static int open_parent(int root, const char *place, char *name) {
  char path[4096];
  size_t length = strlen(place);
  while (length > 0 && place[length - 1] == '/') length--;
  if (length >= sizeof path) return -ENAMETOOLONG;
  size_t start = length;
  while (start > 0 && place[start - 1] != '/') start--;
  if (length - start == 0 || length - start > 255) return length == start ? -EINVAL : -ENAMETOOLONG;
  memcpy(name, place + start, length - start);
  name[length - start] = 0;
  if (strcmp(name, "..") == 0 || strcmp(name, ".") == 0) return -EINVAL;
  memcpy(path, place, start);
  path[start] = 0;
  int folder = ccontainer_open_in_root(root, start ? path : ".", O_PATH | O_DIRECTORY, 0);
  if (folder != -ENOENT) return folder;
  /* One component after another, each opened before the next is made in it. */
  folder = ccontainer_open_in_root(root, ".", O_PATH | O_DIRECTORY, 0);
  char done[4096] = "";
  size_t used = 0;
  for (char *part = strtok(path, "/"); part && folder >= 0; part = strtok(NULL, "/")) {
    size_t count = strlen(part);
    if (used + count + 2 > sizeof done) {
      close(folder);
      return -ENAMETOOLONG;
    }
    done[used++] = '/';
    memcpy(done + used, part, count + 1);
    used += count;
    int next = ccontainer_open_in_root(root, done, O_PATH | O_DIRECTORY, 0);
    if (next == -ENOENT) {
      if (mkdirat(folder, part, 0755) < 0 && errno != EEXIST) next = -errno;
      else next = ccontainer_open_in_root(root, done, O_PATH | O_DIRECTORY, 0);
    }
    close(folder);
    folder = next;
  }
  return folder;
}

/* Opens a place in the root, as a folder or a file that is made where it is missing. */
static int open_place(int root, const char *place, int is_folder, int makes) {
  int found = ccontainer_open_in_root(root, place, O_PATH, 0);
  if (found != -ENOENT || !makes) return found;
  char name[256];
  int parent = open_parent(root, place, name);
  if (parent < 0) return parent;
  int result = 0;
  if (is_folder) {
    if (mkdirat(parent, name, 0755) < 0 && errno != EEXIST) result = -errno;
  } else {
    int file = openat(parent, name, O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW | O_RDONLY, 0644);
    if (file < 0 && errno != EEXIST) result = -errno;
    if (file >= 0) close(file);
  }
  close(parent);
  return result < 0 ? result : ccontainer_open_in_root(root, place, O_PATH, 0);
}

static int set_attributes(int mount, int is_recursive, uint64_t set, uint64_t clear, uint64_t propagation, int user) {
  struct mount_attr attributes = {.attr_set = set, .attr_clr = clear, .propagation = propagation, .userns_fd = (uint64_t)(user < 0 ? 0 : user)};
  if (!set && !clear && !propagation) return 0;
  int flags = AT_EMPTY_PATH | (is_recursive ? AT_RECURSIVE : 0);
  return syscall(SYS_mount_setattr, mount, "", flags, &attributes, sizeof attributes) < 0 ? -errno : 0;
}

static int bind_tree(int root, int tree, const char *place, int is_folder, int makes) {
  int target = open_place(root, place, is_folder, makes);
  if (target < 0) return target;
  int result = syscall(SYS_move_mount, tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0 ? -errno : 0;
  close(target);
  return result;
}

static int clone_tree(int folder, const char *path, int is_recursive) {
  long tree = syscall(SYS_open_tree, folder, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (*path ? 0 : AT_EMPTY_PATH) | (is_recursive ? AT_RECURSIVE : 0));
  return tree < 0 ? -errno : (int)tree;
}

static int bind_mount(struct ccontainer_state *state, const struct ccontainer_step *step) {
  struct stat status;
  int tree = clone_tree(AT_FDCWD, step->first, step->flag & 1);
  if (tree < 0) return tree;
  int result = fstat(tree, &status) < 0 ? -errno : 0;
  uint64_t set = step->number | ((step->flag & 8) ? MOUNT_ATTR_IDMAP : 0);
  if (!result) result = set_attributes(tree, step->flag & 2, set, step->other, 0, (step->flag & 8) ? step->descriptor : -1);
  if (!result) result = bind_tree(state->root, tree, step->second, S_ISDIR(status.st_mode), !(step->flag & 4));
  close(tree);
  return result;
}

static int mount_type(struct ccontainer_state *state, const struct ccontainer_step *step) {
  char link[64];
  int target = open_place(state->root, step->second, 1, 1);
  if (target < 0) return target;
  int result = mount(step->first, link_of(target, link), step->third, step->number, step->bytes) < 0 ? -errno : 0;
  close(target);
  return result;
}

/* Opens what is mounted at a place, not what lies below it. */
static int place_flags(struct ccontainer_state *state, const struct ccontainer_step *step) {
  int target = ccontainer_open_in_root(state->root, step->second, O_PATH, 0);
  if (target < 0) return target;
  char link[64];
  int result = 0;
  const uint64_t *flags = step->bytes;
  for (size_t index = 0; !result && index < step->byte_count / 8; index++)
    if (mount(NULL, link_of(target, link), NULL, flags[index], NULL) < 0) result = -errno;
  close(target);
  return result;
}

static int node(struct ccontainer_state *state, const struct ccontainer_step *step) {
  char name[256];
  int parent = open_parent(state->root, step->second, name);
  if (parent < 0) return parent;
  int result = 0;
  if (mknodat(parent, name, (mode_t)step->number, (dev_t)step->other) < 0) {
    struct stat status;
    result = -errno;
    /* One that is there already and is the same will do. */
    if (result == -EEXIST && fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && (status.st_mode & S_IFMT) == (step->number & S_IFMT) &&
        status.st_rdev == (dev_t)step->other)
      result = 0;
    else if (result == -EPERM) {
      /* Not in a user namespace: the host's own is bound. */
      char path[4096];
      snprintf(path, sizeof path, "%s", step->second);
      int tree = clone_tree(AT_FDCWD, path, 0);
      if (tree >= 0) {
        result = bind_tree(state->root, tree, step->second, 0, 1);
        close(tree);
      }
    }
    close(parent);
    return result;
  }
  /* mknod(2) took the mask off. */
  if (fchmodat(parent, name, (mode_t)(step->number & 07777), 0) < 0 || fchownat(parent, name, step->uid, step->gid, AT_SYMLINK_NOFOLLOW) < 0)
    result = -errno;
  close(parent);
  return result;
}

static int symbolic_link(struct ccontainer_state *state, const struct ccontainer_step *step) {
  char name[256];
  int parent = open_parent(state->root, step->second, name);
  if (parent < 0) return parent;
  int result = symlinkat(step->first, parent, name) < 0 && errno != EEXIST ? -errno : 0;
  close(parent);
  return result;
}

static int mask(struct ccontainer_state *state, const struct ccontainer_step *step) {
  struct stat status;
  int target = ccontainer_open_in_root(state->root, step->second, O_PATH, 0);
  if (target < 0) return target == -ENOENT || target == -ENOTDIR || target == -EACCES ? 0 : target;
  char link[64];
  int result = 0;
  if (fstat(target, &status) < 0) result = -errno;
  else if (S_ISDIR(status.st_mode)) {
    if (mount("tmpfs", link_of(target, link), "tmpfs", 1 /* MS_RDONLY */, "size=0k") < 0) result = -errno;
  } else {
    int tree = clone_tree(AT_FDCWD, "/dev/null", 0);
    result = tree < 0 ? tree
             : syscall(SYS_move_mount, tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0 ? -errno
                                                                                                                      : 0;
    if (tree >= 0) close(tree);
  }
  close(target);
  return result;
}

static int make_read_only(struct ccontainer_state *state, const struct ccontainer_step *step) {
  int target = ccontainer_open_in_root(state->root, step->second, O_PATH, 0);
  if (target < 0) return target == -ENOENT || target == -ENOTDIR || target == -EACCES ? 0 : target;
  int tree = clone_tree(target, "", 1);
  int result = tree < 0 ? tree : set_attributes(tree, 1, MOUNT_ATTR_RDONLY, 0, 0, -1);
  if (!result && syscall(SYS_move_mount, tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0) result = -errno;
  if (tree >= 0) close(tree);
  close(target);
  return result;
}

static int take_root(struct ccontainer_state *state, const struct ccontainer_step *step) {
  /* A mount of its own, which pivot_root(2) wants. */
  if (!(step->flag & 1)) {
    int tree = clone_tree(AT_FDCWD, step->first, 1);
    if (tree < 0) return tree;
    int target = open(step->first, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int result = target < 0 ? -errno
                 : syscall(SYS_move_mount, tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0 ? -errno
                                                                                                                        : 0;
    if (target >= 0) close(target);
    close(tree);
    if (result) return result;
  }
  state->root = open(step->first, O_PATH | O_DIRECTORY | O_CLOEXEC);
  return state->root < 0 ? -errno : 0;
}

static int change_root(struct ccontainer_state *state, const struct ccontainer_step *step) {
  if (fchdir(state->root) < 0) return -errno;
  if (step->number == 0) {
    /* The old root lies over the new one, and is taken away; what happens there no longer comes here, nor the other way round. */
    if (syscall(SYS_pivot_root, ".", ".") < 0) return -errno;
    if (mount(NULL, ".", NULL, (1 << 19) | (1 << 14) /* MS_SLAVE | MS_REC */, NULL) < 0) return -errno;
    if (umount2(".", MNT_DETACH) < 0) return -errno;
  } else {
    if (step->number == 1 && mount(".", "/", NULL, 1 << 13 /* MS_MOVE */, NULL) < 0) return -errno;
    if (chroot(".") < 0) return -errno;
  }
  if (chdir("/") < 0) return -errno;
  close(state->root);
  state->root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  return state->root < 0 ? -errno : 0;
}

int ccontainer_carry_out_mount(struct ccontainer_state *state, const struct ccontainer_step *step) {
  switch (step->operation) {
  case CCONTAINER_PROPAGATION: return mount(NULL, step->first, NULL, step->number, NULL) < 0 ? -errno : 0;
  case CCONTAINER_ROOT: return take_root(state, step);
  case CCONTAINER_BIND: return bind_mount(state, step);
  case CCONTAINER_MOUNT: return mount_type(state, step);
  case CCONTAINER_PLACE_FLAGS: return place_flags(state, step);
  case CCONTAINER_NODE: return node(state, step);
  case CCONTAINER_SYMLINK: return symbolic_link(state, step);
  case CCONTAINER_MASK: return mask(state, step);
  case CCONTAINER_READONLY: return make_read_only(state, step);
  case CCONTAINER_PIVOT: return change_root(state, step);
  case CCONTAINER_ROOT_READONLY: return set_attributes(state->root, 0, MOUNT_ATTR_RDONLY, 0, 0, -1);
  default: return 1;
  }
}
