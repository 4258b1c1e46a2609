import Foundation
import GRDB
import HTTPTypes
import Hummingbird
import NIOCore
import ServiceKit
import ServiceLifecycle
import Wire
import Workflows

/// The agents' side of the API. Authorised by key proofs; never by the tenants' tokens.
struct AgentRoutes: Sendable {
  let orchestrator: Orchestrator

  private var identity: AgentIdentity { AgentIdentity(orchestrator: orchestrator) }

  func add(to router: Router<ServiceContext>) {
    router.post("v1/enrolments") { request, context in
      let key = try await identity.proof(of: request, accessToken: nil)
      let enrolment = try await request.json(EnrolmentRequest.self)
      let source = try await orchestrator.auditor.during(
        request, context, tenant: "*", actor: "agent:" + key.thumbprint, refusals: { _ in false }
      ) { try await Enrolment(orchestrator: orchestrator).enrol(enrolment, key: key) }
      try orchestrator.configuration.faults.reach("agent.enrolled", .after)
      return try JSONAnswer(identity.credential(for: source), status: .created)
    }
    router.post("v1/agent/token") { request, _ in
      try JSONAnswer(identity.credential(for: try await identity.source(of: request, expired: true)))
    }
    router.get("v1/agent/commands") { request, _ in
      let source = try await identity.source(of: request)
      let instance = request.uri.queryParameters["instance"].map { String($0.prefix(64)) }
      let wait = min(max(request.uri.queryParameters["wait"].flatMap { Int($0) } ?? 0, 0), 60)
      return try JSONAnswer(try await commands(source, instance: instance, wait: wait))
    }
    router.post("v1/agent/reports") { request, _ in
      let source = try await identity.source(of: request)
      let instance = request.uri.queryParameters["instance"].map { String($0.prefix(64)) }
      try await AgentPresence(orchestrator: orchestrator).note(source, instance: instance)
      let report = try await request.json(AgentReport.self)
      try await take(report, from: source)
      try orchestrator.configuration.faults.reach("agent.reported.\(report.state.rawValue)", .after)
      return Response(status: .noContent)
    }
    router.get("v1/agent/download/linux-x86_64") { _, _ in try download() }
  }

  /// Open commands, at once when this process of the agent does not know one, else when the wait is over or
  /// the service is stopping.
  private func commands(_ source: SourceRow, instance: String?, wait: Int) async throws -> [AgentCommand] {
    let database = orchestrator.database
    let end = ContinuousClock.now + .seconds(wait)
    let me = instance ?? ""
    try await AgentPresence(orchestrator: orchestrator).note(source, instance: instance)
    while true {
      let open = try await database.pool.read { db in
        try CommandRow.filter(
          Column("tenant") == source.tenant && Column("source") == source.id && Column("ended") == false
        ).order(Column("rowid")).fetchAll(db)
      }
      let isNews = open.contains { $0.knownTo != me }
      if isNews || ContinuousClock.now >= end || Task.isShuttingDownGracefully {
        if isNews {
          try await database.write { db in
            for command in open {
              try MigrationDatabase.update(CommandRow.self, source.tenant, command.id, db) { $0.knownTo = me }
            }
          }
        }
        return open.map { AgentCommand(id: $0.id, body: $0.body) }
      }
      try await Task.sleep(for: .milliseconds(250))
    }
  }

  private func take(_ report: AgentReport, from source: SourceRow) async throws {
    let now = orchestrator.now()
    let waker = try await orchestrator.database.write { db -> String? in
      if let machine = report.machine {
        try MigrationDatabase.update(SourceRow.self, source.tenant, source.id, db) { $0.machine = machine }
      }
      guard var command = try MigrationDatabase.find(CommandRow.self, source.tenant, report.command, db),
        command.source == source.id
      else { throw Problem.notFound("command \(report.command)") }
      // The first end counts: a late repeat changes nothing.
      guard !command.ended else { return nil }
      // The gateway's word may have stood in for this agent's.
      let isDecided = command.report.map { $0.state != .running } ?? false
      if !isDecided { command.report = report }
      command.ended = report.state != .running
      try command.update(db)
      if case .sync(let sync) = command.body, let progress = report.progress {
        let before = try MigrationDatabase.find(SyncRow.self, source.tenant, sync.session, db)?.progress?.scrub
        try MigrationDatabase.update(SyncRow.self, source.tenant, sync.session, db) { $0.progress = progress }
        try MigrationDatabase.update(MigrationRow.self, source.tenant, sync.migration, db) {
          try $0.noteFound(progress.scrub, before: before, at: now, db)
        }
      }
      return command.ended ? command.waker : nil
    }
    if let waker { try await orchestrator.wake(waker) }
  }

  /// The agent's program, read in pieces.
  private func download() throws -> Response {
    guard let path = orchestrator.configuration.agentBinary, let file = FileHandle(forReadingAtPath: path) else {
      throw Problem(
        code: "agent_missing", status: 404, detail: "This service was started without the agent's program.",
        remedy: "Start it with the path of the static agent.")
    }
    let size = try file.seekToEnd()
    try file.seek(toOffset: 0)
    return Response(
      status: .ok, headers: [.contentType: "application/octet-stream"],
      body: ResponseBody(contentLength: Int(size)) { writer in
        defer { try? file.close() }
        while let piece = try file.read(upToCount: 256 << 10), !piece.isEmpty {
          try await writer.write(ByteBuffer(bytes: piece))
        }
        try await writer.finish(nil)
      })
  }
}
