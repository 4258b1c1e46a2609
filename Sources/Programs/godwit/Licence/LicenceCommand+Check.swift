import ArgumentParser
import Foundation
import ServiceKit
import Wire

extension LicenceCommand {
  struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Check a licence offline: who signed it, for whom, how many seats, until when.",
      discussion: "Ends with 1 for what is no licence of that key, or is not good now.")
    @Argument(help: "File with the licence.") var file: String
    @Option(help: "Public key of the licensing service (licence.key.pub).") var key: String
    @Option(help: "Instead of now: an instant as 2026-01-31T00:00:00Z.") var at: String?
    @Flag(help: "Print JSON.") var json = false

    /// Bytes; a licence has a few hundred.
    private static let longest = 64 << 10

    func run() throws {
      let key = try Setting.publicKey(URL(fileURLWithPath: key).standardizedFileURL.path)
      guard let handle = FileHandle(forReadingAtPath: file) else {
        throw ConfigurationError("\(file) cannot be read.", remedy: "Give the path of a licence.")
      }
      let text = String(decoding: try handle.read(upToCount: Self.longest) ?? Data(), as: UTF8.self)
      let licence: Licence
      do { licence = try Licence(text.trimmingCharacters(in: .whitespacesAndNewlines), keys: [key]) } catch {
        print("\(error)")
        throw ExitCode(1)
      }
      let checked = LicensingAPI.Checked(licence: licence, standing: licence.standing(at: try instant()))
      try show(checked)
      if checked.standing != .good { throw ExitCode(1) }
    }

    private func instant() throws -> Int {
      guard let at else { return Int(Date().timeIntervalSince1970) }
      guard let date = try? Date(at, strategy: .iso8601) else {
        throw ValidationError("--at '\(at)' is no instant. Give for instance 2026-01-31T00:00:00Z.")
      }
      return Int(date.timeIntervalSince1970)
    }

    private func show(_ checked: LicensingAPI.Checked) throws {
      if json {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        return print(String(decoding: try encoder.encode(checked), as: UTF8.self))
      }
      let licence = checked.licence
      let word = [.good: "good", .early: "NOT good yet", .expired: "EXPIRED"][checked.standing] ?? ""
      print(
        """
        The licence \(licence.id) is \(word).
        tenant \(licence.tenant), edition \(licence.edition.rawValue), \(licence.seats) seats
        from \(List.instant(licence.nbf)) until \(List.instant(licence.exp))
        """)
    }
  }
}
