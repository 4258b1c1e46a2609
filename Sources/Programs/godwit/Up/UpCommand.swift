import ArgumentParser
import Clouds
import Foundation
import Glibc
import Logging
import ServiceKit
import ServiceLifecycle
import UnixSignals
import Wire

struct UpCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "up", abstract: "Run the platform on this machine.",
    discussion: """
      Starts every service in this process, and beside it godwit-gateway and godwit-hypervisor, which keep running when \
      this process ends ('godwit down' ends them). Everything is kept in the state folder. When it is ready it prints \
      where it is; to a pipe, as one line of JSON with "url", "token" and "ca".
      """)

  @Option(help: "Folder of everything the platform keeps; made when missing.") var state: String
  @Option(help: "Address for agents and clients; port 0 takes a free one and keeps it.") var listen = "127.0.0.1:8443"
  @Option(help: "Host names and addresses by which sources reach this machine, separated by commas; the first is used.")
  var advertise: String?
  @Option(help: "Address of the gateway; port 0 takes a free one and keeps it.") var gatewayListen = "127.0.0.1:0"
  @Option(help: "Folder of the repair appliance: vmlinuz and initramfs.") var appliance: String?
  @Option(help: "The static agent for Linux on x86_64, given to sources that are added.") var agent: String?
  @Flag(help: "Do not start the gateway.") var withoutGateway = false
  @Flag(help: "Do not start the hypervisor; there is then no target 'local'.") var withoutHypervisor = false
  @Option(help: "trace, debug, info, notice, warning or error.") var logLevel = "info"

  func run() async throws {
    umask(0o077)
    let level = try Setting.logLevel(logLevel)
    JSONLines.bootstrap(level)
    let installation = try Installation(folder: URL(fileURLWithPath: state).standardizedFileURL.path)
    let plan = try Plan(self, installation)
    let logger = Logger(label: "up")
    let companions = try plan.companions()
    let ready = Readiness(of: Set(HostedService.allCases.map(\.rawValue)))
    var services: [any Service] = [CompanionKeeper(companions: companions, logger: logger)]
    for service in HostedService.allCases {
      services.append(
        try service.make(try plan.settings(of: service)) { _ in ready.mark(service.rawValue) })
    }
    services.append(Announcement(ready: ready, plan: plan, logger: logger))
    for companion in companions { try companion.ensure(logger: logger) }
    try PrivateFile.write(Array("\(getpid())".utf8), to: installation.folder + "/run/godwit.pid")
    try await ServiceGroup(
      configuration: .init(services: services, gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
    ).run()
    unlink(installation.folder + "/run/godwit.pid")
  }
}
