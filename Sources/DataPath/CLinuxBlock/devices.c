#define _GNU_SOURCE
#include "clinuxblock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

int lb_open_direct(const char *path, int read_only) {
  int fd = open(path, (read_only ? O_RDONLY : O_RDWR) | O_DIRECT | O_CLOEXEC);
  return fd < 0 ? -errno : fd;
}

int64_t lb_device_size(int fd) {
  uint64_t bytes = 0;
  return ioctl(fd, BLKGETSIZE64, &bytes) ? -errno : (int64_t)bytes;
}

int lb_sector_size(int fd) {
  int bytes = 0;
  return ioctl(fd, BLKSSZGET, &bytes) ? -errno : bytes;
}

int lb_device_zero(int fd, uint64_t offset, uint64_t length) {
  uint64_t range[2] = {offset, length};
  return ioctl(fd, BLKZEROOUT, range) ? -errno : 0;
}

int lb_punch(int fd, uint64_t offset, uint64_t length) {
  return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)length) ? -errno : 0;
}

uint64_t lb_device_number(const char *path) {
  struct stat status;
  if (stat(path, &status) || !S_ISBLK(status.st_mode)) return 0;
  return (uint64_t)major(status.st_rdev) << 20 | minor(status.st_rdev);
}
