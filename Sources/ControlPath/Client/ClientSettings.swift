import FoundationEssentials
import NIOCore
public import ServiceKit

/// Where the platform is and who asks: from flags, else the environment, else the file that `godwit up` writes.
public struct ClientSettings: Sendable {
  /// `https://HOST:PORT`.
  public var server: String
  public var token: String
  /// PEM of the platform's CA.
  public var ca: String?
  public var tenant: String

  /// The file's lines are `server = ...`, `token = ...`, `ca = PATH`.
  public static let defaultFile = ".config/godwit/client"

  /// - Parameters:
  ///   - server, token, ca: what the flags say; `ca` is a path.
  ///   - environment: `GODWIT_SERVER`, `GODWIT_TOKEN`, `GODWIT_CA`, `GODWIT_TENANT`, `HOME`.
  /// - Throws: `ConfigurationError` naming what is missing and where to give it.
  public init(
    server: String?, token: String?, ca: String?, tenant: String?, environment: [String: String]
  ) throws {
    let file = Self.read((environment["HOME"] ?? "/root") + "/" + Self.defaultFile)
    guard let server = server ?? environment["GODWIT_SERVER"] ?? file["server"] else {
      throw ConfigurationError(
        "It is not known where the platform is.",
        remedy: "Give --server https://HOST:PORT, set GODWIT_SERVER, or run 'godwit up' on this machine first.")
    }
    guard let token = token ?? environment["GODWIT_TOKEN"] ?? file["token"] else {
      throw ConfigurationError(
        "There is no token for \(server).",
        remedy: "Give --token, set GODWIT_TOKEN, or use the admin.token in the platform's state folder.")
    }
    self.server = server
    self.token = token
    self.tenant = tenant ?? environment["GODWIT_TENANT"] ?? file["tenant"] ?? "default"
    guard let path = ca ?? environment["GODWIT_CA"] ?? file["ca"] else { return }
    guard let pem = try? String(contentsOfFile: path, encoding: .utf8) else {
      throw ConfigurationError(
        "The CA certificate \(path) cannot be read.", remedy: "Give --ca the path of the platform's ca.pem.")
    }
    self.ca = pem
  }

  static func read(_ path: String) -> [String: String] {
    guard let text = try? String(contentsOfFile: path, encoding: .utf8) else { return [:] }
    var values: [String: String] = [:]
    for line in text.split(separator: "\n") {
      let parts = line.split(separator: "=", maxSplits: 1).map { $0.trimmingPrefix { $0 == " " } }
      guard parts.count == 2 else { continue }
      values[String(parts[0]).trimmed] = String(parts[1]).trimmed
    }
    return values
  }

  /// A client for `service` of the platform.
  public func client(_ service: String = "godwit") throws -> RESTClient {
    let token = token
    return try RESTClient(
      name: service, endpoint: .web(url: server, ca: ca), timeout: .seconds(60), authorization: { "Bearer \(token)" })
  }
}

extension String {
  fileprivate var trimmed: String {
    String(drop { $0 == " " || $0 == "\t" }.reversed().drop { $0 == " " || $0 == "\t" }.reversed())
  }
}
