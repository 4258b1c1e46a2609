import Crypto
import FoundationEssentials
import Glibc
import HTTPTypes
import Hummingbird

/// The secret that every request must carry. Only its digest is kept.
public struct BearerToken: Sendable {
  private let digest: SHA256Digest

  init(_ token: some StringProtocol) { digest = SHA256.hash(data: Data(token.utf8)) }

  /// Reads the first line of a file that only its owner can read, at least 16 bytes long.
  public init(file path: String) throws {
    var info = stat()
    guard stat(path, &info) == 0, let text = try? String(contentsOfFile: path, encoding: .utf8) else {
      throw HypervisorError(.invalid, "the token file \(path) cannot be read")
    }
    guard info.st_mode & 0o077 == 0 else {
      throw HypervisorError(.permission, "the token file \(path) is open to other users: chmod 600 \(path)")
    }
    let token = text.prefix { !$0.isNewline }
    guard token.utf8.count >= 16 else {
      throw HypervisorError(.invalid, "the token in \(path) is shorter than 16 bytes; make one: openssl rand -hex 32")
    }
    self.init(token)
  }

  /// Compares digests, in constant time.
  func matches(_ header: String?) -> Bool {
    guard let header, header.hasPrefix("Bearer ") else { return false }
    return SHA256.hash(data: Data(header.dropFirst(7).utf8)) == digest
  }
}

/// Refuses requests without the token, before anything else of them is read.
struct BearerMiddleware<Context: RequestContext>: RouterMiddleware {
  let token: BearerToken

  func handle(
    _ request: Request, context: Context, next: (Request, Context) async throws -> Response
  ) async throws -> Response {
    guard token.matches(request.headers[.authorization]) else {
      throw HypervisorError(.credentials, "the bearer token is missing or wrong")
    }
    return try await next(request, context)
  }
}
