import Glibc

/// An IPv4 or IPv6 address, in network order. IPv4 within IPv6 (`::ffff:10.0.0.1`) is IPv4.
public struct IPAddress: Hashable, Sendable, CustomStringConvertible {
  /// 4 or 16.
  let bytes: [UInt8]

  init(bytes: [UInt8]) {
    let isMapped =
      bytes.count == 16 && bytes.prefix(10).allSatisfy { $0 == 0 } && bytes[10] == 0xFF && bytes[11] == 0xFF
    self.bytes = isMapped ? Array(bytes.suffix(4)) : bytes
  }

  /// Nil for what is no address in its usual form: names, `0x7f.1`, `2130706433`.
  public init?(_ text: String) {
    var (four, sixteen) = (in_addr(), in6_addr())
    if inet_pton(AF_INET, text, &four) == 1 {
      self.init(bytes: withUnsafeBytes(of: four) { Array($0) })
    } else if inet_pton(AF_INET6, text, &sixteen) == 1 {
      self.init(bytes: withUnsafeBytes(of: sixteen) { Array($0) })
    } else {
      return nil
    }
  }

  public var isIPv6: Bool { bytes.count == 16 }

  public var description: String {
    var text = [CChar](repeating: 0, count: 46)
    inet_ntop(isIPv6 ? AF_INET6 : AF_INET, bytes, &text, socklen_t(text.count))
    return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// Whether it is somebody's on the Internet: not this machine's, a private network's, a link's (where clouds keep
  /// their metadata), a group's, or of a range kept for other uses.
  public var isPublic: Bool {
    let range = isIPv6 ? Self.strange6 : Self.strange4
    guard !range.contains(where: { $0.contains(self) }) else { return false }
    return !isIPv6 || bytes[0] & 0xE0 == 0x20
  }

  private static let strange4 = [
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
    "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
    "224.0.0.0/4", "240.0.0.0/4"
  ].compactMap(AddressRange.init)
  /// Within 2000::/3: what carries IPv4 addresses (Teredo, 6to4), and documentation.
  private static let strange6 = ["2001::/32", "2001:db8::/32", "2002::/16", "3fff::/20"].compactMap(AddressRange.init)
}

/// `10.0.0.0/8`, `fd00::/8`, or one address.
public struct AddressRange: Hashable, Sendable {
  private let start: IPAddress
  private let bits: Int

  public init?(_ text: String) {
    let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    guard let start = parts.first.flatMap({ IPAddress(String($0)) }) else { return nil }
    self.start = start
    guard parts.count == 2 else {
      bits = start.bytes.count * 8
      return
    }
    guard let bits = Int(parts[1]), (0...start.bytes.count * 8).contains(bits) else { return nil }
    self.bits = bits
  }

  public func contains(_ address: IPAddress) -> Bool {
    guard address.bytes.count == start.bytes.count else { return false }
    let whole = bits / 8
    guard address.bytes.prefix(whole) == start.bytes.prefix(whole) else { return false }
    guard bits % 8 != 0 else { return true }
    let mask = UInt8(truncatingIfNeeded: 0xFF00 >> (bits % 8))
    return address.bytes[whole] & mask == start.bytes[whole] & mask
  }
}
