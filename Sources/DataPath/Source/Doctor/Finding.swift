/// One thing that was looked at.
public struct Finding: Codable, Hashable, Sendable {
  public enum Area: String, Codable, Hashable, Sendable, CaseIterable {
    case tracking, persistence, freezing, hooks, memory, clock, enrolment, names, proxy, service
  }

  public enum Grade: String, Codable, Hashable, Sendable, CaseIterable {
    case ok
    /// It works, but not as well as it could, or not everything could be looked at.
    case warn
    /// It will not work like this.
    case stop
  }

  public var area: Area
  /// What of it: a disk, a mount point, a host; empty where it is the machine.
  public var subject: String
  public var grade: Grade
  /// What was found, in plain words.
  public var text: String
  /// What to do; nil where nothing is to be done.
  public var remedy: String?

  init(_ area: Area, _ subject: String, _ grade: Grade, _ text: String, remedy: String? = nil) {
    (self.area, self.subject, self.grade, self.text, self.remedy) = (area, subject, grade, text, remedy)
  }

  init(_ area: Area, _ grade: Grade, _ text: String, remedy: String? = nil) {
    self.init(area, "", grade, text, remedy: remedy)
  }

  /// One line, and a second one with what to do.
  public var line: String {
    let what = subject.isEmpty ? area.rawValue : "\(area.rawValue) \(subject)"
    return "[\(grade.rawValue)] \(what): \(text)" + (remedy.map { "\n       do: \($0)" } ?? "")
  }
}

extension [Finding] {
  /// 0: all is well; 1: there are warnings; 2: something stops the agent.
  public var exitCode: Int32 { contains { $0.grade == .stop } ? 2 : contains { $0.grade == .warn } ? 1 : 0 }
}
