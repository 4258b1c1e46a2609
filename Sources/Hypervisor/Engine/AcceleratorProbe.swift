import FoundationEssentials
import Glibc

/// Proves an accelerator by booting a kernel under it to its first process. That /dev/kvm opens proves nothing: there are
/// hosts where it does and a kernel then crawls or dies.
struct AcceleratorProbe: Sendable {
  var kernel: String
  var run: RunFolder
  var limit: Duration = .seconds(10)

  /// Nil when the first process reported within the limit, otherwise why not.
  func failure(of accelerator: Accelerator) async throws -> String? {
    try run.make()
    defer { try? run.remove() }
    let (initramfs, console) = ("\(run.path)/initramfs", "\(run.path)/console")
    try DurableFile.write(ProbeInitramfs.archive, to: initramfs)
    do {
      try await Tool.system.run(arguments(accelerator, initramfs: initramfs, console: console), limit: limit)
    } catch let error as HypervisorError {
      if try reported(console) { return nil }
      return error.message
    }
    return try reported(console) ? nil : "the kernel ended before its first process ran"
  }

  private func reported(_ console: String) throws -> Bool {
    String(decoding: try ConsoleLog.tail(console, limit: 1 << 20), as: UTF8.self).contains(ProbeInitramfs.marker)
  }

  /// Not a daemon: it powers off by itself, and is killed with the call that waits for it.
  func arguments(_ accelerator: Accelerator, initramfs: String, console: String) -> [String] {
    [
      "-name", "godwit-probe", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-machine", "q35"
    ] + accelerator.arguments + [
      "-smp", "1", "-m", "size=256M", "-nic", "none", "-kernel", kernel, "-initrd", initramfs,
      "-append", "console=ttyS0 quiet panic=-1", "-chardev",
      "file,id=console,path=\(StorageDaemonCommand.escaped(console))", "-serial", "chardev:console"
    ]
  }
}
