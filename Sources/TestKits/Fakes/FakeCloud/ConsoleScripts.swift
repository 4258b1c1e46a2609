import Foundation
public import Machines
import Providers

/// What the consoles of fake machines show.
public struct ConsoleScripts: Codable, Hashable, Sendable {
  public var guest: String
  public var appliance: String
  /// Seconds after which an appliance has ended by itself.
  public var applianceSeconds: Double

  /// By default guests reach a login prompt and appliances report a machine that is ready.
  public init(
    guest: String = "Booting from hard disk...\r\n[    0.000000] Linux version\r\n\r\ngodwit-guest login: ",
    appliance: String? = nil, applianceSeconds: Double = 0
  ) {
    (self.guest, self.applianceSeconds) = (guest, applianceSeconds)
    self.appliance = appliance ?? Self.report(Self.ready)
  }

  /// The lines by which the repair appliance reports.
  public static func report(_ report: RepairReport) -> String {
    let json = (try? JSONEncoder().encode(report)).map { String(decoding: $0, as: UTF8.self) } ?? "{}"
    return "GODWIT-REPAIR-REPORT \(json)\r\nGODWIT-REPAIR-END\r\n"
  }

  private static let ready = RepairReport(
    verdict: .ready, firmware: .bios, findings: ["distribution": "fake"], edits: [], problems: [], applied: true)

  func text(for role: MachineWish.Role) -> String { role == .guest ? guest : appliance }
}
