public import Wire

/// Ed25519 keys of services, kept in files of mode 0600.
public enum SigningKey {
  /// The key in a file; nil where there is none.
  public static func find(file: String) throws -> AgentKey? {
    guard let bytes = try PrivateFile.read(file) else { return nil }
    guard let key = try? AgentKey(rawRepresentation: bytes) else {
      throw ConfigurationError("\(file) holds no key.", remedy: "Restore it from a copy.")
    }
    return key
  }

  /// Writes the public half of `key` as `FILE.pub`: one line of base64url, for those who check what it signs.
  public static func publish(_ key: AgentKey, file: String) throws {
    try PrivateFile.write(Array((Base64URL.encode(key.publicKey) + "\n").utf8), to: file + ".pub", mode: 0o644)
  }

  /// Reads the key, or makes one at first start.
  public static func open(file: String) throws -> AgentKey {
    if let key = try find(file: file) { return key }
    let key = AgentKey()
    try PrivateFile.write(key.rawRepresentation, to: file)
    return key
  }
}
