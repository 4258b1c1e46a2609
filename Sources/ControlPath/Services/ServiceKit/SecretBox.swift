import Crypto
public import FoundationEssentials

/// Seals secrets at rest under keys that lie outside the database. Each secret has a key of its own (AES-256-GCM), which is
/// sealed in turn by the newest of the box's keys; that one's id, and what the secret is of, are authenticated with both,
/// so that a sealed one cannot be moved to another row. Older keys still open.
public struct SecretBox: Sendable {
  private struct Key: Sendable {
    /// The first 8 bytes of the key's SHA-256.
    let id: Data
    let key: SymmetricKey
    init(_ bytes: [UInt8]) {
      (id, key) = (Data(SHA256.hash(data: bytes).prefix(8)), SymmetricKey(data: bytes))
    }
  }

  /// `MAGIC ID WRAPPED SECRET`: 4, 8, 60 bytes, and the rest.
  private static let magic = Data("GWS2".utf8)
  private static let wrapped = 12 + 32 + 16
  private static let head = 4 + 8

  /// The newest first.
  private let keys: [Key]

  /// Reads the key, or makes one at first start.
  /// - Parameter newer: keys of 32 bytes that go before it, the newest first. With any, none is made.
  public init(keyFile: String, newer: [[UInt8]] = []) throws {
    var keys = newer
    if let bytes = try PrivateFile.read(keyFile) {
      guard bytes.count == 32 else {
        throw ConfigurationError(
          "\(keyFile) holds no key.", remedy: "Restore it; without it nothing that was sealed can be used.")
      }
      keys.append(bytes)
    }
    if keys.isEmpty {
      keys = [Secret.bytes(32)]
      try PrivateFile.write(keys[0], to: keyFile)
    }
    self.keys = keys.map(Key.init)
  }

  /// - Parameter owner: names the kind and the row.
  public func seal(_ secret: String, of owner: String) throws -> Data {
    let (newest, own) = (keys[0], SymmetricKey(size: .bits256))
    let wrapped = try AES.GCM.seal(
      own.withUnsafeBytes { Data($0) }, using: newest.key, authenticating: Self.bound(newest.id, owner)
    ).combined
    let sealed = try AES.GCM.seal(
      Data(secret.utf8), using: own, authenticating: Self.bound(newest.id, owner)
    ).combined
    guard let wrapped, let sealed else {
      throw ConfigurationError("A secret could not be sealed.", remedy: "Report this as a fault.")
    }
    return Self.magic + newest.id + wrapped + sealed
  }

  public func open(_ sealed: Data, of owner: String) throws -> String {
    guard let secret = envelope(sealed, owner) ?? plain(sealed, owner) else {
      let name = owner.split(separator: "\0").dropFirst().joined(separator: " ")
      throw ConfigurationError(
        "The secret of \(name) cannot be opened with \(keys.count == 1 ? "this key" : "these keys").",
        remedy: "Restore the key's file, or enter it again.")
    }
    return String(decoding: secret, as: UTF8.self)
  }

  /// Whether the newest key sealed it.
  public func isCurrent(_ sealed: Data) -> Bool {
    sealed.starts(with: Self.magic + keys[0].id)
  }

  private static func bound(_ id: Data, _ owner: String) -> Data { magic + id + Data(owner.utf8) }

  private func envelope(_ sealed: Data, _ owner: String) -> Data? {
    let bytes = Data(sealed)
    guard bytes.count > Self.head + Self.wrapped, bytes.starts(with: Self.magic) else { return nil }
    let id = Data(bytes.dropFirst(4).prefix(8))
    guard let key = keys.first(where: { $0.id == id })?.key,
      let box = try? AES.GCM.SealedBox(combined: Data(bytes.dropFirst(Self.head).prefix(Self.wrapped))),
      let own = try? AES.GCM.open(box, using: key, authenticating: Self.bound(id, owner)),
      let inner = try? AES.GCM.SealedBox(combined: Data(bytes.dropFirst(Self.head + Self.wrapped)))
    else { return nil }
    return try? AES.GCM.open(inner, using: SymmetricKey(data: own), authenticating: Self.bound(id, owner))
  }

  /// As earlier versions sealed: by the key itself.
  private func plain(_ sealed: Data, _ owner: String) -> Data? {
    guard let box = try? AES.GCM.SealedBox(combined: sealed) else { return nil }
    for key in keys {
      if let secret = try? AES.GCM.open(box, using: key.key, authenticating: Data(owner.utf8)) { return secret }
    }
    return nil
  }
}
