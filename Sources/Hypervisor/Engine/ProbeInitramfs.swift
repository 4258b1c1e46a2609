/// An initramfs whose only program says a marker on the console and powers off: 200 bytes of x86-64 in a cpio archive.
enum ProbeInitramfs {
  static let marker = "GODWIT-PROBE-OK"

  /// `newc` cpio: /dev/console (so that the kernel gives the program its console) and /init.
  static var archive: [UInt8] {
    entry("dev", mode: 0o040755, content: [])
      + entry("dev/console", mode: 0o020600, content: [], device: (5, 1))
      + entry("init", mode: 0o100755, content: program)
      + entry("TRAILER!!!", mode: 0, content: [])
  }

  private static func entry(_ name: String, mode: Int, content: [UInt8], device: (Int, Int) = (0, 0)) -> [UInt8] {
    let fields = [0, mode, 0, 0, 1, 0, content.count, 0, 0, device.0, device.1, name.utf8.count + 1, 0]
    let header = "070701" + fields.map { hex($0) }.joined() + name + "\0"
    return padded(Array(header.utf8)) + padded(content)
  }

  private static func hex(_ value: Int) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 8 - digits.count) + digits
  }

  private static func padded(_ bytes: [UInt8]) -> [UInt8] {
    bytes + [UInt8](repeating: 0, count: (4 - bytes.count % 4) % 4)
  }

  /// A static ELF executable: one segment, loaded at 4 MiB, headers included.
  static var program: [UInt8] {
    let base: UInt64 = 0x40_0000
    let headers: UInt64 = 64 + 56
    let text = Array("\(marker)\n".utf8)
    let code = Self.code(text: base + headers, length: text.count)
    let entry = base + headers + UInt64(text.count)
    let size = headers + UInt64(text.count + code.count)
    var file: [UInt8] = [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    file += little(2, 2) + little(62, 2) + little(1, 4) + little(entry, 8) + little(64, 8) + little(0, 8)
    file += little(0, 4) + little(64, 2) + little(56, 2) + little(1, 2) + little(0, 2) + little(0, 2) + little(0, 2)
    file += little(1, 4) + little(5, 4) + little(0, 8) + little(base, 8) + little(base, 8)
    file += little(size, 8) + little(size, 8) + little(0x1000, 8)
    return file + text + code
  }

  /// write(1, text, length); ioctl(1, TCSBRK, 1), which waits until it is sent: powering off would cut it short;
  /// reboot(MAGIC1, MAGIC2, POWER_OFF); then spin.
  private static func code(text: UInt64, length: Int) -> [UInt8] {
    load(.eax, 1) + load(.edi, 1) + load(.esi, text) + load(.edx, UInt64(length)) + [0x0f, 0x05]
      + load(.eax, 16) + load(.edi, 1) + load(.esi, 0x5409) + load(.edx, 1) + [0x0f, 0x05]
      + load(.eax, 169) + load(.edi, 0xfee1_dead) + load(.esi, 672_274_793) + load(.edx, 0x4321_fedc) + [0x0f, 0x05]
      + [0xeb, 0xfe]
  }

  private enum Register: UInt8 { case eax = 0xb8, edx = 0xba, esi = 0xbe, edi = 0xbf }

  /// `mov register, 32-bit immediate`
  private static func load(_ register: Register, _ value: UInt64) -> [UInt8] {
    [register.rawValue] + little(value, 4)
  }

  private static func little(_ value: UInt64, _ count: Int) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: value >> UInt64($0 * 8)) }
  }
}
