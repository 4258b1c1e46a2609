import Conformance
import Foundation
import Testing
import WorkflowSQLite
import Workflows

@Suite(.timeLimit(.minutes(1)))
struct WorkflowStoreTests {
  @Test("SQLite keeps", arguments: WorkflowStoreRules.all)
  func sqlite(_ rule: WorkflowStoreRule) async throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "godwit-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    try await rule.check(SQLiteWorkflowStore.open(path: folder.appending(path: "workflows.sqlite").path))
  }
}
