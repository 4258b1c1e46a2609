internal import Machines

/// Looks at everything that a migration will need of this machine, and changes nothing.
public struct Doctor: Sendable {
  let places: AgentPlaces
  let disks: [String]

  /// - Parameter disks: kernel names of whole disks; nil for all that hold data.
  public init(places: AgentPlaces = AgentPlaces(), disks: [String]? = nil) throws {
    self.places = places
    self.disks = try disks ?? MachineInspector().describe().disks.map(\.name)
  }

  /// Reads a little of each disk; asks the service where the machine is enrolled.
  public func examine() async -> [Finding] {
    var findings = tracking() + [persistence()] + freezing() + hooks() + [memory()]
    do {
      guard let identity = try AgentState(places: places).identity() else {
        return findings + [
          Finding(
            .enrolment, .warn, "this machine is not enrolled, so the way to the platform was not looked at",
            remedy: "paste the command that the console shows")
        ]
      }
      findings += await platform(server: identity.server, connection: identity.connection)
    } catch {
      findings.append(Finding(.enrolment, .stop, "\(error)"))
    }
    return findings
  }
}
