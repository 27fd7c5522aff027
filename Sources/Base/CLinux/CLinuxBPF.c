#define _GNU_SOURCE
#include "CLinuxBPF.h"
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

_Static_assert(sizeof(struct bpf_insn) == sizeof(uint64_t), "instructions are passed as words");
_Static_assert(sizeof(struct bpf_cgroup_dev_ctx) == 12, "what a device program is given");

static int clinux_bpf(int command, union bpf_attr *attributes) {
  long result = syscall(SYS_bpf, command, attributes, sizeof *attributes);
  return result == -1 ? -errno : (int)result;
}

int clinux_bpf_load_device_program(const uint64_t *instructions, uint32_t count, char *log, uint32_t log_size) {
  union bpf_attr attributes;
  memset(&attributes, 0, sizeof attributes);
  attributes.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
  attributes.insns = (uintptr_t)instructions;
  attributes.insn_cnt = count;
  attributes.license = (uintptr_t)"Apache";
  if (log != NULL) {
    attributes.log_level = 1;
    attributes.log_buf = (uintptr_t)log;
    attributes.log_size = log_size;
  }
  return clinux_bpf(BPF_PROG_LOAD, &attributes);
}

int clinux_bpf_attach_device_program(int group, int program) {
  union bpf_attr attributes;
  memset(&attributes, 0, sizeof attributes);
  attributes.target_fd = (uint32_t)group;
  attributes.attach_bpf_fd = (uint32_t)program;
  attributes.attach_type = BPF_CGROUP_DEVICE;
  attributes.attach_flags = BPF_F_ALLOW_MULTI;
  return clinux_bpf(BPF_PROG_ATTACH, &attributes);
}

int clinux_bpf_detach_device_program(int group, int program) {
  union bpf_attr attributes;
  memset(&attributes, 0, sizeof attributes);
  attributes.target_fd = (uint32_t)group;
  attributes.attach_bpf_fd = (uint32_t)program;
  attributes.attach_type = BPF_CGROUP_DEVICE;
  return clinux_bpf(BPF_PROG_DETACH, &attributes);
}

int clinux_bpf_device_programs(int group, uint32_t *identifiers, uint32_t count) {
  union bpf_attr attributes;
  memset(&attributes, 0, sizeof attributes);
  attributes.query.target_fd = (uint32_t)group;
  attributes.query.attach_type = BPF_CGROUP_DEVICE;
  attributes.query.prog_ids = (uintptr_t)identifiers;
  attributes.query.prog_cnt = count;
  int result = clinux_bpf(BPF_PROG_QUERY, &attributes);
  return result < 0 ? result : (int)attributes.query.prog_cnt;
}

int clinux_bpf_program(uint32_t identifier) {
  union bpf_attr attributes;
  memset(&attributes, 0, sizeof attributes);
  attributes.prog_id = identifier;
  return clinux_bpf(BPF_PROG_GET_FD_BY_ID, &attributes);
}
