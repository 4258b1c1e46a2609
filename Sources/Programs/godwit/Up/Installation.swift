import Foundation
import Glibc
import ServiceKit
import Wire

/// The state folder of one platform: who it is, and where its parts keep theirs. Made at first start, mode 0700.
struct Installation {
  let folder: String
  let adminTokenFile: String
  let adminToken: AdminToken
  let authority: CertificateAuthority
  /// Sign service tokens of the front and of the migration service.
  let frontKey: AgentKey
  let frontKeyFile: String
  let migrationKey: AgentKey
  let migrationKeyFile: String
  let (cloudsKeyFile, operationsKeyFile): (String, String)
  let identityKeyFile: String
  /// The licensing service's own key, and the one that signs licences.
  let (licensingKeyFile, licenceKeyFile): (String, String)
  /// The gateway signs receipts with it; it lies where the gateway looks for it.
  let gatewayKey: AgentKey
  let gatewayKeyFile: String
  /// What the hypervisor's callers show.
  let hypervisorToken: AdminToken
  /// Held as long as the platform runs.
  private let lock: FolderLock

  init(folder: String) throws {
    self.folder = folder
    adminTokenFile = folder + "/admin.token"
    (frontKeyFile, migrationKeyFile) = (folder + "/keys/front.key", folder + "/keys/migration.key")
    (cloudsKeyFile, operationsKeyFile) = (folder + "/keys/clouds.key", folder + "/keys/operations.key")
    (licensingKeyFile, licenceKeyFile) = (folder + "/keys/licensing.key", folder + "/keys/licence.key")
    gatewayKeyFile = folder + "/gateway/key"
    identityKeyFile = folder + "/keys/identity.key"
    for sub in ["", "/keys", "/run", "/logs", "/gateway", "/hypervisor", "/migration"] {
      try PrivateFile.makeFolder(folder + sub)
    }
    lock = try FolderLock(folder + "/run", holder: "'godwit up'")
    adminToken = try AdminToken.open(file: adminTokenFile)
    authority = try CertificateAuthority.open(folder: folder + "/ca")
    frontKey = try SigningKey.open(file: frontKeyFile)
    migrationKey = try SigningKey.open(file: migrationKeyFile)
    gatewayKey = try SigningKey.open(file: gatewayKeyFile)
    let keyFiles = [
      frontKeyFile, migrationKeyFile, cloudsKeyFile, operationsKeyFile, licensingKeyFile, licenceKeyFile,
      gatewayKeyFile,
      identityKeyFile
    ]
    for file in keyFiles {
      try SigningKey.publish(try SigningKey.open(file: file), file: file)
    }
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
