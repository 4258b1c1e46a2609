import CLinuxBlock
import Glibc

/// What has to be right before anything else is done in a statically linked program.
public enum Preflight {
  /// - Throws: `AgentError` where the machine lacks what the agent cannot do without.
  public static func run() throws {
    lb_keep_memory_low()
    guard lb_resolve_plainly() == 0 else {
      throw AgentError("name lookup cannot be set up", remedy: "check /etc/hosts and /etc/resolv.conf")
    }
    guard access("/proc/self/stat", R_OK) == 0 else {
      throw AgentError("/proc is not mounted", remedy: "mount -t proc proc /proc")
    }
    guard access("/dev/urandom", R_OK) == 0 else {
      throw AgentError("/dev/urandom is missing", remedy: "mount devtmpfs on /dev, or mknod /dev/urandom c 1 9")
    }
    signal(SIGPIPE, SIG_IGN)
  }
}
