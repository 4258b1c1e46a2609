import Blocks
import Glibc
import NetworkVolumes
import Testing

/// Each way a server can fail has its own code, since the code decides what is done next.
@Suite("Failures over NBD", .timeLimit(.minutes(2)), .serialized)
struct NBDFailures {
  private let page = [UInt8](repeating: 0x5a, count: 4096)

  private func read(_ volume: NBDVolume) throws(BlockError) {
    var bytes = page
    var span = bytes.mutableSpan
    var raw = span.mutableBytes
    try volume.read(into: &raw, at: 0)
  }

  private func code(_ body: () throws(BlockError) -> Void) -> BlockError.Code? {
    do throws(BlockError) {
      try body()
      return nil
    } catch { return error.code }
  }

  /// Every request of every connection, the second time round on connections known to be broken.
  private func expectVanished(_ volume: NBDVolume) {
    for _ in 0..<2 * NBDVolume.maximumConnections {
      #expect(code { () throws(BlockError) in try volume.write(page.span.bytes, at: 0) } == .vanished)
      #expect(code { () throws(BlockError) in try read(volume) } == .vanished)
      #expect(code { () throws(BlockError) in try volume.zero(0..<4096) } == .vanished)
      #expect(code { () throws(BlockError) in try volume.flush() } == .notDurable)
    }
  }

  @Test("A killed storage daemon has vanished, and nothing is said to be durable")
  func killedDaemon() throws {
    try NBDServer.withStorageDaemon(size: 16 << 20) { server in
      let volume = try NBDVolume(uri: server.uri)
      try volume.write(page.span.bytes, at: 0)
      server.kill()
      expectVanished(volume)
      #expect(code { () throws(BlockError) in _ = try NBDVolume(uri: server.uri) } == .cannotOpen)
    }
  }

  @Test("A flush alone notices that the server was killed")
  func killedBeforeFlush() throws {
    try NBDServer.withNbdkit("memory 16M") { server in
      let volume = try NBDVolume(uri: server.uri)
      try volume.write(page.span.bytes, at: 0)
      server.kill()
      #expect(code { () throws(BlockError) in try volume.flush() } == .notDurable)
      expectVanished(volume)
    }
  }

  @Test("A server that hangs is given up in time, also while connecting, and a fresh connection works once it goes on")
  func hangs() throws {
    try NBDServer.withStorageDaemon(size: 16 << 20) { server in
      let patience = Duration.milliseconds(400)
      let volume = try NBDVolume(uri: server.uri, connections: 1, patience: patience)
      try volume.write(page.span.bytes, at: 0)
      server.pause()
      let start = ContinuousClock.now
      var reason = ""
      do throws(BlockError) { try read(volume) } catch {
        #expect(error.code == .vanished)
        reason = error.reason
      }
      #expect(reason.contains("no answer within 0.4 seconds"), "\(reason)")
      #expect(.now - start >= patience && .now - start < .seconds(10))
      // The connection is cut: nobody waits for it a second time.
      let second = ContinuousClock.now
      #expect(code { () throws(BlockError) in try volume.write(page.span.bytes, at: 0) } == .vanished)
      #expect(code { () throws(BlockError) in try volume.flush() } == .notDurable)
      #expect(.now - second < patience)
      let opening = #expect(throws: BlockError.self) { try NBDVolume(uri: server.uri, patience: patience) }
      #expect(opening?.code == .cannotOpen)
      #expect(opening?.reason.contains("no answer within") == true)
      server.resume()
      let again = try NBDVolume(uri: server.uri)
      try again.write(page.span.bytes, at: 4096)
      try again.flush()
    }
  }

  /// The first write of all takes its time, and is carried out whatever becomes of its client.
  private static let lateWriter =
    "eval thread_model='echo parallel' get_size='echo 1M' can_write='exit 0' can_flush='exit 0' flush='exit 0' "
    + "pread='dd if='$folder/medium' bs=4096 count=1 iflag=skip_bytes skip=$4 status=none' "
    + "pwrite='mkdir '$folder/first' 2>/dev/null && sleep 1; "
    + "dd of='$folder/medium' bs=4096 conv=notrunc oflag=seek_bytes seek=$4 status=none'"

  @Test("A write that was given up never lands on newer bytes: its server is not opened until it has ended")
  func lateWrite() throws {
    try NBDServer.withNbdkit(Self.lateWriter, before: "truncate -s 1M $folder/medium; ") { server in
      let old = [UInt8](repeating: 1, count: 4096)
      let volume = try NBDVolume(uri: server.uri, connections: 1, patience: .milliseconds(300))
      #expect(code { () throws(BlockError) in try volume.write(old.span.bytes, at: 0) } == .vanished)
      let refused = #expect(throws: BlockError.self) { try NBDVolume(uri: server.uri) }
      #expect(refused?.code == .cannotOpen)
      #expect(refused?.reason.contains("given up") == true, "\(refused?.reason ?? "")")
      let again = try openedInTime(server.uri)
      try again.write(page.span.bytes, at: 0)
      try again.flush()
      // Longer than the late write takes from now on, were it still to come.
      usleep(1_200_000)
      #expect(try content(of: again) == page)
    }
  }

  @Test("A daemon that hung and goes on is opened again, whether a write was sent to it in part or as a whole")
  func hungWrite() throws {
    for count in [4096, 8 << 20] {
      try NBDServer.withStorageDaemon(size: 16 << 20) { server in
        let volume = try NBDVolume(uri: server.uri, connections: 1, patience: .milliseconds(300))
        server.pause()
        let old = [UInt8](repeating: 1, count: count)
        #expect(code { () throws(BlockError) in try volume.write(old.span.bytes, at: 0) } == .vanished)
        server.resume()
        let again = try openedInTime(server.uri)
        try again.write(page.span.bytes, at: 0)
        try again.flush()
        usleep(100_000)
        #expect(try content(of: again) == page)
      }
    }
  }

