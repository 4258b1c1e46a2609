import FoundationEssentials
public import NIOCore
public import Replication
import Synchronization
public import Wire

/// The agent's side of one session with a gateway (api/wire.md). Every method sends one request and throws
/// `TransportError`; nothing is repeated here, because only the sync knows what a lost request means.
public final class GatewayClient: Sendable {
  private let client: SecureClient
  private let session: String
  private let grant: Mutex<String>

  /// - Parameters:
  ///   - base: `https://HOST[:PORT]`.
  ///   - grant: `SessionGrant` as a signed token.
  public init(client: SecureClient, base: String, session: String, grant: String) {
    self.client = client
    self.session = (base.hasSuffix("/") ? String(base.dropLast()) : base) + "/v1/sessions/\(session)"
    self.grant = Mutex(grant)
  }

  /// Goes on with a fresh grant for the same session.
  public func renew(grant new: String) { grant.withLock { $0 = new } }

  private func send(
    _ method: HTTPVerb, _ path: String, body: ByteBuffer? = nil, contentType: String = "application/octet-stream",
    timeout: TimeAmount = .seconds(60), limit: Int = 8 << 20
  ) async throws -> SecureClient.Answer {
    try await client.send(
      method, session + path, token: grant.withLock { $0 }, body: body, contentType: contentType, timeout: timeout,
      limit: limit)
  }

  public func open(fresh: Bool) async throws -> OpenAnswer {
    // The gateway first lets every write of the older epoch end.
    try decode(OpenAnswer.self, from: await send(.post, "/open?fresh=\(fresh ? 1 : 0)", timeout: .seconds(120)))
  }

  /// Which of the disk's `leaves` leaves are known as a whole.
  public func held(disk: UInt16, leaves: Int) async throws -> Bitmap {
    let answer = try await send(.get, "/disks/\(disk)/held", timeout: .seconds(120), limit: (leaves + 7) / 8 + 4096)
    return Bitmap(count: leaves, bytes: answer.body.readableBytesView)
  }

  /// What the gateway says of `leaves` (at most 65,536), in order.
  public func leaves(disk: UInt16, _ leaves: Range<UInt64>) async throws -> [LeafRecord] {
    let path = "/disks/\(disk)/leaves?from=\(leaves.lowerBound)&count=\(leaves.count)"
    var body = try await send(.get, path).body
    var records: [LeafRecord] = []
    records.reserveCapacity(leaves.count)
    for leaf in leaves {
      guard let raw = body.readInteger(as: UInt8.self), let kind = LeafKind(rawValue: raw),
        let (a, b, c, d) = body.readMultipleIntegers(
          endianness: .little, as: (UInt64, UInt64, UInt64, UInt64).self)
      else { throw badAnswer("leaf \(leaf) is missing or of an unknown kind") }
      records.append(
        LeafRecord(
          disk: disk, leaf: leaf, kind: kind, digest: kind == .data ? LeafDigest(a: a, b: b, c: c, d: d) : .none))
    }
    return records
  }

  /// Returns when the frame is written (not yet durable).
  public func put(frame: ByteBuffer, sequence: Sequence, epoch: Epoch, timeout: Duration) async throws {
    _ = try await send(
      .put, "/frames/\(sequence.rawValue)?epoch=\(epoch.rawValue)", body: frame,
      timeout: TimeAmount(timeout))
  }

  public func flush(epoch: Epoch, through: Sequence, part: UInt64, records: [UInt8]) async throws -> FlushAnswer {
    let path = "/flush?epoch=\(epoch.rawValue)&through=\(through.rawValue)&part=\(part)"
    return try decode(
      FlushAnswer.self, from: await send(.post, path, body: ByteBuffer(bytes: records), timeout: .seconds(120)))
  }

  public func seal(_ request: SealRequest) async throws -> SealAnswer {
    let body = ByteBuffer(bytes: try JSONEncoder().encode(request))
    return try decode(SealAnswer.self, from: await send(.post, "/seal", body: body, contentType: "application/json"))
  }

  private func decode<Value: Decodable>(_ type: Value.Type, from answer: SecureClient.Answer) throws -> Value {
    do { return try JSONDecoder().decode(type, from: Data(answer.body.readableBytesView)) } catch {
      throw badAnswer("\(type): \(error)")
    }
  }

  private func badAnswer(_ reason: String) -> TransportError {
    .badAnswer(host: TransportError.authority(of: session), reason: reason)
  }
}
