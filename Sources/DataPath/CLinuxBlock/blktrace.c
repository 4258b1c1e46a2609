#define _GNU_SOURCE
#include <errno.h>
#include <linux/blktrace_api.h>
#include <linux/fs.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>

#include "clinuxblock.h"

int lb_blktrace_start(int disk, uint32_t buffer_size, uint32_t buffers, int take_over,
                      char name[LB_BLKTRACE_NAME]) {
  struct blk_user_trace_setup setup;
  for (int attempt = 0;; attempt++) {
    memset(&setup, 0, sizeof setup);
    // Any event of a discard, so that it is seen when it is queued, too.
    setup.act_mask = BLK_TC_COMPLETE | BLK_TC_DISCARD;
    setup.buf_size = buffer_size;
    setup.buf_nr = buffers;
    if (ioctl(disk, BLKTRACESETUP, &setup) == 0) break;
    // A tracer that died leaves its tracing behind.
    if (errno != EBUSY || !take_over || attempt) return -errno;
    lb_blktrace_stop(disk);
  }
  memcpy(name, setup.name, LB_BLKTRACE_NAME);
  name[LB_BLKTRACE_NAME - 1] = 0;
  if (ioctl(disk, BLKTRACESTART) == 0) return 0;
  int result = -errno;
  lb_blktrace_stop(disk);
  return result;
}

void lb_blktrace_stop(int disk) {
  ioctl(disk, BLKTRACESTOP);
  ioctl(disk, BLKTRACETEARDOWN);
}

int lb_run_on(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (int each = 0; each < CPU_SETSIZE; each++) {
    if (cpu < 0 || each == cpu) CPU_SET(each, &set);
  }
  return sched_setaffinity(0, sizeof set, &set) ? -errno : 0;
}
