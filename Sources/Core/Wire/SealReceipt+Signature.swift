import FoundationEssentials

extension SealReceipt {
  /// What a gateway signs: the JSON of every field but `gatewayKey` and `gatewaySignature`, keys sorted, slashes not
  /// escaped, no white space.
  public func signedBytes() throws -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return Array(
      try encoder.encode(
        Signed(
          session: session, migration: migration, chain: chain, agentSignature: agentSignature,
          consistency: consistency, disks: disks, sealedAt: sealedAt, readBackLeaves: readBackLeaves,
          readBackSeconds: readBackSeconds)))
  }

  /// The receipt with `gatewayKey` and `gatewaySignature` filled in.
  public func signed(by key: AgentKey) throws -> SealReceipt {
    var receipt = self
    receipt.gatewayKey = Base64URL.encode(key.publicKey)
    receipt.gatewaySignature = Base64URL.encode(try key.sign(receipt.signedBytes()))
    return receipt
  }

  /// Whether the gateway that owns `key` (32 bytes) vouches for this receipt.
  public func isSigned(by key: [UInt8]) -> Bool {
    guard gatewayKey == Base64URL.encode(key), let signature = Base64URL.decode(gatewaySignature),
      let message = try? signedBytes()
    else { return false }
    return AgentKey.verify(signature, of: message, publicKey: key)
  }

  private struct Signed: Codable {
    var session: String
    var migration: String
    var chain: String
    var agentSignature: String
    var consistency: [String: String]
    var disks: [Disk]
    var sealedAt: Int
    var readBackLeaves: UInt64
    var readBackSeconds: Double
  }
}
