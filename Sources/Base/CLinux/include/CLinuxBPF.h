#ifndef CLINUX_BPF_H
#define CLINUX_BPF_H
#include <linux/bpf.h>
#include <stddef.h>
#include <stdint.h>

/* bpf(2), for device filters of control groups. Each gives what the call gives, or -errno. */

/* BPF_PROG_LOAD of a BPF_PROG_TYPE_CGROUP_DEVICE program of `count` instructions: its descriptor. What the kernel's check of it says goes to
   `log`, if there is one. */
int clinux_bpf_load_device_program(const uint64_t *instructions, uint32_t count, char *log, uint32_t log_size);
/* BPF_PROG_ATTACH and BPF_PROG_DETACH as BPF_CGROUP_DEVICE of the group whose folder is open; attaching allows other programs beside. */
int clinux_bpf_attach_device_program(int group, int program);
int clinux_bpf_detach_device_program(int group, int program);
/* BPF_PROG_QUERY: how many programs the group itself has; the identifiers of the first `count` of them. */
int clinux_bpf_device_programs(int group, uint32_t *identifiers, uint32_t count);
/* BPF_PROG_GET_FD_BY_ID. */
int clinux_bpf_program(uint32_t identifier);

#endif
