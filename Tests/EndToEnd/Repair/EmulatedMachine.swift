import Foundation
import Glibc

/// A QEMU machine under emulation whose serial console is read by the test. Ends with the value that holds it.
final class EmulatedMachine {
  enum Bus { case ide, virtio }

  struct Failure: Error, CustomStringConvertible {
    var description: String
  }

  /// Everything the machine wrote so far.
  private(set) var console = ""
  private let process = Process()
  private let output = Pipe()

  /// - Parameters:
  ///   - disks: qcow2 files.
  ///   - port: port of 127.0.0.1 that leads to the append service; nil for no network at all.
  ///   - more: further arguments.
  init(disks: [String], bus: Bus, port: UInt16? = nil, memory: Int = 512, _ more: [String] = []) throws {
    var arguments = [
      "--default-signal", "timeout", "--kill-after=5", "300", "qemu-system-x86_64", "-accel", "tcg,thread=multi",
      "-cpu", "max", "-smp", "2", "-m", "\(memory)",
      "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio"
    ]
    arguments += ["-M", bus == .ide ? "pc" : "q35"]
    for (index, disk) in disks.enumerated() {
      arguments += ["-drive", "file=\(disk),format=qcow2,if=none,id=d\(index),cache=unsafe", "-device"]
      arguments += [bus == .ide ? "ide-hd,drive=d\(index)" : "virtio-blk-pci,drive=d\(index)"]
    }
    if let port {
      arguments += ["-netdev", "user,id=n0,restrict=on,hostfwd=tcp:127.0.0.1:\(port)-:7000", "-device"]
      arguments += [bus == .ide ? "e1000,netdev=n0,mac=52:54:00:aa:bb:01,addr=0x2" : "virtio-net-pci,netdev=n0"]
    }
    // `timeout` ends the machine also when the test is killed. `env` opens the signals that Foundation's threads block
    // and a child inherits: without it nothing but SIGKILL ends the machine.
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = arguments + more
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = output
    process.standardError = output
    try process.run()
  }

  deinit { stop() }

  func stop() {
    guard process.isRunning else { return }
    process.terminate()
    process.waitUntilExit()
  }

  /// Reads the console until one of `marks` stands on it, or the machine ends.
  /// - Returns: the mark.
  /// - Throws: `Failure` with the end of the console when none came.
  @discardableResult func wait(for marks: [String], seconds: Double) throws -> String {
    let deadline = Date(timeIntervalSinceNow: seconds)
    while true {
      if let mark = marks.first(where: console.contains) { return mark }
      guard try read(until: deadline) else {
        throw Failure(description: "none of \(marks) within \(seconds) s; the console ends in\n\(console.suffix(1500))")
      }
    }
  }

  /// Reads the console until the machine has powered off.
  func waitForEnd(seconds: Double) throws {
    let deadline = Date(timeIntervalSinceNow: seconds)
    while try read(until: deadline) {}
    guard Date() < deadline else { throw Failure(description: "still running; \(console.suffix(1500))") }
    process.waitUntilExit()
  }

  /// Reads what there is, waiting for it; false at the end of the console or of the time.
  private func read(until deadline: Date) throws -> Bool {
    let descriptor = output.fileHandleForReading.fileDescriptor
    var poll = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    let left = deadline.timeIntervalSinceNow
    guard left > 0, Glibc.poll(&poll, 1, Int32(left * 1000)) > 0 else { return false }
    var buffer = [UInt8](repeating: 0, count: 65536)
    let count = Glibc.read(descriptor, &buffer, buffer.count)
    guard count > 0 else { return false }
    console += String(decoding: buffer[..<count], as: UTF8.self)
    return true
  }
}
