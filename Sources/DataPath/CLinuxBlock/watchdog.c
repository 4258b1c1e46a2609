#define _GNU_SOURCE
#include "clinuxblock.h"

#include <errno.h>
#include <linux/fs.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAXIMUM 256

// The child of a process with threads may only do what a signal handler may: system calls, no memory, no locks.

static int64_t milliseconds_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_BOOTTIME, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

// Keeps the watchdog from holding its parent's connections, locks and, above all, the other end of `control` open.
static void close_all_but(const int *kept, int count, int control) {
  struct rlimit limit = {1024, 1024};
  getrlimit(RLIMIT_NOFILE, &limit);
  int highest = limit.rlim_cur > 65536 ? 65536 : (int)limit.rlim_cur;
  for (int fd = 0; fd < highest; fd++) {
    int keep = fd == control;
    for (int i = 0; i < count && !keep; i++) keep = kept[i] == fd;
    if (!keep) close(fd);
  }
}

static void thaw_all(const int *filesystems, int count) {
  for (int i = 0; i < count; i++) ioctl(filesystems[i], FITHAW, 0);
}

static void watch(const int *filesystems, int count, int64_t deadline, int control) {
  for (int signal_number = 1; signal_number < 32; signal_number++) signal(signal_number, SIG_IGN);
  prctl(PR_SET_NAME, "godwit-watchdog");
  setsid();
  close_all_but(filesystems, count, control);
  char word = 'r';
  if (write(control, &word, 1) != 1) _exit(2);
  int fired = 0;
  for (;;) {
    int64_t left = deadline - milliseconds_now();
    // A freeze that was still under way at the deadline may end after the first thaw: thaw until the caller answers.
    if (left <= 0) {
      thaw_all(filesystems, count);
      fired = 1;
    }
    struct pollfd waiting = {.fd = control, .events = POLLIN};
    if (poll(&waiting, 1, left <= 0 || left > 100 ? 100 : (int)left) <= 0) continue;
    ssize_t got = read(control, &word, 1);
    if (got == 1 && word == 'd') _exit(fired);
    if (got == 0) break;
  }
  thaw_all(filesystems, count);
  _exit(1);
}

int lb_watchdog_start(const int *filesystems, int count, uint64_t milliseconds, int *control, int *process) {
  if (count > MAXIMUM) return -E2BIG;
  int kept[MAXIMUM];
  for (int i = 0; i < count; i++) kept[i] = filesystems[i];
  int64_t deadline = milliseconds_now() + (int64_t)milliseconds;
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends)) return -errno;
  pid_t child = fork();
  if (child < 0) {
    int error = errno;
    close(ends[0]);
    close(ends[1]);
    return -error;
  }
  if (child == 0) watch(kept, count, deadline, ends[1]);
  close(ends[1]);
  char word = 0;
  if (read(ends[0], &word, 1) != 1) {
    close(ends[0]);
    return -EPIPE;
  }
  *control = ends[0];
  *process = child;
  return 0;
}
