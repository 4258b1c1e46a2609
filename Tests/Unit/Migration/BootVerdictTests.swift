import Machines
import Testing

@testable import Migration

@Suite struct BootVerdictTests {
  @Test(
    "A login prompt proves a start",
    arguments: ["[  OK  ] Started Getty\r\n\r\nweb-1 login: ", "\u{1B}[0;32mweb-1\u{1B}[0m login: "])
  func prompt(_ console: String) {
    #expect(BootVerdict(console: console, success: nil) == .started("the console shows the prompt 'web-1 login:'"))
  }

  @Test(
    "Talk of logins is no prompt", arguments: ["", "Last login: yesterday", "please wait for the login:", "x login:y"])
  func noPrompt(_ console: String) { #expect(BootVerdict(console: console, success: nil) == .undecided) }

  @Test("A failure is a failure, whatever else is said", arguments: BootVerdict.failures)
  func failure(_ text: String) {
    #expect(
      BootVerdict(console: "web-1 login: \r\n\(text)\r\n", success: nil) == .failed("the console says '\(text)'"))
  }

  @Test func `A configured text takes the place of the prompt`() {
    #expect(BootVerdict(console: "web-1 login: ", success: "READY") == .undecided)
    #expect(BootVerdict(console: "all READY now", success: "READY") == .started("the console says 'READY'"))
  }
}

@Suite struct RepairConsoleTests {
  private let line =
    #"GODWIT-REPAIR-REPORT {"verdict":"ready","firmware":"bios","findings":{},"edits":[],"problems":[],"applied":true}"#

  @Test func `A report counts once the end was said`() {
    #expect(RepairConsole(console: "boot\r\n\(line)") == .undecided)
    guard case .report(let report) = RepairConsole(console: "boot\r\n\(line)\r\nGODWIT-REPAIR-END\r\n") else {
      Issue.record("no report")
      return
    }
    #expect(report.verdict == .ready && report.applied)
  }

  @Test func `An end without a report, and a report that is no JSON, are broken`() {
    guard case .broken = RepairConsole(console: "GODWIT-REPAIR-END\n") else {
      Issue.record("an end without a report passed")
      return
    }
    guard case .broken = RepairConsole(console: "GODWIT-REPAIR-REPORT {\nGODWIT-REPAIR-END\n") else {
      Issue.record("half a report passed")
      return
    }
  }
}
