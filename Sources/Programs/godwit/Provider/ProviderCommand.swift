import ArgumentParser
import Client
import Conformance
import Fakes
import Foundation
import Glibc
import Local
import Providers
import ServiceKit

struct ProviderCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "provider", abstract: "Clouds that machines are moved into.", subcommands: [Check.self])

  struct Check: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Check every rule of the provider contract against a real account.",
      discussion: """
        Each rule makes volumes, snapshots and machines of its own, tagged godwit-check, and removes them. Ends with 1 \
        when a rule is broken. Rules that cannot be checked from here are named as skipped.
        """)

    @Option(help: "local or fake.") var provider: String
    @Option(help: "unix:/PATH or http://127.0.0.1:PORT.") var endpoint: String
    @Option(help: "File that holds the provider's token or secret.") var secretFile: String?
    @Option(help: "Longest wait for a state, in seconds.") var patience = 120.0
    @Flag(help: "Check volumes and snapshots only.") var storageOnly = false
    @Flag(help: "Print JSON.") var json = false

    func run() async throws {
      let secret = try secretFile.map { try AdminToken.open(file: $0).text }
      guard let factory = ProviderKinds.all[provider] else {
        throw ConfigurationError(
          "There is no provider '\(provider)'.",
          remedy: "Use one of: \(ProviderKinds.all.keys.sorted().joined(separator: ", ")).")
      }
      let subject = ProviderUnderTest(
        try factory(endpoint, secret), patience: patience, readBytes: VolumeFile.read, writeBytes: VolumeFile.write,
        checksCompute: !storageOnly)
      var outcomes: [Outcome] = []
      for rule in ProviderRules.all {
        let outcome = await Outcome(rule, subject)
        if !json { print("\(outcome.result.padding(toLength: 8, withPad: " ", startingAt: 0))\(outcome.rule)") }
        if let reason = outcome.reason, !json { print("        \(reason)") }
        outcomes.append(outcome)
      }
      if json {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        print(String(decoding: try encoder.encode(outcomes), as: UTF8.self))
      } else {
        let broken = outcomes.count { $0.result == "BROKEN" }
        print(
          "\(outcomes.count) rules: \(outcomes.count { $0.result == "kept" }) kept, \(broken) broken, "
            + "\(outcomes.count { $0.result == "skipped" }) skipped")
      }
      if outcomes.contains(where: { $0.result == "BROKEN" }) { throw ExitCode(1) }
    }
  }

  struct Outcome: Encodable {
    var rule: String
    /// `kept`, `BROKEN` or `skipped`.
    var result: String
    var reason: String?

    init(_ rule: ProviderRule, _ subject: ProviderUnderTest) async {
      self.rule = rule.sentence
      do {
        try await rule.check(subject)
        result = "kept"
      } catch let skipped as RuleSkipped {
        (result, reason) = ("skipped", skipped.description)
      } catch { (result, reason) = ("BROKEN", "\(error)") }
    }
  }
}

/// Every kind of provider that this program has.
enum ProviderKinds {
  static let all: [String: @Sendable (_ endpoint: String, _ secret: String?) throws -> Provider] = [
    "local": { endpoint, secret in try Provider.local(endpoint: endpoint, token: secret ?? "") },
    "fake": { endpoint, secret in try FakeProvider(endpoint: endpoint, secret: secret).provider }
  ]
}

/// Bytes of volumes that are files or devices of this host. Other locations cannot be reached from the control path, which
/// links no storage client.
enum VolumeFile {
  @Sendable static func read(_ location: String, _ offset: UInt64, _ count: Int) async throws -> [UInt8] {
    let file = try open(location, O_RDONLY)
    defer { close(file) }
    var bytes = [UInt8](repeating: 0, count: count)
    guard pread(file, &bytes, count, Int(offset)) == count else {
      throw RuleBroken(description: "\(location) could not be read at \(offset)")
    }
    return bytes
  }

  @Sendable static func write(_ location: String, _ offset: UInt64, _ bytes: [UInt8]) async throws {
    let file = try open(location, O_WRONLY)
    defer { close(file) }
    guard pwrite(file, bytes, bytes.count, Int(offset)) == bytes.count, fsync(file) == 0 else {
      throw RuleBroken(description: "\(location) could not be written at \(offset)")
    }
  }

  private static func open(_ location: String, _ flags: CInt) throws -> CInt {
    for scheme in ["file:", "device:"] where location.hasPrefix(scheme) {
      let file = Glibc.open(String(location.dropFirst(scheme.count)), flags | O_CLOEXEC)
      guard file >= 0 else { throw RuleBroken(description: "\(location) cannot be opened") }
      return file
    }
    throw RuleSkipped(description: "bytes behind \(location.prefix { $0 != ":" }): cannot be reached from here")
  }
}
