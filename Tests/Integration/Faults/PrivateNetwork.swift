import Foundation

/// A network namespace behind a pair of virtual Ethernet interfaces, for the length of a closure: its packets are lost,
/// swallowed or slowed down by the kernel. It goes away with the process that holds it, even when the test is killed.
struct PrivateNetwork {
  private let holder: Process
  private let outer: String
  private let inner: String
  private let subnet: String

  /// What comes before a program that is to run inside, and the address it has there.
  var prefix: [String] { ["nsenter", "--target", "\(holder.processIdentifier)", "--net"] }
  var address: String { subnet + ".2" }

  static func with<Value>(_ body: (PrivateNetwork) async throws -> Value) async throws -> Value {
    let holder = start("unshare", ["--net", "cat"])
    let lifeline = Pipe()
    holder.standardInput = lifeline
    try holder.run()
    defer {
      kill(holder.processIdentifier, SIGKILL)
      holder.waitUntilExit()
      withExtendedLifetime(lifeline) {}
    }
    let network = try PrivateNetwork(holder: holder)
    // The kernel takes the namespace away a moment after its last process.
    defer { _ = try? run("ip", "link", "delete", network.outer) }
    return try await body(network)
  }

  private init(holder: Process) throws {
    self.holder = holder
    let name = UUID().uuidString.prefix(8).lowercased()
    (outer, inner) = ("gwo" + name, "gwi" + name)
    // Of the block for tests of network devices (RFC 2544).
    subnet = "198.18.\(Int.random(in: 0..<256))"
    try Self.waitForNamespace(of: holder)
    let pid = "\(holder.processIdentifier)"
    try run("ip", "link", "add", outer, "type", "veth", "peer", "name", inner, "netns", pid)
    try run("ip", "address", "add", subnet + ".1/30", "dev", outer)
    try perform(prefix + ["ip", "address", "add", address + "/30", "dev", inner])
    // Packets as on a wire: none that stand for fifty.
    try run("ip", "link", "set", outer, "up", "gso_max_segs", "1")
    try perform(prefix + ["ip", "link", "set", inner, "up", "gso_max_segs", "1"])
    try run("tc", "qdisc", "add", "dev", outer, "ingress")
    try perform(prefix + ["tc", "qdisc", "add", "dev", inner, "ingress"])
  }

  private static func waitForNamespace(of holder: Process) throws {
    let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/ns/net")
    for _ in 0..<500 {
      let path = "/proc/\(holder.processIdentifier)/ns/net"
      if let its = try? FileManager.default.destinationOfSymbolicLink(atPath: path), its != own { return }
      usleep(10_000)
    }
    throw BenchFailure(what: "there is no network namespace")
  }

  @discardableResult
  private func perform(_ words: [String]) throws -> String { try run(words[0], Array(words.dropFirst())) }

  /// Loses packets by chance, in both directions.
  /// - Parameter share: 0...1; with 1 every packet is swallowed and nobody is told.
  func lose(_ share: Double) throws {
    // A classic BPF program: a random number above the limit drops the packet.
    let limit = UInt32((1 - share) * Double(UInt32.max))
    let random = UInt32(bitPattern: -0x1000 + 56)
    let program = ["32 0 0 \(random)", "37 0 1 \(limit)", "6 0 0 2", "6 0 0 \(UInt32.max)"]
    for (prefix, device) in [([], outer), (prefix, inner)] { try filter(prefix, device, program) }
  }

  private func filter(_ prefix: [String], _ device: String, _ program: [String]) throws {
    let bytecode = "\(program.count)," + program.joined(separator: ",")
    try perform(
      prefix + ["tc", "filter", "add", "dev", device, "ingress", "bpf", "direct-action", "bytecode", bytecode])
  }

  func loseNothing() throws {
    for (prefix, device) in [([], outer), (prefix, inner)] {
      try perform(prefix + ["tc", "filter", "delete", "dev", device, "ingress"])
    }
  }

  /// Swallows from now on what the connections send that there are now, as a firewall that lost their state.
  /// - Returns: how many they are.
  func forgetConnections() throws -> Int {
    let list = try run("ss", "-Htn", "state", "established", "dst", address)
    let ports = list.split(separator: "\n").compactMap { line in
      line.split(separator: " ").dropFirst(2).first?.split(separator: ":").last.flatMap { UInt16($0) }
    }
    // The source's port, then a comparison for each, all of which jump to the last instruction.
    var program = ["40 0 0 34"]
    for (index, port) in ports.enumerated() { program.append("21 \(ports.count - index) 0 \(port)") }
    program += ["6 0 0 \(UInt32.max)", "6 0 0 2"]
    try filter(prefix, inner, program)
    return ports.count
  }

  /// The line takes no more than so many bits a second, in both directions.
  func narrow(to rate: Int) throws {
    for (prefix, device) in [([], outer), (prefix, inner)] {
      let tbf = ["root", "tbf", "rate", "\(rate)bit", "burst", "16kb", "limit", "48kb"]
      try perform(prefix + ["tc", "qdisc", "add", "dev", device] + tbf)
    }
  }

  /// Bytes that went in, headers and repetitions included.
  func sent() throws -> UInt64 {
    let text = try String(contentsOfFile: "/sys/class/net/\(outer)/statistics/tx_bytes", encoding: .utf8)
    return UInt64(text.trimmingCharacters(in: .whitespacesAndNewlines)) ?? 0
  }

  /// Packets that were dropped on their way in.
  func lost() throws -> Int {
    struct Discipline: Decodable { var drops: Int? }
    let text = try perform(prefix + ["tc", "-s", "-j", "qdisc", "show", "dev", inner, "ingress"])
    return try JSONDecoder().decode([Discipline].self, from: Data(text.utf8)).reduce(0) { $0 + ($1.drops ?? 0) }
  }
}
