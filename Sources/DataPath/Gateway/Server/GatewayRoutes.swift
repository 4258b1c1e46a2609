import FoundationEssentials
import Frames
import HTTPTypes
import Hummingbird
import HummingbirdCore
import NIOCore
import NIOPosix
import Replication
import Wire

/// The requests of api/wire.md.
struct GatewayRoutes: Sendable {
  let authenticator: Authenticator
  let replicas: Replicas
  let pool: NIOThreadPool
  let admission: Admission
  let sealWait: Int

  /// Most leaves in one answer.
  private static let maximumLeaves = 65_536

  func add(to router: Router<BasicRequestContext>) {
    router.post("v1/sessions/:session/open") { try await open($0, $1) }
    router.get("v1/sessions/:session/disks/:disk/held") { try await held($0, $1) }
    router.get("v1/sessions/:session/disks/:disk/leaves") { try await leaves($0, $1) }
    router.put("v1/sessions/:session/frames/:sequence") { try await frame($0, $1) }
    router.post("v1/sessions/:session/flush") { try await flush($0, $1) }
    router.post("v1/sessions/:session/seal") { try await seal($0, $1) }
    router.post("v1/sessions/:session/conclude") { try await conclude($0, $1) }
    addPoints(to: router)
  }

  func caller(_ request: Request, _ context: BasicRequestContext) throws -> Authenticator.Caller {
    try authenticator.authenticate(request, session: context.parameters.require("session"))
  }

  // MARK: Opening and asking

  private func open(_ request: Request, _ context: BasicRequestContext) async throws -> Response {
    let grant = try caller(request, context).grant
    let fresh = request.uri.queryParameters["fresh"] == "1"
    let replica = try await pool.runIfActive { [replicas] in
      let replica = try replicas.load(grant, isFirst: fresh)
      if let busy = try replica.readUnread() { throw busy }
      return replica
    }
    let reply = await replica.open(grant, fresh: fresh)
    switch reply {
    case .opened(let epoch, _):
      if let window = grant.scrub { try await pool.runIfActive { try replica.unseal(window) } }
      return try await json(pool.runIfActive { try replica.openAnswer(epoch: epoch) })
    case .alreadySealed(let epoch, _):
      return try await json(pool.runIfActive { try replica.openAnswer(epoch: epoch) })
    case .refused(.superseded):
      // What was sealed stays sealed: only who knows that it was not may thaw its source.
      guard let past = try await pool.runIfActive({ try replica.pastAnswer(session: grant.session) }) else {
        throw Problem(.superseded)
      }
      return try json(past)
    case .refused(let refusal): throw Problem(refusal)
    default: throw Problem.failed("the replica answered an opening with something else")
    }
  }

  /// The replica of a session that is the one opened last, and one of its disks.
  private func disk(_ request: Request, _ context: BasicRequestContext) throws -> (Replica, Int) {
    let grant = try caller(request, context).grant
    let replica = try replicas.opened(grant)
    guard replica.session == grant.session else { throw Problem.epochClosed }
    guard let disk = context.parameters.get("disk", as: Int.self), replica.disks.indices.contains(disk) else {
      throw Problem.badRequest("out_of_range", "the session has no such disk")
    }
    return (replica, disk)
  }

  private func held(_ request: Request, _ context: BasicRequestContext) async throws -> Response {
    let (replica, disk) = try disk(request, context)
    return bytes(replica.held(disk).bytes)
  }

  private func leaves(_ request: Request, _ context: BasicRequestContext) async throws -> Response {
    let (replica, disk) = try disk(request, context)
    let query = request.uri.queryParameters
    guard let from = query.get("from", as: Int.self), let count = query.get("count", as: Int.self),
      0...Self.maximumLeaves ~= count, 0...replica.disks[disk].map.count ~= from,
      from + count <= replica.disks[disk].map.count
    else { throw Problem.badRequest("out_of_range", "from and count do not name leaves of the disk") }
    return bytes(try await replica.leaves(disk: disk, from..<from + count))
  }

  // MARK: Frames

