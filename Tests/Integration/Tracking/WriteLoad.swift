import Foundation

/// Programs that write to a mounted filesystem in every way we know, until they are stopped.
final class WriteLoad {
  enum Kind: String, CaseIterable {
    /// Past the page cache, by libaio and by io_uring.
    case direct, ring
    case buffered, mapped
    /// A flush after every write.
    case synced
    /// Changes of files as a whole.
    case files
  }

  static let usual: Set<Kind> = [.direct, .buffered, .mapped, .files]
  private var processes: [(kind: Kind, process: Process)] = []

  /// - Parameter folder: a folder on the filesystem.
  init(in folder: String, kinds: Set<Kind> = WriteLoad.usual) throws {
    let common = [
      "--thread", "--time_based", "--runtime=120", "--randrepeat=0", "--rw=randwrite", "--directory=\(folder)"
    ]
    for kind in Kind.allCases where kinds.contains(kind) {
      if kind == .files {
        try begin(kind, "bash", ["-c", Self.files, "files", folder])
      } else {
        try begin(kind, "fio", ["--name=\(kind.rawValue)"] + Self.arguments(kind) + common)
      }
    }
  }

  private static func arguments(_ kind: Kind) -> [String] {
    switch kind {
    case .direct: ["--size=48M", "--bs=4k", "--direct=1", "--ioengine=libaio", "--iodepth=8", "--rate_iops=800"]
    case .ring: ["--size=32M", "--bs=4k", "--direct=1", "--ioengine=io_uring", "--iodepth=8", "--rate_iops=500"]
    case .buffered: ["--size=48M", "--bsrange=512-64k", "--fsync=24", "--rate_iops=150"]
    case .mapped: ["--size=32M", "--bs=4k", "--ioengine=mmap", "--fsync=200", "--rate_iops=300"]
    case .synced: ["--size=16M", "--bsrange=4k-16k", "--fsync=1", "--rate_iops=100"]
    case .files: []
    }
  }

  /// Appends, truncates, renames, deletes, punches, zeroes, collapses, trims.
  private static let files = """
    cd "$1" && mkdir -p small && cd small
    while :; do
      f=f$((RANDOM % 60))
      case $((RANDOM % 10)) in
      0|1) head -c $((RANDOM * 2)) /dev/urandom >>$f ;;
      2) truncate -s $((RANDOM * 4)) $f ;;
      3) rm -f $f ;;
      4) mv $f f$((RANDOM % 60)) 2>/dev/null ;;
      5) fallocate -p -o $((RANDOM % 16 * 4096)) -l $((RANDOM % 32 * 4096 + 4096)) $f 2>/dev/null ;;
      6) fallocate -z -o $((RANDOM % 16 * 4096)) -l $((RANDOM % 32 * 4096 + 4096)) $f 2>/dev/null ;;
      7) dd if=/dev/urandom of=$f bs=$((RANDOM % 20000 + 1)) count=1 oflag=sync conv=notrunc 2>/dev/null ;;
      9) fallocate -c -o $((RANDOM % 4 * 4096)) -l $((RANDOM % 4 * 4096 + 4096)) $f 2>/dev/null ;;
      8) [ $((RANDOM % 12)) = 0 ] && fstrim "$1" ;;
      esac
    done
    """

  private func begin(_ kind: Kind, _ program: String, _ arguments: [String]) throws {
    let process = start(program, arguments)
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    try process.run()
    processes.append((kind, process))
  }

  /// - Returns: the kinds that had ended by themselves.
  @discardableResult func stop() -> [Kind] {
    let ended = processes.filter { !$0.process.isRunning }.map(\.kind)
    // They inherit a mask that blocks SIGTERM.
    for (_, process) in processes where process.isRunning { kill(process.processIdentifier, SIGKILL) }
    for (_, process) in processes { process.waitUntilExit() }
    processes = []
    return ended
  }

  deinit { stop() }
}
