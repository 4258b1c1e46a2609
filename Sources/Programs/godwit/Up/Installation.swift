import Foundation
import Glibc
import ServiceKit
import Wire

/// The state folder of one platform: who it is, and where its parts keep theirs. Made at first start, mode 0700.
struct Installation {
  let folder: String
  let adminToken: AdminToken
  let authority: CertificateAuthority
  /// Sign service tokens of the front and of the migration service.
  let frontKey: AgentKey
  let migrationKey: AgentKey
  /// The gateway signs receipts with it; it lies where the gateway looks for it.
  let gatewayKey: AgentKey
  /// What the hypervisor's callers show.
  let hypervisorToken: AdminToken
  /// Held as long as the platform runs.
  private let lock: CInt

  init(folder: String) throws {
    self.folder = folder
    for sub in ["", "/keys", "/run", "/logs", "/gateway", "/hypervisor", "/migration"] {
      try PrivateFile.makeFolder(folder + sub)
    }
    lock = open(folder + "/run/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard lock >= 0, flock(lock, LOCK_EX | LOCK_NB) == 0 else {
      throw ConfigurationError(
        "Another 'godwit up' runs on \(folder).",
        remedy: "Use that one, end it by 'godwit down', or give another --state.")
    }
    adminToken = try AdminToken.open(file: folder + "/admin.token")
    authority = try CertificateAuthority.open(folder: folder + "/ca")
    frontKey = try SigningKey.open(file: folder + "/keys/front.key")
    migrationKey = try SigningKey.open(file: folder + "/keys/migration.key")
    gatewayKey = try SigningKey.open(file: folder + "/gateway/key")
    hypervisorToken = try AdminToken.open(file: folder + "/keys/hypervisor.token")
  }

  func socket(_ name: String) -> String { "\(folder)/run/\(name).sock" }
  var caFile: String { folder + "/ca/ca.pem" }

  /// The port that `name` listens on: the asked one, or for 0 a free one that is kept for the next starts, since agents
  /// remember it.
  func port(_ name: String, asked: Int, host: String) throws -> Int {
    if asked != 0 { return asked }
    let file = "\(folder)/run/\(name).port"
    if let kept = try PrivateFile.read(file), let port = Int(String(decoding: kept, as: UTF8.self)) { return port }
    let port = try Self.freePort(host)
    try PrivateFile.write(Array(String(port).utf8), to: file)
    return port
  }

  private static func freePort(_ host: String) throws -> Int {
    let probe = Glibc.socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
    defer { close(probe) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let bound =
      inet_pton(AF_INET, host, &address.sin_addr) == 1
      && withUnsafeMutablePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          bind(probe, $0, size) == 0 && getsockname(probe, $0, &size) == 0
        }
      }
    guard bound else {
      throw ConfigurationError(
        "No free port could be found on \(host).", remedy: "Give --listen an IPv4 address and a port.")
    }
    return Int(UInt16(bigEndian: address.sin_port))
  }
}
