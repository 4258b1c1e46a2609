import Client
import Evidence
import Wire

/// What a check came to, for people and for programs.
struct EvidenceReport: Encodable {
  struct Volume: Encodable {
    var disk: String
    var path: String
    var compared: UInt64
    var free: UInt64
    var differing: UInt64
    /// The first leaves that differ (64 KiB each).
    var first: [UInt64]

    init(disk: String, path: String, outcome: VolumeCheck.Outcome?) {
      (self.disk, self.path) = (disk, path)
      (compared, free) = (outcome?.compared ?? 0, outcome?.free ?? 0)
      (differing, first) = (outcome?.differing ?? 0, outcome?.first ?? [])
    }
  }

  var passed: Bool
  var failure: EvidenceFailure.Code?
  var detail: String?
  var point: PointClaims?
  var agent: AgentIdentityClaims?
  var statement: AgentStatement?
  var receipt: SealReceipt?
  var volumes: [Volume] = []

  init(_ checked: EvidenceCheck.Checked) {
    passed = true
    (point, agent, statement, receipt) = (checked.point, checked.agent, checked.statement, checked.receipt)
  }

  init(_ failure: EvidenceFailure) {
    passed = false
    (self.failure, detail) = (failure.code, failure.description)
  }

  mutating func fail(_ failure: EvidenceFailure) {
    passed = false
    (self.failure, detail) = (failure.code, failure.description)
  }

  var text: String {
    var lines = [passed ? "The evidence holds." : "DO NOT TRUST THIS: \(detail ?? "")"]
    guard let point, let agent, let statement, let receipt else { return lines[0] }
    lines += [
      "  point      \(point.point) of \(agent.name) (\(point.migration)), \(point.final ? "final, " : "")sealed "
        + Instant.text(receipt.sealedAt),
      "  agent      signed what every leaf held; its key was enrolled \(Instant.text(agent.enrolledAt))",
      "  gateway    read the leaves back from the volume and found them so",
      "  sync       \(mode(statement))", "  tracking   \(tracking(statement))",
      "  at once    " + consistency(statement)
    ]
    for (disk, root) in zip(point.disks, receipt.disks) {
      lines.append(
        "  \(disk.name)  \(root.dataLeaves) leaves of data, \(root.zeroLeaves) of zeros, \(root.freeLeaves) free; "
          + "root \(root.root)")
    }
    for volume in volumes {
      lines.append(
        volume.differing == 0
          ? "  \(volume.path) is \(volume.disk): all \(volume.compared) leaves in use were read and are right"
          : "  \(volume.path) is NOT \(volume.disk): \(volume.differing) of \(volume.compared) leaves differ, first "
            + volume.first.prefix(8).map(String.init).joined(separator: ", "))
    }
    if volumes.isEmpty { lines.append("  No volume was compared: give --volume DISK=PATH for that.") }
    return lines.joined(separator: "\n")
  }

  private func mode(_ statement: AgentStatement) -> String {
    guard let voided = statement.voided else { return statement.mode.rawValue }
    return "\(statement.mode.rawValue) instead of \(statement.asked.rawValue), because \(voided)"
  }

  private func tracking(_ statement: AgentStatement) -> String {
    if statement.tracking.isEmpty { return "none" }
    return statement.tracking.map {
      "\($0.disk): \($0.rung), \($0.seenSectors) sectors seen, \($0.kernelSectors) counted by the kernel"
    }.joined(separator: "; ")
  }

  private func consistency(_ statement: AgentStatement) -> String {
    statement.consistency.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
  }
}
