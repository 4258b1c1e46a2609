// The compiler counts `stat` to whichever of these it met first.
import CDispatch
import CoreFoundation
import Glibc
import Testing

/// Bytes of disk that a file takes: less than its size where it has holes.
func allocatedBytes(of path: String) throws -> Int {
  var status = stat()
  try #require(stat(path, &status) == 0)
  return Int(status.st_blocks) * 512
}
