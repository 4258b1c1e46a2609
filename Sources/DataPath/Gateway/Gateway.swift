import Connections
import FoundationEssentials
import Hummingbird
import HummingbirdCore
import HummingbirdTLS
public import Logging
import NIOCore
import NIOPosix
import NIOSSL
public import ServiceLifecycle
import Wire

/// The receiving end of the data path: an HTTPS server that writes the extents of many sources to volumes, keeps what is
/// known of each leaf, and vouches for what it read back.
public final class Gateway: Service {
  private let settings: GatewaySettings
  private let replicas: Replicas
  private let pool: NIOThreadPool
  private let server: HTTPServerBuilder
  private let routes: GatewayRoutes
  private let logger: Logger
  private let onReady: @Sendable (Int) async -> Void

  /// Reads what the state folder holds; nothing listens yet.
  ///
  /// - Parameters:
  ///   - openVolume: opens what a grant names.
  ///   - now: seconds since 1970.
  ///   - onReady: called with the port once the gateway listens.
  /// - Throws: where the state folder, the certificate or its key cannot be used, or another gateway has the folder.
  public init(
    settings: GatewaySettings, openVolume: @escaping VolumeOpener = openVolume(_:), logger: Logger,
    now: @escaping @Sendable () -> Int = systemTime,
    onReady: @escaping @Sendable (Int) async -> Void = { _ in }
  ) throws {
    (self.settings, self.logger, self.onReady) = (settings, logger, onReady)
    pool = NIOThreadPool(numberOfThreads: settings.threads)
    replicas = try Replicas(
      folder: settings.stateFolder, openVolume: openVolume, pool: pool, threads: max(2, settings.threads / 4),
      logger: logger, now: now)
    server = try Self.server(settings)
    routes = GatewayRoutes(
      authenticator: Authenticator(issuers: settings.issuers, now: now), replicas: replicas, pool: pool,
      admission: Admission(perSession: settings.sessionBudget, total: settings.totalBudget),
      sealWait: settings.sealWait)
  }

  /// The system's clock, in seconds since 1970.
  public static let systemTime: @Sendable () -> Int = { Int(Date().timeIntervalSince1970) }

  /// Ed25519, 32 bytes: what receipts are signed with. Made at the first start, kept in the state folder.
  public var publicKey: [UInt8] { replicas.key.publicKey }

  private static func server(_ settings: GatewaySettings) throws -> HTTPServerBuilder {
    let chain = try NIOSSLCertificate.fromPEMBytes(settings.certificate)
    let key = try NIOSSLPrivateKey(bytes: settings.privateKey, format: .pem)
    var tls = TLSConfiguration.makeServerConfiguration(
      certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
    tls.minimumTLSVersion = .tlsv12
    return try .tls(
      .finishing(.init(additionalChannelHandlers: [LargeReceiveBuffer()], idleTimeout: .seconds(90))),
      tlsConfiguration: tls)
  }

  /// Serves until a graceful shutdown: requests under way end, then the volumes are flushed.
  public func run() async throws {
    pool.start()
    let router = Router()
    router.add(middleware: ProblemMiddleware(logger: logger))
    routes.add(to: router)
    let application = Application(
      router: router, server: server,
      configuration: .init(address: .hostname(settings.host, port: settings.port), serverName: nil),
      onServerRunning: { [onReady] channel in await onReady(channel.localAddress?.port ?? 0) },
      eventLoopGroupProvider: .singleton, logger: logger)
    do { try await application.run() } catch {
      await end()
      throw error
    }
    await end()
  }

  private func end() async {
    replicas.readings.stop()
    _ = try? await pool.runIfActive { [replicas] in replicas.close() }
    try? await pool.shutdownGracefully()
  }
}
