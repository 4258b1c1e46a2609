/// Why the hypervisor would not do as asked.
public struct HypervisorError: Error, Hashable, Codable, Sendable, CustomStringConvertible {
  /// The words are those of the providers' error codes; on the wire each also has an HTTP status.
  public enum Code: String, Codable, Hashable, Sendable {
    case notFound, conflict, inUse, invalid, quota, credentials, permission
    /// Try again later; whether the call took effect is not known.
    case unavailable
    case failed
  }

  public var code: Code
  public var message: String

  public init(_ code: Code, _ message: String) { (self.code, self.message) = (code, message) }
  public var description: String { "\(message) (\(code.rawValue))" }
}

extension HypervisorError {
  static func unknown(_ kind: String, _ id: String) -> HypervisorError {
    HypervisorError(.notFound, "there is no \(kind) \(id)")
  }

  /// Throws `.invalid` unless `id` is `[a-z0-9-]{1,63}`: ids become names of files.
  static func checkID(_ id: String) throws {
    let allowed = id.utf8.allSatisfy { byte in
      (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
        || byte == UInt8(ascii: "-")
    }
    guard allowed, (1...63).contains(id.utf8.count) else {
      throw HypervisorError(.invalid, "an id is 1 to 63 of a-z, 0-9 and -")
    }
  }
}
