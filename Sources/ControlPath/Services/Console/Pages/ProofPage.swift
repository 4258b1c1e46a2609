import Foundation
import HTTPTypes
import Hummingbird
import Machines
import NIOCore
import NIOHTTP1
import ServiceKit
import Wire

/// What proves that a machine started: on a page, on paper, and as one file that needs nothing else.
struct ProofPage {
  /// Bytes of evidence that are embedded; more is named instead.
  private static let mostEvidence = 16 << 20
  /// Characters of the console that are shown.
  private static let tail = 6000

  func add(to pages: PageRegistry) {
    pages.get("/t/{tenant}/launches/{id}", .member) { visit in
      let (launch, view) = try await Self.view(visit)
      var own = view
      own["screenshot"] = launch.proof?.screenshot == true ? visit.path("launches", launch.id, "screenshot") : nil
      return try visit.page("proof", title: Self.title(launch, view, visit), section: .migrations, own)
    }
    pages.get("/t/{tenant}/launches/{id}/screenshot", .member) { visit in
      let picture = try await visit.api.bytes(.migration, "launches", try visit.id(), "screenshot")
      return Response(
        status: .ok, headers: [.contentType: "image/png", .cacheControl: "private, max-age=3600"],
        body: .init(byteBuffer: picture))
    }
    pages.get("/t/{tenant}/launches/{id}/report", .member) { try await Self.report($0) }
    pages.post("/t/{tenant}/launches/{id}/remove", .member) { visit in
      let id = try visit.id()
      try await visit.api.send(.DELETE, .migration, "launches", id)
      return visit.redirect(visit.path("launches", id), done: "asked_end")
    }
    pages.get("/t/{tenant}/points/{id}/evidence", .member) { visit in
      let id = try visit.id()
      let evidence = try await visit.api.bytes(.migration, "points", id, "evidence", limit: 256 << 20)
      return Response(
        status: .ok,
        headers: [
          .contentType: "application/octet-stream", .contentDisposition: "attachment; filename=\"\(id).evidence\""
        ], body: .init(byteBuffer: evidence))
    }
  }

  private static func title(_ launch: MigrationAPI.Launch, _ view: View, _ visit: Visit) -> String {
    visit.text("proof.title_" + launch.kind.rawValue, ["name": view["migration_name"] as? String ?? ""])
  }

  private static func view(_ visit: Visit) async throws -> (MigrationAPI.Launch, View) {
    let api = try visit.api
    let launch = try await api.get(.migration, "launches", try visit.id(), as: MigrationAPI.Launch.self)
    async let wantedPoint = try? api.get(.migration, "points", launch.point, as: MigrationAPI.Point.self)
    let migration = try await api.migration(launch.migration)
    var view: View = [
      "id": launch.id, "migration_name": migration.name, "migration": visit.path("migrations", migration.id),
      "stream": visit.path("live", "migration-" + migration.id), "target": migration.target,
      "shape": try await shape(migration, api), "state": visit.text("launch_state." + launch.state.rawValue),
      "at": visit.figures.instant(launch.createdAt), "path": visit.path("launches", launch.id),
      "is_test": launch.kind == .test, "can_end": launch.kind == .test && launch.state == .running,
      "working": [.cloning, .repairing, .starting].contains(launch.state),
      "forwards": launch.forwards.map { ["port": $0.guestPort, "address": $0.address] as View },
      "has_forwards": !launch.forwards.isEmpty
    ]
    if let expires = launch.expiresAt { view["expires"] = visit.figures.instant(expires) }
    if let problem = launch.problem { view["problem"] = visit.words.explain(problem).view }
    if let proof = launch.proof { view["proof"] = proofView(proof, visit) }
    if let repair = launch.repair {
      view["edits"] = repair.edits.map { ["path": $0.path, "reason": $0.reason] as View }
      view["edit_count"] = visit.text("proof.edits", ["count": String(repair.edits.count)])
    }
    if let point = await wantedPoint { view["point"] = pointView(point, migration, visit) }
    return (launch, view)
  }

  private static func shape(_ migration: MigrationAPI.Migration, _ api: TenantAPI) async throws -> String {
    ([LiveTopic.shape(migration)] + (try await api.launches(migration.id)).map { "\($0.id):\($0.state.rawValue)" })
      .joined(separator: " ")
  }

  private static func proofView(_ proof: MigrationAPI.Launch.Proof, _ visit: Visit) -> View {
    // Guests write control sequences and characters; a page shows none of them.
    let text = proof.console.replacing(/\u{1B}\[[0-9;?]*[A-Za-z]/, with: "")
    let clean = text.unicodeScalars.filter { $0 == "\n" || ($0.value >= 0x20 && $0.value != 0x7F) }
    return [
      "passed": proof.passed, "verdict": visit.text(proof.passed ? "proof.passed" : "proof.failed"),
      "tone": proof.passed ? "good" : "bad", "detail": proof.verdict, "at": visit.figures.instant(proof.at),
      "console": String(String(String.UnicodeScalarView(clean)).suffix(tail))
    ]
  }

  private static func pointView(
    _ point: MigrationAPI.Point, _ migration: MigrationAPI.Migration, _ visit: Visit
  ) -> View {
    let leaf = UInt64(64 << 10)
    return [
      "id": point.id, "at": visit.figures.instant(point.createdAt), "level": MigrationPage.level(point, visit),
      "verified": visit.figures.bytes(point.receipt.readBackLeaves * leaf), "signature": point.receipt.gatewaySignature,
      "key": point.receipt.gatewayKey, "has_evidence": point.hasEvidence == true,
      "evidence": visit.path("points", point.id, "evidence"),
      "disks": point.receipt.disks.map { disk -> View in
        [
          "name": migration.disks.first { $0.volume == disk.volume }?.name ?? disk.volume, "root": disk.root,
          "data": visit.figures.bytes(disk.dataLeaves * leaf),
          "zero": visit.figures.bytes(disk.zeroLeaves * leaf), "free": visit.figures.bytes(disk.freeLeaves * leaf)
        ]
      }
    ]
  }

  /// One file: style, picture and evidence are inside.
  private static func report(_ visit: Visit) async throws -> Response {
    let (launch, own) = try await view(visit)
    let api = try visit.api
    var view = own
    if launch.proof?.screenshot == true {
      let picture = try await api.bytes(.migration, "launches", launch.id, "screenshot")
      view["screenshot"] = "data:image/png;base64," + Data(picture.readableBytesView).base64EncodedString()
    }
    if (own["point"] as? View)?["has_evidence"] as? Bool == true {
      do {
        let evidence = try await api.bytes(.migration, "points", launch.point, "evidence", limit: mostEvidence)
        view["embedded"] = Data(evidence.readableBytesView).base64EncodedString()
      } catch let problem as Problem {
        // The rest of the proof is good without it, and says so.
        view["not_embedded"] = visit.words.explain(problem).what
      }
    }
    if let style = visit.parts.resources.assets["console.css"] {
      view["style"] = String(decoding: style.bytes, as: UTF8.self)
    }
    view["made"] = visit.figures.instant(visit.parts.now)
    view["tenant_name"] = visit.seat?.name
    var response = try visit.page("report", title: title(launch, own, visit), view)
    response.headers[.contentDisposition] = "attachment; filename=\"proof-\(launch.id).html\""
    return response
  }
}
