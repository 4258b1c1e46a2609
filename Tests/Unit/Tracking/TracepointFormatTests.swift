import Testing

@testable import Source

@Suite("What the kernel says about its requests")
struct TracepointFormatTests {
  static let text = """
    name: block_rq_complete
    ID: 1234
    format:
    \tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;
    \tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;

    \tfield:dev_t dev;\toffset:8;\tsize:4;\tsigned:0;
    \tfield:sector_t sector;\toffset:16;\tsize:8;\tsigned:0;
    \tfield:unsigned int nr_sector;\toffset:24;\tsize:4;\tsigned:0;
    \tfield:int error;\toffset:28;\tsize:4;\tsigned:1;
    \tfield:unsigned short ioprio;\toffset:32;\tsize:2;\tsigned:0;
    \tfield:char rwbs[10];\toffset:34;\tsize:10;\tsigned:0;
    \tfield:__data_loc char[] cmd;\toffset:44;\tsize:4;\tsigned:0;

    print fmt: "%d,%d %s (%s) %llu + %u [%d]", ((unsigned int) ((REC->dev) >> 20))
    """

  @Test("Offsets come from the format, never from memory")
  func offsets() throws {
    let format = try #require(TracepointFormat(format: Self.text, id: "1234\n"))
    #expect(format.id == 1234)
    #expect([format.device, format.sector, format.sectors, format.flags] == [8, 16, 24, 34])
  }

  @Test("A format without what we need is refused")
  func incomplete() {
    #expect(TracepointFormat(format: "field:dev_t dev;\toffset:8;", id: "1") == nil)
    #expect(TracepointFormat(format: Self.text, id: "") == nil)
  }

  @Test("Members are found also inside nameless parts, at the sum of the offsets")
  func types() throws {
    let types = try #require(BTFTypes(Self.types))
    #expect(types.typedef("btf_trace_block_rq_complete") == 4)
    #expect(types.typedef("request") == nil)
    #expect(types.offset(of: "q", in: "request") == 0)
    #expect(types.offset(of: "__sector", in: "request") == 16 + 8)
    #expect(types.offset(of: "missing", in: "request") == nil)
    #expect(BTFTypes([1, 2, 3]) == nil)
  }

  /// 1: int; 2: nameless structure { pad @0, __sector @8 }; 3: request { q @0, (2) @16 }; 4: the typedef.
  private static var types: [UInt8] {
    var strings: [UInt8] = [0]
    func name(_ text: String) -> UInt32 {
      defer { strings += Array(text.utf8) + [0] }
      return UInt32(strings.count)
    }
    func kind(_ kind: UInt32, members: UInt32 = 0) -> UInt32 { kind << 24 | members }
    let words: [UInt32] = [
      name("int"), kind(1), 4, 32,
      0, kind(4, members: 2), 16, name("pad"), 1, 0, name("__sector"), 1, 64,
      name("request"), kind(4, members: 2), 32, name("q"), 1, 0, 0, 2, 128,
      name("btf_trace_block_rq_complete"), kind(8), 3
    ]
    let body = words.flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> (8 * UInt32($0))) } }
    let header: [UInt32] = [0x0001_eb9f, 24, 0, UInt32(body.count), UInt32(body.count), UInt32(strings.count)]
    return header.flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> (8 * UInt32($0))) } } + body
      + strings
  }
}
