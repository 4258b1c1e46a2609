internal import Glibc
internal import Machines

/// The network cards of a machine, by /sys/class/net; links without hardware behind them are left out.
struct NetworkInventory {
  let interfaces: [MachineDescription.NetworkInterface]

  /// - Parameter root: as for `MachineInspector`.
  init(root: String) {
    let addresses = root.isEmpty ? Self.liveAddresses() : [:]
    let folder = root + "/sys/class/net"
    interfaces = SystemFile.names(in: folder).compactMap { name in
      guard !SystemFile.names(in: "\(folder)/\(name)/device").isEmpty else { return nil }
      return MachineDescription.NetworkInterface(
        name: name, mac: SystemFile.text("\(folder)/\(name)/address") ?? "", addresses: addresses[name] ?? [],
        driver: SystemFile.linkName("\(folder)/\(name)/device/driver") ?? "")
    }
  }

  /// Internet addresses by the name of their interface.
  private static func liveAddresses() -> [String: [String]] {
    var list: UnsafeMutablePointer<ifaddrs>?
    guard getifaddrs(&list) == 0 else { return [:] }
    defer { freeifaddrs(list) }
    var found: [String: [String]] = [:]
    var next = list
    while let entry = next?.pointee {
      if let address = entry.ifa_addr, let text = text(of: address) {
        found[String(cString: entry.ifa_name), default: []].append(text)
      }
      next = entry.ifa_next
    }
    return found
  }

  private static func text(of address: UnsafeMutablePointer<sockaddr>) -> String? {
    let raw = UnsafeRawPointer(address)
    var buffer = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
    let family = Int32(address.pointee.sa_family)
    let start: UnsafeRawPointer
    switch family {
    case AF_INET: start = raw + MemoryLayout<sockaddr_in>.offset(of: \.sin_addr)!
    case AF_INET6: start = raw + MemoryLayout<sockaddr_in6>.offset(of: \.sin6_addr)!
    default: return nil
    }
    guard inet_ntop(family, start, &buffer, socklen_t(buffer.count)) != nil else { return nil }
    return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
