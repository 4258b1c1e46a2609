import Client
import Wire

/// The state of scrubs as people read it.
enum ScrubText {
  static func text(_ scrub: MigrationAPI.Scrub) -> String {
    var parts: [String] = []
    if let budget = scrub.budget { parts.append("\(budget >> 20) MiB of each disk with every sync") }
    parts.append(scrub.completedAt.map { "last complete \(Instant.text($0))" } ?? "not complete yet")
    parts.append(scrub.found == 0 ? "nothing found" : "\(scrub.found) leaves found to differ")
    if scrub.open > 0 { parts.append("\(scrub.open) NOT MENDED YET: no switch until a sync has ended") }
    return "scrub: " + parts.joined(separator: "; ")
  }
}
