// Shims for what Swift cannot say: ioctls behind macros, raw system calls, atomics on shared memory.
// Every function returns 0 or a non-negative value, or minus the errno.
#pragma once

#include <stddef.h>
#include <stdint.h>

// Block devices.
int lb_open_direct(const char *path, int read_only);
int64_t lb_device_size(int fd);
int lb_sector_size(int fd);
int lb_device_zero(int fd, uint64_t offset, uint64_t length);
int lb_punch(int fd, uint64_t offset, uint64_t length);
uint64_t lb_device_number(const char *path);  // major << 20 | minor, as the kernel keeps it; 0 if it is no block device

// Filesystems.
int lb_freeze(int fd);
int lb_thaw(int fd);
int lb_syncfs(int fd);
int64_t lb_filesystem_kind(const char *path);  // its magic number, as in linux/magic.h

// One record of FS_IOC_GETFSMAP, reduced to what decides whether bytes are free.
struct lb_fsmap_record {
  uint64_t device;  // major << 20 | minor
  uint64_t physical;
  uint64_t length;
  uint32_t free;
};
// Fills `records` with the next ones after `*resume` (an opaque cursor of LB_FSMAP_CURSOR bytes, zeroed at first).
// Returns how many; 0 at the end.
#define LB_FSMAP_CURSOR 64
int lb_fsmap_next(int fd, void *resume, struct lb_fsmap_record *records, int capacity);

// bpf(2).
int lb_bpf_array(uint32_t value_size, uint32_t entries, const char *name);
int lb_bpf_is_array(int fd, uint32_t value_size, uint32_t entries);  // 1: it is such a map, and can be mapped
int lb_bpf_load(uint32_t type, const void *instructions, uint32_t count, uint32_t attach_btf_id, char *log,
                uint32_t log_size);
int lb_bpf_raw_tracepoint_open(int program);
int lb_bpf_pin(int fd, const char *path);
int lb_bpf_get(const char *path);
int64_t lb_bpf_recursion_misses(int program);
int lb_perf_tracepoint(uint64_t id);
int lb_perf_attach(int event, int program);
int lb_perf_link(int event, int program);
int lb_raise_memlock(void);

// The kernel's block tracer. One tracer a disk; `take_over` ends another one. `name` is that of its folder in
// debugfs/block.
#define LB_BLKTRACE_NAME 32
int lb_blktrace_start(int disk, uint32_t buffer_size, uint32_t buffers, int take_over, char name[LB_BLKTRACE_NAME]);
void lb_blktrace_stop(int disk);
// Moves the calling thread to one processor; a negative number: it may run on all again.
int lb_run_on(int cpu);

// A filesystem such as tracefs or bpf as a mount that appears in no namespace: a directory descriptor (Linux 5.2).
int lb_detached_mount(const char *type);
int lb_is_bpf_filesystem(const char *path);
int lb_mount_bpf(const char *path);
int lb_unmount(const char *path);

// Forks a process that thaws `filesystems` at the deadline, or as soon as the caller has died, unless it is disarmed.
// See FreezeWatchdog.
int lb_watchdog_start(const int *filesystems, int count, uint64_t milliseconds, int *control, int *process);

// A pipe whose ends are closed on exec; the reading end does not block.
int lb_pipe(int ends[2]);

int lb_lock_memory(void);
int lb_unlock_memory(void);

// Memory shared with a BPF program.
static inline uint64_t lb_load(const uint64_t *word) { return __atomic_load_n(word, __ATOMIC_ACQUIRE); }
static inline int lb_clear_if(uint64_t *word, uint64_t expected) {
  return __atomic_compare_exchange_n(word, &expected, 0, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static inline size_t lb_next_nonzero(const uint64_t *words, size_t from, size_t count) {
  while (from < count && !__atomic_load_n(words + from, __ATOMIC_RELAXED)) from++;
  return from;
}

// The process as a whole.
int lb_resolve_plainly(void);     // host names by /etc/hosts and DNS only; before the first lookup
void lb_keep_memory_low(void);    // before the first thread
int lb_power_off(void);           // at once, nothing is written back
