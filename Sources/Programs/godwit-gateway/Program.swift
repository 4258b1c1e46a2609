import ArgumentParser
import Gateway
import Glibc
import Logging
import Logs
import ServiceLifecycle
import SystemPackage
import UnixSignals
import Wire

@main struct Program: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "godwit-gateway", abstract: "Receives the extents of sources and writes them to volumes.")

  @Option(help: "HOST:PORT to listen on; port 0 lets the system choose.")
  var listen = "127.0.0.1:0"
  @Option(help: "A folder of its own for leaf maps, manifests and the signing key.")
  var state: String
  @Option(help: "File with the Ed25519 public keys of those who issue grants, base64url, one a line.")
  var issuerKey: String
  @Option(help: "PEM file with the certificate chain.")
  var certificate: String
  @Option(help: "PEM file with the certificate's private key.")
  var privateKey: String
  @Option(help: "Threads that block on volumes.")
  var threads = 16
  @Option(help: "Seconds that a storage server may take to answer before it is given up.")
  var volumeTimeout = 50

  func run() async throws {
    LoggingSystem.bootstrap { JSONLogHandler(label: $0) }
    let logger = Logger(label: "gateway")
    let key = Announcement()
    let patience = Duration.seconds(max(1, volumeTimeout))
    let gateway = try Gateway(
      settings: settings(), openVolume: { try openVolume($0, patience: patience) }, logger: logger,
      onReady: { key.announce(port: $0) })
    key.set(gateway.publicKey)
    let group = ServiceGroup(
      configuration: .init(services: [gateway], gracefulShutdownSignals: [.sigterm, .sigint], logger: logger))
    try await group.run()
  }

  private func settings() throws -> GatewaySettings {
    guard let colon = listen.lastIndex(of: ":"), let port = Int(listen[listen.index(after: colon)...]) else {
      throw ValidationError("--listen wants HOST:PORT, not \(listen)")
    }
    let host = String(listen[..<colon].drop { $0 == "[" }.prefix { $0 != "]" })
    let lines = String(decoding: try bytes(of: issuerKey), as: UTF8.self).split(whereSeparator: \.isWhitespace)
    let issuers = lines.compactMap { Base64URL.decode($0) }.filter { $0.count == 32 }
    guard !issuers.isEmpty, issuers.count == lines.count else {
      throw ValidationError("\(issuerKey) holds something else than Ed25519 public keys in base64url")
    }
    var settings = GatewaySettings(
      host: host, port: port, stateFolder: state, issuers: issuers, certificate: try bytes(of: certificate),
      privateKey: try bytes(of: privateKey))
    settings.threads = max(2, threads)
    return settings
  }

  private func bytes(of path: String) throws -> [UInt8] {
    let file = try FileDescriptor.open(FilePath(path), .readOnly)
    return try file.closeAfter {
      let size = try file.seek(offset: 0, from: .end)
      return try [UInt8](unsafeUninitializedCapacity: Int(size)) { buffer, count in
        count = try file.read(fromAbsoluteOffset: 0, into: UnsafeMutableRawBufferPointer(buffer))
      }
    }
  }
}
