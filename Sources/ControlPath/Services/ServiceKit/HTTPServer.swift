import Connections
import Glibc
public import Hummingbird
import HummingbirdCore
import HummingbirdTLS
public import Logging
import NIOCore
public import NIOSSL
public import ServiceLifecycle
import Synchronization

/// One listening address of one service: request ids, metrics, problems and the access log in front of the given routes.
/// Graceful shutdown stops taking connections and lets the requests under way end.
public struct HTTPServer: Service {
  public enum Binding: Sendable {
    /// A Unix socket, mode 0600. The folder must be the owner's alone (0700): it covers the instant between `bind` and
    /// `chmod`. A socket left behind there is replaced.
    case unix(path: String)
    /// Port 0 takes any free one; `onRunning` tells which. Without TLS on loopback only.
    case tcp(host: String, port: Int, tls: TLSConfiguration?)
    /// Plain HTTP on every address, for a function platform that ends TLS itself and lets nobody else in.
    case function(port: Int)

    /// - Throws: `ConfigurationError` for what may not be listened on.
    func check() throws {
      switch self {
      case .unix(let path):
        guard path.utf8.count < 104 else {
          throw ConfigurationError("The socket path \(path) is too long.", remedy: "Choose a shorter state folder.")
        }
      case .tcp(let host, _, let tls):
        guard tls != nil || ["127.0.0.1", "::1", "localhost"].contains(host) else {
          throw ConfigurationError("Refusing to listen on \(host) without TLS.", remedy: "Give a certificate.")
        }
      case .function: break
      }
    }
  }

  /// Where it listens, once it does.
  public enum Place: Hashable, Sendable {
    case unix(path: String)
    case tcp(host: String, port: Int)
  }

  private let routes: @Sendable (Router<ServiceContext>) -> Void
  private let binding: Binding
  private let logger: Logger
  private let status: ServiceStatus?
  private let onRunning: @Sendable (Place) async -> Void

  /// - Parameters:
  ///   - status: what is served at `/healthz` and beside it, and counts requests.
  ///   - routes: adds the service's own middleware and routes.
  ///   - onRunning: called once it accepts connections.
  public init(
    _ binding: Binding, logger: Logger, status: ServiceStatus? = nil,
    onRunning: @escaping @Sendable (Place) async -> Void = { _ in },
    routes: @escaping @Sendable (Router<ServiceContext>) -> Void
  ) {
    (self.binding, self.logger, self.status) = (binding, logger, status)
    (self.onRunning, self.routes) = (onRunning, routes)
  }

  /// Serves until graceful shutdown or cancellation.
  /// - Throws: `ConfigurationError` when it may not or cannot listen there.
  public func run() async throws {
    let (address, builder) = try listener()
    let router = Router(context: ServiceContext.self)
    router.add(middleware: TraceMiddleware())
    router.add(middleware: AccessLogMiddleware())
    if let status { router.add(middleware: MetricsMiddleware(metrics: status.metrics)) }
    router.add(middleware: ProblemMiddleware())
    status?.add(to: router)
    routes(router)
    let application = Application(
      router: router, server: builder,
      configuration: .init(
        address: address, serverName: nil,
        availableConnectionsDelegate: .maximum(Self.mostConnections, logger: logger)),
      onServerRunning: { [binding, onRunning] channel in await onRunning(Self.place(binding, channel)) },
      logger: logger)
    do { try await application.run() } catch let error as IOError {
      throw ConfigurationError(
        "Cannot listen on \(name): \(error).", remedy: "Free the address or choose another one.")
    }
    if case .unix(let path) = binding { unlink(path) }
  }

  private func listener() throws -> (BindAddress, HTTPServerBuilder) {
    try binding.check()
    switch binding {
    case .unix(let path): return (.unixDomainSocket(path: path), .finishing())
    case .tcp(let host, let port, let tls):
      if let tls { return (.hostname(host, port: port), try .tls(.finishing(), tlsConfiguration: tls)) }
      return (.hostname(host, port: port), .finishing())
    case .function(let port): return (.hostname("0.0.0.0", port: port), .finishing())
    }
  }

  /// What comes beyond it waits in the kernel's queue. Each may need another one to a service, and files need some.
  public static let mostConnections: Int = {
    var limit = rlimit()
    let files = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    guard getrlimit(files, &limit) == 0 else { return 384 }
    // Shells give few for the sake of programs that cannot do with many.
    let wanted = rlimit(rlim_cur: min(limit.rlim_max, 65_536), rlim_max: limit.rlim_max)
    if wanted.rlim_cur > limit.rlim_cur, withUnsafePointer(to: wanted, { setrlimit(files, $0) }) == 0 { limit = wanted }
    return min(20_000, max(64, (Int(clamping: limit.rlim_cur) - 256) / 2))
  }()

  private var name: String {
    switch binding {
    case .unix(let path): path
    case .tcp(let host, let port, _): "\(host):\(port)"
    case .function(let port): "0.0.0.0:\(port)"
    }
  }

  private static func place(_ binding: Binding, _ channel: any Channel) -> Place {
    switch binding {
    case .unix(let path):
      chmod(path, 0o600)
      return .unix(path: path)
    case .tcp(let host, let port, _):
      return .tcp(host: host, port: channel.localAddress?.port ?? port)
    case .function(let port): return .tcp(host: "0.0.0.0", port: channel.localAddress?.port ?? port)
    }
  }
}

extension HTTPServer.Place: CustomStringConvertible {
  /// As in the setting `listen`.
  public var description: String {
    switch self {
    case .unix(let path): "unix:\(path)"
    case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
  }
}

extension HTTPServer {
  /// Runs a server while `body` runs, and ends it after: for tests and for programs that need it a moment.
  public static func whileRunning<Value: Sendable>(
    _ binding: Binding, logger: Logger, status: ServiceStatus? = nil,
    routes: @escaping @Sendable (Router<ServiceContext>) -> Void,
    _ body: @escaping @Sendable (Place) async throws -> Value
  ) async throws -> Value {
    let (places, continuation) = AsyncStream.makeStream(of: Place.self)
    let server = HTTPServer(
      binding, logger: logger, status: status, onRunning: { continuation.yield($0) }, routes: routes)
    return try await withThrowingTaskGroup(of: Value?.self) { group in
      group.addTask {
        defer { continuation.finish() }
        try await server.run()
        return nil
      }
      group.addTask {
        for await place in places { return try await body(place) }
        return nil
      }
      defer { group.cancelAll() }
      while let value = try await group.next() {
        if let value { return value }
      }
      throw ConfigurationError("The server ended before it was used.", remedy: "See the error in the log.")
    }
  }
}
