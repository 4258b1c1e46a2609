import Foundation
import Licensing
import Logging
import ServiceKit
import ServiceLifecycle
import Wire

/// The licensing service from its settings. Stateless, it listens where a function platform says and keeps nothing.
struct LicensingHost {
  private var configuration: LicensingService.Configuration

  init(_ given: ServiceSettings, environment: [String: String] = ProcessInfo.processInfo.environment) throws {
    var settings = given
    let stateless = settings.optional("stateless", Setting.flag) ?? false
    let key = stateless ? Self.secret(&settings) : Self.keyFile(&settings)
    let former = settings.optional("former-licence-keys", Setting.publicKeys)
    let callers = settings.callers("front:/etc/godwit/front.key.pub, migration:/etc/godwit/migration.key.pub")
    let (users, fronts) = (settings.users(), settings.fronts())
    guard !stateless else {
      let port = settings.functionPort(environment)
      guard let key, let callers, let port, settings.isGood else { throw settings.failure }
      configuration = .init(
        folder: nil, key: key, formerKeys: former ?? [], bindings: [.function(port: port)], callers: callers,
        users: users, now: { Date().timeIntervalSince1970 })
      return
    }
    let folder = settings.required("state", example: "/var/lib/godwit/licensing", Setting.folder)
    let bindings = settings.bindings()
    let (service, operations) = (settings.signingKey(), settings.endpoint("operations-url"))
    let seats = settings.optional("evaluation-seats", Setting.count)
    let days = settings.optional("evaluation-days", Setting.count)
    let most = Licence.Edition.evaluation.most
    if let seats, seats > most.seats || days ?? 30 > most.days {
      settings.fault(
        "An evaluation has at most \(most.seats) seats for \(most.days) days.",
        "Lower 'evaluation-seats' or 'evaluation-days'.")
    }
    guard let folder, let bindings, let key, let callers, let service, let operations, settings.isGood else {
      throw settings.failure
    }
    configuration = .init(
      folder: folder, key: key, formerKeys: former ?? [],
      evaluation: seats.map { .init(seats: $0, days: days ?? 30) }, bindings: bindings, callers: callers,
      users: users, audit: AuditDelivery(operations: operations, key: service),
      now: { Date().timeIntervalSince1970 })
    configuration.fronts = fronts
  }

  private static func keyFile(_ settings: inout ServiceSettings) -> AgentKey? {
    settings.required("licence-key", example: "/etc/godwit/licence.key") { path in
      guard let key = try SigningKey.find(file: path) else {
        throw ConfigurationError("There is no \(path).", remedy: "Make it by 'godwit key \(path)'.")
      }
      return key
    }
  }

  /// The key itself, as function platforms hand out secrets.
  private static func secret(_ settings: inout ServiceSettings) -> AgentKey? {
    settings.required("licence-secret", example: "the base64url of the 32 bytes of a key") { text in
      guard let bytes = Base64URL.decode(text), let key = try? AgentKey(rawRepresentation: bytes) else {
        throw ConfigurationError("It is no key.", remedy: "Give the 32 bytes of a key of 'godwit key' as base64url.")
      }
      return key
    }
  }

  func service(_ logger: Logger, _ onRunning: @escaping HostedService.OnRunning) throws -> any Service {
    try LicensingService(configuration, logger: logger, onRunning: onRunning)
  }
}

extension ServiceSettings {
  /// The port that a function platform gives: `FC_SERVER_PORT` or `PORT` of the environment.
  fileprivate mutating func functionPort(_ environment: [String: String]) -> Int? {
    for name in ["FC_SERVER_PORT", "PORT"] {
      guard let text = environment[name] else { continue }
      if let port = UInt16(text) { return Int(port) }
      fault("\(name) is '\(text)', which is no port.", "Give a number from 0 to 65535.")
      return nil
    }
    fault("The environment gives no port.", "Set PORT (or FC_SERVER_PORT) to the port to listen on.")
    return nil
  }
}
