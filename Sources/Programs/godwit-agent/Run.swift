import ArgumentParser
import Logging
import Logs
import ServiceLifecycle
import Source
import UnixSignals
import Wire

/// The agent itself, in the foreground; systemd starts it this way.
struct Run: AsyncParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Runs the agent in the foreground.")

  func run() async throws {
    LoggingSystem.bootstrap { JSONLogHandler(label: $0) }
    let logger = Logger(label: "godwit-agent")
    let places = AgentPlaces()
    let machine = LinuxMachine(places: places)
    for mountPoint in machine.thawLeftovers() {
      logger.warning("a filesystem was still frozen and was thawed", metadata: ["mount.point": "\(mountPoint)"])
    }
    guard let identity = try AgentState(places: places).identity() else {
      throw AgentError("this machine is not enrolled", remedy: "paste the command that the console shows")
    }
    logger.info(
      "agent begins",
      metadata: [
        "agent.version": "\(Enrolment.version)", "source.id": "\(identity.credential.source)",
        "server": "\(identity.server)"
      ])
    let service = try AgentService(identity: identity, machine: machine, logger: logger, memory: places.memory)
    let group = ServiceGroup(
      configuration: .init(
        services: [.init(service: service, successTerminationBehavior: .gracefullyShutdownGroup)],
        gracefulShutdownSignals: [.sigterm, .sigint], logger: logger))
    try await group.run()
  }
}
