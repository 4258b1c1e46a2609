import HTTPTypes
import Hummingbird
import NIOCore
import ServiceKit
import Wire

/// What proves points.
struct PointRoutes: Sendable {
  let orchestrator: Orchestrator

  func add(to tenant: RouterGroup<ServiceContext>) {
    tenant.get("points/{id}/evidence") { _, context in
      let point = try await orchestrator.database.found(PointRow.self, context)
      let bytes = try await orchestrator.evidence(of: point)
      return Response(
        status: .ok, headers: [.contentType: "application/octet-stream", .cacheControl: "no-store"],
        body: .init(byteBuffer: ByteBuffer(bytes: bytes)))
    }
    tenant.post("points/{id}/verify") { _, context in
      let point = try await orchestrator.beginVerify(try context.tenant, try context.parameter("id"))
      return try JSONAnswer(point.view, status: .accepted)
    }
  }
}
