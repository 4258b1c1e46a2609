import Foundation
import Machines

/// What the repair appliance said on its serial console. Pure.
enum RepairConsole: Hashable, Sendable {
  case undecided
  case report(RepairReport)
  /// It ended, or said something that cannot be read.
  case broken(String)

  static let prefix = "GODWIT-REPAIR-REPORT "
  static let end = "GODWIT-REPAIR-END"

  init(console: String) {
    let lines = console.split(whereSeparator: \.isNewline)
    guard let line = lines.last(where: { $0.contains(Self.prefix) }), let range = line.firstRange(of: Self.prefix)
    else {
      self = lines.contains { $0.contains(Self.end) } ? .broken("it ended without a report") : .undecided
      return
    }
    // The line may still be growing: it counts once the end was said.
    guard lines.contains(where: { $0.contains(Self.end) }) else {
      self = .undecided
      return
    }
    let json = line[range.upperBound...].trimmingCharacters(in: .whitespaces)
    do { self = .report(try JSONDecoder().decode(RepairReport.self, from: Data(json.utf8))) } catch {
      self = .broken("its report cannot be read: \(error)")
    }
  }
}