  @Test("A server that was killed with a write given up is opened anew at once")
  func killedLateWriter() throws {
    try NBDServer.withStorageDaemon(size: 16 << 20) { server in
      let volume = try NBDVolume(uri: server.uri, connections: 1, patience: .milliseconds(300))
      server.pause()
      #expect(code { () throws(BlockError) in try volume.write(page.span.bytes, at: 0) } == .vanished)
      let refused = #expect(throws: BlockError.self) { try NBDVolume(uri: server.uri) }
      #expect(refused?.reason.contains("given up") == true)
      server.kill()
      // Nobody listens there any more: that is what is said now.
      let gone = #expect(throws: BlockError.self) { try NBDVolume(uri: server.uri) }
      #expect(gone?.reason.contains("given up") == false, "\(gone?.reason ?? "")")
    }
  }

  /// Opens as soon as it is let.
  private func openedInTime(_ uri: String) throws -> NBDVolume {
    let end = ContinuousClock.now + .seconds(20)
    while true {
      do throws(BlockError) { return try NBDVolume(uri: uri) } catch {
        guard .now < end else { throw error }
        usleep(20_000)
      }
    }
  }

  private func content(of volume: NBDVolume) throws(BlockError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 4096)
    var span = bytes.mutableSpan
    var raw = span.mutableBytes
    try volume.read(into: &raw, at: 0)
    return bytes
  }

  @Test("A server that answers late, but in time, is waited for")
  func slow() throws {
    try NBDServer.withNbdkit("--filter=delay memory 16M delay-write=600ms") { server in
      let volume = try NBDVolume(uri: server.uri, patience: .seconds(20))
      let start = ContinuousClock.now
      #expect(code { () throws(BlockError) in try volume.write(page.span.bytes, at: 0) } == nil)
      #expect(.now - start >= .milliseconds(600))
    }
  }

  @Test("A server that says ENOSPC is full")
  func saysFull() throws {
    try NBDServer.withNbdkit("--filter=error memory 16M error=ENOSPC error-pwrite-rate=1 error-zero-rate=1") { server in
      let volume = try NBDVolume(uri: server.uri)
      #expect(code { () throws(BlockError) in try volume.write(page.span.bytes, at: 0) } == .full)
      #expect(code { () throws(BlockError) in try volume.zero(0..<4096) } == .full)
      #expect(code { () throws(BlockError) in try read(volume) } == nil)
    }
  }

  @Test("A qcow2 image that outgrows its filesystem is full, and what was written before stays readable")
  func outgrows() throws {
    try NBDServer.withStorageDaemon(size: 64 << 20, room: 8 << 20) { server in
      let volume = try NBDVolume(uri: server.uri)
      let part = [UInt8](repeating: 0xa7, count: 1 << 20)
      var written: UInt64 = 0
      let end = code { () throws(BlockError) in
        while written < volume.size {
          try volume.write(part.span.bytes, at: written)
          written += UInt64(part.count)
        }
      }
      #expect(end == .full)
      #expect(written >= 4 << 20 && written < 8 << 20)
      var found = [UInt8](repeating: 0, count: part.count)
      for offset in stride(from: 0, to: written, by: part.count) {
        var span = found.mutableSpan
        var raw = span.mutableBytes
        try volume.read(into: &raw, at: offset)
        #expect(found == part)
      }
    }
  }

  @Test("A medium that refuses is unreadable or unwritable, and still there")
  func refuses() throws {
    try NBDServer.withNbdkit("--filter=error memory 16M error=EIO error-rate=1") { server in
      let volume = try NBDVolume(uri: server.uri)
      for _ in 0..<2 {
        #expect(code { () throws(BlockError) in try read(volume) } == .unreadable)
        #expect(code { () throws(BlockError) in try volume.write(page.span.bytes, at: 0) } == .unwritable)
        #expect(code { () throws(BlockError) in try volume.zero(0..<4096) } == .unwritable)
      }
      #expect(code { () throws(BlockError) in try volume.flush() } == nil)
    }
  }

  @Test("A flush that fails is not durable, also where the store is full", arguments: ["EIO", "ENOSPC"])
  func refusesFlush(number: String) throws {
    let medium = "eval get_size='echo 16M' can_write='exit 0' can_flush='exit 0' pwrite='cat >/dev/null'"
    let nothing = "pread='head -c $3 /dev/zero'"
    let server = "\(medium) \(nothing) flush='echo \(number) refused >&2; exit 1'"
    try NBDServer.withNbdkit(server) { server in
      let volume = try NBDVolume(uri: server.uri)
      #expect(code { () throws(BlockError) in try volume.write(page.span.bytes, at: 0) } == nil)
      #expect(code { () throws(BlockError) in try volume.flush() } == .notDurable)
    }
  }

  @Test("An export that is missing, read-only or cannot flush is refused")
  func refusedExports() throws {
    let noFlush = "eval get_size='echo 16M' can_write='exit 0' can_flush='exit 3' pwrite='cat >/dev/null'"
    let refused = [
      "No such file": "--filter=exportname memory 16M exportname-strict=true exportname=other",
      "read-only": "--readonly memory 16M",
      "cannot flush": "\(noFlush) pread='head -c $3 /dev/zero'"
    ]
    for (reason, server) in refused {
      try NBDServer.withNbdkit(server) { server in
        let error = #expect(throws: BlockError.self) { try NBDVolume(uri: server.uri) }
        #expect(error?.code == .cannotOpen)
        #expect(error?.reason.contains(reason) == true, "\(error?.reason ?? "")")
      }
    }
  }
}
