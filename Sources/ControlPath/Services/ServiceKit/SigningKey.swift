public import Wire

/// Ed25519 keys of services, kept in files of mode 0600.
public enum SigningKey {
  /// Reads the key, or makes one at first start.
  public static func open(file: String) throws -> AgentKey {
    if let bytes = try PrivateFile.read(file) {
      guard let key = try? AgentKey(rawRepresentation: bytes) else {
        throw ConfigurationError("\(file) holds no key.", remedy: "Restore it from a copy.")
      }
      return key
    }
    let key = AgentKey()
    try PrivateFile.write(key.rawRepresentation, to: file)
    return key
  }
}
