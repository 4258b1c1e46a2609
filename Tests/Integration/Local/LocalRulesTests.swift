import Conformance
import Providers
import Testing

@Suite(.serialized, .timeLimit(.minutes(5))) struct LocalRulesTests {
  @Test("the local cloud keeps every rule of a provider") func rules() async throws {
    try await HypervisorUnderTest.with { hypervisor in
      let subject = ProviderUnderTest(
        try hypervisor.provider, readBytes: { try await NBDTool.read($0, $1, $2) },
        writeBytes: { try await NBDTool.write($0, $1, $2) })
      for rule in ProviderRules.all {
        do { try await rule.check(subject) } catch { Issue.record(error, "\(rule)") }
      }
    }
  }
}
