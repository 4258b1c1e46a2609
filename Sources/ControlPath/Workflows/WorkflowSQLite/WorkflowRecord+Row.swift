import Foundation
import GRDB
import Workflows

extension WorkflowRecord {
  init(row: Row) throws {
    let lease = (row["leaseOwner"] as String?).map {
      WorkflowLease(owner: $0, until: Date(timeIntervalSince1970: row["leaseUntil"] as Double? ?? 0))
    }
    let problem = try (row["problem"] as String?).map {
      try JSONDecoder().decode(WorkflowProblem.self, from: Data($0.utf8))
    }
    self.init(
      id: row["id"], kind: row["kind"], tenant: row["tenant"], step: row["step"], state: row["state"],
      attempts: row["attempts"], wakeAt: Date(timeIntervalSince1970: row["wakeAt"]), fence: row["fence"],
      lease: lease, signals: row["signals"], cancelRequested: row["cancelRequested"],
      outcome: (row["outcome"] as String?).flatMap(Outcome.init(rawValue:)), problem: problem,
      createdAt: Date(timeIntervalSince1970: row["createdAt"]),
      updatedAt: Date(timeIntervalSince1970: row["updatedAt"]))
  }
}
