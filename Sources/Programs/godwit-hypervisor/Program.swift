import ArgumentParser
import Glibc
import Hypervisor
import Logging
import ServiceLifecycle
import UnixSignals

/// The local cloud: volumes, snapshots and machines of this host behind HTTP.
@main struct Program: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "godwit-hypervisor",
    abstract: "Keeps volumes, snapshots and QEMU machines on this host behind HTTP. Its machines outlive it.")

  @Option(help: "The folder that holds everything; made if missing, mode 0700.")
  var state: String
  @Option(help: "Where to listen: 127.0.0.1:PORT (0: any; see STATE/address) or unix:/PATH.")
  var listen: String
  @Option(help: "A file of mode 0600 whose first line is the bearer token that clients must give.")
  var tokenFile: String
  @Option(help: "The repair appliance's kernel; also boots the probe that proves KVM.")
  var applianceKernel: String?
  @Option(help: "The repair appliance's initramfs.")
  var applianceInitramfs: String?
  @Option(help: "Seconds after which a running appliance is ended.")
  var applianceTimeLimit = 300
  @Option(help: "Seconds that a storage daemon may stay silent before it is replaced.")
  var daemonPatience = 30

  func run() async throws {
    umask(0o077)
    let logger = Logger(label: "godwit-hypervisor")
    var settings = HypervisorSettings(
      state: state, applianceKernel: applianceKernel, applianceInitramfs: applianceInitramfs,
      applianceTimeLimit: applianceTimeLimit)
    settings.daemonPatience = .seconds(max(1, daemonPatience))
    let cloud = try LocalCloud(settings, logger: logger)
    let daemon = HypervisorDaemon(
      cloud: cloud, token: try BearerToken(file: tokenFile), listen: try ListenAddress(listen), logger: logger)
    let group = ServiceGroup(
      configuration: .init(
        services: [.init(service: daemon)], gracefulShutdownSignals: [.sigterm, .sigint], logger: logger))
    try await group.run()
  }
}
