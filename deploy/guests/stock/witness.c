/* witness [--no-bpf] PORT PROGRAM ARGUMENT...: runs PROGRAM and stops it right before an instant ends.
 *
 * When PROGRAM, or a child of it, is about to thaw the first filesystem after it froze one, or to power off, "instant N" is
 * written to PORT, and that waits for a line from there: until then every disk is what the instant's point has to be. The program
 * itself is not changed and does not notice. With --no-bpf the bpf system call is forbidden to it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define LENGTH(array) (sizeof(array) / sizeof(array)[0])
#define FIELD(name) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, name))
#define IF(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, yes, no)
#define FROM(here, target) ((target) - (here) - 1)
#define ANSWER(value) BPF_STMT(BPF_RET | BPF_K, value)

static void fail(const char *what) {
  fprintf(stderr, "witness: %s: %s\n", what, strerror(errno));
  exit(125);
}

/* Descriptor at which this process and its children from now on report freezing, thawing and powering off. */
static int filter(int forbids_bpf) {
  enum { DENY = 9, ALLOW, TELL };
  struct sock_filter code[] = {
      [0] = FIELD(arch),
      [1] = IF(AUDIT_ARCH_X86_64, 0, FROM(1, ALLOW)),
      [2] = FIELD(nr),
      [3] = IF(__NR_bpf, FROM(3, DENY), 0),
      [4] = IF(__NR_reboot, FROM(4, TELL), 0),
      [5] = IF(__NR_ioctl, 0, FROM(5, ALLOW)),
      [6] = FIELD(args[1]),
      [7] = IF((unsigned)FIFREEZE, FROM(7, TELL), 0),
      [8] = IF((unsigned)FITHAW, FROM(8, TELL), FROM(8, ALLOW)),
      [DENY] = ANSWER(forbids_bpf ? SECCOMP_RET_ERRNO | EPERM : SECCOMP_RET_ALLOW),
      [ALLOW] = ANSWER(SECCOMP_RET_ALLOW),
      [TELL] = ANSWER(SECCOMP_RET_USER_NOTIF),
  };
  struct sock_fprog program = {LENGTH(code), code};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
}

static void pass(int channel, int descriptor) {
  char byte = 0, room[CMSG_SPACE(sizeof(int))] = {0};
  struct iovec part = {&byte, 1};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
  struct cmsghdr *control = CMSG_FIRSTHDR(&message);
  control->cmsg_level = SOL_SOCKET, control->cmsg_type = SCM_RIGHTS, control->cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(control), &descriptor, sizeof(int));
  if (sendmsg(channel, &message, 0) != 1) fail("sendmsg");
}

static int receive(int channel) {
  int descriptor;
  char byte, room[CMSG_SPACE(sizeof(int))];
  struct iovec part = {&byte, 1};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
  if (recvmsg(channel, &message, 0) != 1 || !CMSG_FIRSTHDR(&message)) fail("the program was not started");
  memcpy(&descriptor, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(int));
  return descriptor;
}

/* Says that an instant is about to end, and waits for the word to go on. */
static void hold(int port) {
  static int number;
  char line[32], answer;
  int length = snprintf(line, sizeof line, "instant %d\n", ++number);
  if (write(port, line, length) != length) fail("write to the port");
  do {
    if (read(port, &answer, 1) != 1) fail("read from the port");
  } while (answer != '\n');
}

/* Until the program has ended. Returns its exit status. */
static int watch(int listener, int port, pid_t child) {
  int is_frozen = 0, status;
  struct pollfd ready = {listener, POLLIN, 0};
  while (1) {
    /* The listener hears of the end only once the child was waited for. */
    if (waitpid(child, &status, WNOHANG) == child) return status;
    if (poll(&ready, 1, 50) <= 0) continue;
    struct seccomp_notif call;
    memset(&call, 0, sizeof call);
    /* A caller that died meanwhile is no news. */
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) < 0) continue;
    int is_ioctl = call.data.nr == __NR_ioctl;
    if (is_ioctl && (unsigned)call.data.args[1] == (unsigned)FIFREEZE) {
      is_frozen = 1;
    } else if (is_frozen || !is_ioctl) {
      hold(port);
      is_frozen = 0;
    }
    struct seccomp_notif_resp answer = {.id = call.id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
    ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
  }
}

int main(int count, char **words) {
  int forbids_bpf = count > 1 && strcmp(words[1], "--no-bpf") == 0;
  words += 1 + forbids_bpf;
  if (count < 3 + forbids_bpf) return fprintf(stderr, "witness [--no-bpf] PORT PROGRAM ARGUMENT...\n"), 2;
  int port = open(words[0], O_RDWR | O_CLOEXEC), channel[2];
  if (port < 0) fail(words[0]);
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel) < 0) fail("socketpair");
  pid_t child = fork();
  if (child == 0) {
    int listener = filter(forbids_bpf);
    if (listener < 0) fail("seccomp");
    pass(channel[1], listener);
    close(listener);
    execvp(words[1], words + 1);
    fail(words[1]);
  }
  close(channel[1]);
  int status = watch(receive(channel[0]), port, child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
