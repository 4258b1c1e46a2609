extension RepairPlanner {
  /// A clone must not speak with the source's identity.
  func planAgentRemoval(_ draft: inout RepairDraft) {
    let units = "/etc/systemd/system"
    let enabled = files.names(in: units).filter { $0.hasSuffix(".wants") }.map { "\(units)/\($0)/godwit-agent.service" }
    let runLevels = ["rcS.d"] + (0...6).map { "rc\($0).d" }
    let started = runLevels.flatMap { level in
      files.names(in: "/etc/\(level)").filter { $0.hasSuffix("godwit-agent") }.map { "/etc/\(level)/\($0)" }
    }
    let places =
      ["/var/lib/godwit-agent", "/etc/godwit-agent", "/etc/init.d/godwit-agent", "\(units)/godwit-agent.service"]
      + ["\(units)/godwit-agent.service.d"] + enabled + started + ["/usr/local/sbin/godwit-agent"]
    for place in places where files.exists(place) {
      draft.changes.append(
        RepairChange(path: place, content: .erased, reason: "A clone must not carry the agent and the source's key."))
    }
  }
}
