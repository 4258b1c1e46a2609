#define _GNU_SOURCE
#include "clinuxblock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/fsmap.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

int lb_freeze(int fd) { return ioctl(fd, FIFREEZE, 0) ? -errno : 0; }

int lb_thaw(int fd) { return ioctl(fd, FITHAW, 0) ? -errno : 0; }

int64_t lb_filesystem_kind(const char *path) {
  struct statfs status;
  return statfs(path, &status) ? -errno : (int64_t)(uint32_t)status.f_type;
}

int lb_syncfs(int fd) { return syncfs(fd) ? -errno : 0; }

// fmr_device holds the kernel's 32-bit encoding of a device number.
static uint64_t device_number(uint32_t encoded) {
  uint64_t major_part = (encoded & 0xfff00) >> 8;
  uint64_t minor_part = (encoded & 0xff) | ((encoded >> 12) & 0xfff00);
  return major_part << 20 | minor_part;
}

_Static_assert(sizeof(struct fsmap) <= LB_FSMAP_CURSOR, "a cursor holds one record");

int lb_fsmap_next(int fd, void *resume, struct lb_fsmap_record *records, int capacity) {
  struct fsmap_head *head = calloc(1, fsmap_sizeof(capacity));
  if (!head) return -ENOMEM;
  head->fmh_count = capacity;
  memcpy(&head->fmh_keys[0], resume, sizeof(struct fsmap));
  head->fmh_keys[1].fmr_device = UINT32_MAX;
  head->fmh_keys[1].fmr_flags = UINT32_MAX;
  head->fmh_keys[1].fmr_physical = UINT64_MAX;
  head->fmh_keys[1].fmr_owner = UINT64_MAX;
  head->fmh_keys[1].fmr_offset = UINT64_MAX;
  int count = ioctl(fd, FS_IOC_GETFSMAP, head) ? -errno : (int)head->fmh_entries;
  for (int i = 0; i < count; i++) {
    const struct fsmap *record = &head->fmh_recs[i];
    records[i] = (struct lb_fsmap_record){
        .device = device_number(record->fmr_device),
        .physical = record->fmr_physical,
        .length = record->fmr_length,
        .free = (record->fmr_flags & FMR_OF_SPECIAL_OWNER) && record->fmr_owner == FMR_OWN_FREE};
  }
  if (count > 0) memcpy(resume, &head->fmh_recs[count - 1], sizeof(struct fsmap));
  free(head);
  return count;
}

int lb_pipe(int ends[2]) {
  if (pipe2(ends, O_CLOEXEC)) return -errno;
  // Only our end: a program that finds its standard output full shall wait, not fail.
  return fcntl(ends[0], F_SETFL, O_NONBLOCK) ? -errno : 0;
}

// What is in memory stays there. Nothing is brought in for it: the unused parts of many threads' stacks would be, too.
int lb_lock_memory(void) {
  if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0) return 0;
  // Before Linux 4.4.
  return errno == EINVAL && mlockall(MCL_CURRENT) == 0 ? 0 : -errno;
}

int lb_unlock_memory(void) { return munlockall() ? -errno : 0; }
