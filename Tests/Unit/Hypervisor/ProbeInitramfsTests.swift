import Testing

@testable import Hypervisor

@Suite struct ProbeInitramfsTests {
  @Test func `the archive is aligned newc cpio with console, program and trailer`() {
    let archive = ProbeInitramfs.archive
    #expect(archive.count % 4 == 0)
    var offset = 0
    var names: [String] = []
    while offset + 110 <= archive.count, names.last != "TRAILER!!!" {
      #expect(Array(archive[offset..<offset + 6]) == Array("070701".utf8))
      func field(_ index: Int) -> Int {
        let start = offset + 6 + index * 8
        return Int(String(decoding: archive[start..<start + 8], as: UTF8.self), radix: 16)!
      }
      let (size, nameSize) = (field(6), field(11))
      names.append(String(decoding: archive[offset + 110..<offset + 110 + nameSize - 1], as: UTF8.self))
      offset += (110 + nameSize + 3) / 4 * 4
      offset += (size + 3) / 4 * 4
    }
    #expect(names == ["dev", "dev/console", "init", "TRAILER!!!"])
    #expect(offset == archive.count)
  }

  @Test func `the program is a static x86-64 executable that begins in its code`() {
    let program = ProbeInitramfs.program
    #expect(Array(program[0..<4]) == [0x7f, 0x45, 0x4c, 0x46])
    #expect(program[16] == 2 && program[18] == 62)
    let entry = (0..<8).reduce(0) { $0 | Int(program[24 + $1]) << ($1 * 8) } - 0x40_0000
    #expect(entry == 64 + 56 + ProbeInitramfs.marker.utf8.count + 1)
    #expect(program[entry] == 0xb8)
    #expect(Array(program.suffix(2)) == [0xeb, 0xfe])
  }
}
