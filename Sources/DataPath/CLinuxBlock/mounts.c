#define _GNU_SOURCE
#include "clinuxblock.h"

#include <errno.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
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

// Not in sys/mount.h, which contradicts linux/mount.h in some versions.
extern int mount(const char *source, const char *target, const char *type, unsigned long flags, const void *data);
extern int umount2(const char *target, int flags);

int lb_is_bpf_filesystem(const char *path) {
  struct statfs status;
  if (statfs(path, &status)) return -errno;
  return status.f_type == BPF_FS_MAGIC;
}

int lb_mount_bpf(const char *path) {
  return mount("bpf", path, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") ? -errno : 0;
}

int lb_unmount(const char *path) { return umount2(path, 0) ? -errno : 0; }
