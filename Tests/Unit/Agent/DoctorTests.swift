import FoundationEssentials
import Testing
import Transport

@testable import Source

@Suite("The doctor")
struct DoctorTests {
  private static func service(_ date: Int?, now: Int) -> Finding {
    Doctor.clock(date, now: Date(timeIntervalSince1970: TimeInterval(now)))
  }

  @Test("The clock is judged by how far it is off, in either direction")
  func clock() {
    #expect(Self.service(1000, now: 1003).grade == .ok)
    #expect(Self.service(1000, now: 880).grade == .warn)
    #expect(Self.service(100_000, now: 13_599).grade == .stop)
    #expect(Self.service(1000, now: 880).text.contains("120 s behind"))
    #expect(Self.service(1000, now: 1090).text.contains("90 s ahead of"))
    #expect(Self.service(nil, now: 1).grade == .warn)
  }

  @Test("The best rung that works is named, with the reasons of the others")
  func tracking() {
    let best = Doctor.judge("sda", working: [.typed, .perf], reasons: ["blktrace does not: EPERM"], remedies: [])
    #expect(best.grade == .ok)
    #expect(best.text == "tp_btf works; tracepoint works, too; blktrace does not: EPERM")
    let last = Doctor.judge("sda", working: [.blktrace], reasons: ["tp_btf does not: no BTF"], remedies: ["a"])
    #expect(last.grade == .warn && last.remedy == "a")
    let none = Doctor.judge("sda", working: [], reasons: ["a", "b"], remedies: [])
    #expect(none.grade == .stop && none.text.contains("a; b"))
  }

  @Test(
    "Every known reason has a remedy",
    arguments: [
      ("the kernel does not count its I/O; write 1 to /sys/block/sda/queue/iostats", "echo 1 >"),
      ("dm-0 lies on other disks; track those: sda", "below"), ("only 0 were seen as requests", "multipath"),
      ("BPF map: Function not implemented", "CONFIG_BPF_SYSCALL"), ("EPERM: Operation not permitted", "locked down"),
      ("no BTF of block requests", "CONFIG_DEBUG_INFO_BTF"), ("no tracefs with events", "mount -t tracefs")
    ])
  func remedies(reason: String, remedy: String) {
    let found = Doctor.remedies("sda", ["x does not: " + reason], lockdown: "integrity")
    #expect(found.count == 1 && found[0].contains(remedy))
    #expect(Doctor.remedies("sda", ["x does not: something new"], lockdown: nil) == [])
  }

  @Test("Little memory is a warning, very little stops")
  func memory() {
    func grade(_ kib: Int) -> Finding.Grade { Doctor.memory("MemTotal: 9 kB\nMemAvailable:   \(kib) kB\n").grade }
    #expect([grade(1_000_000), grade(150_000), grade(50_000)] == [.ok, .warn, .stop])
    #expect(Doctor.memory("MemFree: 50000 kB").grade == .stop)
    #expect(Doctor.memory("").grade == .warn)
  }

  @Test("The exit code says the worst")
  func exitCode() {
    let ok = Finding(.memory, .ok, "")
    let warn = Finding(.memory, .warn, "")
    let stop = Finding(.memory, .stop, "")
    #expect([[ok], [ok, warn], [stop, warn, ok], []].map(\.exitCode) == [0, 1, 2, 0])
    #expect(Finding(.hooks, "pre-a", .stop, "no", remedy: "yes").line == "[stop] hooks pre-a: no\n       do: yes")
  }

  @Test("Each way in which the platform cannot be reached stops, and says what to do")
  func unreachable() {
    let errors: [TransportError] = [
      .badSettings("x"), .unreachable(host: "h", reason: "x"), .wrongCertificate(host: "h", reason: "x"),
      .outcomeUnknown(host: "h", reason: "x"), .badAnswer(host: "h", reason: "x")
    ]
    for error in errors {
      let finding = Doctor.unreachable("https://h", error)
      #expect(finding.grade == .stop && finding.area == .service && finding.remedy?.isEmpty == false)
    }
    #expect(Doctor.unreachable("https://h", .proxyRefused(proxy: "p", reason: "407")).area == .proxy)
    #expect(Doctor.host(of: "https://a.example:8443/x") == "a.example")
    #expect(Doctor.host(of: "https://[::1]:8443") == "::1")
  }
}
