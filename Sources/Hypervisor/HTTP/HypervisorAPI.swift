import FoundationEssentials
import HTTPTypes
import Hummingbird
import NIOCore

/// The routes of api/hypervisor.md. Bodies are JSON; each answers when the work is done, which takes well under a second.
struct HypervisorAPI: Sendable {
  static let longestBody = 1 << 20
  static let longestConsole = 16 << 20

  let cloud: LocalCloud

  func router(token: BearerToken) -> Router<BasicRequestContext> {
    let router = Router(context: BasicRequestContext.self)
    router.add(middleware: ProblemMiddleware())
    router.add(middleware: BearerMiddleware(token: token))
    let routes = router.group("v1")
    addVolumes(to: routes)
    addMachines(to: routes)
    routes.get("health") { _, _ in try json(Health(status: "ok", directIO: cloud.directIO)) }
    routes.get("accelerator") { _, _ in try json(await cloud.accelerator()) }
    routes.get("resources") { request, _ in try json(cloud.resources(tags: try tags(of: request))) }
    return router
  }

  private struct Health: Codable {
    var status: String
    /// Whether volumes bypass the host's page cache.
    var directIO: Bool
  }

  private func addVolumes(to routes: RouterGroup<BasicRequestContext>) {
    routes.put("volumes/{id}") { request, context in
      let id = try context.parameters.require("id")
      return try json(try await cloud.createVolume(id, try await body(of: request)))
    }
    routes.get("volumes/{id}") { _, context in try json(cloud.volume(try context.parameters.require("id"))) }
    routes.delete("volumes/{id}") { _, context in
      try await cloud.deleteVolume(try context.parameters.require("id"))
      return Response(status: .noContent)
    }
    routes.put("volumes/{id}/attachment") { _, context in
      try json(try await cloud.attachVolume(try context.parameters.require("id")))
    }
    routes.delete("volumes/{id}/attachment") { _, context in
      try await cloud.detachVolume(try context.parameters.require("id"))
      return Response(status: .noContent)
    }
    routes.put("snapshots/{id}") { request, context in
      let id = try context.parameters.require("id")
      return try json(try await cloud.createSnapshot(id, try await body(of: request)))
    }
    routes.get("snapshots/{id}") { _, context in try json(cloud.snapshot(try context.parameters.require("id"))) }
    routes.delete("snapshots/{id}") { _, context in
      try await cloud.deleteSnapshot(try context.parameters.require("id"))
      return Response(status: .noContent)
    }
  }

  private func addMachines(to routes: RouterGroup<BasicRequestContext>) {
    routes.put("machines/{id}") { request, context in
      let id = try context.parameters.require("id")
      return try json(try await cloud.createMachine(id, try await body(of: request)))
    }
    routes.get("machines/{id}") { _, context in try json(cloud.machine(try context.parameters.require("id"))) }
    routes.delete("machines/{id}") { _, context in
      try await cloud.deleteMachine(try context.parameters.require("id"))
      return Response(status: .noContent)
    }
    routes.post("machines/{id}/stop") { _, context in
      try await cloud.stopMachine(try context.parameters.require("id"))
      return Response(status: .noContent)
    }
    routes.post("machines/{id}/start") { _, context in
      try await cloud.startMachine(try context.parameters.require("id"))
      return Response(status: .noContent)
    }
    routes.get("machines/{id}/console") { request, context in
      let limit = request.uri.queryParameters["limit"].flatMap { Int($0) } ?? Self.longestConsole
      let id = try context.parameters.require("id")
      return bytes(
        try await cloud.console(id, limit: min(max(limit, 0), Self.longestConsole)), type: "application/octet-stream")
    }
    routes.get("machines/{id}/screenshot") { _, context in
      bytes(try await cloud.screenshot(try context.parameters.require("id")), type: "image/png")
    }
  }

  // MARK: Bodies

  private func body<Value: Decodable>(of request: Request) async throws -> Value {
    let buffer = try await request.body.collect(upTo: Self.longestBody)
    do {
      return try JSONDecoder().decode(Value.self, from: Data(buffer.readableBytesView))
    } catch {
      throw HypervisorError(.invalid, "the body is not the JSON asked for: \(error)")
    }
  }

  /// `tag=key=value`, any number of times.
  private func tags(of request: Request) throws -> [String: String] {
    var tags: [String: String] = [:]
    for (_, pair) in request.uri.queryParameters.filter({ $0.key == "tag" }) {
      guard let equals = pair.firstIndex(of: "=") else {
        throw HypervisorError(.invalid, "a tag is asked for as tag=KEY=VALUE")
      }
      tags[String(pair[..<equals])] = String(pair[pair.index(after: equals)...])
    }
    return tags
  }

  private func json(_ value: some Encodable) throws -> Response {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return bytes([UInt8](try encoder.encode(value)), type: "application/json")
  }

  private func bytes(_ bytes: [UInt8], type: String) -> Response {
    Response(status: .ok, headers: [.contentType: type], body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
  }
}