  private func frame(_ request: Request, _ context: BasicRequestContext) async throws -> Response {
    let grant = try caller(request, context).grant
    let replica = try replicas.opened(grant)
    guard let sequence = context.parameters.get("sequence", as: UInt64.self) else {
      throw Problem.badRequest("malformed_frame", "the sequence is not a number")
    }
    let epoch = try epoch(request)
    let length = try RequestBytes.length(of: request)
    return try await admission.hold(length, for: "\(grant.tenant) \(grant.session)") {
      let body = try await RequestBytes.collect(request)
      let frame = try await decode(body, grant)
      let reply = await replica.write(
        frame, session: grant.session, epoch: epoch, sequence: Sequence(rawValue: sequence))
      switch reply {
      case .acknowledged: return Response(status: .noContent)
      case .refused(let refusal): throw Problem(refusal)
      default: throw Problem.failed("the replica answered a frame with something else")
      }
    }
  }

  private func decode(_ body: ByteBuffer, _ grant: SessionGrant) async throws -> Frame {
    do {
      let payload = try FrameDecoder.declaredPayload(of: body)
      return try await admission.holdMore(payload, for: "\(grant.tenant) \(grant.session)") {
        try await pool.runIfActive { try FrameDecoder(sizes: grant.disks.map(\.size)).decode(body) }
      }
    } catch let error as FrameError { throw Problem(error) }
  }

  private func epoch(_ request: Request) throws(Problem) -> Epoch {
    guard let epoch = request.uri.queryParameters.get("epoch", as: UInt64.self) else {
      throw .badRequest("bad_request", "the epoch is missing")
    }
    return Epoch(rawValue: epoch)
  }

  // MARK: Flush and seal

  private func flush(_ request: Request, _ context: BasicRequestContext) async throws -> Response {
    let grant = try caller(request, context).grant
    let replica = try replicas.opened(grant)
    let epoch = try epoch(request)
    let query = request.uri.queryParameters
    guard let through = query.get("through", as: UInt64.self), let part = query.get("part", as: UInt64.self) else {
      throw Problem.badRequest("bad_request", "through or part is missing")
    }
    let length = try RequestBytes.length(of: request)
    return try await admission.hold(length, for: "\(grant.tenant) \(grant.session)") {
      let body = Array(try await RequestBytes.collect(request).readableBytesView)
      let records = try await pool.runIfActive { try ManifestPart.decode(body, sizes: replica.sizes) }
      try await pool.runIfActive { try replica.refuseOtherBytes(session: grant.session, part: part, body) }
      let reply = await replica.ask {
        .flush(
          $0, session: grant.session, epoch: epoch, through: Sequence(rawValue: through), part: part, records: records)
      }
      switch reply {
      case .flushed(let through):
        let chain = try await pool.runIfActive { replica.chain }
        return try json(FlushAnswer(epoch: epoch.rawValue, through: through.rawValue, chain: chain))
      case .refused(let refusal): throw Problem(refusal)
      default: throw Problem.failed("the replica answered a flush with something else")
      }
    }
  }

  private func seal(_ request: Request, _ context: BasicRequestContext) async throws -> Response {
    let caller = try caller(request, context)
    let replica = try replicas.opened(caller.grant)
    let body = try await RequestBytes.collect(request)
    guard let wanted = try? JSONDecoder().decode(SealRequest.self, from: Data(body.readableBytesView)) else {
      throw Problem.badRequest("bad_request", "the body is not a SealRequest")
    }
    try await pool.runIfActive {
      try replica.check(wanted, session: caller.grant.session, publicKey: caller.publicKey)
    }
    let answer = try await replica.seal(session: caller.grant.session, request: wanted) { end in
      MultiThreadedEventLoopGroup.singleton.next().scheduleTask(in: .seconds(Int64(sealWait)), end)
    }
    return try json(answer, status: answer.state == .reading ? .accepted : .ok)
  }

  private func conclude(_ request: Request, _ context: BasicRequestContext) async throws -> Response {
    let grant = try authenticator.authenticateIssuer(request, session: context.parameters.require("session"))
    let replica = try await pool.runIfActive { [replicas] in try replicas.load(grant) }
    if request.uri.queryParameters["retire"] == "1" { try await replica.decide(grant) }
    return try await json(pool.runIfActive { try replica.conclusion(of: grant) })
  }

  // MARK: Answers

  func json(_ value: some Encodable, status: HTTPResponse.Status = .ok) throws -> Response {
    let body = ByteBuffer(bytes: try JSONEncoder().encode(value))
    return Response(status: status, headers: [.contentType: "application/json"], body: .init(byteBuffer: body))
  }

  func bytes(_ bytes: [UInt8]) -> Response {
    Response(
      status: .ok, headers: [.contentType: "application/octet-stream"],
      body: .init(byteBuffer: ByteBuffer(bytes: bytes)))
  }
}
