import FoundationEssentials
import Hummingbird
import HummingbirdCore
import NIOCore
import NIOPosix
import Wire

/// The requests about points. The grant is for the session that made the point; its holder is the service.
extension GatewayRoutes {
  func addPoints(to router: Router<BasicRequestContext>) {
    router.get("v1/points/:session/manifests") { request, context in
      let grant = try caller(request, context).grant
      return bytes(try await pool.runIfActive { [replicas] in try replicas.manifests(grant) })
    }
    router.post("v1/points/:session/verify") { request, context in
      let grant = try caller(request, context).grant
      guard let run = request.uri.queryParameters.get("run"), (1...128).contains(run.utf8.count) else {
        throw Problem.badRequest("bad_request", "the run's name is missing")
      }
      let (reading, isNew) = try await pool.runIfActive { [replicas] in try replicas.reading(grant, run: run) }
      if isNew { pool.submit { state in if case .active = state { reading.run() } } }
      let answer = reading.answer
      return try json(answer, status: answer.state == .reading ? .accepted : .ok)
    }
  }
}
