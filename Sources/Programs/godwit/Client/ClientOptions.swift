import ArgumentParser
import Client
import FoundationEssentials
import ServiceKit
import Wire

/// The options every client command has.
struct ClientOptions: ParsableArguments {
  @Option(help: "The platform, as https://HOST:PORT (else GODWIT_SERVER).") var server: String?
  @Option(help: "Token to act with (else GODWIT_TOKEN).") var token: String?
  @Option(help: "PEM file of the platform's CA (else GODWIT_CA).") var ca: String?
  @Option(help: "Tenant to act for (else GODWIT_TENANT, else 'default').") var tenant: String?
  @Flag(help: "Print JSON.") var json = false

  func settings(token fallback: String? = nil) throws -> ClientSettings {
    try ClientSettings(
      server: server, token: fallback ?? token, ca: ca, tenant: tenant, environment: ProcessInfo.processInfo.environment
    )
  }

  /// Runs `body`; what the platform refuses is printed as what, why and what to do, and ends with status 1.
  /// - Parameter token: used instead of any other one, by commands that need none.
  func run(token: String? = nil, _ body: (PlatformClient) async throws -> Void) async throws {
    do { try await body(try PlatformClient(settings(token: token))) } catch let problem as Problem {
      throw Failure(problem)
    }
  }

  func printJSON(_ value: some Encodable) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    print(String(decoding: try encoder.encode(value), as: UTF8.self))
  }
}

/// A `Problem` as people read it.
struct Failure: Error, CustomStringConvertible {
  let problem: Problem
  init(_ problem: Problem) { self.problem = problem }
  var description: String { "\(problem.detail)\n  \(problem.remedy)\n  (\(problem.code))" }
}
