import Machines

extension MachineWish {
  static let maximumCPUs = 64
  static let memoryRange: ClosedRange<UInt64> = (64 << 20)...(1 << 40)
  static let maximumApplianceMemory: UInt64 = 2 << 30

  /// Throws `.invalid` for what no machine can be.
  func validate() throws {
    guard (1...Self.maximumCPUs).contains(cpus) else {
      throw HypervisorError(.invalid, "\(cpus) cpus asked for; 1 to \(Self.maximumCPUs) are possible")
    }
    guard Self.memoryRange.contains(memory), role == .guest || memory <= Self.maximumApplianceMemory else {
      throw HypervisorError(
        .invalid, "\(memory) bytes of memory asked for; 64 MiB to 1 TiB are possible, 2 GiB for the appliance")
    }
    guard Set(volumes).count == volumes.count else {
      throw HypervisorError(.invalid, "a volume is named twice among the machine's volumes")
    }
    switch role {
    case .guest:
      guard !volumes.isEmpty else { throw HypervisorError(.invalid, "a guest needs at least one volume to boot from") }
      guard applianceArguments.isEmpty else {
        throw HypervisorError(.invalid, "a guest boots through its own loader and takes no kernel arguments")
      }
    case .appliance:
      guard network == .none, forwardedPorts.isEmpty else {
        throw HypervisorError(.invalid, "the appliance has no network: ask for network none and no forwarded ports")
      }
      guard applianceArguments.allSatisfy(Self.isArgument) else {
        throw HypervisorError(
          .invalid, "an appliance argument is one word of 1 to 256 letters, digits and _.,:=/@+-")
      }
    }
    guard forwardedPorts.allSatisfy((1...65535).contains), Set(forwardedPorts).count == forwardedPorts.count else {
      throw HypervisorError(.invalid, "forwarded ports are different numbers from 1 to 65535")
    }
    guard network != .none || forwardedPorts.isEmpty else {
      throw HypervisorError(.invalid, "a machine without a network card can have no forwarded ports")
    }
  }

  private static func isArgument(_ word: String) -> Bool {
    let extra = Set("_.,:=/@+-".utf8)
    return (1...256).contains(word.utf8.count)
      && word.utf8.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
          UInt8(ascii: "0")...UInt8(ascii: "9"):
          true
        default: extra.contains(byte)
        }
      }
  }
}
