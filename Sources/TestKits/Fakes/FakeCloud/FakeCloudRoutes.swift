import HTTPTypes
public import Hummingbird
import Machines
import NIOCore
import NIOPosix
import Providers
public import ServiceKit
import Wire

/// The HTTP face of a fake cloud: one route a verb, and `/admin` for the tests.
public struct FakeCloudRoutes: Sendable {
  private let cloud: FakeCloud
  private let secret: String?

  /// - Parameter secret: what callers must show as their bearer token; nil lets everyone in.
  public init(_ cloud: FakeCloud, secret: String? = nil) { (self.cloud, self.secret) = (cloud, secret) }

  public func add(to router: Router<ServiceContext>) {
    storage(router)
    compute(router)
    router.put("admin/faults") { request, _ in
      cloud.faults.set(try await request.json(Faults.self))
      return HTTPResponse.Status.noContent
    }
    router.get("admin/hits") { _, _ in try JSONAnswer(cloud.faults.hits) }
    router.get("admin/log") { _, _ in try JSONAnswer(try cloud.log.entries()) }
    router.put("admin/consoles") { request, _ in
      try cloud.setScripts(try await request.json(ConsoleScripts.self))
      return HTTPResponse.Status.noContent
    }
  }

  private func storage(_ router: Router<ServiceContext>) {
    router.put("volumes/:id") { request, context in
      let body = try await request.json(FakeVolumeBody.self)
      return try await run(request, context) {
        try JSONAnswer(try cloud.createVolume($0, size: body.size, from: body.snapshot, tags: body.tags))
      }
    }
    router.get("volumes/:id") { request, context in
      try await run(request, context) { try JSONAnswer(try found(cloud.volume($0), $0)) }
    }
    router.delete("volumes/:id") { request, context in
      try await run(request, context) { try none(cloud.deleteVolume($0)) }
    }
    router.put("volumes/:id/attachment") { request, context in
      try await run(request, context) { try JSONAnswer(FakeLocation(location: try cloud.attachVolume($0))) }
    }
    router.delete("volumes/:id/attachment") { request, context in
      try await run(request, context) { try none(cloud.detachVolume($0)) }
    }
    router.put("snapshots/:id") { request, context in
      let body = try await request.json(FakeSnapshotBody.self)
      return try await run(request, context) {
        try JSONAnswer(try cloud.createSnapshot($0, of: body.volume, tags: body.tags))
      }
    }
    router.get("snapshots/:id") { request, context in
      try await run(request, context) { try JSONAnswer(try found(cloud.snapshot($0), $0)) }
    }
    router.delete("snapshots/:id") { request, context in
      try await run(request, context) { try none(cloud.deleteSnapshot($0)) }
    }
    router.post("list") { request, context in
      let tags = try await request.json(Tags.self)
      return try await run(request, context) { _ in try JSONAnswer(try cloud.list(tags: tags)) }
    }
  }

  private func compute(_ router: Router<ServiceContext>) {
    router.put("machines/:id") { request, context in
      let body = try await request.json(FakeMachineBody.self)
      return try await run(request, context) {
        try JSONAnswer(try cloud.createMachine($0, body.wish, tags: body.tags))
      }
    }
    router.get("machines/:id") { request, context in
      try await run(request, context) { try JSONAnswer(try found(cloud.machine($0), $0)) }
    }
    router.delete("machines/:id") { request, context in
      try await run(request, context) { try none(cloud.deleteMachine($0)) }
    }
    router.put("machines/:id/running") { request, context in
      try await run(request, context) { try none(cloud.startMachine($0)) }
    }
    router.delete("machines/:id/running") { request, context in
      try await run(request, context) { try none(cloud.stopMachine($0)) }
    }
    router.get("machines/:id/console") { request, context in
      let limit = request.uri.queryParameters.get("limit", as: Int.self) ?? 64 << 10
      return try await run(request, context) { Bytes(try cloud.console($0, limit: limit)) }
    }
    router.get("machines/:id/screenshot") { request, context in
      try await run(request, context) { Bytes(try cloud.screenshot($0)) }
    }
    router.post("list-machines") { request, context in
      let tags = try await request.json(Tags.self)
      return try await run(request, context) { _ in try JSONAnswer(try cloud.listMachines(tags: tags)) }
    }
  }

  /// Checks the secret, rolls the dice, and runs a verb on a thread where files may block.
  private func run(
    _ request: Request, _ context: ServiceContext,
    _ verb: @escaping @Sendable (ResourceID) throws -> any ResponseGenerator
  ) async throws -> Response {
    if let secret, request.bearerToken.map({ Secret.same($0, secret) }) != true {
      throw problem(ProviderError(.credentials, "the secret is wrong"))
    }
    let verdict = cloud.faults.roll()
    if verdict == .error { throw problem(ProviderError(.unavailable, "an injected error")) }
    if verdict == .throttle {
      throw Problem(code: "unavailable", status: 429, detail: "an injected throttling", remedy: "Wait.")
    }
    let id = ResourceID(rawValue: context.parameters.get("id") ?? "")
    let outcome = try await NIOThreadPool.singleton.runIfActive {
      Result { try verb(id).response(from: request, context: context) }
    }
    if verdict == .loseAnswer { return Self.broken }
    do { return try outcome.get() } catch let error as ProviderError { throw problem(error) }
  }

  /// An answer whose connection breaks before its body.
  private static var broken: Response {
    Response(status: .ok, headers: [.contentLength: "9"], body: .init { _ in throw LostAnswer() })
  }
  private struct LostAnswer: Error {}

  private func problem(_ error: ProviderError) -> Problem {
    let status =
      switch error.code {
      case .notFound: 404
      case .conflict, .inUse: 409
      case .invalid: 422
      case .quota, .permission: 403
      case .credentials: 401
      case .unavailable: 503
      case .failed: 500
      }
    return Problem(code: error.code.rawValue, status: status, detail: error.message, remedy: "")
  }

  private func found<Value>(_ value: Value?, _ id: ResourceID) throws -> Value {
    guard let value else { throw ProviderError(.notFound, "there is no \(id)") }
    return value
  }

  private func none(_ done: Void) -> HTTPResponse.Status { .noContent }
}

private struct Bytes: ResponseGenerator {
  let bytes: [UInt8]
  init(_ bytes: [UInt8]) { self.bytes = bytes }
  func response(from request: Request, context: some RequestContext) throws -> Response {
    Response(status: .ok, body: .init(byteBuffer: ByteBuffer(bytes: bytes)))
  }
}

struct FakeVolumeBody: Codable {
  var size: UInt64
  var snapshot: ResourceID?
  var tags: Tags
}
struct FakeSnapshotBody: Codable {
  var volume: ResourceID
  var tags: Tags
}
struct FakeMachineBody: Codable {
  var wish: MachineWish
  var tags: Tags
}
struct FakeLocation: Codable { var location: String }
