import ArgumentParser
import Client
import Foundation
import Operations
import ServiceKit
import Wire

extension AuditCommand {
  struct Verify: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Check that the audit is whole: no record changed, removed, swapped or cut off.",
      discussion: """
        Reads the whole audit from the platform, which takes the administrator's token, or the operations service's \
        database, also a copy of it. Heads from that service's log ("audit.head") given as --anchor show whether older \
        states were put back. Ends with 1 where the audit is not whole.
        """)

    @Option(help: "Database of the operations service, instead of a platform.") var file: String?
    @Option(help: "Public key of the operations service (operations.key.pub); needed with --file.") var key: String?
    @Option(help: "A signed head that was kept elsewhere; may be repeated.") var anchor: [String] = []
    @OptionGroup var options: ClientOptions

    func run() async throws {
      let known = try key.map { try Setting.publicKey(URL(fileURLWithPath: $0).standardizedFileURL.path) }
      do {
        let count = if let file { try inFile(file, known) } else { try await overREST(known) }
        print("The audit is whole: \(count) records.")
      } catch let problem as AuditBreak {
        print("The audit is NOT whole. \(problem)")
        throw ExitCode(1)
      } catch let problem as Problem { throw Failure(problem) }
    }

    private func inFile(_ file: String, _ key: [UInt8]?) throws -> Int64 {
      guard let key else {
        throw ConfigurationError(
          "--file is given without --key.", remedy: "Give the operations service's public key, operations.key.pub.")
      }
      return try AuditFile.verify(file, publicKey: key, anchors: try anchor.map { try AuditHead($0, publicKey: key) })
    }

    private func overREST(_ known: [UInt8]?) async throws -> Int64 {
      let client = try options.settings().client("operations")
      var (chain, after) = (AuditChain(), Int64(0))
      while true {
        let page: AuditAPI.Export = try await client.get(
          RESTClient.path("v1", "audit", "export", query: ["after": "\(after)"]))
        let key = known ?? Base64URL.decode(page.key) ?? []
        let anchors = try anchor.map { try AuditHead($0, publicKey: key) }
        for record in page.records { try chain.follow(record, anchors: anchors) }
        guard let next = page.next else {
          try chain.end(newest: try page.head.map { try AuditHead($0, publicKey: key) }, anchors: anchors)
          if known == nil { print("Signed by the key \(page.key), by the platform's own word; see --key.") }
          return chain.seq
        }
        after = next
      }
    }
  }
}
