#define _GNU_SOURCE
#include "clinuxblock.h"

#include <errno.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static int bpf(int command, union bpf_attr *attributes) {
  long result = syscall(SYS_bpf, command, attributes, sizeof *attributes);
  return result < 0 ? -errno : (int)result;
}

int lb_bpf_array(uint32_t value_size, uint32_t entries, const char *name) {
  union bpf_attr attributes;
  memset(&attributes, 0, sizeof attributes);
  attributes.map_type = BPF_MAP_TYPE_ARRAY;
  attributes.key_size = sizeof(uint32_t);
  attributes.value_size = value_size;
  attributes.max_entries = entries;
  attributes.map_flags = BPF_F_MMAPABLE;
  strncpy(attributes.map_name, name, sizeof attributes.map_name - 1);
  return bpf(BPF_MAP_CREATE, &attributes);
}

int lb_bpf_is_array(int fd, uint32_t value_size, uint32_t entries) {
  struct bpf_map_info info;
  memset(&info, 0, sizeof info);
  union bpf_attr attributes;
  memset(&attributes, 0, sizeof attributes);
  attributes.info.bpf_fd = fd;
  attributes.info.info_len = sizeof info;
  attributes.info.info = (uintptr_t)&info;
  int result = bpf(BPF_OBJ_GET_INFO_BY_FD, &attributes);
  if (result < 0) return result;
  return info.type == BPF_MAP_TYPE_ARRAY && info.value_size == value_size && info.max_entries == entries &&
         (info.map_flags & BPF_F_MMAPABLE);
}

int lb_bpf_load(uint32_t type, const void *instructions, uint32_t count, uint32_t attach_btf_id, char *log,
                uint32_t log_size) {
  union bpf_attr attributes;
  memset(&attributes, 0, sizeof attributes);
  attributes.prog_type = type;
  attributes.insns = (uintptr_t)instructions;
  attributes.insn_cnt = count;
  attributes.license = (uintptr_t) "Dual MIT/GPL";
  strcpy(attributes.prog_name, "godwit_mark");
  if (attach_btf_id) {
    attributes.expected_attach_type = BPF_TRACE_RAW_TP;
    attributes.attach_btf_id = attach_btf_id;
  }
  int program = bpf(BPF_PROG_LOAD, &attributes);
  if (program >= 0 || !log_size) return program;
  // Once more, for the verifier's words: asking for them always would fail where they do not fit.
  attributes.log_level = 1;
  attributes.log_buf = (uintptr_t)log;
  attributes.log_size = log_size;
  bpf(BPF_PROG_LOAD, &attributes);
  return program;
}

int lb_bpf_raw_tracepoint_open(int program) {
  union bpf_attr attributes;
  memset(&attributes, 0, sizeof attributes);
  attributes.raw_tracepoint.prog_fd = program;
  return bpf(BPF_RAW_TRACEPOINT_OPEN, &attributes);
}

int lb_bpf_pin(int fd, const char *path) {
  union bpf_attr attributes;
  memset(&attributes, 0, sizeof attributes);
  attributes.pathname = (uintptr_t)path;
  attributes.bpf_fd = fd;
  return bpf(BPF_OBJ_PIN, &attributes);
}

int lb_bpf_get(const char *path) {
  union bpf_attr attributes;
  memset(&attributes, 0, sizeof attributes);
  attributes.pathname = (uintptr_t)path;
  return bpf(BPF_OBJ_GET, &attributes);
}

int64_t lb_bpf_recursion_misses(int program) {
  struct bpf_prog_info info;
  memset(&info, 0, sizeof info);
  union bpf_attr attributes;
  memset(&attributes, 0, sizeof attributes);
  attributes.info.bpf_fd = program;
  attributes.info.info_len = sizeof info;
  attributes.info.info = (uintptr_t)&info;
  int result = bpf(BPF_OBJ_GET_INFO_BY_FD, &attributes);
  return result < 0 ? result : (int64_t)info.recursion_misses;
}

int lb_perf_tracepoint(uint64_t id) {
  struct perf_event_attr attributes;
  memset(&attributes, 0, sizeof attributes);
  attributes.type = PERF_TYPE_TRACEPOINT;
  attributes.size = sizeof attributes;
  attributes.config = id;
  attributes.sample_period = 1;
  attributes.wakeup_events = 1;
  // The program hangs on the tracepoint itself, so the event of one CPU covers them all.
  long event = syscall(SYS_perf_event_open, &attributes, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
  return event < 0 ? -errno : (int)event;
}

int lb_perf_attach(int event, int program) {
  if (ioctl(event, PERF_EVENT_IOC_SET_BPF, program)) return -errno;
  return ioctl(event, PERF_EVENT_IOC_ENABLE, 0) ? -errno : 0;
}

int lb_perf_link(int event, int program) {
  union bpf_attr attributes;
  memset(&attributes, 0, sizeof attributes);
  attributes.link_create.prog_fd = program;
  attributes.link_create.target_fd = event;
  attributes.link_create.attach_type = BPF_PERF_EVENT;
  int link = bpf(BPF_LINK_CREATE, &attributes);
  if (link < 0) return link;
  return ioctl(event, PERF_EVENT_IOC_ENABLE, 0) ? -errno : link;
}

int lb_raise_memlock(void) {
  // Until Linux 5.11 maps are charged against it.
  struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
  return setrlimit(RLIMIT_MEMLOCK, &limit) ? -errno : 0;
}
