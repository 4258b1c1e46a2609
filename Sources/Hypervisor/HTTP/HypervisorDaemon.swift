import Connections
import Glibc
import Hummingbird
public import Logging
import NIOCore
public import ServiceLifecycle

/// The daemon: recovers, then serves until it is told to end. Machines and exports go on without it.
public struct HypervisorDaemon: Service {
  let cloud: LocalCloud
  let token: BearerToken
  let listen: ListenAddress
  let logger: Logger

  public init(cloud: LocalCloud, token: BearerToken, listen: ListenAddress, logger: Logger) {
    (self.cloud, self.token, self.listen, self.logger) = (cloud, token, listen, logger)
  }

  public func run() async throws {
    await cloud.recover()
    if case .unix(let path) = listen.place { try DurableFile.remove(path) }
    let application = Application(
      router: HypervisorAPI(cloud: cloud).router(token: token), server: .finishing(),
      configuration: ApplicationConfiguration(address: listen.bindAddress, serverName: "godwit-hypervisor"),
      services: [Supervision(cloud: cloud)],
      onServerRunning: { await announce($0) },
      logger: logger)
    try await application.runService(gracefulShutdownSignals: [])
    if case .unix(let path) = listen.place { try DurableFile.remove(path) }
    try DurableFile.remove(announcement)
  }

  /// `address` in the state folder says where the daemon listens: with port 0 nobody else knows.
  private var announcement: String { "\(cloud.folder.path)/address" }

  private func announce(_ channel: any Channel) async {
    let address: String
    switch listen.place {
    case .loopback(let host, let port):
      let shown = host.contains(":") ? "[\(host)]" : host
      address = "\(shown):\(channel.localAddress?.port ?? port)"
    case .unix(let path):
      _ = chmod(path, 0o600)
      address = "unix:\(path)"
    }
    logger.info("listening", metadata: ["address": "\(address)"])
    let place = announcement
    do {
      try await cloud.blocking {
        try DurableFile.write(Array("\(address)\n".utf8), to: place + ".part")
        try DurableFile.rename(place + ".part", to: place)
      }
    } catch {
      logger.error("cannot write down the address", metadata: ["error": "\(error)"])
    }
  }
}

/// Looks after machines and exports once a second, for daemons that hang every ten, and proves the accelerator before the first machine needs it.
struct Supervision: Service {
  let cloud: LocalCloud

  func run() async throws {
    await cancelWhenGracefulShutdown {
      await withDiscardingTaskGroup { group in
        group.addTask {
          _ = await cloud.accelerator()
          while !Task.isCancelled {
            await cloud.supervise()
            try? await Task.sleep(for: .seconds(1))
          }
        }
        group.addTask {
          while !Task.isCancelled {
            await cloud.replaceHungDaemons()
            try? await Task.sleep(for: min(.seconds(10), cloud.settings.daemonPatience))
          }
        }
      }
    }
  }
}
