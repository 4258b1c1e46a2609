public import Providers

extension Provider {
  /// The local cloud behind the `godwit-hypervisor` at `endpoint` (`http://127.0.0.1:PORT` or `unix:/PATH`), with the
  /// bearer token it was given. Makes no request; throws `.invalid` for any other kind of endpoint.
  public static func local(endpoint: String, token: String) throws -> Provider {
    let hypervisor = try HypervisorConnection(endpoint: endpoint, token: token)
    return Provider(
      name: "local", storage: LocalStorage(hypervisor: hypervisor), compute: LocalCompute(hypervisor: hypervisor))
  }
}
