/// Every rule of the contracts in `Storage` and `Compute`. Joining them is one parameterised test:
/// `@Test(arguments: ProviderRules.all) func rule(_ rule: ProviderRule) async throws { try await rule.check(subject) }`.
public enum ProviderRules {
  public static let all = storage + compute
}
