/// A file system table, kept line by line so that what is not changed stays as it was written.
struct Fstab: Hashable, Sendable {
  struct Entry: Hashable, Sendable {
    /// First field: `/dev/sda1`, `UUID=...`, `tmpfs`.
    var device: String
    /// Second field with its octal escapes resolved; `none` for swap.
    var mountPoint: String
    var type: String
    var options: [String]
  }

  private var lines: [Substring]

  init(_ text: String) { lines = text.split(separator: "\n", omittingEmptySubsequences: false) }

  var text: String { lines.joined(separator: "\n") }

  var entries: [Entry] { lines.compactMap(Self.entry) }

  /// Replaces the device of every entry for which `replacement` gives another one.
  mutating func replaceDevices(_ replacement: (Entry) -> String?) {
    for index in lines.indices {
      guard let entry = Self.entry(lines[index]), let device = replacement(entry) else { continue }
      let blank = lines[index].prefix { $0 == " " || $0 == "\t" }
      lines[index] = blank + device + lines[index].dropFirst(blank.count + entry.device.count)
    }
  }

  private static func entry(_ line: Substring) -> Entry? {
    let fields = line.split { $0 == " " || $0 == "\t" }
    guard fields.count >= 3, !fields[0].hasPrefix("#") else { return nil }
    return Entry(
      device: String(fields[0]), mountPoint: unescaped(fields[1]), type: String(fields[2]),
      options: fields.count > 3 ? fields[3].split(separator: ",").map(String.init) : [])
  }

  private static func unescaped(_ field: Substring) -> String {
    var bytes: [UInt8] = []
    var rest = Substring(field).utf8
    while let byte = rest.popFirst() {
      let digits = rest.prefix(3)
      if byte == UInt8(ascii: "\\"), digits.count == 3, let value = UInt8(String(digits) ?? "", radix: 8) {
        bytes.append(value)
        rest = rest.dropFirst(3)
      } else {
        bytes.append(byte)
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
