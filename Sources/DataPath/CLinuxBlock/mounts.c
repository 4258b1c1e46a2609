#define _GNU_SOURCE
#include "clinuxblock.h"

#include <errno.h>
#include <linux/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

int lb_detached_mount(const char *type) {
  long context = syscall(SYS_fsopen, type, FSOPEN_CLOEXEC);
  if (context < 0) return -errno;
  int result = 0;
  if (syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0)) result = -errno;
  if (result == 0) {
    long directory = syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, 0);
    result = directory < 0 ? -errno : (int)directory;
  }
  close((int)context);
  return result;
}
