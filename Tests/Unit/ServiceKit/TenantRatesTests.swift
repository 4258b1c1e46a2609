import ServiceKit
import Synchronization
import Testing
import Wire

struct TenantRatesTests {
  private static func token(_ tenant: String, _ requests: Int?) -> AccessToken {
    AccessToken(
      sub: "ada", tenant: tenant, role: .viewer, scopes: [.read], sid: "ses-1", now: 0,
      limits: requests.map { TenantLimits(requests: $0) })
  }

  @Test func `A tenant has its rate, twice as many at once, and is told when to come again; others do not notice`()
    throws
  {
    let time = Mutex(100.0)
    let rates = TenantRates(now: { time.withLock { $0 } })
    var admitted = 0
    for second in 0..<10 {
      time.withLock { $0 = 100 + Double(second) }
      for _ in 0..<1000 {
        do {
          try rates.admit(Self.token("noisy", 10))
          admitted += 1
        } catch let problem as Problem {
          #expect(problem.status == 429 && problem.code == "rate_limited" && problem.retryAfter == 1)
        }
      }
      for _ in 0..<10 { try rates.admit(Self.token("quiet", 10)) }
    }
    #expect(admitted == 20 + 9 * 10)
    // The usual limit where the token names none.
    for _ in 0..<(2 * TenantLimits().requests) { try rates.admit(Self.token("usual", nil)) }
    #expect(throws: Problem.self) { try rates.admit(Self.token("usual", nil)) }
  }
}
