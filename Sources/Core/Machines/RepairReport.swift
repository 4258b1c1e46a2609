/// What the repair of a machine would do, or did: the same shape for the plan, for a rehearsal on the live source, and
/// for the outcome.
public struct RepairReport: Codable, Hashable, Sendable {
  public enum Verdict: String, Codable, Hashable, Sendable {
    /// With the edits listed the machine is expected to boot on the target.
    case ready
    /// It will probably boot; `problems` says what may not work.
    case doubtful
    /// It will not boot, or the planner does not understand the machine; `problems` says why and what to do.
    case refused
  }

  /// One change to the clone.
  public struct Edit: Codable, Hashable, Sendable {
    public enum Action: String, Codable, Hashable, Sendable { case write, remove, append, link }
    public var action: Action
    /// Absolute path inside the guest.
    public var path: String
    /// Why, in one sentence.
    public var reason: String
    /// How to take it back, in one sentence: usually the path of the copy that was kept.
    public var undo: String
    /// Bytes the file had and has; nil where there is none.
    public var sizeBefore: UInt64?
    public var sizeAfter: UInt64?
    public init(
      action: Action, path: String, reason: String, undo: String, sizeBefore: UInt64? = nil, sizeAfter: UInt64? = nil
    ) {
      (self.action, self.path, self.reason, self.undo) = (action, path, reason, undo)
      (self.sizeBefore, self.sizeAfter) = (sizeBefore, sizeAfter)
    }
  }

  /// Something that stands in the way or may not work.
  public struct Problem: Codable, Hashable, Sendable {
    /// A stable word: `no_root_filesystem`, `no_virtio_modules`, `unsupported_layout`.
    public var code: String
    public var message: String
    public var remedy: String
    public init(code: String, message: String, remedy: String) {
      (self.code, self.message, self.remedy) = (code, message, remedy)
    }
  }

  public var verdict: Verdict
  public var firmware: MachineDescription.Firmware
  /// What was recognised: distribution, root device, kernels, loader, initramfs tool, network configuration.
  public var findings: [String: String]
  public var edits: [Edit]
  public var problems: [Problem]
  /// True once the edits were made.
  public var applied: Bool

  public init(
    verdict: Verdict, firmware: MachineDescription.Firmware, findings: [String: String], edits: [Edit],
    problems: [Problem], applied: Bool
  ) {
    (self.verdict, self.firmware, self.findings) = (verdict, firmware, findings)
    (self.edits, self.problems, self.applied) = (edits, problems, applied)
  }
}
