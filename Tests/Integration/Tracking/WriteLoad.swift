import Foundation

/// Programs that write to a mounted filesystem in every way we know, until they are stopped.
final class WriteLoad {
  private var processes: [Process] = []

  /// - Parameter folder: a folder on the filesystem.
  init(in folder: String) throws {
    let common = [
      "--thread", "--time_based", "--runtime=120", "--randrepeat=0", "--rw=randwrite", "--directory=\(folder)"
    ]
    try begin(
      "fio",
      ["--name=direct", "--size=48M", "--bs=4k", "--direct=1", "--ioengine=libaio", "--iodepth=8"]
        + ["--rate_iops=800"] + common)
    try begin("fio", ["--name=buffered", "--size=48M", "--bsrange=512-64k", "--fsync=24", "--rate_iops=150"] + common)
    try begin(
      "fio",
      ["--name=mapped", "--size=32M", "--bs=4k", "--ioengine=mmap", "--fsync=200", "--rate_iops=300"]
        + common)
    try begin("bash", ["-c", Self.files, "files", folder])
  }

  /// Appends, truncates, renames, deletes, punches, zeroes, trims.
  private static let files = """
    cd "$1" && mkdir -p small && cd small
    while :; do
      f=f$((RANDOM % 60))
      case $((RANDOM % 9)) in
      0|1) head -c $((RANDOM * 2)) /dev/urandom >>$f ;;
      2) truncate -s $((RANDOM * 4)) $f ;;
      3) rm -f $f ;;
      4) mv $f f$((RANDOM % 60)) 2>/dev/null ;;
      5) fallocate -p -o $((RANDOM % 16 * 4096)) -l $((RANDOM % 32 * 4096 + 4096)) $f 2>/dev/null ;;
      6) fallocate -z -o $((RANDOM % 16 * 4096)) -l $((RANDOM % 32 * 4096 + 4096)) $f 2>/dev/null ;;
      7) dd if=/dev/urandom of=$f bs=$((RANDOM % 20000 + 1)) count=1 oflag=sync conv=notrunc 2>/dev/null ;;
      8) [ $((RANDOM % 12)) = 0 ] && fstrim "$1" ;;
      esac
    done
    """

  private func begin(_ program: String, _ arguments: [String]) throws {
    let process = start(program, arguments)
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    try process.run()
    processes.append(process)
  }

  func stop() {
    // They inherit a mask that blocks SIGTERM.
    for process in processes where process.isRunning { kill(process.processIdentifier, SIGKILL) }
    for process in processes { process.waitUntilExit() }
    processes = []
  }

  deinit { stop() }
}
