import FoundationEssentials
import NIOCore
import NIOHTTP1
import ServiceKit
import Wire

/// A gateway as this service asks it about points: with a grant that the service gives itself.
struct GatewayPoints: Sendable {
  private let gateway: CloudsAPI.Gateway
  private let session: String
  private let grant: String
  private let key: AgentKey
  private let now: Int

  /// - Parameter disks: the replica's volumes, and where they are to be read.
  init(
    _ gateway: CloudsAPI.Gateway, tenant: String, migration: String, session: String, disks: [SessionGrant.Disk],
    key: AgentKey, now: Int
  ) throws {
    (self.gateway, self.session, self.key, self.now) = (gateway, session, key, now)
    // Opens nothing, so its place in the order of sessions means nothing.
    grant = try CompactJWS.sign(
      SessionGrant(
        tenant: tenant, migration: migration, session: session, ordinal: 0, disks: disks,
        cnf: .init(jkt: key.thumbprint), exp: now + 300), with: key)
  }

  /// Bytes of the longest history taken: that of about 2 TiB without a sync between.
  private static let longest = 2 << 30

  /// A `ManifestHistory`, encoded.
  func manifests() async throws -> [UInt8] {
    Array(buffer: try await send(.get, RESTClient.path("v1", "points", session, "manifests")))
  }

  func verify(run: String) async throws -> VerifyAnswer {
    let path = RESTClient.path("v1", "points", session, "verify")
    let answer = try await send(.post, path, query: "?run=\(run)")
    return try JSONDecoder().decode(VerifyAnswer.self, from: Data(answer.readableBytesView))
  }

  private enum Verb: String { case get = "GET", post = "POST" }

  private func send(_ verb: Verb, _ path: String, query: String = "") async throws -> ByteBuffer {
    let client = try RESTClient(
      name: "gateway", endpoint: .web(url: gateway.url, ca: gateway.ca.isEmpty ? nil : gateway.ca),
      timeout: .seconds(600), repeats: false
    ) { "DPoP " + grant }
    let proof = try KeyProof.make(
      key: key, method: verb.rawValue, url: gateway.url + path, accessToken: grant, now: now,
      jti: Secret.text(bytes: 12))
    return try await client.send(
      verb == .get ? .GET : .POST, path + query, headers: ["DPoP": proof], limit: Self.longest)
  }
}
