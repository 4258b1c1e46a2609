import Foundation
import HTTPTypes
import Hummingbird
import NIOCore
import ServiceKit
import Wire

/// The part of a gateway that the control plane speaks to: it decides sessions. What it holds lies in the plane's folder,
/// so that agents of other processes can seal there.
struct DecidingGateway: Sendable {
  let plane: ControlPlane

  func add(to router: Router<ServiceContext>) {
    router.post("v1/sessions/{session}/conclude") { request, context in
      let session = try context.parameters.require("session")
      try check(request, session)
      if let receipt = plane.receipt(of: session) {
        return try JSONAnswer(ConcludeAnswer(state: .sealed, receipt: receipt))
      }
      if request.uri.queryParameters["retire"] == "1" { plane.retire(session) }
      return try JSONAnswer(ConcludeAnswer(state: plane.isRetired(session) ? .retired : .undecided))
    }
  }

  /// As a gateway does: a grant by the issuer, for this session, and a proof by the issuer's own key.
  private func check(_ request: Request, _ session: String) throws {
    let issuer = try plane.key("migration")
    guard let header = request.headers[.authorization], header.hasPrefix("DPoP "),
      let proof = request.headers[HTTPField.Name("DPoP")!]
    else { throw Problem.malformed("no grant") }
    let token = String(header.dropFirst(5))
    let grant = try CompactJWS.verify(token, publicKey: issuer.publicKey, as: SessionGrant.self)
    let proven = try KeyProof.verify(
      proof, method: "POST", url: plane.gatewayURL + request.uri.path, accessToken: token,
      now: Int(Date().timeIntervalSince1970))
    guard grant.session == session, grant.ordinal > 0, grant.disks.count == 2,
      grant.cnf.jkt == issuer.thumbprint, proven.thumbprint == issuer.thumbprint
    else { throw Problem.malformed("the grant is not the issuer's own") }
  }
}

extension ControlPlane {
  private func file(_ session: String, _ kind: String) -> URL { URL(filePath: "\(folder)/gateway-\(session).\(kind)") }

  func receipt(of session: String) -> SealReceipt? {
    (try? Data(contentsOf: file(session, "receipt"))).flatMap { try? JSONDecoder().decode(SealReceipt.self, from: $0) }
  }

  func isRetired(_ session: String) -> Bool {
    FileManager.default.fileExists(atPath: file(session, "retired").path)
  }

  func retire(_ session: String) {
    _ = FileManager.default.createFile(atPath: file(session, "retired").path, contents: nil)
  }

  /// What an agent's seal comes to.
  func seal(_ receipt: SealReceipt) throws {
    try JSONEncoder().encode(receipt).write(to: file(receipt.session, "receipt"), options: .atomic)
  }
}
